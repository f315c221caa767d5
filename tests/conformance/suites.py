"""Runs the tests of other projects against us: `make conformance`.

    suites.py [SUITE [WORDS FOR PYTEST]]

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
from typing import NamedTuple

from fresh import write_kernelspec

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOOLS = ROOT / ".tools" / "conformance"
LIST = HERE / "README.md"
REPORTS = ROOT / ".artefacts" / "conformance"


class Suite(NamedTuple):
    """A project's tests, and how its authors run them.

    `name`: of its distribution. `files`: without `test_`. `packages`: what they
    import beyond the project's environment. `patience`: seconds for one test; some
    more than the longest that passes takes. `options`: for pytest.
    """

    name: str
    files: tuple[str, ...]
    packages: tuple[str, ...]
    patience: int
    options: tuple[str, ...] = ()

    @property
    def sources(self) -> Path:
        return TOOLS / f"{self.name}-{version(self.name)}"

    @property
    def report(self) -> Path:
        return REPORTS / f"{self.name}.xml"


SUITES = (
    Suite(
        "ipykernel",
        ("message_spec", "kernel", "async", "heartbeat", "subshells", "comm"),
        ("pytest-asyncio", "flaky"),
        12,
        (
            "-p",
            "fresh_after_failure",
            *("-o", "asyncio_mode=auto"),
            *("-o", "asyncio_default_fixture_loop_scope=function"),
        ),
    ),
    Suite("nbclient", ("client",), ("flaky", "testpath", "xmltodict"), 30),
)


def fetch(suite: Suite) -> None:
    """Have the suite's sources and packages in TOOLS."""
    if not suite.sources.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        wanted = f"{suite.name}=={version(suite.name)}"
        pip("download", "--no-binary", suite.name, "-d", str(TOOLS), wanted)
        with tarfile.open(f"{suite.sources}.tar.gz") as archive:
            archive.extractall(TOOLS, filter="data")
    for package in suite.packages:
        if not (TOOLS / package).exists():
            pip("install", "--target", str(TOOLS / package), package)


def pip(command: str, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", command, "--quiet", "--no-deps", *words], check=True
    )


def run(suite: Suite, words: list[str]) -> None:
    """Run its tests, with a report in XML; `words` are for pytest."""
    found = [suite.sources, *(TOOLS / package for package in suite.packages), HERE, ROOT]
    with tempfile.TemporaryDirectory(prefix="lk-") as place:
        write_kernelspec(Path(place), "python3")
        environment = os.environ | {
            "JUPYTER_PATH": place,
            "IPYTHONDIR": str(Path(place, "ipython")),
            "XDG_STATE_HOME": place,
            "PYTHONPATH": os.pathsep.join(map(str, found)),
        }
        options = ["-c", os.devnull, "--rootdir", str(suite.sources), "-p", "no:cacheprovider"]
        options += ["-o", f"timeout={suite.patience}", "-q", "--tb=short"]
        options += [*suite.options, f"--junitxml={suite.report}"]
        files = [f"tests/test_{name}.py" for name in suite.files]
        command = [sys.executable, "-m", "pytest", *options, *(words or files)]
        subprocess.run(command, cwd=suite.sources, env=environment, check=False)


def outcomes(suite: Suite) -> dict[str, str]:
    """Each test that was run, as in the list, with `passed`, `failed` or `skipped`."""
    found: dict[str, str] = {}
    for case in ET.parse(suite.report).iter("testcase"):
        name = listed_as(case.get("classname", ""), case.get("name", ""))
        kinds = {child.tag for child in case}
        failed = bool(kinds & {"failure", "error"}) or found.get(name) == "failed"
        found[name] = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
    return found


def listed_as(place: str, name: str) -> str:
    """`test_file.py::Class::name`, for `tests.test_file.Class` and a name."""
    _, _, inside = place.rpartition("tests.")
    file, *classes = inside.split(".")
    return "::".join([f"{file}.py", *classes, name])


def listed() -> set[str]:
    """The tests in the list of those that we do not pass."""
    return set(re.findall(r"^\| `(test_\w+\.py::[^`]+)`", LIST.read_text(), re.MULTILINE))


def show(found: dict[str, str]) -> None:
    """A line a file: how many of its tests passed, failed and were skipped."""
    print(f"\n{'suite':<24}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for file in sorted({name.partition("::")[0] for name in found}):
        mine = [kind for name, kind in found.items() if name.startswith(f"{file}::")]
        counts = [mine.count(kind) for kind in ("passed", "failed", "skipped")]
        print("{:<24}{:>8}{:>8}{:>9}".format(file, *counts))


def main(name: str = "", *words: str) -> int:
    REPORTS.mkdir(parents=True, exist_ok=True)
    found: dict[str, str] = {}
    for suite in SUITES:
        if name in ("", suite.name):
            fetch(suite)
            run(suite, list(words))
            found |= outcomes(suite)
    show(found)
    failed = {name for name, kind in found.items() if kind == "failed"}
    passed = {name for name, kind in found.items() if kind == "passed"}
    unlisted, outdated = sorted(failed - listed()), sorted(passed & listed())
    for test in unlisted:
        print(f"fails, and is not in {LIST.relative_to(ROOT)}: {test}")
    for test in outdated:
        print(f"passes, and is still in {LIST.relative_to(ROOT)}: {test}")
    return 1 if unlisted or outdated or not found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
