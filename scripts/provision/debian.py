"""A CPython from a newer Debian suite, in a folder of its own beside the project.

apt works on lists and a cache in that folder and installs nothing; the packages
are unpacked, and the interpreter is told to take its C library from among them.
The mirror is the one that this machine's apt is set up with. Needs no root.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from .shell import TOOLS, SetUpError, run

# Which suites are likely to carry a version, the most likely first.
_SUITES = {"3.13": ("trixie", "sid"), "3.14": ("forky", "sid"), "3.15": ("sid", "forky")}
MINORS = tuple(_SUITES)

_WITH_TK = "3.14"
"""The version on which the tests run programs with windows: Debian has tkinter in a package."""


def interpreter(prefix: Path, minor: str) -> Path:
    """Where `fetch` puts it."""
    return prefix / f"usr/bin/python{minor}"


def is_whole(prefix: Path, minor: str) -> bool:
    """Is all there that `fetch` puts there now? An earlier set-up may have fetched less."""
    return minor != _WITH_TK or any(prefix.glob("usr/lib/python3*/lib-dynload/_tkinter.*"))


def fetch(prefix: Path, minor: str, program: Callable[[str], Path]) -> None:
    """Put CPython `minor` into `prefix`; `program` gives the path of patchelf."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise SetUpError("this is no Debian")
    if minor not in _SUITES:
        raise SetUpError("no suite is known to carry it")
    mirror, keyring = _mirror(), _keyring()
    for left_over in TOOLS.glob("debian-*"):
        shutil.rmtree(left_over)
    refusals = []
    for suite in _SUITES[minor]:
        with tempfile.TemporaryDirectory(dir=TOOLS, prefix="debian-") as folder:
            work = Path(folder)
            try:
                packages = _download(
                    work, f"deb [signed-by={keyring}] {mirror} {suite} main", minor
                )
            except SetUpError as error:
                refusals.append(f"{suite}: {error.cause}")
                continue
            _unpack(packages, work / "prefix", prefix, minor, program("patchelf"))
            return
    raise SetUpError(", ".join(refusals))


def _mirror() -> str:
    """Where this machine's apt gets Debian itself from."""
    targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"])
    for target in targets:
        if target.rstrip("/").endswith("/debian"):
            return target
    raise SetUpError("apt knows no Debian mirror here")


def _keyring() -> Path:
    for suffix in ("gpg", "pgp"):
        path = Path(f"/usr/share/keyrings/debian-archive-keyring.{suffix}")
        if path.exists():
            return path
    raise SetUpError("Debian's archive keys are not here (package debian-archive-keyring)")


def _download(work: Path, source: str, minor: str) -> list[Path]:
    """The packages of the interpreter and all that they stand on, as if nothing were installed."""
    for folder in ("lists/partial", "cache/archives/partial", "etc"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "etc/sources.list").write_text(source + "\n")
    settings: dict[str, object] = {
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
        "Dir::Cache": work / "cache",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::Etc::SourceList": work / "etc/sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": work,
        "Dir::State::Lists": work / "lists",
        "Dir::State::status": work / "status",
    }
    apt = ["apt-get", "-q", "-y", *(f"-o{name}={value}" for name, value in settings.items())]
    run([*apt, "update", "--error-on=any"])
    parts = ["", "-venv", "-tk"] if minor == _WITH_TK else ["", "-venv"]
    names = [f"python{minor}{part}" for part in parts]
    run([*apt, "install", "--download-only", "--no-install-recommends", *names])
    return sorted((work / "cache/archives").glob("*.deb"))


def _unpack(packages: list[Path], draft: Path, prefix: Path, minor: str, patchelf: Path) -> None:
    draft.mkdir()
    for package in packages:
        run(["dpkg", "-x", package, draft])
    loader = next((draft / "usr/lib").glob("*-linux-gnu*/ld-linux*.so.*"))
    beside = f"$ORIGIN/../lib/{loader.parent.name}"
    final = prefix / loader.relative_to(draft)
    linking: list[str | Path] = ["--set-interpreter", final, "--force-rpath", "--set-rpath", beside]
    run([patchelf, *linking, interpreter(draft, minor)])
    shutil.rmtree(prefix, ignore_errors=True)
    draft.rename(prefix)
