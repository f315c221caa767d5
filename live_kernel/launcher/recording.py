"""What becomes of record: every attach, every cell, every line given to a debugger.

Runs on the launcher's reactor, and on the thread of whoever uses a handle. A cell is written
down before it is sent to the program, so that one which kills everything is on record; how it
ended is written once its answer is on its way. Both lines bear its id.
Rule: no answer to `input()` is written down, which may be a password, and no output unless the
user asks for it.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..attach import proc
from ..attach.processes import Process
from ..errors import AgentLost, LiveKernelError, LocalKernelLost
from ..link import limits
from . import journal
from .clock import stamp
from .journal import Journal
from .log import log

Fields = dict[str, Any]
Later = Callable[[float, Callable[[], object]], object]

_encode = json.JSONEncoder(separators=(",", ":")).encode

OUTPUT_VARIABLE = "LIVE_KERNEL_JOURNAL_OUTPUT"
"""How much of a cell's output is kept: `1` for as much as is usual, or a size; nothing without."""

_USUAL_OUTPUT = 10_000

LONGEST = 1_000_000
"""Characters of code that a line holds; of more, the beginning and a checksum of the whole."""

_COUNTED_FOR = 10.0
"""Seconds for which messages on comms are counted, after the first of them, to be one line."""

_NOBODY = 2**32 - 1
"""The login uid of what no login has started."""


class Cell:
    """A cell that is on record, and how it goes."""

    __slots__ = ("begun", "id", "output", "process", "size")

    def __init__(self, number: str, process: Process | None) -> None:
        self.id, self.process = number, process
        self.begun = time.monotonic()
        self.output: list[str] = []
        self.size = 0


class Recorder:
    """Writes down what one kernel, or one handle, does; nothing without a `journal`.

    `later(seconds, callback)` calls back after some time. Where there is one, what is no hurry is
    put off until `flush` is called; else it is written at once. `about`: what else is known of
    who asks. `output`: characters of a cell's output that are kept.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        later: Later | None = None,
        about: Fields | None = None,
        output: int = 0,
    ) -> None:
        self.journal = journal
        self._later = later
        self.output = output
        self.run = os.urandom(6).hex()
        """By which the lines of this kernel's run are told from all others."""
        self._serial = 0
        self._about = _ourselves(self.run) | (about or {}) if journal is not None else {}
        self._known: tuple[Process | None, str] | None = None
        self._waiting: list[Callable[[], bytes]] = []
        self._cells: dict[str, Cell] = {}
        self._comms: dict[tuple[str, str], int] = {}
        self._comms_since = 0.0

    @property
    def is_on(self) -> bool:
        return self.journal is not None

    # -- lines --------------------------------------------------------------------------

    def note(self, event: str, process: Process | None = None, **fields: Any) -> None:
        """Write one line, at once."""
        if self.journal is not None:
            self._write(self._line(event, process, fields))

    def _line(self, event: str, process: Process | None, fields: Fields) -> bytes:
        beginning = f'{{"at":"{stamp()}","event":"{event}",'
        own = _encode(fields)[1:-1]
        return f"{beginning}{own}{',' if own else ''}{self._rest(process)}\n".encode()

    def _rest(self, process: Process | None) -> str:
        """Where and by whom: the same in most lines."""
        if self._known is None or self._known[0] is not process:
            whole = {"target": None if process is None else _described(process), **self._about}
            self._known = (process, _encode(whole)[1:])
        return self._known[1]

    def _write(self, line: bytes) -> None:
        assert self.journal is not None
        if self._waiting:
            self.flush()
        self.journal.write(line)

    def _write_soon(self, line: Callable[[], bytes]) -> None:
        self._waiting.append(line)
        if self._later is None:
            self.flush()

    def flush(self) -> None:
        """Write what was put off."""
        if self._waiting and self.journal is not None:
            lines, self._waiting = self._waiting, []
            self.journal.write(b"".join([line() for line in lines]))
            self.journal.look()

    def close(self, why: str = "") -> None:
        """Nothing more will come. What still runs is left to itself, for the reason `why`."""
        for number in list(self._cells):
            self.end(number, "left", why)
        self._tell_comms()
        self.flush()
        if self.journal is not None:
            self.journal.close()

    # -- cells --------------------------------------------------------------------------

    def begin(self, code: str, process: Process | None, **fields: Any) -> str:
        """A cell is about to run. Returns its id, which is empty where nothing is written."""
        if self.journal is None:
            return ""
        self._serial += 1
        number = f"{self.run}-{self._serial}"
        self._cells[number] = Cell(number, process)
        self._write(self._line("cell", process, {"id": number, **fields, **_shortened(code)}))
        return number

    def end(self, number: str, outcome: str, why: str = "", process: Process | None = None) -> None:
        """It has ended: `outcome` is ok, error, interrupted, aborted, refused, lost or left; `why`
        the name of its error, or another reason. `process`: the target, which it may have changed.
        """
        cell = self._cells.pop(number, None)
        if cell is None:
            return
        seconds, at = time.monotonic() - cell.begun, stamp()
        self._write_soon(lambda: _outcome(cell, seconds, at, outcome, why, process, self.output))

    def refuse(self, code: str, process: Process | None, outcome: str, **fields: Any) -> None:
        """A cell that is not run at all, which is one line."""
        if self.journal is not None:
            self._serial += 1
            number = f"{self.run}-{self._serial}"
            own = {"id": number, "outcome": outcome, **fields, **_shortened(code)}
            line = self._line("cell", process, own)
            self._write_soon(lambda: line)

    def keep(self, number: str, text: str) -> None:
        """A cell has shown something; it is kept as far as the user wants that."""
        cell = self._cells.get(number)
        if cell is not None:
            if cell.size < self.output:
                cell.output.append(text[: self.output - cell.size])
            cell.size += len(text)

    def typed(self, number: str, line: str, process: Process | None) -> None:
        """A line for a debugger's prompt: it is run in the program."""
        if self.journal is not None:
            self._write(self._line("debugger", process, {"id": number, **_shortened(line)}))

    # -- comms --------------------------------------------------------------------------

    def said(self, kind: str, comm: str, process: Process | None) -> None:
        """A front-end says something on a comm, upon which the program runs its callbacks.

        The first is a line of its own; those that follow, as of a slider, are counted.
        """
        if self.journal is None:
            return
        if not self._comms:
            self._comms_since = time.monotonic()
            line = self._line("comm", process, {"kind": kind, "comm": comm})
            self._write_soon(lambda: line)
            if self._later is not None:
                self._later(_COUNTED_FOR, self._tell_comms)
            self._comms[kind, comm] = 0
        else:
            self._comms[kind, comm] = self._comms.get((kind, comm), 0) + 1

    def _tell_comms(self) -> None:
        """Write down how many there were."""
        counted, self._comms = self._comms, {}
        if any(counted.values()):
            known = None if self._known is None else self._known[0]
            counts = [
                {"kind": kind, "comm": comm, "count": count}
                for (kind, comm), count in counted.items()
                if count
            ]
            seconds = round(time.monotonic() - self._comms_since, 1)
            line = self._line("comms", known, {"counts": counts, "seconds": seconds})
            self._write_soon(lambda: line)

    # -- attachments --------------------------------------------------------------------

    def step(self, event: str, process: Process | None, fields: Fields) -> None:
        """A step of an attachment: `attach`, `attached`, `failed`, `detached`, `lost`."""
        self.note(event, process, **fields)


