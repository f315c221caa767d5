"""`%log`: what the journal tells of this kernel and its target.

Runs on the launcher's reactor; the journal is read on a thread. Rule: nothing is asked of the
target for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import LiveKernelError
from ..execution import Done, Execution
from ..guarding import Reach
from ..reactor import look_up
from .command import Command

if TYPE_CHECKING:
    from ..past import Entry

_USUAL = 10


class Log(Command):
    """Show what is on record: attaches, cells with their code, and how they went.

    The last ten entries of this kernel, and of others that were in its program. The journal is a
    file of yours alone; `live-kernel log` shows all of it, by program, text, user or time.

        %log                   the last ten
        %log -n 50             more of them; -n 0 for all
        %log --all             of all kernels of yours
        %log --json            as they are in the file
    """

    usage = "%log [-n N] [--all] [--json]"
    words = ("-n", "--all", "--json")
    is_aside = True
    reach = Reach.KERNEL

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        count, everything, as_json = self._parse(argument.split())
        journal = self._means.recorder.journal
        if journal is None:
            raise LiveKernelError(
                "No journal is kept: LIVE_KERNEL_JOURNAL is off.",
                "Start the kernel without that variable, or with a file in it.",
            )
        from ..past import Past, Wanted  # few ask for it

        self._means.recorder.flush()
        past = Past(journal.path)
        is_ours = (lambda _entry: True) if everything else self._is_ours()

        def is_wanted(entry: Entry) -> bool:
            return entry.record.get("id") != execution.record and is_ours(entry)

        wanted = Wanted(also=is_wanted)

        def read() -> str:
            from ..showing import records

            entries = past.latest(wanted, count)
            return (records.as_json if as_json else records.as_text)(entries)

        def show(text: str) -> None:
            execution.print(text or "Nothing is on record.")
            if past.damaged:
                execution.print(f"({past.damaged} damaged lines were skipped.)")
            done(None)

        look_up(self._target.reactor, read, show, done)

    def _parse(self, words: list[str]) -> tuple[int, bool, bool]:
        count, rest = _USUAL, list(words)
        if "-n" in rest:
            at = rest.index("-n")
            if not "".join(rest[at + 1 : at + 2]).isdecimal():
                raise self.misused("-n takes a number.")
            count = int(rest[at + 1])
            del rest[at : at + 2]
        if unknown := [word for word in rest if word not in ("--all", "--json")]:
            raise self.misused(f"{unknown[0]!r} is no option of %log.")
        return count, "--all" in rest, "--json" in rest

    def _is_ours(self) -> Callable[[Entry], bool]:
        """Tells whether an entry is this kernel's, or about its program."""
        process, run = self._target.process, self._means.recorder.run

        def is_ours(entry: Entry) -> bool:
            if entry.record.get("run") == run:
                return True
            target = entry.target
            return process is not None and (
                (target.get("pid"), target.get("start_time")) == (process.pid, process.start_time)
            )

        return is_ours
