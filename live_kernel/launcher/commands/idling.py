"""`%idle`: after what time without use the kernel detaches.

Runs on the launcher's reactor. Rule: what a guard sets can be made shorter here, and no longer.
"""

from __future__ import annotations

from ...errors import Guarded
from .. import durations
from ..execution import Done, Execution
from ..guarding import Reach
from .command import Command


class Idle(Command):
    """Show after what time without use the kernel detaches, or change it for this kernel.

    Cells, answers, widgets, completion and help are use. Nothing that runs is cut off, but for a
    %watch or %trace that was given no time, and a thread of the program that waits in the
    debugger for an answer: it goes on.

        %idle 30m      detach after half an hour
        %idle off      never
    """

    usage = "%idle [30m | off]"
    words = ("off",)
    reach = Reach.KERNEL

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        text = argument.strip().lower()
        if text:
            self._set(0.0 if text == "off" else self.span(text))
        limit, by = self._target.idle
        after = f"detaches after {durations.written(limit)} without use ({by})"
        execution.print(f"The kernel {after if limit else 'does not detach by itself'}.")
        done(None)

    def _set(self, seconds: float) -> None:
        guard = self._target.protection.guard
        if not guard.allows_idle(seconds):
            raise Guarded(
                f"This program is to be left after {durations.written(guard.idle)} without use: "
                f"so says {guard.idle_by}.",
                "A shorter time can be set here; a longer one only there.",
            )
        self._target.set_idle(seconds)
