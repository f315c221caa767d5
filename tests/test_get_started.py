"""docs/get-started.md, done as it stands, in an environment that has us as a wheel only."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from recipes import DOCS, Reader, blocks, check
from targets import ROOT

PAGE = DOCS / "get-started.md"

pytestmark = [
    *(pytest.mark.attach, pytest.mark.client, pytest.mark.console),
    *(pytest.mark.slow, pytest.mark.timeout(240)),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of an environment in which the project was installed by pip, from its wheel.

    What it depends on is there already, from our own: nothing is fetched.
    """
    place = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), ".")
    (wheel,) = place.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", str(place / "venv"))
    fresh = str(place / "venv/bin/python")
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(fresh, "-I", "-c", where).strip())
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", fresh]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    told = run(fresh, "-c", "import live_kernel; print(live_kernel.__file__)", cwd=place)
    assert Path(told.strip()).is_relative_to(packages), "it is the wheel that is tried"
    return fresh


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_get_started(python: str, tmp_path: Path, artefacts: Path) -> None:
    """It comes to what it says; the transcript has the seconds that it took."""
    reader = Reader(tmp_path, tmp_path / "nothing", python)
    began = time.monotonic()
    try:
        with reader:
            for block in blocks(PAGE):
                check(block)
                reader.do(block)
    finally:
        reader.transcript.append(f"-- {time.monotonic() - began:.1f} s in all")
        (artefacts / "transcript.txt").write_text("\n".join(reader.transcript) + "\n")
