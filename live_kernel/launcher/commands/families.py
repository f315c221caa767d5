"""`%children`, and the tree of `%attach --tree`: the processes that a program has started.

Runs on the launcher's reactor; processes are looked at on a thread. Rule: a look at families runs
nothing in any of them.
"""

from __future__ import annotations

from collections.abc import Callable

from ...attach import families
from ...attach.families import Member
from ...attach.processes import Process
from ...errors import LiveKernelError, NoTarget
from ..choosing import as_pid, named
from ..execution import Done, Execution
from ..guarding import Reach
from ..reactor import look_up
from ..target import Answer, Target
from .command import Command

Ask = Callable[[Execution, str, Answer], None]


def kernels_in(pids: set[int]) -> dict[int, list[str]]:
    """The kernels, by their pids, that are in these processes, and that we may ask."""
    from .. import sessions

    found: dict[int, list[str]] = {}
    for session in sessions.all_of_them():
        pid = session.target.get("pid")
        if isinstance(pid, int) and pid in pids:
            found.setdefault(pid, []).append(str(session.pid))
    return found


class Children(Command):
    """List the processes that the program has started, and those that they have started.

    Workers of gunicorn, uvicorn, celery, of pools of multiprocessing: how each does, which Python
    runs in it, whether it can be attached to, and which other kernels are in it. %attach PID goes
    to one; %attach --tree lets you choose.
    """

    usage = "%children"
    reach = Reach.KERNEL
    is_aside = True

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        if argument.strip():
            raise self.misused("%children takes no argument.")
        process = self._target.present
        if process is None:
            raise NoTarget("No program is attached.", "%attach --tree TEXT shows another's.")

        def look() -> tuple[list[Member], dict[int, list[str]]]:
            members = families.of(process.pid)
            below = {each.pid for each in members[1:]}
            return members, kernels_in(below) if below else {}

        def found(seen: tuple[list[Member], dict[int, list[str]]]) -> None:
            members, kernels = seen
            if len(members) < 2:
                execution.print(f"{process} has no children.")
            else:
                from ..showing import families as shown

                execution.display(shown.children(members, kernels, str(process)).as_bundle())
            done(None)

        look_up(self._target.reactor, look, found, done)


class Tree:
    """`%attach --tree`: shows a family, and asks which of it is meant.

    `ask(execution, prompt, answered)` asks; `choose(pid)` is called with the answer, and may raise
    LiveKernelError.
    """

    def __init__(self, target: Target, ask: Ask, choose: Callable[[str], None]) -> None:
        self._target, self._ask, self._choose = target, ask, choose

    def show(self, text: str, execution: Execution, done: Done) -> None:
        """Show the family of the process that is meant; without one, of the target, or all."""
        present = self._target.present

        def found(members: list[Member]) -> None:
            from ..showing import families as shown

            table = shown.tree(members, 0 if present is None else present.pid)
            execution.display(table.as_bundle())
            if not any(each.candidate.attachable for each in members):
                raise NoTarget("None of these can be attached to.", "%ps --all says why not.")
            if execution.allows_input:
                self._ask(execution, _WHICH, lambda said: self._on_answer(said, members, done))
            else:
                execution.print("%attach PID goes to one of them.")
                done(None)

        look_up(self._target.reactor, lambda: _family(text, present), found, done)

    def _on_answer(self, said: str | None, members: list[Member], done: Done) -> None:
        answer = (said or "").strip()
        pid = meant(answer, members)
        if not answer:
            done(None)
        elif not pid:
            done(NoTarget(f"{answer!r} is neither a number nor a pid of that tree.", ""))
        else:
            try:
                self._choose(pid)
            except LiveKernelError as error:
                done(error)


_WHICH = "Attach to (# or pid; Enter: to none): "


def _family(text: str, present: Process | None) -> list[Member]:
    if not text:
        return families.all_of_them() if present is None else families.of(present.pid)
    pid = as_pid(text)
    members = families.of(named(text).pid if pid is None else pid)
    if not members:
        named(text)  # which tells why not
    return members


def meant(answer: str, members: list[Member]) -> str:
    """The pid that an answer means: its own, or that of the process with this number."""
    pids = [str(each.pid) for each in members]
    if answer in pids:
        return answer
    is_number = answer.isdecimal() and len(answer) < 6 and 1 <= int(answer) <= len(pids)
    return pids[int(answer) - 1] if is_number else ""
