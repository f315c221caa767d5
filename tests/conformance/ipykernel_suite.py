"""Runs ipykernel's own tests against us: `make conformance`.

The tests come from the source distribution of the version that is installed,
fetched from the index that pip is set up for, once, into .tools. Whatever they start as
`python3` is us, in a program of its own (`fresh.py`). Rule: README.md lists
each test that we do not pass; one that fails and is not listed fails the run,
and so does one that is listed and passes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from importlib.metadata import version
from pathlib import Path

from fresh import write_kernelspec

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOOLS = ROOT / ".tools" / "conformance"
LIST = HERE / "README.md"
REPORT = ROOT / ".artefacts" / "conformance.xml"
FILES = [
    f"tests/test_{name}.py"
    for name in ("message_spec", "kernel", "async", "heartbeat", "subshells", "comm")
]
PATIENCE = 12
"""Seconds for one test. The longest that passes takes under six."""


def fetched() -> Path:
    """The sources of the installed ipykernel."""
    name = f"ipykernel-{version('ipykernel')}"
    sources = TOOLS / name
    if not sources.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        pip("download", "--no-binary", "ipykernel", "-d", str(TOOLS), name.replace("-", "==", 1))
        with tarfile.open(TOOLS / f"{name}.tar.gz") as archive:
            archive.extractall(TOOLS, filter="data")
    return sources


def plugins() -> Path:
    """A directory with the plugins of pytest that ipykernel's tests are written for."""
    place = TOOLS / "plugins"
    if not place.exists():
        pip("install", "--target", str(place), "pytest-asyncio", "flaky")
    return place


def pip(command: str, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", command, "--quiet", "--no-deps", *words], check=True
    )


def run(sources: Path, extra: Path, words: list[str]) -> None:
    """Run the tests, with a report in XML; `words` are for pytest."""
    with tempfile.TemporaryDirectory(prefix="lk-") as place:
        write_kernelspec(Path(place), "python3")
        environment = os.environ | {
            "JUPYTER_PATH": place,
            "IPYTHONDIR": str(Path(place, "ipython")),
            "PYTHONPATH": os.pathsep.join(map(str, (sources, extra, HERE, ROOT))),
        }
        options = ["-c", os.devnull, "--rootdir", str(sources), "-p", "no:cacheprovider"]
        options += ["-p", "fresh_after_failure", "-o", "asyncio_mode=auto"]
        options += ["-o", "asyncio_default_fixture_loop_scope=function"]
        options += ["-o", f"timeout={PATIENCE}", "-q", "--tb=short", f"--junitxml={REPORT}"]
        command = [sys.executable, "-m", "pytest", *options, *(words or FILES)]
        subprocess.run(command, cwd=sources, env=environment, check=False)


def outcomes() -> dict[str, str]:
    """Each test that was run, as `file::name`, with `passed`, `failed` or `skipped`."""
    found: dict[str, str] = {}
    for case in ET.parse(REPORT).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}.py::{case.get('name')}"
        kinds = {child.tag for child in case}
        failed = bool(kinds & {"failure", "error"}) or found.get(name) == "failed"
        found[name] = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
    return found


def listed() -> set[str]:
    """The tests in the list of those that we do not pass."""
    return set(re.findall(r"^\| `(test_\w+\.py::[^`]+)`", LIST.read_text(), re.MULTILINE))


def main(words: list[str]) -> int:
    REPORT.parent.mkdir(exist_ok=True)
    run(fetched(), plugins(), words)
    found = outcomes()
    print(f"\n{'suite':<24}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for file in sorted({name.partition("::")[0] for name in found}):
        mine = [kind for name, kind in found.items() if name.startswith(f"{file}::")]
        counts = [mine.count(kind) for kind in ("passed", "failed", "skipped")]
        print("{:<24}{:>8}{:>8}{:>9}".format(file, *counts))
    failed = {name for name, kind in found.items() if kind == "failed"}
    passed = {name for name, kind in found.items() if kind == "passed"}
    unlisted, outdated = sorted(failed - listed()), sorted(passed & listed())
    for name in unlisted:
        print(f"fails, and is not in {LIST.relative_to(ROOT)}: {name}")
    for name in outdated:
        print(f"passes, and is still in {LIST.relative_to(ROOT)}: {name}")
    return 1 if unlisted or outdated or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
