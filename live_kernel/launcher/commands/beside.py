"""`%pull`, `%push`, `%%local`: the IPython kernel beside the target.

Runs on the launcher's reactor. Rule: who moves values, and how, `moving.py` knows.
"""

from __future__ import annotations

from ...errors import LiveKernelError
from ..execution import Done, Execution
from ..guarding import Reach
from ..local import MARK
from ..wire import Content
from .command import Command


class Pull(Command):
    """Bring values from the program into the local kernel, where %%local cells find them.

    What arrives is a copy, made by pickle; large arrays and tables travel by shared memory.
    NAME may have dots: %pull app.orders as orders. Nothing is changed if anything goes wrong.
    With --json the values must be plain data (numbers, texts, lists, dictionaries): it is the
    only way from another user's program, whose pickles could run code with your rights.
    """

    reach = Reach.RUNS
    usage = "%pull [--json] NAME [as OTHER] ..."

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        from .. import moving

        first, _, rest = argument.strip().partition(" ")
        is_plain = first == "--json"
        names = moving.parse(rest if is_plain else argument, self.usage)
        moving.Pull(self._target, self._local, execution, names, done).begin(is_plain)


class Push(Command):
    """Send values of the local kernel to the program, as an assignment in a cell would.

    Where the program has the name, the program is changed; any other name is the notebook's.
    What arrives is a copy, made by pickle, whose classes the program must be able to import.
    """

    reach = Reach.RUNS
    usage = "%push NAME [as OTHER] ..."

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        from .. import moving

        names = moving.parse(argument, self.usage)
        moving.Push(self._target, self._local, execution, names, done).begin()


class InLocal(Command):
    """Run the cell in an IPython kernel of its own, beside the program instead of in it.

    It has the kernel's Python and packages, is started by the first such cell, and ends with
    the kernel. %pull and %push move values between it and the program; no program need be
    attached.
    """

    reach = Reach.KERNEL
    usage = MARK

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        line, _, code = argument.partition("\n")
        if line.strip():
            raise LiveKernelError(
                f"{MARK} takes nothing on its own line.", "The code stands on the lines below it."
            )

        def ended(error: LiveKernelError | Content | None) -> None:
            self._target.use.go_on()  # by who was at work beside it
            done(error)

        if code.strip():
            self._local.run(code, execution, ended)
        else:
            done(None)
