"""The CPython inside a process, seen from outside.

Runs in the launcher and the command line. CPython keeps its state in an ELF
section of its own, `.PyRuntime`, which begins with `_Py_DebugOffsets`: a
cookie, the version, and where the fields of its structures lie (PEP 768;
Include/internal/pycore_debug_offsets.h). These are constants of the file, so
that the version is known without the right to read the process's memory; only
`remote_debugging` and `main_thread` need that.
Rule: reads section headers, never whole files, and each file once; no ctypes.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import time
from collections.abc import Callable, Iterable, Iterator

from ..records import NamedTuple
from . import elf, proc

Read = Callable[[int, int], bytes]
"""Reads memory of the target: address, size in bytes. Raises OSError."""

_LEVELS = {0xA: "a", 0xB: "b", 0xC: "rc", 0xF: ""}


class PythonVersion(NamedTuple):
    """Compares as a tuple; `micro` is -1 and `level` "" where only the name told the version."""

    major: int
    minor: int
    micro: int = -1
    level: str = ""
    serial: int = 0

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}"
        if self.micro >= 0:
            text += f".{self.micro}"
        return f"{text}{self.level}{self.serial}" if self.level else text

    @classmethod
    def from_hex(cls, value: int) -> PythonVersion:
        """From PY_VERSION_HEX."""
        level = _LEVELS.get(value >> 4 & 0xF, "?")
        return cls(value >> 24 & 0xFF, value >> 16 & 0xFF, value >> 8 & 0xFF, level, value & 0xF)


class _Positions(NamedTuple):
    """Where fields of `_Py_DebugOffsets` lie, in words of 8 bytes from its start.

    The first 22 words are the same in every version that has debugger support.
    """

    native_thread_id: int
    eval_breaker: int
    remote_debugger_support: int
    remote_debugging_enabled: int
    pending_call: int
    script_path: int
    script_path_size: int
    version: int = 1
    free_threaded: int = 2
    interpreters_head: int = 5
    interpreter_id: int = 7
    interpreter_next: int = 8
    threads_main: int = 10


_POSITIONS = {
    (3, 14): _Positions(28, 89, 90, 91, 92, 93, 94),
    (3, 15): _Positions(31, 105, 106, 107, 108, 109, 110),
}
_COOKIE = b"xdebugpy"
_HEADER_SIZE = 111 * 8
SCRIPT_PATH_SIZE = 512  # the one constant among the offsets: tells that the table is the right one


class _Layout(NamedTuple):
    """Offsets in bytes, of one build of CPython."""

    interpreters_head: int
    interpreter_id: int
    interpreter_next: int
    threads_main: int
    native_thread_id: int
    eval_breaker: int
    remote_debugging_enabled: int
    pending_call: int
    script_path: int


class _Build(NamedTuple):
    """What one ELF file tells; `address` is that of `.PyRuntime` as linked.

    `version` is None before 3.13, where the section has no cookie.
    """

    address: int
    linked_at: int
    relocated: bool
    version: PythonVersion | None
    free_threaded: bool
    layout: _Layout | None


class Runtime(NamedTuple):
    """The Python of one process.

    `version` None: a Python that does not say which. `path`: the executable or
    library that holds it, as the process names it. `address`: where its
    `_PyRuntime` lies, None if unknown. `findable`: whether CPython's own search
    (`sys.remote_exec`, `_remote_debugging`), which goes by file names, finds it.
    """

    implementation: str
    version: PythonVersion | None
    free_threaded: bool
    path: str
    address: int | None = None
    findable: bool = True
    layout: _Layout | None = None
    pid: int = 0

    @property
    def name(self) -> str:
        """As one says it: "CPython 3.14.8, free-threaded"."""
        kind = ", free-threaded" if self.free_threaded else ""
        return f"{self.implementation} {self.version or '(version unknown)'}{kind}"


def find(pid: int) -> Runtime | None:
    """The Python that runs in process `pid`; None if there is none.

    Raises OSError as proc(5) does: gone, or not for us to see.
    """
    executable = proc.link(pid, "exe")
    maps = _settled_maps(pid, executable)
    files = list(_python_files(maps, executable))
    for file in files:
        build = _build_of(pid, file)
        if build is not None:
            return _located(file, build)._replace(pid=pid)
    return _by_name(files, maps)


def remote_debugging(runtime: Runtime, read: Read) -> bool | None:
    """Whether the interpreter accepts scripts from outside; None if it can't be told (yet).

    False after `-X disable-remote-debug`, PYTHON_DISABLE_REMOTE_DEBUG, or a
    build `--without-remote-debug`.
    """
    interpreter = main_interpreter(runtime, read)
    if interpreter is None or runtime.layout is None:
        return None
    at = interpreter + runtime.layout.remote_debugging_enabled
    return bool(struct.unpack("<i", read(at, 4))[0])


def main_thread(runtime: Runtime, read: Read) -> int | None:
    """Our number of Python's main thread: where an injected script runs.

    Not always the process's first thread: an application that embeds Python may
    start it elsewhere.
    """
    state = main_thread_state(runtime, read)
    if not state or runtime.layout is None:
        return None
    return proc.outer_thread(runtime.pid, _word(read, state + runtime.layout.native_thread_id))


class Slot(NamedTuple):
    """Addresses of the one place for a script from outside, in the main thread's state.

    `pending`: an int, 1 while a script waits to be run. `path`: its name,
    SCRIPT_PATH_SIZE bytes, ended by a zero. `breaker`: a byte of flags, of which
    PLEASE_STOP makes the thread look at the other two.
    """

    pending: int
    path: int
    breaker: int


PLEASE_STOP = 1 << 5
"""_PY_EVAL_PLEASE_STOP_BIT (Include/internal/pycore_ceval.h)."""


def slot(runtime: Runtime, read: Read) -> Slot | None:
    """Where `sys.remote_exec` leaves its script; None if it can't be told."""
    state = main_thread_state(runtime, read)
    if not state or runtime.layout is None:
        return None
    at = runtime.layout
    return Slot(state + at.pending_call, state + at.script_path, state + at.eval_breaker)