def outcome_of(error: LiveKernelError | Mapping[str, Any]) -> tuple[str, str]:
    """How a cell went that has ended with this error, and the error's name."""
    if not isinstance(error, LiveKernelError):
        name = str(error.get("ename", ""))
        return ("interrupted" if name == "KeyboardInterrupt" else "error"), name
    is_lost = isinstance(error, AgentLost | LocalKernelLost)
    return ("lost" if is_lost else "refused"), f"{type(error).__name__}: {str(error)[:500]}"


def from_environment(
    environment: Mapping[str, str],
    later: Later | None,
    tell: Callable[[str], None] = log,
    about: Fields | None = None,
) -> Recorder:
    """A recorder that writes where the environment says, if it says so."""
    place = journal.place(environment)
    if place is None:
        return Recorder()
    output = 0
    wanted = environment.get(OUTPUT_VARIABLE, "").strip()
    if wanted:
        try:
            output = _USUAL_OUTPUT if wanted == "1" else limits.parse(wanted)
        except ValueError as error:
            tell(f"{OUTPUT_VARIABLE}: {error}. No output is kept.")
    return Recorder(Journal(place, tell), later, about, output)


def _outcome(
    cell: Cell,
    seconds: float,
    at: str,
    outcome: str,
    why: str,
    process: Process | None,
    output: int,
) -> bytes:
    """The line that tells how a cell went."""
    fields: Fields = {"id": cell.id, "outcome": outcome, "ms": round(seconds * 1000, 3)}
    if why:
        fields["why"] = why
    if process is not None and process is not cell.process:
        fields["target"] = _described(process)
    if cell.size:
        fields["output"] = "".join(cell.output)[:output]
        fields["output_size"] = cell.size
    return f'{{"at":"{at}","event":"outcome",{_encode(fields)[1:]}\n'.encode()


@contextmanager
def of_failure(asked: object) -> Iterator[None]:
    """Write down that a program could not be attached to, where that comes before there is any
    kernel or handle; `asked`: which was wanted.
    """
    try:
        yield
    except LiveKernelError as error:
        recorder = for_script()
        why = f"{type(error).__name__}: {error}"
        recorder.note("failed", None, asked=str(asked), why=why)
        recorder.close()
        raise


def for_script() -> Recorder:
    """A recorder for a program that uses a handle."""
    return from_environment(os.environ, None, about={"client": sys.argv[0]})


def _shortened(code: str) -> Fields:
    if len(code) <= LONGEST:
        return {"code": code}
    import hashlib  # not on the way into the target: it loads OpenSSL

    checksum = hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()
    return {"code": code[:LONGEST], "code_size": len(code), "code_sha256": checksum}


def _described(process: Process) -> Fields:
    return {
        "pid": process.pid,
        "start_time": process.start_time,
        "command": " ".join(process.cmdline) or process.name,
        "uid": process.uid,
        "user": process.username,
        "python": process.version_text,
    }


def _ourselves(run: str) -> Fields:
    """Who we are: the user, whoever has logged in to become that, the machine, our process."""
    uid = os.geteuid()
    fields: Fields = {"user": name_of(uid), "uid": uid}
    login = login_of("self")
    if login is not None and login != uid:
        fields["login"] = name_of(login)
    return fields | {"host": os.uname().nodename, "kernel": os.getpid(), "run": run}


def name_of(uid: int) -> str:
    """The name of a user; the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def login_of(pid: int | str) -> int | None:
    """The uid with which a process's user has logged in, which sudo and su do not change."""
    try:
        uid = int(proc.read(pid, "loginuid"))
    except (OSError, ValueError):
        return None
    return None if uid == _NOBODY else uid
