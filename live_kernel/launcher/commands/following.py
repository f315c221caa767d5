"""`%follow`: whether the kernel goes on in what takes the place of its program.

Runs on the launcher's reactor. Rule: nothing is followed by itself unless that was said.
"""

from __future__ import annotations

from ...errors import LiveKernelError
from ...plain import on_one_line
from .. import succession
from ..execution import Done, Execution
from ..guarding import Reach
from ..successors import Successor
from .command import Command


class Follow(Command):
    """Go on in the successor when the program is replaced: reloaded, restarted, executed anew.

    A successor is a process of the same user, executable, directory and command line that has
    been started in its place by the same parent (or by what has replaced that), after it. The
    next cell attaches to it, under the guard rails that hold there, and sets up again what the
    session had set up: where cells look, %break, %watch, %trace, %%patch. Where several could be
    meant, you are asked. Without %follow, the next cell says who the successor is.

        %follow                what holds, and whether there is a successor
        %follow on             from now on
        %follow off            not any more
        %follow orders api     only programs with one of these in their command line
    """

    usage = "%follow [on | off | NAME…]"
    words = ("on", "off")
    reach = Reach.KERNEL

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        follow = self._target.succession
        if argument.strip():
            follow.wanted = succession.said(argument, "%follow")
        told = follow.wanted.in_words()
        execution.print(f"{told[0].upper()}{told[1:]}.")
        if not follow.is_open:
            done(None)
        elif argument.strip() and follow.wanted.by:
            self._in_target.when_attached(execution, lambda: done(None), done)
        else:
            self._tell(execution, done)

    def _tell(self, execution: Execution, done: Done) -> None:
        """Who the successor is by now."""
        process = self._target.succession.predecessor

        def found(there: list[Successor]) -> None:
            if process is not None and there:
                execution.print(succession.replaced(process, there).explain())
            elif process is not None:
                execution.print(on_one_line(f"Nothing has taken the place of {process} yet."))
            done(None)

        try:
            self._target.succession.seek(found)
        except LiveKernelError as error:
            done(error)