def is_as_in_its_file(runtime: Runtime, read: Read) -> bool:
    """Whether the Python in memory is the one that its file told of."""
    if runtime.address is None or runtime.version is None:
        return False
    begin = read(runtime.address, 16)
    return begin[:8] == _COOKIE and runtime.version == PythonVersion.from_hex(
        struct.unpack("<Q", begin[8:])[0]
    )


def main_thread_state(runtime: Runtime, read: Read) -> int | None:
    """Where the `PyThreadState` of Python's main thread lies; None if it can't be told."""
    interpreter = main_interpreter(runtime, read)
    if interpreter is None or runtime.layout is None:
        return None
    return _word(read, interpreter + runtime.layout.threads_main)


def main_interpreter(runtime: Runtime, read: Read) -> int | None:
    """The address of the main interpreter's state; None if it can't be told."""
    if runtime.address is None or runtime.layout is None:
        return None
    layout = runtime.layout
    at = _word(read, runtime.address + layout.interpreters_head)
    for _ in range(1000):  # newest first; the memory may change under our eyes
        if not at:
            return None
        if _word(read, at + layout.interpreter_id) == 0:
            return at
        at = _word(read, at + layout.interpreter_next)
    return None


def _word(read: Read, address: int) -> int:
    return int(struct.unpack("<Q", read(address, 8))[0])


# -- the files that a process has mapped


class _File(NamedTuple):
    """A mapped file; `start` and `end` of its lowest mapping."""

    path: str
    start: int
    end: int
    inode: int
    executable: bool


def _settled_maps(pid: int, executable: str | None) -> bytes:
    """The maps, with the executable in them.

    For a moment after exec(2), when the parent already thinks that it runs, the
    new program is not mapped.
    """
    maps = proc.read(pid, "maps")
    for _ in range(5):
        if executable is None or os.fsencode(executable) in maps:
            break
        time.sleep(0.001)
        maps = proc.read(pid, "maps")
    return maps


def _python_files(maps: bytes, executable: str | None) -> Iterator[_File]:
    """The executable, then what is named like a libpython; each once."""
    wanted = os.fsencode(executable) if executable else None
    seen: set[bytes] = set()
    libraries = []
    for line in maps.split(b"\n"):  # a name may hold a carriage return
        fields = line.split(None, 5)
        if len(fields) < 6 or fields[5] in seen:
            continue
        path = fields[5]
        if path == wanted:
            seen.add(path)
            yield _mapped(fields, executable=True)
        elif _like_libpython(path):
            seen.add(path)
            libraries.append(_mapped(fields, executable=False))
    yield from libraries


def _like_libpython(path: bytes) -> bool:
    name = path.rsplit(b"/", 1)[-1]
    # Extension modules bear "cpython-314" in their names, and there are many.
    return (b"python" in name or b"pypy" in name) and b".cpython-" not in name


def _mapped(fields: list[bytes], executable: bool) -> _File:
    start, end = (int(part, 16) for part in fields[0].split(b"-"))
    path = os.fsdecode(fields[5])
    return _File(path, start, end, int(fields[4]), executable)


