"""All that a launcher, its target and its helpers have open, phase by phase: sockets, ports, files.

Rule: what is open stands in a list here, with its reason and whom it is open to; anything else
fails. docs/security.md has the same list, in words.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import psutil
import pytest
from kernels import Kernel
from snapshots import Program, landings
from targets import PROGRAMS, eventually

# -- looking


def listening(pid: int) -> set[tuple[str, str]]:
    """The sockets of a process on which somebody could connect: kind and address."""
    own = set(inodes(pid))
    found = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for row in table(pid, name):
            if row[9] in own and (row[3] == "0A" or name.startswith("udp")):
                address, _, port = row[1].rpartition(":")
                found.add((name.rstrip("6"), f"{_address(address)}:{int(port, 16)}"))
    for row in table(pid, "unix"):
        is_accepting, is_bound = row[3] == "00010000", len(row) > 7
        if row[6] in own and (is_accepting or (is_bound and row[4] == "0002")):
            found.add(("unix", row[7] if is_bound else ""))
    return {each for each in found if not is_for_followers(each[1])}


def is_for_followers(address: str) -> bool:
    """Is it the socket for those who follow a kernel? Its name is gone as soon as it is made: see
    `launcher/followers.py`, and `test_followers` for who may.
    """
    if not re.fullmatch(r".*/live-followed-[0-9a-f]{12}/session", address):
        return False
    return bool(eventually(lambda: not Path(address).parent.exists(), what="an end of its name"))


def table(pid: int, name: str) -> list[list[str]]:
    try:
        lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    except OSError:
        return []
    return [line.split() for line in lines]


def _address(text: str) -> str:
    if len(text) > 8:
        return text
    return ".".join(str(byte) for byte in reversed(bytes.fromhex(text)))


def inodes(pid: int) -> list[str]:
    links = links_of(pid).values()
    return [link[8:-1] for link in links if link.startswith("socket:[")]


def links_of(pid: int) -> dict[str, str]:
    """What each of its descriptors is."""
    links = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links[entry.name] = str(entry.readlink())
        except OSError:
            continue
    return links


KEPT = re.compile(r"/libffi\.so[.\d]*$")
"""A library that keeps itself open once `_ctypes` is loaded, for reading."""


def files_of(pid: int) -> set[str]:
    """The files with a name, that is, by which somebody could get at them."""
    links = links_of(pid).values()
    return {link for link in links if link.startswith("/") and not KEPT.search(link)}


# -- what there may be

REASONS = {
    r"/dev/(null|urandom|tty|pts/\d+)": "standard streams, and chance",
    r"/proc/sys/.*|/proc/\d+/.*": "looks at a process",
    r"{place}/launcher.log": "the log that Jupyter has given it",
    r"{place}(/.*)?": "its directory for temporary files: 0700, its own",
    r"/memfd:live-kernel [a-z]+ \(deleted\)": "values on their way, and input for a command",
    r".*/history\.sqlite(-journal)?": "the history of the user's cells: 0600 where we make it",
    r".*/live-kernel/journal\.jsonl": "the journal: 0600, in a directory of its own",
    r".*/live-followed-[0-9a-f]{12}/session \(deleted\)": "the way to the socket for followers",
    r".*/\.ipython/.*|/tmp/tmp\w+/.*": "IPython's own",
    r".*\.py[c]?|.*/site-packages/.*|.*\.so[.\d]*": "code that is being loaded",
}
"""Files with a name that a launcher or its helpers may have open."""


def check_files(kernel: Kernel, pids: list[int]) -> None:
    for pid in pids:
        for file in files_of(pid):
            patterns = [p.replace("{place}", re.escape(str(kernel.place))) for p in REASONS]
            assert any(re.fullmatch(p, file) for p in patterns), f"pid {pid} has {file} open"


def channels(kernel: Kernel) -> set[tuple[str, str]]:
    """What the connection file demands."""
    info = kernel.manager.get_connection_info()
    ports = [value for name, value in info.items() if name.endswith("_port")]
    return {("tcp", f"{info['ip']}:{port}") for port in ports}


def helpers_of(kernel: Kernel) -> list[int]:
    return [child.pid for child in psutil.Process(kernel.launcher_pid).children(recursive=True)]


def private(path: Path) -> bool:
    return stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0 and path.lstat().st_uid == os.geteuid()


@pytest.fixture
def asleep() -> Program:  # type: ignore[misc]
    with Program("asleep") as program:
        yield program


pytestmark = pytest.mark.attach


# -- phase by phase


def test_before_a_target() -> None:
    with Kernel() as kernel:
        assert listening(kernel.launcher_pid) == channels(kernel)
        check_files(kernel, [kernel.launcher_pid])
        (file,) = (path for path in kernel.place.iterdir() if path.name != "launcher.log")
        assert private(file), "the connection file, which Jupyter has written"


def test_while_a_target_is_waited_for(asleep: Program) -> None:
    before = listening(asleep.pid), files_of(asleep.pid)
    with Kernel("--pid", asleep.pid) as kernel:
        cell = kernel.begin("state")
        cell.wait_for("Waiting: ")
        (landing,) = landings(kernel.place)
        opened = listening(kernel.launcher_pid) - channels(kernel)
        assert {kind for kind, _ in opened} == {"unix"}
        (address,) = (address for _, address in opened)
        assert address.endswith("/link")
        everything = [landing, *landing.iterdir()]
        assert {path.name for path in everything} == {
            landing.name,
            "link",
            "bundle",
            "bootstrap.py",
        }
        assert all(map(private, everything))
        check_files(kernel, [kernel.launcher_pid, *helpers_of(kernel)])
        assert (listening(asleep.pid), files_of(asleep.pid)) == before
        asleep.send("wake")
        assert cell.finish().result == "'awake'"


def test_attached_in_a_cell_and_at_a_breakpoint(program: Program) -> None:
    before = listening(program.pid), files_of(program.pid)
    with Kernel("--pid", program.pid) as kernel:
        assert kernel.value("1") == 1
        assert landings(kernel.place) == [], "nobody else is to come"
        assert listening(kernel.launcher_pid) == channels(kernel)
        assert (listening(program.pid), files_of(program.pid)) == before
        line = 1 + (PROGRAMS / "idle.py").read_text().splitlines().index("    if word != seen:")
        assert kernel.run(f"%break idle.py:{line}").status == "ok"
        kernel.wait(
            lambda: any("is hit" in m["content"].get("text", "") for m in kernel.messages),
            what="a stop at the breakpoint",
        )
        asked = kernel.begin("input('now')", allow_stdin=True)
        kernel.wait(lambda: kernel.prompts, what="a prompt")
        assert listening(kernel.launcher_pid) == channels(kernel)
        assert (listening(program.pid), files_of(program.pid)) == before
        check_files(kernel, [kernel.launcher_pid, *helpers_of(kernel)])
        kernel.interrupt()
        asked.finish()
    assert listening(program.pid) == before[0]


def test_beside_a_local_kernel_and_while_values_move(program: Program) -> None:
    before = listening(program.pid), files_of(program.pid)
    with Kernel("--pid", program.pid) as kernel:
        starting = kernel.begin("%%local\nvalue = list(range(1000))")
        beginning = eventually(lambda: landings(kernel.place), what="its private directory")
        assert all(private(path) for path in beginning)
        starting.finish()
        assert landings(kernel.place) == [], "once it is connected nobody finds it any more"
        (local,) = helpers_of(kernel)
        assert {kind for kind, _ in listening(local)} == {"unix"}, "no port"
        addresses = {address for _, address in listening(local)}
        # For the output of forked children: see beside/forked.py.
        (without_file,) = (each for each in addresses if each.startswith("@"))
        assert re.fullmatch(r"@live-kernel-[0-9a-f]{32}", without_file)
        assert not any(Path(each).exists() for each in addresses - {without_file})
        assert listening(kernel.launcher_pid) == channels(kernel)
        check_files(kernel, [kernel.launcher_pid])
        assert kernel.run("%push value").status == "ok"
        assert kernel.run("%pull value").status == "ok"
        assert landings(kernel.place) == []
        assert (listening(program.pid), files_of(program.pid)) == before
        check_files(kernel, [kernel.launcher_pid])


def test_a_command_of_a_cell_has_nothing_of_ours_open(program: Program) -> None:
    with Kernel("--pid", program.pid) as kernel:
        shown = kernel.run("!ls -l /proc/self/fd | sed 's/.*-> //'").stdout.split()
        (directory,) = (each for each in shown if each.startswith("/proc/"))
        assert directory.endswith("/fd"), "its own look"
        others = [each for each in shown if each != directory and not each.isdecimal()]
        assert all(re.fullmatch(r"pipe:\[\d+\]|/dev/null|total", each) for each in others), shown
