"""What only the text of the code tells: variables of the environment, and remedies of errors.

Rule: nothing is imported or run here; the package is read as trees of syntax.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from provision.shell import ROOT

PACKAGE = ROOT / "live_kernel"

_OURS = re.compile(r"LIVE_KERNEL_[A-Z_]+")
_A_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,}")


@cache
def _trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


# -- variables of the environment


def variables() -> dict[str, str]:
    """Our own: `NAME = "LIVE_KERNEL_…"` in a module, and the docstring beneath it.

    Raises ValueError for one that is used and not explained so.
    """
    explained: dict[str, str] = {}
    used: dict[str, Path] = {}
    for path, tree in _trees().items():
        explained |= dict(_explained(tree))
        used |= {name: path for name in _constants(tree) if _OURS.fullmatch(name)}
    if missing := used.keys() - explained.keys():
        places = ", ".join(f"{name} ({used[name]})" for name in sorted(missing))
        raise ValueError(f"no docstring stands beneath the constant of {places}")
    return explained


def _explained(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for statement, beneath in zip(tree.body, tree.body[1:], strict=False):
        match statement, beneath:
            case (
                ast.Assign(value=ast.Constant(value=str(name))),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if _OURS.fullmatch(name):
                yield name, text


def _constants(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def variables_of_others() -> dict[str, list[str]]:
    """Those of others that are looked up by name, with the modules that do so."""
    found: dict[str, list[str]] = {}
    for path, tree in _trees().items():
        for name in dict.fromkeys(_looked_up(tree)):
            if not _OURS.fullmatch(name):
                found.setdefault(name, []).append(str(path.relative_to(PACKAGE)))
    return found


def _looked_up(tree: ast.AST) -> Iterator[str]:
    """`environment.get("X")`, `os.environ["X"]`, `os.getenv("X")`; in a loop, each of its names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For):
            if any(isinstance(name, ast.Name) for name in _lookups(node)):
                yield from filter(_A_NAME.fullmatch, _constants(node.iter))
            continue
        yield from filter(_A_NAME.fullmatch, map(_constant, _lookup(node)))


def _lookups(node: ast.For) -> Iterator[ast.expr]:
    for each in ast.walk(node):
        yield from _lookup(each)


def _lookup(node: ast.AST) -> Iterator[ast.expr]:
    """What is looked up by this node, if it looks something up in an environment."""
    match node:
        case ast.Call(func=ast.Attribute(value=where, attr="get"), args=[name, *_]):
            if _is_environment(where):
                yield name
        case ast.Call(func=ast.Attribute(attr="getenv"), args=[name, *_]):
            yield name
        case ast.Subscript(value=where, slice=name, ctx=ast.Load()):
            if _is_environment(where):
                yield name


def _constant(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_environment(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2] in ("environ", "environment", "env")


# -- remedies


def remedies(classes: Mapping[str, int]) -> dict[str, list[str]]:
    """What errors are given as their remedy where they are made, with `…` for what varies.

    `classes`: the names of the errors, and the place of the remedy among their arguments. What a
    text of several parts may be is told for each part that stands in the code.
    """
    found: dict[str, list[str]] = {}
    for tree in _trees().values():
        module = _Module(tree)
        for function in module.functions():
            for call in _calls(function, classes):
                name = ast.unparse(call.func)
                texts = module.remedies(call, classes[name], function.name)
                said = [text for text in texts if _tells(text)]
                found[name] = list(dict.fromkeys([*found.get(name, []), *said]))
    return found


def _calls(function: ast.FunctionDef, names: Mapping[str, int]) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
            yield node


def _tells(text: str) -> bool:
    """Does it say something by itself?"""
    return not text.startswith(("…", "Usage: …")) and len(text.replace("…", "").split()) > 2


class _Module:
    """A module in which remedies are looked for: what its names and functions may stand for."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._values = {"": _assigned(tree.body)}
        self._returns: dict[str, list[ast.expr]] = {}
        for function in self.functions():
            self._values[function.name] = _assigned(ast.walk(function))
            inside = (each for each in ast.walk(function) if isinstance(each, ast.Return))
            self._returns[function.name] = [each.value for each in inside if each.value]

    def functions(self) -> Iterator[ast.FunctionDef]:
        """All of them, methods too."""
        return (node for node in ast.walk(self._tree) if isinstance(node, ast.FunctionDef))

    def remedies(self, call: ast.Call, place: int, where: str) -> list[str]:
        """What may stand at this place of a call, or comes from a function with the message.

        `where`: the function with the call, whose own names count first.
        """
        for keyword in call.keywords:
            if keyword.arg == "remedy":
                return self._texts(keyword.value, where)
        if call.args and isinstance(call.args[-1], ast.Starred):
            return self._texts(call.args[-1].value, where)
        return self._texts(call.args[place], where) if len(call.args) > place else []

    def _texts(self, node: ast.expr, where: str) -> list[str]:
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=values):
                return ["".join(self._part(value, where) for value in values)]
            case ast.IfExp(body=one, orelse=other):
                return self._all([one, other], where)
            case ast.Tuple(elts=[_, remedy]):
                return self._texts(remedy, where)
            case ast.BoolOp(values=several) | ast.Dict(values=several):
                return self._all(several, where)
            case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
                return self._all(self._meant(name, where), where)
            case ast.Call(func=ast.Name(id=name)):
                return self._all(self._returns.get(name, []), name)
        return []

    def _meant(self, name: str, where: str) -> list[ast.expr]:
        return self._values[where].get(name) or self._values[""].get(name, [])

    def _all(self, nodes: Iterable[ast.expr], where: str) -> list[str]:
        return [text for node in nodes for text in self._texts(node, where)]

    def _part(self, node: ast.expr, where: str) -> str:
        """Of an f-string: its text, and that of a name if it can stand for one text only."""
        if isinstance(node, ast.FormattedValue):
            named = isinstance(node.value, ast.Name)
            texts = self._texts(node.value, where) if named else []
            return texts[0] if len(texts) == 1 else "…"
        return str(node.value) if isinstance(node, ast.Constant) else "…"


def _assigned(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """What names are given, also as the second of two: `what, remedy = …`."""
    values: dict[str, list[ast.expr]] = {}
    for node in nodes:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name) | ast.Tuple(elts=[_, ast.Name(id=name)])], value=value
            ):
                values.setdefault(name, []).append(value)
    return values