def _located(file: _File, build: _Build) -> Runtime:
    page = os.sysconf("SC_PAGE_SIZE")
    bias = file.start - build.linked_at // page * page if build.relocated else 0
    return Runtime(
        "CPython",
        build.version or _version_in(file.path),
        build.free_threaded,
        _undeleted(file.path),
        bias + build.address,
        "python" in os.path.basename(file.path),
        build.layout,
    )


def _by_name(files: Iterable[_File], maps: bytes) -> Runtime | None:
    """A Python that names alone betray: no section headers, or a file that can't be opened."""
    for file in files:
        name = os.path.basename(_undeleted(file.path))
        if "pypy" in name:
            return Runtime("PyPy", _version_in(name), False, file.path)
        if re.fullmatch(r"(lib)?python[\d.]*t?[dm]*(\.so[\d.]*)?", name):
            found = Runtime("CPython", _version_in(name), False, _undeleted(file.path))
            return found if found.version else found._replace(version=_version_in_maps(maps))
    return None


def _version_in(path: str) -> PythonVersion | None:
    found = re.search(r"(?:python|pypy)-?(\d)\.?(\d+)", os.path.basename(path))
    return PythonVersion(int(found[1]), int(found[2])) if found else None


def _version_in_maps(maps: bytes) -> PythonVersion | None:
    """From the directory of the standard library's extension modules."""
    found = re.search(rb"/python(\d)\.(\d+)[dmut]*/lib-dynload/", maps)
    return PythonVersion(int(found[1]), int(found[2])) if found else None


def _undeleted(path: str) -> str:
    return path.removesuffix(" (deleted)")


# -- one ELF file

_builds: dict[tuple[int, int, int, int], _Build | None] = {}


def _build_of(pid: int, file: _File) -> _Build | None:
    """What the file tells, or None: no Python in it, or no way to open it."""
    fd = _open(pid, file)
    if fd is None:
        return None
    try:
        info = os.fstat(fd)
        key = info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns
        if key not in _builds:
            _builds[key] = _read_build(fd)
        return _builds[key]
    finally:
        os.close(fd)


def _open(pid: int, file: _File) -> int | None:
    """The file as the process has it: it may be deleted, or in another mount namespace."""
    for path in _names(pid, file):
        try:
            fd = open_regular(path)
        except OSError:
            continue
        # Its path in our own root may be another file; those under /proc/PID are the
        # right ones even where a layered file system shows other numbers in the maps.
        if path != file.path or os.fstat(fd).st_ino == file.inode:
            return fd
        os.close(fd)
    return None


def open_regular(
    path: str,
    directory: int | None = None,
    may: Callable[[os.stat_result], bool] = lambda _status: True,
) -> int:
    """Open a file for reading; but no device, to which a hostile program may have led us, and
    none of which `may` says no. `directory`: a descriptor of where `path` begins. Raises OSError.
    """
    found = os.open(path, os.O_PATH | os.O_CLOEXEC, dir_fd=directory)
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode) or not may(status):
            raise OSError(f"{path} is no file for this")
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(found)


def _names(pid: int, file: _File) -> Iterator[str]:
    if file.executable:
        yield f"/proc/{pid}/exe"
    yield f"/proc/{pid}/root{file.path}"
    yield file.path  # where we may see the maps, but not follow its links
    yield f"/proc/{pid}/map_files/{file.start:x}-{file.end:x}"  # needs privilege


def _read_build(fd: int) -> _Build | None:
    try:
        file = elf.File(fd)
        section = file.section(b".PyRuntime")
        if section is None:
            return None
        begin = os.pread(fd, _HEADER_SIZE, section.offset)
        return _Build(section.address, file.linked_at(), file.is_relocated, *_offsets(begin))
    except elf.DAMAGED:
        return None


def _offsets(begin: bytes) -> tuple[PythonVersion | None, bool, _Layout | None]:
    if not begin.startswith(_COOKIE):
        return None, False, None
    words = struct.unpack(f"<{len(begin) // 8}Q", begin[: len(begin) // 8 * 8])
    version = PythonVersion.from_hex(words[1])
    return version, bool(words[2]), _layout(version, words)


def _layout(version: PythonVersion, words: tuple[int, ...]) -> _Layout | None:
    at = _POSITIONS.get(version[:2])
    if at is None or words[at.script_path_size] != SCRIPT_PATH_SIZE:
        return None
    return _Layout(
        words[at.interpreters_head],
        words[at.interpreter_id],
        words[at.interpreter_next],
        words[at.threads_main],
        words[at.native_thread_id],
        words[at.eval_breaker],
        words[at.remote_debugging_enabled],
        words[at.remote_debugger_support] + words[at.pending_call],
        words[at.remote_debugger_support] + words[at.script_path],
    )
