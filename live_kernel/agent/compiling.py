"""Compiling cells: their statements, and their last expression apart from them.

Runs in the target, on the threads of cells. Rule: what a cell stores as a global is
made to reach the program (`names.py`); `from __future__` holds for the cells after it.
"""

from __future__ import annotations

from .names import Names, direct_global_writes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from .namespace import Namespace

ONLY_AST = 0x400
TOP_LEVEL_AWAIT = 0x2000
FUTURE_ANNOTATIONS = 0x1000000
IS_COROUTINE = 0x80


class Compiled:
    """A cell's code: its statements, and its last expression apart from them."""

    def __init__(self, parts: list[CodeType], shows_last: bool) -> None:
        self.parts = parts
        self.shows_last = shows_last
        self.names = Names(*parts)
        self.is_coroutine = any(part.co_flags & IS_COROUTINE for part in parts)


class Compiler:
    """Compiles the cells of one session."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._future_flags = 0

    def compile(self, source: str, filename: str) -> tuple[Compiled, set[str]]:
        """The code, and those of the program's globals that its functions assign."""
        compiled = self._compile_tree(self._parse(source, filename), source, filename)
        declared, visible = self._namespace.stored_globally(compiled.names)
        if visible:
            tree = direct_global_writes(self._parse(source, filename), declared, visible)
            compiled = self._compile_tree(tree, source, filename)
        return compiled, declared

    def _parse(self, source: str, filename: str) -> Any:
        return self.compile_one(source, filename, "exec", ONLY_AST)

    def compile_one(self, source: Any, filename: str, mode: str, flags: int = 0) -> Any:
        flags |= TOP_LEVEL_AWAIT | self._future_flags
        # Whatever the program's -O: under -OO, a cell that is a text would be one without a value.
        return compile(source, filename, mode, flags, dont_inherit=True, optimize=0)

    def _compile_tree(self, tree: Any, source: str, filename: str) -> Compiled:
        import _ast

        last = tree.body[-1] if tree.body else None
        shows_last = isinstance(last, _ast.Expr)
        if shows_last:
            tree.body.pop()
        parts = []
        if tree.body:
            parts.append(self.compile_one(tree, filename, "exec"))
            self._future_flags |= parts[0].co_flags & FUTURE_ANNOTATIONS
        if shows_last:
            expression = _ast.Expression(last.value)  # type: ignore[union-attr]
            parts.append(self.compile_one(expression, filename, "eval"))
        return Compiled(parts, shows_last and not source.rstrip().endswith(";"))
