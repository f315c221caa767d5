"""What only the text of the code tells: variables of the environment, and remedies of errors.

Rule: nothing is imported or run here; the package is read as trees of syntax.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
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


def _constants(tree: ast.Module) -> Iterator[str]:
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


def _looked_up(tree: ast.Module) -> Iterator[str]:
    """`environment.get("X")`, `os.environ["X"]`, `os.getenv("X")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=where, attr="get"), args=[name, *_]):
                is_environment = _is_environment(where)
            case ast.Call(func=ast.Attribute(attr="getenv"), args=[name, *_]):
                is_environment = True
            case ast.Subscript(value=where, slice=name, ctx=ast.Load()):
                is_environment = _is_environment(where)
            case _:
                continue
        match name:
            case ast.Constant(value=str(text)) if is_environment and _A_NAME.fullmatch(text):
                yield text


def _is_environment(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2] in ("environ", "environment", "env")


# -- remedies


def remedies(classes: set[str]) -> dict[str, list[str]]:
    """What each error is given as its remedy where it is made, with `…` for what varies."""
    found: dict[str, list[str]] = {}
    for tree in _trees().values():
        texts = dict(_texts(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in classes:
                name = ast.unparse(node.func)
                text = _remedy(node, texts)
                if text:
                    found.setdefault(name, []).append(text)
    return found


def _texts(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The module's own constants, by name."""
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value


def _remedy(call: ast.Call, texts: dict[str, ast.expr]) -> str:
    """The argument behind the message, which is the first text among the arguments."""
    for keyword in call.keywords:
        if keyword.arg == "remedy":
            return _written(keyword.value, texts)
    messages = [
        index for index, each in enumerate(call.args) if isinstance(each, ast.JoinedStr)
        or (isinstance(each, ast.Constant) and isinstance(each.value, str))
    ]  # fmt: skip
    if not messages or len(call.args) <= messages[0] + 1:
        return ""
    return _written(call.args[messages[0] + 1], texts)


def _written(node: ast.expr, texts: dict[str, ast.expr]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_part(value, texts) for value in values)
        case ast.Name(id=name) if name in texts:
            return _written(texts[name], {})
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _written(left, texts) + _written(right, texts)
    return ""


def _part(node: ast.expr, texts: dict[str, ast.expr]) -> str:
    if isinstance(node, ast.FormattedValue):
        return _written(node.value, texts) or "…"
    return _written(node, texts)
