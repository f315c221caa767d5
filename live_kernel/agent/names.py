"""Which names a piece of code uses, read from its bytecode.

Runs in the target. Rule: it reads code and compiles it anew where it must;
it runs nothing.
"""

from __future__ import annotations

import opcode
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import CodeType, ModuleType
    from typing import Any

_CODE = type((lambda: 0).__code__)
_SHIFT = {"LOAD_GLOBAL": 1, "IMPORT_NAME": 2 if sys.version_info >= (3, 15) else 0}
"""Instructions whose argument is the name's index with flags in the low bits."""

_READS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
_WRITES = ("STORE_NAME", "DELETE_NAME")
_GLOBAL_WRITES = ("STORE_GLOBAL", "DELETE_GLOBAL")
_OPERATIONS = {
    opcode.opmap[name]: name
    for name in (*_READS, *_WRITES, *_GLOBAL_WRITES, "IMPORT_NAME")
    if name in opcode.opmap
}

PROGRAM = "__program__"
"""The name under which rewritten code finds the program's globals."""


class Names:
    """The names that pieces of code, with all code inside them, read and write by look-up.

    `read`: looked up anywhere. `read_inside`: by functions and classes. `read_later`: by
    functions that other functions make.
    `stored`: assigned or deleted at the top level. `stored_globally`: assigned or deleted by
    a `global` statement, at any depth, or assigned by `:=` in a comprehension at the top level.
    `deleted`: deleted at the top level, but for the name of an `except` at its end.
    `imported`: modules that are imported by their name, at any depth.
    `star`: there is an `import *`, which may assign anything.
    """

    def __init__(self, *codes: CodeType) -> None:
        self.read: set[str] = set()
        self.read_inside: set[str] = set()
        self.read_later: set[str] = set()
        self.stored: set[str] = set()
        self.deleted: set[str] = set()
        self.stored_globally: set[str] = set()
        self.imported: set[str] = set()
        self.star = any(("*",) in code.co_consts for code in codes)
        for code in codes:
            self._scan(code, 0)

    def _scan(self, code: CodeType, depth: int) -> None:
        before = ("", "")
        for operation, name in _named_operations(code):
            if operation in _READS:
                self.read.add(name)
                if depth > 0:
                    self.read_inside.add(name)
                if depth > 1:
                    self.read_later.add(name)
            elif operation in _GLOBAL_WRITES:
                self.stored_globally.add(name)
            elif operation == "IMPORT_NAME":
                self.imported.add(name)
            elif depth == 0:
                self.stored.add(name)
                if operation == "DELETE_NAME" and before != ("STORE_NAME", name):
                    self.deleted.add(name)
            before = operation, name
        for constant in code.co_consts:
            if isinstance(constant, _CODE):
                self._scan(constant, depth + 1)


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


def direct_global_writes(tree: Any, declared: Collection[str], visible: Collection[str]) -> Any:
    """Rewrite what Python would store in a cell's own globals, so that it reaches the program.

    Where one of the names `declared` is declared `global`, `x = 1` becomes `__program__.x = 1`,
    in a function whenever that is called. At the top level, `x = 1` with x one of `visible`
    becomes `__program__["x"] = 1`: a declaration in any function makes it a global there, too,
    and so does `:=` in a comprehension. Definitions, imports and captures can't be written so;
    they hand over what they stored at once.
    `tree` is an `ast.Module`, changed in place and returned.
    """
    import ast

    return _GlobalWrites(ast, declared, visible).module(tree)


class _Place:
    """A scope: names that become attributes of `__program__`, and its items."""

    __slots__ = ("attributes", "items")

    def __init__(self, attributes: Collection[str] = (), items: Collection[str] = ()) -> None:
        self.attributes, self.items = attributes, items


_NOTHING = _Place()


