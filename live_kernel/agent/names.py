"""Which names a piece of code uses, read from its bytecode.

Runs in the target. Rule: it reads code and compiles it anew where it must;
it runs nothing.
"""

from __future__ import annotations

import opcode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import CodeType, ModuleType
    from typing import Any

_CODE = type((lambda: 0).__code__)
_SHIFT = {"LOAD_GLOBAL": 1}
"""Instructions whose argument is the name's index with flags in the low bits."""

_READS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
_WRITES = ("STORE_NAME", "DELETE_NAME")
_GLOBAL_WRITES = ("STORE_GLOBAL", "DELETE_GLOBAL")
_OPERATIONS = {
    opcode.opmap[name]: name
    for name in (*_READS, *_WRITES, *_GLOBAL_WRITES)
    if name in opcode.opmap
}

PROGRAM = "__program__"
"""The name under which rewritten code finds the program's globals."""


class Names:
    """The names that pieces of code, with all code inside them, read and write by look-up.

    `read`: looked up anywhere. `stored`: assigned or deleted at the top level.
    `stored_globally`: assigned or deleted by a `global` statement, at any depth.
    `deleted`: deleted at the top level. `star`: there is an `import *`, which may assign anything.
    """

    def __init__(self, *codes: CodeType) -> None:
        self.read: set[str] = set()
        self.stored: set[str] = set()
        self.deleted: set[str] = set()
        self.stored_globally: set[str] = set()
        self.star = any(("*",) in code.co_consts for code in codes)
        for code in codes:
            self._scan(code, top=True)

    def _scan(self, code: CodeType, top: bool) -> None:
        for operation, name in _named_operations(code):
            if operation in _READS:
                self.read.add(name)
            elif operation in _GLOBAL_WRITES:
                self.stored_globally.add(name)
            elif top:
                self.stored.add(name)
                if operation == "DELETE_NAME":
                    self.deleted.add(name)
        for constant in code.co_consts:
            if isinstance(constant, _CODE):
                self._scan(constant, top=False)


def _named_operations(code: CodeType) -> Iterator[tuple[str, str]]:
    raw, argument = code.co_code, 0
    for offset in range(0, len(raw), 2):
        operation = raw[offset]
        argument |= raw[offset + 1]
        if operation == opcode.EXTENDED_ARG:
            argument <<= 8
            continue
        if operation in _OPERATIONS:
            name = _OPERATIONS[operation]
            yield name, code.co_names[argument >> _SHIFT.get(name, 0)]
        argument = 0


def direct_global_writes(tree: Any, names: Collection[str]) -> Any:
    """Rewrite functions in which one of `names` is declared `global`: `x = 1` becomes
    `__program__.x = 1`, so that it reaches the program whenever the function is called.

    `tree` is an `ast.Module`, changed in place and returned. Definitions, imports
    and captures of such a name can't be written so and are left as they are.
    """
    import ast

    return _GlobalWrites(ast, names).module(tree)


class _GlobalWrites:
    """The walk over the tree. (Not an `ast.NodeTransformer`, which would need `ast` to load us.)"""

    def __init__(self, ast: ModuleType, names: Collection[str]) -> None:
        self._ast = ast
        self._names = names

    def module(self, tree: Any) -> Any:
        self._children(tree, frozenset())
        return tree

    def _children(self, node: Any, declared: frozenset[str]) -> None:
        for field, value in self._ast.iter_fields(node):
            if isinstance(value, list):
                value[:] = [self._visit(item, declared) for item in value]
            else:
                setattr(node, field, self._visit(value, declared))

    def _visit(self, node: Any, declared: frozenset[str]) -> Any:
        ast = self._ast
        if not isinstance(node, ast.AST):
            return node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            declared = frozenset(self._declared_in(node))
        elif isinstance(node, (ast.Lambda, ast.ClassDef)):
            declared = frozenset()
        self._children(node, declared)
        if isinstance(node, ast.NamedExpr):
            return self._walrus(node, declared)
        if isinstance(node, ast.Name) and node.id in declared:
            return self._redirected(node)
        return node

    def _declared_in(self, function: Any) -> set[str]:
        """Those of our names that the function itself (not one inside it) declares global."""
        found: set[str] = set()
        waiting = list(function.body)
        while waiting:
            node = waiting.pop()
            if isinstance(node, self._ast.Global):
                found.update(name for name in node.names if name in self._names)
            elif not isinstance(
                node, (self._ast.FunctionDef, self._ast.AsyncFunctionDef, self._ast.ClassDef)
            ):
                waiting.extend(self._ast.iter_child_nodes(node))
        return found

    def _redirected(self, node: Any) -> Any:
        ast = self._ast
        if isinstance(node.ctx, ast.Load):
            return node
        program = ast.copy_location(ast.Name(PROGRAM, ast.Load()), node)
        return ast.copy_location(ast.Attribute(program, node.id, node.ctx), node)

    def _walrus(self, node: Any, declared: frozenset[str]) -> Any:
        """`(x := v)`, whose target was redirected, as `__program__.__call__("x", v)`."""
        ast = self._ast
        if not isinstance(node.target, ast.Attribute):
            return node
        program = ast.Name(PROGRAM, ast.Load())
        call = ast.Call(program, [ast.Constant(node.target.attr), node.value], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))
