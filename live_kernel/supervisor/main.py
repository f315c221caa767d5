"""The supervisor's command line, and the signals that reach it.

Runs as `python -P -m live_kernel supervise --name NAME … -- PROGRAM ARGS…`, on its main thread.
It stays in the process group in which the shell has started it, and so does the program: what the
terminal sends (Ctrl-C, Ctrl-Z, a change of size) reaches the program by itself, and `fg` and `bg`
work on both. What is sent to us alone we hand on. Rule: we end when the program has, with its
status; killed, we leave it running.
"""

from __future__ import annotations

import contextlib
import getopt
import os
import signal
import socket
from collections.abc import Iterator, Sequence

from ..attach import proc, supervised
from ..errors import LiveKernelError
from ..plain import plain
from .desk import Desk
from .program import NEVER, POLICIES, Order, Program

_OF_TERMINALS = 0x80
"""SI_KERNEL: the sender of what a terminal sends, to all of its foreground process group."""

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_HANDED_ON = (*_ENDING, signal.SIGUSR1, signal.SIGUSR2)


def run(words: Sequence[str]) -> int:
    """Supervise the program that the words name. Returns the exit status."""
    speech = Speech()
    options, command = getopt.getopt(list(words), "", ["name=", "restart=", "quiet"])
    given = dict(options)
    speech.is_quiet = "--quiet" in given
    policy = given.get("--restart", NEVER)
    assert policy in POLICIES
    order = Order(given["--name"], command, policy, proc.own_environment())
    # Blocked, they wait for `sigtimedwait`; the program gets the mask that we were given.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*_HANDED_ON, signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    program = Program(order, {signal.Signals(each) for each in mask})
    try:
        with _name_taken(order.name):
            desk = Desk(program)
            status = _supervise(program, desk, speech)
            desk.close()
            return status
    except LiveKernelError as error:
        speech.say(error.explain(), is_error=True)
        return error.exit_code


@contextlib.contextmanager
def _name_taken(name: str) -> Iterator[None]:
    """Within, no other supervisor of this user can take the name.

    The mark is an abstract Unix address, which goes with its owner. Raises LiveKernelError.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mark:
        try:
            mark.bind(f"\0live-kernel/supervised/{os.geteuid()}/{name}")
        except OSError:
            other = next((s for s in supervised.supervisors() if _is_other(s, name)), None)
            raise _taken(name, other) from None
        yield


def _taken(name: str, other: supervised.Supervisor | None) -> LiveKernelError:
    if other is None:  # anybody could hold the mark
        return LiveKernelError(f"The name {name} is taken.", "Choose another by --name.")
    return LiveKernelError(
        f"The name {name} is taken: another program is supervised under it (by supervisor "
        f"{other.pid}).",
        f"Choose another by --name, or end that one: live-kernel stop {name}",
    )


def _is_other(found: supervised.Supervisor, name: str) -> bool:
    return found.name == name and found.pid != os.getpid()


class Speech:
    """What we say on stderr, where that was open when we were started, and anybody listens."""

    def __init__(self) -> None:
        self.is_quiet = False
        try:
            os.fstat(2)
            self._is_open = True
        except OSError:
            self._is_open = False  # what has its number later is something else

    def say(self, text: str, is_error: bool = False) -> None:
        """A line about the program."""
        if self._is_open and (is_error or not self.is_quiet):
            with contextlib.suppress(OSError):
                os.write(2, f"live-kernel: {plain(text)}\n".encode(errors="replace"))


def _supervise(program: Program, desk: Desk, speech: Speech) -> int:
    if not _start(program, speech):
        return program.exit_status
    desk.open()
    awaited = {*_HANDED_ON, signal.SIGCHLD} - _ignored()
    awaited.add(signal.SIGCHLD)
    while True:
        pause = program.pause
        told = signal.sigwaitinfo(awaited) if pause is None else signal.sigtimedwait(awaited, pause)
        if told is not None and told.si_signo != signal.SIGCHLD:
            _heed(program, told)
        outcome = program.collect()
        if outcome == "stopped" and program.was_stopped_by_job_control():
            _stop_along(program)
        if program.pid is None and not _go_on(program, outcome == "ended", speech):
            return program.exit_status


def _ignored() -> set[signal.Signals]:
    """Those that we were started to ignore (nohup(1), a shell's `&`), as the program does."""
    return {each for each in _HANDED_ON if signal.getsignal(each) is signal.SIG_IGN}


def _heed(program: Program, told: signal.struct_siginfo) -> None:
    """A signal for us: for the program, if it has not got it itself."""
    if told.si_signo in _ENDING:
        program.let_end()
    if told.si_code != _OF_TERMINALS:
        program.send(told.si_signo)


def _go_on(program: Program, has_just_ended: bool, speech: Speech) -> bool:
    """The program does not run: start it again, now or later. Returns False where it is over."""
    if has_just_ended:
        told = f"{program.order.name}: {program.last}"
        what = program.settle()
        if what != "start" and program.failed:
            later = f"; it is started again in {program.pause:.1f} s" if what == "wait" else ""
            speech.say(told + later)
        if what != "start":
            return what == "wait"
    elif program.is_done:
        return False
    elif program.pause:
        return True
    if _start(program, speech):
        return True
    return program.settle() == "wait"


def _start(program: Program, speech: Speech) -> bool:
    """Returns whether it could be started."""
    try:
        program.start()
    except OSError as error:
        program.fail(error)
        speech.say(f"{program.order.command[0]} {program.last}", is_error=True)
        return False
    return True


def _stop_along(program: Program) -> None:
    """The program has stopped itself, as for Ctrl-Z: so must we, lest the shell wait for us.

    Only where a shell is there to let us go on: our process group has the terminal.
    """
    if program.terminal.is_ours():
        os.kill(os.getpid(), signal.SIGSTOP)
        program.send(signal.SIGCONT)