class _GlobalWrites:
    """The walk over the tree. (Not an `ast.NodeTransformer`, which would need `ast` to load us.)"""

    def __init__(
        self, ast: ModuleType, declared: Collection[str], visible: Collection[str]
    ) -> None:
        self._ast = ast
        self._declared = declared
        self._visible = visible
        self._handlers = {
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.Lambda: self._lambda,
            ast.ClassDef: self._class,
            ast.Import: self._import,
            ast.ImportFrom: self._import,
            ast.TypeAlias: self._type_alias,
            ast.match_case: self._case,
            ast.comprehension: self._generator,
            ast.AnnAssign: self._annotated,
            ast.NamedExpr: self._walrus,
            ast.Name: self._name,
        }

    def module(self, tree: Any) -> Any:
        attributes = self._declared_in(tree)
        self._fields(tree, _Place(attributes, set(self._visible) - attributes))
        return tree

    def _fields(self, node: Any, place: _Place, *names: str) -> None:
        """Visit what is in these fields of a node, or in all."""
        for name in names or node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                visited = [self._visit(item, place) for item in value]
                value[:] = [
                    each for one in visited for each in (one if type(one) is list else [one])
                ]
            else:
                setattr(node, name, self._visit(value, place))

    def _visit(self, node: Any, place: _Place) -> Any:
        if not isinstance(node, self._ast.AST):
            return node
        handler = self._handlers.get(type(node))
        if handler is not None:
            return handler(node, place)
        self._fields(node, place)
        return node

    def _function(self, node: Any, place: _Place) -> Any:
        self._fields(node, place, "decorator_list", "args", "returns")
        self._fields(node, _Place(self._declared_in(node)), "body")
        return [node, *self._handed_over([node.name], node, place)]

    def _declared_in(self, block: Any) -> set[str]:
        """Those of our names that a block itself (not one inside it) declares global."""
        ast = self._ast
        found: set[str] = set()
        waiting = list(block.body)
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Global):
                found.update(name for name in node.names if name in self._declared)
            elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                waiting.extend(ast.iter_child_nodes(node))
        return found

    def _lambda(self, node: Any, place: _Place) -> Any:
        self._fields(node, place, "args")
        self._fields(node, _NOTHING, "body")
        return node

    def _class(self, node: Any, place: _Place) -> Any:
        self._fields(node, place, "decorator_list", "bases", "keywords")
        self._fields(node, _NOTHING, "body")
        return [node, *self._handed_over([node.name], node, place)]

    def _import(self, node: Any, place: _Place) -> Any:
        names = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        return [node, *self._handed_over(names, node, place)]

    def _type_alias(self, node: Any, place: _Place) -> Any:
        return [node, *self._handed_over([node.name.id], node, place)]

    def _case(self, node: Any, place: _Place) -> Any:
        self._fields(node, place, "guard", "body")
        kinds = (self._ast.MatchAs, self._ast.MatchStar, self._ast.MatchMapping)
        captures = [each for each in self._ast.walk(node.pattern) if isinstance(each, kinds)]
        names = [getattr(each, "rest", None) or getattr(each, "name", None) for each in captures]
        node.body[:0] = self._handed_over(names, node.body[0], place)
        return node

    def _handed_over(self, names: list[Any], where: Any, place: _Place) -> list[Any]:
        """Statements that give to the program what the one before them has stored."""
        ast = self._ast
        known = [name for name in names if name in place.attributes or name in place.items]
        calls = [self._call(name, ast.Name(name, ast.Load()), place) for name in known]
        statements = [ast.copy_location(ast.Expr(call), where) for call in calls]
        return [ast.fix_missing_locations(statement) for statement in statements]

    def _generator(self, node: Any, place: _Place) -> Any:
        """`for x in y if z`: its x is nobody else's."""
        self._fields(node, place, "iter", "ifs")
        return node

    def _annotated(self, node: Any, place: _Place) -> Any:
        self._fields(node, place)
        node.simple &= isinstance(node.target, self._ast.Name)
        return node

    def _name(self, node: Any, place: _Place) -> Any:
        ast = self._ast
        if isinstance(node.ctx, ast.Load):
            return node
        program: Any = ast.Name(PROGRAM, ast.Load())
        if node.id in place.attributes:
            program = ast.Attribute(program, node.id, node.ctx)
        elif node.id in place.items:
            program = ast.Subscript(program, ast.Constant(node.id), node.ctx)
        else:
            return node
        return ast.fix_missing_locations(ast.copy_location(program, node))

    def _walrus(self, node: Any, place: _Place) -> Any:
        self._fields(node, place, "value")
        if node.target.id not in place.attributes and node.target.id not in place.items:
            return node
        call = self._call(node.target.id, node.value, place)
        return self._ast.fix_missing_locations(self._ast.copy_location(call, node))

    def _call(self, name: str, value: Any, place: _Place) -> Any:
        """An assignment as an expression: `__program__("x", value, is an item)`."""
        ast = self._ast
        arguments = [ast.Constant(name), value, ast.Constant(name in place.items)]
        return ast.Call(ast.Name(PROGRAM, ast.Load()), arguments, [])
