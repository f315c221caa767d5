"""`%limits`: how much a cell may show.

Runs on the launcher's reactor. Rule: what is changed holds from the next cell on.
"""

from __future__ import annotations

from ...errors import LimitUnknown
from ...link import limits
from ..execution import Done, Execution
from ..guarding import Reach
from .command import Command


class Limits(Command):
    """Show how much a cell may show, or change it for this kernel.

    What is over a limit is cut or left out, and says so.

        %limits                what they are
        %limits repr 10MB      another limit (repr, items, html, image or print)
        %limits html off       no such limit
        %limits off            none at all
        %limits default        as in the beginning
    """

    words = (*limits.DEFAULTS, "off", "default")
    reach = Reach.KERNEL
    usage = "%limits [NAME SIZE | off | default]"

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        self._change(argument.lower().split(maxsplit=1))
        execution.print(self._table())
        done(None)

    def _change(self, words: list[str]) -> None:
        changed = self._target.limits
        match words:
            case []:
                pass
            case ["default"]:
                changed.clear()
            case ["off"]:
                changed.update(dict.fromkeys(limits.DEFAULTS, 0))
            case [name, "default"] if name in limits.DEFAULTS:
                changed.pop(name, None)
            case [name, size] if name in limits.DEFAULTS:
                changed[name] = self._parsed(size)
            case _:
                raise LimitUnknown(
                    f"There is no limit {words[0]!r}" + ", or no size." * (len(words) == 1),
                    f"For example: %limits repr 10MB. Limits: {', '.join(limits.DEFAULTS)}",
                )

    def _parsed(self, size: str) -> int:
        try:
            return limits.parse(size)
        except ValueError as error:
            raise LimitUnknown(f"{error}.", "For example: 500kB, 10MB, 2_000, off") from None

    def _table(self) -> str:
        present = limits.DEFAULTS | self._target.limits
        return "\n".join(
            f"{name:<7}{limits.written(limit):>6}  {limits.MEANINGS[name]}"
            for name, limit in present.items()
        )
