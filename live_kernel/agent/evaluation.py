"""What an expression sees that is evaluated beside the cells: what they see, at that moment.

Runs in the target, on a worker's thread; `Names` also on the program's. It has globals of
its own, so that no cell which runs meanwhile is touched, and what it assigns is gone at once.
Rule: nothing of the program is held once it has been evaluated.
"""

from __future__ import annotations

import builtins

from .frames import binding_after

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType
    from typing import Any

    from .frames import Binding
    from .namespace import Namespace
    from .observing import Expression


class Names(dict[str, object]):
    """The `__builtins__` of an expression, which ask these mappings in turn.

    `behind` comes last, and is asked as Python asks builtins: its `__missing__`, too.
    """

    __slots__ = ("_behind", "_homes")

    def __init__(
        self, *homes: Mapping[str, Any] | None, behind: Mapping[str, Any] = builtins.__dict__
    ) -> None:
        super().__init__()
        self._homes = [home for home in homes if home is not None]
        self._behind = behind

    def __missing__(self, name: str) -> object:
        for home in self._homes:
            if name in home:
                return home[name]
        return self._behind[name]

    def let_go(self) -> None:
        """A function that the expression has made may have us still."""
        self._homes, self._behind = [], builtins.__dict__


def value_of(code: CodeType | Expression, names: Names, module: str | None = None) -> object:
    """What code that sees these names comes to. Raises whatever it raises."""
    if not isinstance(code, _CODE):
        return code.value(names)
    own = {} if module is None else {"__name__": module}
    return eval(code, {"__builtins__": names, **own})


_CODE = type((lambda: 0).__code__)


class Evaluator:
    """Evaluates expressions as the session's cells would, at the place where they are bound.

    Where the bound function has returned, it goes on at its caller's, and says so in `moved`.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._bound = self._present = namespace.binding
        self.moved = ""

    def evaluate(self, code: CodeType | Expression) -> object:
        """The value of compiled code, or of what is read from memory. Raises what that raises."""
        local, module = self._binding().names()
        namespace = self._namespace
        homes = (namespace.scratch, local, module, builtins.__dict__, namespace.additions)
        names = Names(*homes)
        try:
            return value_of(code, names, self._present.module)
        finally:
            names.let_go()

    def _binding(self) -> Binding:
        if self._namespace.binding is not self._bound:  # by a cell, or the user
            self._bound = self._present = self._namespace.binding
            self.moved = ""
        if self._present.is_gone():
            gone = self._present
            self._present = binding_after(gone)
            self.moved = f"{gone.how_gone()}; since then at {self._present.describe()}"
        return self._present
