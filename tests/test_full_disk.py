"""A disk that is really full: where agent and launcher meet, and where the kernel keeps things.

Runs in pytest, as root, which has mounts of its own meanwhile, and so has what it starts. (The
table of faults.py has a limit on files instead, which any user can set.)
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import Kernel
from snapshots import Program, landings

pytestmark = [pytest.mark.attach, pytest.mark.root]


@contextlib.contextmanager
def small_disk(options: str) -> Iterator[Path]:
    """A directory on a disk of its own, in mounts that we have alone while the block runs."""
    where, ours = Path.cwd(), os.open("/proc/self/ns/mnt", os.O_RDONLY)
    with tempfile.TemporaryDirectory(prefix="lk-", dir="/tmp") as name:
        try:
            os.unshare(os.CLONE_NEWNS)
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        except (OSError, subprocess.SubprocessError) as error:
            os.close(ours)
            pytest.skip(f"not possible here: {error}")
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", name], check=True)
            yield Path(name)
        finally:
            os.setns(ours, os.CLONE_NEWNS)
            os.close(ours)
            os.chdir(where)  # which lies in those mounts again


def fill(directory: Path) -> Path:
    """Leave no room on this disk. Returns the file that takes it."""
    filler = directory / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
    return filler


@pytest.mark.parametrize("options", ["size=64k", "size=1m,nr_inodes=2", "size=1m,nr_inodes=3"])
def test_no_room_where_agent_and_launcher_meet(options: str) -> None:
    """For the files, for the directory, or for a file in it: the reason is told each time."""
    with (
        small_disk(options) as small,
        Program("ticking") as program,
        Kernel(env={"TMPDIR": str(small)}) as kernel,
    ):
        before = program.snapshot()
        cell = kernel.run(f"%attach {program.pid}\n1")
        assert "No space left on device" in cell.error[1], cell
        assert f"pid {program.pid}" in cell.error[1]
        assert not landings(small)
        command = ["mount", "-o", "remount,size=8m,nr_inodes=100", str(small)]
        subprocess.run(command, check=True)
        assert kernel.run(f"%attach {program.pid}\nword").result == "'start'"
        kernel.run("%detach")
        program.assert_unharmed_since(before)
        assert not landings(small)


def test_a_disk_that_fills_up_while_the_kernel_works() -> None:
    """Its files are on it, its history and its log, and those of the local kernel."""
    with small_disk("size=8m") as small:
        env = {"TMPDIR": str(small), "IPYTHONDIR": str(small)}
        log = small / "launcher.log"
        with Program("ticking") as program, Kernel(env=env, log=log) as kernel:
            before = program.snapshot()
            kernel.run(f"%attach {program.pid}\n1")
            filler = fill(small)
            assert kernel.run("40 + 2").result == "42"
            assert kernel.run("%detach").status == "ok"
            cell = kernel.run(f"%attach {program.pid}\n1")
            assert "No space left on device" in cell.error[1], cell
            assert "No space left on device" in kernel.run("%%local\n1").text
            filler.unlink()
            assert kernel.run(f"%attach {program.pid}\nword").result == "'start'"
            assert kernel.run("!echo done").stdout == "done\n"
            kernel.run("%detach")
            program.assert_unharmed_since(before)
        assert "Traceback" not in log.read_text()
        assert not landings(small)


def test_a_log_that_takes_nothing(program: Program) -> None:
    """What is logged is lost, and nothing else."""
    with Kernel("--pid", program.pid) as kernel:
        kernel.run("1")
    with Kernel("--pid", program.pid, log=Path("/dev/full")) as kernel:
        kernel.client.shell_channel.socket.send_multipart(
            [b"<IDS|MSG>", b"wrong", b"", b"", b"", b""]
        )
        assert kernel.run("40 + 2").result == "42"
        assert kernel.is_running()
