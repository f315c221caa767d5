"""Bytes and files that anybody may have made: frames, messages, ELF files, memory, choices.

Property tests, which `make fuzz` drives further. Rule: each reader either understands, or
raises what its docstring says; and it never takes more memory or time than it was given bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any
from unittest import mock

import hostile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from targets import ROOT, Target, python314

from live_kernel.attach import (
    blocked,
    elf,
    levers,
    mapped,
    outside,
    permission,
    proc,
    processes,
    runtime,
    stackwalk,
    threadstates,
)
from live_kernel.attach.runtime import PythonVersion, Runtime
from live_kernel.attach.verdicts import Subject, title
from live_kernel.errors import LiveKernelError
from live_kernel.launcher import arguments, choosing, kernel, wire
from live_kernel.launcher.frontend import Frontend
from live_kernel.launcher.history_database import Database
from live_kernel.launcher.reactor import Reactor
from live_kernel.link import frames, messages

quick = settings(deadline=None, max_examples=60)

# -- the link's frames


def _frame(message: Any) -> bytes:
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        return b"".join(frames.encode(message))
    return b""


_blobs = st.dictionaries(hostile.texts, hostile.values | st.binary(max_size=20), max_size=4)
_streams = st.lists(_blobs.map(_frame), max_size=3).map(b"".join)


@quick
@given(hostile.damaged(_streams) | st.binary(max_size=64), st.integers(1, 40))
def test_frames(data: bytes, piece: int) -> None:
    decoder = frames.Decoder()
    with contextlib.suppress(frames.FrameError):
        for start in range(0, len(data), piece):
            for message in decoder.feed(data[start : start + piece]):
                messages.from_agent(message)
                messages.from_launcher(message)
            assert len(decoder.room()) <= 1 << 24


@quick
@given(_blobs)
def test_what_is_framed_comes_out_again(message: dict[str, Any]) -> None:
    data = _frame(message)
    if data:
        (told,) = frames.Decoder().feed(data)
        assert len(told) <= len(message)  # two keys may become one where halves become "?"


# -- Jupyter's wire format

_KEY = b"secret"


def _signed(parts: list[bytes]) -> list[bytes]:
    codec = wire.Codec(_KEY)
    return [b"who", wire.DELIMITER, codec._sign(parts), *parts]


def _json(value: Any) -> bytes:
    if value == "deep":
        return b"[" * 200_000
    try:
        return json.dumps(value).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return b"{}"


_headers = hostile.bent(
    st.just({"msg_id": "m", "msg_type": "execute_request", "session": "s", "date": "2026-01-01"})
)
_parts = st.tuples(*[(_headers | hostile.values).map(_json)] * 4).map(list)
_texts_of_frames = st.lists(hostile.damaged(_parts.flatmap(st.sampled_from)), max_size=6)


@quick
@given(
    _parts.map(_signed)
    | _texts_of_frames.map(_signed)
    | st.lists(st.just(wire.DELIMITER) | st.binary(max_size=70), max_size=8)
)
def test_jupyter_messages(parts: list[bytes]) -> None:
    codec = wire.Codec(_KEY)
    with contextlib.suppress(wire.WireError):
        request = codec.unpack(parts)
        assert isinstance(request.kind, str)
        assert isinstance(request.subshell, str)
        answer = codec.pack("reply", request.content, request.header, request.metadata)
        told = wire.Codec(_KEY).unpack([b"who", *map(bytes, answer)])
        assert told.parent.keys() <= {*map(_sent, request.header)}
        with pytest.raises(wire.WireError):
            codec.unpack(parts)  # it is not obeyed again


def _sent(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@quick
@given(st.sampled_from([f"hmac-{n}" for n in ("sha256", "md5", "shake_128", "x")]) | hostile.texts)
def test_signature_schemes(scheme: str) -> None:
    with contextlib.suppress(wire.WireError):
        wire.Codec(b"key", scheme)


# -- ELF files


def _elf(sections: int = 3, segments: int = 2) -> bytes:
    """A small file with the sections and symbols that are looked for."""
    names = b"\0.PyRuntime\0.dynsym\0.dynstr\0.shstrtab\0"
    texts = b"\0Py_AddPendingCall\0PyErr_CheckSignals\0"
    symbols = struct.pack("<IBBHQQ", 1, 0, 0, 1, 0x1000, 16) + bytes(24)
    body = 64 + 56 * segments
    headers = [
        (0, 0, 0, 0, 0, 0),
        (names.index(b".PyRuntime"), 1, 0, 0x2000, body, 16),
        (names.index(b".dynsym"), 11, 0, 0, body, len(symbols)),
        (names.index(b".dynstr"), 3, 0, 0, body + len(symbols), len(texts)),
        (names.index(b".shstrtab"), 3, 0, 0, body + len(symbols) + len(texts), len(names)),
    ]
    table = body + len(symbols) + len(texts) + len(names)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQ", 3, 62, 1, 0, 64, table)
    head += struct.pack("<IHHHHHH", 0, 64, 56, segments, 64, len(headers), len(headers) - 1)
    load = b"".join(struct.pack("<IIQQQQQQ", 1, 5, 0, 0x1000 * n, 0, 0, 0, 0) for n in (1, 2))
    rows = b"".join(struct.pack("<IIQQQQ", *row).ljust(64, b"\0") for row in headers)
    return head + load + symbols + texts + names + rows


@contextlib.contextmanager
def _descriptor(data: bytes) -> Any:
    descriptor = os.memfd_create("hostile")
    try:
        os.write(descriptor, data)
        yield descriptor
    finally:
        os.close(descriptor)


def test_the_elf_file_of_these_tests_is_one() -> None:
    with _descriptor(_elf()) as descriptor:
        file = elf.File(descriptor)
        assert file.section(b".PyRuntime") == (0x2000, 176, 16)
        assert file.linked_at() == 0x1000
        assert file.symbols([b"Py_AddPendingCall"]) == {b"Py_AddPendingCall": range(0x1000, 0x1010)}


@quick
@given(hostile.damaged(st.builds(_elf), most=8))
def test_elf_files(data: bytes) -> None:
    with _descriptor(data) as descriptor:
        for look in (
            lambda file: file.section(b".PyRuntime"),
            lambda file: file.linked_at(),
            lambda file: file.symbols([b"Py_AddPendingCall", b"PyErr_CheckSignals"]),
        ):
            with contextlib.suppress(*elf.DAMAGED):
                look(elf.File(descriptor))


def test_names_without_end_take_no_time() -> None:
    """Of half a million symbols, each has a name of megabytes."""
    names, symbols = 1 << 23, 300_000
    data = bytearray(_elf())
    (table,) = struct.unpack_from("<Q", data, 40)
    start = len(data)
    data += b"x" * names + b"\0"
    data += struct.pack("<IBBHQQ", 5, 0, 0, 1, 0, 0) * symbols
    struct.pack_into("<QQ", data, table + 2 * 64 + 24, start + names + 1, 24 * symbols)
    struct.pack_into("<QQ", data, table + 3 * 64 + 24, start, names + 1)
    begun = time.monotonic()
    with _descriptor(bytes(data)) as descriptor:
        assert elf.File(descriptor).symbols([b"Py_AddPendingCall"]) == {}
    assert time.monotonic() - begun < 20


# -- the memory of a process


class Memory:
    """Says something else of each address, and always the same; much of it leads in circles."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._words: dict[int, int] = {}
        self.reads = 0

    def _word(self, address: int) -> int:
        if address not in self._words:
            known = self._random.choice([*list(self._words)[-20:], address])
            odd = [0, 1, 5, 16, 200, 4096, 1 << 20, (1 << 64) - 8, 1 << 63, address, known, known]
            self._words[address] = self._random.choice(odd)
        return self._words[address]

    def __call__(self, address: int, size: int) -> bytes:
        self.reads += 1
        if not 0 <= address < 1 << 63 or self._random.random() < 0.001:
            raise OSError("no memory is there")
        if size > 64:
            return self._random.choice([bytes, lambda n: b"\xf7" * n, random.randbytes])(size)
        first = address & ~7
        words = [self._word(first + 8 * n) for n in range(size // 8 + 2)]
        data = b"".join(struct.pack("<Q", word % (1 << 64)) for word in words)
        return data[address - first : address - first + size]


def _python(seed: int) -> tuple[Runtime, Memory]:
    memory = Memory(seed)
    layout = runtime._Layout(*[8 * n for n in range(1, 10)])
    version = PythonVersion(3, 14, 8)
    return Runtime("CPython", version, False, "/x", 0x1000, True, layout, os.getpid()), memory


@quick
@given(st.integers(0, 1 << 32))
def test_memory(seed: int) -> None:
    with (
        mock.patch.object(stackwalk, "_MOST_READS", 20_000),
        mock.patch.object(threadstates, "_MOST", 50),
    ):
        found, memory = _python(seed)
        for look in (runtime.remote_debugging, runtime.main_thread_state, runtime.slot):
            with contextlib.suppress(OSError):
                look(found, memory)
        with contextlib.suppress(OSError):
            for state in threadstates._read(found, (3, 14), memory, True):
                assert len(state.stack) <= stackwalk._DEEPEST
        assert memory.reads <= 60_000


def test_an_address_that_is_none() -> None:
    """Whatever a process says is a pointer: where nothing can lie, reading fails as elsewhere."""
    with permission.memory(os.getpid()) as read:
        for address in (1 << 63, (1 << 64) - 1, 1 << 200, -1, 0, (1 << 63) - 1):
            with pytest.raises(OSError, match=r"memory|bytes|Input/output"):
                read(address, 8)


def test_a_table_of_lines_without_ends_takes_no_time() -> None:
    """CPython's own reader goes to the end of it for each of its million entries."""
    begun = time.monotonic()
    with pytest.raises(ValueError, match="no table of lines"):
        stackwalk._Code("x", "x", b"\xf7" * (1 << 20), 1, 0)
    assert time.monotonic() - begun < 5


@quick
@given(hostile.damaged(st.just(Memory.__call__.__code__.co_linetable)), st.integers(-4, 4000))
def test_tables_of_lines(table: bytes, instruction: int) -> None:
    with contextlib.suppress(ValueError):
        code = stackwalk._Code("x", "x", table, 1, 0)
        assert isinstance(code.line(instruction), int)


# -- /proc

_ODD_NAMES = st.sampled_from(hostile.TEXTS) | st.text(max_size=15)


@quick
@given(st.lists(_ODD_NAMES, max_size=4), _ODD_NAMES)
def test_command_lines(words: list[str], name: str) -> None:
    data = "\0".join(words).encode("utf-8", "surrogatepass")
    with mock.patch.object(proc, "read", return_value=data):
        text = title(proc.command_line(1), name)
    hostile.assert_harmless(text)
    assert "\n" not in text
    assert len(text) <= 60


@quick
@given(st.text(max_size=15), hostile.texts)
def test_names_in_proc(name: str, path: str) -> None:
    comm = name.encode("utf-8", "replace")[:15]
    line = b"7 (" + comm + b") S 1 7 7 0 -1 4194304 " + b"0 " * 12 + b"99 0\n"
    with mock.patch.object(proc, "read", return_value=line):
        assert proc.stat(7).start_time == 99
    path = path.encode("utf-8", "replace").decode()
    escaped = path.encode().replace(b"\n", b"\\012")
    maps = b"00400000-00401000 r-xp 00000000 08:01 42   /x/" + escaped + b"\n"
    with mock.patch.object(proc, "read", return_value=maps):
        (only,) = mapped.mappings(7)
        assert only.start == 0x400000
    files = list(runtime._python_files(maps, "/x/" + path))
    runtime._by_name(files, maps)


# -- what a kernel is started with


@quick
@given(
    st.lists(
        st.sampled_from(["-f", "--pid", "--match", "--wake", "--quiet", "--", "7", "--pid=x"])
        | hostile.texts,
        max_size=6,
    )
)
def test_argv(words: list[str]) -> None:
    with contextlib.suppress(arguments.UsageError):
        arguments.parse(words)


_REMEMBERED = {"text": "7", "start_time": 1, "pattern": "x", "pinned": True}
_NOTEBOOK = {"metadata": {"live_kernel": {"target": "x"}}}


@quick
@given(
    hostile.bent(st.sampled_from([_REMEMBERED, _NOTEBOOK])).map(_json)
    | st.binary(max_size=99)
    | st.just("deep").map(_json)
)
def test_remembered_choices_and_notebooks(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "kernel-1.live-kernel")
        file.write_bytes(data)
        memory = choosing.Memory(Path(place, "kernel-1.json"))
        notebook = Path(place, "n.ipynb")
        notebook.write_bytes(data)
        environment = {"JPY_SESSION_NAME": str(notebook)}
        with mock.patch.object(choosing, "_is_alive", return_value=False):
            choice = choosing.first_choice(None, environment, memory)
    if choice is not None and choice.text.isdecimal():
        with contextlib.suppress(LiveKernelError):
            choice.resolve()


@quick
@given(st.dictionaries(st.sampled_from(["LIVE_KERNEL_TARGET", "JPY_SESSION_NAME"]), hostile.texts))
def test_environments(environment: dict[str, str]) -> None:
    memory = choosing.Memory(Path("/nowhere/kernel.json"))
    choosing.first_choice(None, environment, memory)


_CONNECTION = {
    **{f"{name}_port": 0 for name in ("shell", "control", "stdin", "iopub", "hb")},
    "transport": "ipc",
    "ip": "/nowhere/x",
    "key": "k",
    "signature_scheme": "hmac-sha256",
    "curve_publickey": "",
    "curve_secretkey": "",
}


@quick
@given(hostile.bent(st.just(_CONNECTION)).map(_json) | st.binary(max_size=60))
def test_connection_files(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "kernel.json")
        file.write_bytes(data)
        reactor = Reactor()
        nobody: Any = lambda *_: None  # noqa: E731
        try:
            with contextlib.chdir(place), contextlib.suppress(*kernel._UNSERVABLE):
                Frontend(file, reactor, nobody, nobody, nobody).close(0)
        finally:
            reactor.close()


# -- the history's database


def _database() -> bytes:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "history.sqlite")
        with contextlib.closing(sqlite3.connect(file)) as database:
            from live_kernel.launcher.history_database import _SCHEMA

            database.executescript(_SCHEMA)
            database.execute("INSERT INTO sessions VALUES (1, '', NULL, NULL, '')")
            database.execute("INSERT INTO history VALUES (1, 1, 'a', 'a')")
            database.commit()
        return file.read_bytes()


_WHOLE = _database()
_QUESTION = {
    "hist_access_type": "range",
    "raw": True,
    "output": False,
    "session": 0,
    "start": 0,
    "stop": 5,
    "n": 5,
    "pattern": "*",
    "unique": True,
}
_questions = st.sampled_from(["range", "tail", "search"]).map(
    lambda kind: {**_QUESTION, "hist_access_type": kind}
)


@quick
@given(
    hostile.damaged(st.just(_WHOLE)) | st.just(_WHOLE) | st.binary(max_size=200),
    hostile.bent(_questions, most=2),
    hostile.texts,
)
def test_history(data: bytes, question: Any, code: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "history.sqlite")
        file.write_bytes(data)
        database = Database(deque([(1, code)]), lambda: file)
        lines = database.answer(question)
        assert isinstance(lines, list)
        wire.dump({"history": lines})
        database.end()
        database.close()


@quick
@given(hostile.values)
def test_whatever_a_target_says_can_be_sent_on(value: Any) -> None:
    assert isinstance(json.load(io.BytesIO(wire.dump({"value": value}))), dict)


# -- processes that are made to stand in everybody's way


def _interpreter() -> Path:
    return Path(python314()).resolve()


def _beside(binary: Path, place: Path) -> Path:
    """A directory for copies of a binary, from where they find all that it finds."""
    prefix, root = binary.parents[1], binary.parents[2]
    copies = place / prefix.name / binary.parent.name
    copies.mkdir(parents=True)
    for owner, left_out, copy in ((root, prefix, place), (prefix, copies, place / prefix.name)):
        for each in owner.iterdir():
            if each.name != left_out.name:
                (copy / each.name).symlink_to(each)
    return copies


@pytest.mark.attach
@pytest.mark.parametrize("word", [5, 10, 28, 89])
def test_a_python_that_says_it_lies_beyond_all_memory(tmp_path: Path, word: int) -> None:
    """Whoever lists the programs of this machine reads what every one of them says of itself."""
    with _interpreter().open("rb") as file:
        section = elf.File(file.fileno()).section(b".PyRuntime")
    assert section is not None, "this interpreter has its Python elsewhere"
    data = bytearray(_interpreter().read_bytes())
    place = _beside(_interpreter(), tmp_path / "copy")
    for odd in (1 << 63, (1 << 64) - 8):
        struct.pack_into("<Q", data, section.offset + 8 * word, odd)
        binary = place / f"python{odd % 7}"
        binary.write_bytes(data)
        binary.chmod(0o755)
        with Target("idle", str(binary), env={"PYTHONHOME": _home()}) as target:
            assert target.pid in [each.process.pid for each in processes.candidates(all=True)]
            with contextlib.suppress(LiveKernelError):
                processes.identify(target.pid)
            process = processes._process(Subject(target.pid))
            assert outside.threads(process)
            outside.python(process, with_tasks=True)
            hostile.assert_harmless(blocked.describe(process).sentence)


def _home() -> str:
    told = [python314(), "-c", "import sys; print(sys.base_prefix)"]
    return subprocess.run(told, check=True, capture_output=True, text=True).stdout.strip()


_MAPS_ITSELF = """
import mmap, sys, time
maps = []
for name in sys.argv[1:]:
    with open(name, "w+b") as file:
        file.truncate(4096)
        maps.append(mmap.mmap(file.fileno(), 4096))
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""


@pytest.mark.attach
def test_names_that_look_like_lines_of_proc(tmp_path: Path) -> None:
    """A mapped file's name may hold what ends a line elsewhere, and then what would be read."""
    program = tmp_path / "maps.py"
    program.write_text(_MAPS_ITSELF)
    forged = "x\rpython 1 2 3 4 python\x0blibc.so\x1cy z\x85\u2028libc.so \x1b[2J"
    with Target(program, args=[tmp_path / forged, tmp_path / "\rlibc.so.6"]) as target:
        found = [each for each in processes.candidates() if each.process.pid == target.pid]
        assert found[0].attachable, found[0].reason
        assert len(list(mapped.mappings(target.pid))) > 5
        process = processes.identify(target.pid)
        hostile.assert_harmless(blocked.describe(process).sentence)
        assert levers.find(target.pid, _stack_of(target.pid)).functions


def _stack_of(pid: int) -> int:
    (stack,) = (each for each in mapped.mappings(pid) if each.path == "[stack]")
    return stack.end - 4096


@pytest.mark.attach
def test_a_name_that_a_terminal_would_obey(tmp_path: Path) -> None:
    """Neither `ps`, nor `doctor`, nor an error prints what another user's program is called."""
    place = tmp_path / "\x1b]52;c;ZXZpbA==\x07"
    place.mkdir()
    binary = place / "python\x1b[2J\u202e"
    binary.symlink_to(_interpreter())
    program = place / "\x9b31midle.py"
    program.write_text("import time\nprint('ready', flush=True)\nwhile True: time.sleep(0.01)\n")
    sleeper = place / "sleep\x1b[2J"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", sleeper)
    other = subprocess.Popen([sleeper, "60"])
    try:
        with Target(program, str(binary)) as target:
            for words in (["ps"], ["ps", "--all"], ["doctor", str(target.pid)],
                          ["doctor", str(other.pid)], ["exec", str(other.pid), "1"],
                          ["exec", "\x1b[2J", "1"]):  # fmt: skip
                command = [sys.executable, "-m", "live_kernel", *words]
                told = subprocess.run(
                    command, capture_output=True, text=True, check=False, cwd=ROOT
                )
                hostile.assert_harmless(told.stdout + told.stderr)
                assert told.stdout + told.stderr
    finally:
        other.kill()
        other.wait()
