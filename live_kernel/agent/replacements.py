"""A function of the notebook's, made to work in the module of one that it replaces.

Runs in the target, on a cell's thread. Rule: what it assigns with `global` and what it
reads is its new module's, so that it runs at plain speed there; only where it needs names
of the notebook's does each look-up of a global ask for those first.
"""

from __future__ import annotations

import builtins
import sys
from types import FunctionType

from . import evaluation
from .actions import Refused
from .lookup import is_a, own_dict
from .names import Names as NamesOf
from .signatures import parameters, plain_function, signature
from .tracebacks import remember_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cell import Cell
    from .namespace import Namespace
    from .shell import Shell

_KINDS = {0x80: "a coroutine function", 0x200: "an async generator", 0x20: "a generator"}
"""By flags of the code: what callers must know about a function."""


def defined(cell: Cell, shell: Shell, name: str, code: str) -> Any:
    """The function that the body of a cell defines. Raises what that raises, or Refused."""
    filename = f"<%%patch {name} [{cell.count}]>"
    remember_source(filename, code, shell.ledger)
    compiled = compile(code, filename, "exec", dont_inherit=True)
    scratch, _ = shell.namespace.prepare(NamesOf(compiled))
    own: dict[str, Any] = {}
    exec(compiled, scratch, own)
    function = own.pop(name.rpartition(".")[2], None)
    if function is None:
        made = [key for key, value in own.items() if _is_from(value, filename)]
        if len(made) != 1:
            wanted = name.rpartition(".")[2]
            raise Refused(
                "NothingToPutThere",
                f"The cell defines no {wanted!r}, and no other function that is the only one.",
                f"Below %%patch {name} there stands: def {wanted}(…): …",
            )
        function = own.pop(made[0])
    scratch.update(own)  # its helpers
    return function


def _is_from(value: object, filename: str) -> bool:
    return type(value) is FunctionType and value.__code__.co_filename == filename


def settled(function: Any, original: Any, namespace: Namespace) -> Any:
    """The function as one of the module of what it replaces; whatever else can be called, as is.

    Raises Refused.
    """
    if type(function) is not FunctionType or function.__globals__ is not namespace.scratch:
        return function
    module = globals_of(original, namespace)
    names = NamesOf(function.__code__)
    wanted = _of_the_notebook(names.read, module, namespace)
    if wanted and names.stored_globally:
        raise Refused(
            "CantSettle",
            f"The function assigns {_listed(names.stored_globally)} as globals of the program, "
            f"and also reads the notebook's {_listed(wanted)}.",
            f"Hand the notebook's over as defaults: def f(…, {min(wanted)}={min(wanted)}): …",
        )
    if wanted:
        homes = (namespace.scratch, module, builtins.__dict__, namespace.additions)
        module = {"__builtins__": evaluation.Names(*homes), "__name__": module.get("__name__", "")}
    how = function.__name__, function.__defaults__, function.__closure__
    made = FunctionType(function.__code__, module, *how)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    made.__annotate__ = function.__annotate__
    made.__doc__ = function.__doc__
    return made


def globals_of(original: Any, namespace: Namespace) -> dict[str, Any]:
    """Those with which the function will work."""
    plain = plain_function(original)
    if plain is not None:
        return plain.__globals__
    module = sys.modules.get(str(getattr(original, "__module__", "")))
    names = own_dict(module) if module is not None else None
    return names if is_a(names, dict) and names else namespace.binding.names()[1]  # type: ignore[return-value]


def _of_the_notebook(read: set[str], module: dict[str, Any], namespace: Namespace) -> set[str]:
    """Which of these names are the notebook's, and nothing else than that?"""
    scratch, missing = namespace.scratch, object()
    found = set()
    for name in read:
        own = scratch.get(name, missing)
        if own is missing:
            is_own = name not in module and name in namespace.additions
        else:
            is_own = own is not module.get(name, missing)
        if is_own:
            found.add(name)
    return found


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def dress(function: Any, original: Any) -> None:
    """Give it the name by which the other is known, and the attributes that that has."""
    if type(function) is not FunctionType or type(original) is not FunctionType:
        return
    function.__name__, function.__qualname__ = original.__name__, original.__qualname__
    function.__module__ = original.__module__  # pickle finds functions by these
    for name, value in original.__dict__.items():
        if name != "__wrapped__":
            function.__dict__.setdefault(name, value)


def differences(function: Any, original: Any) -> list[str]:
    """What callers of the original might stumble over, in words."""
    notes = []
    kinds = [_kind(each) for each in (original, function)]
    if kinds[0] != kinds[1]:
        notes.append(f"callers expect {kinds[0]}, and this is {kinds[1]}")
    shapes = [_shape(each) for each in (original, function)]
    if None not in shapes and shapes[0] != shapes[1]:
        taken = [signature(each) for each in (original, function)]
        notes.append(f"it takes {taken[1]}, the original {taken[0]}")
    if plain_function(original) is not original and plain_function(original) is not None:
        notes.append("the original is decorated, and its decorators are replaced with it")
    return notes


def _kind(function: Any) -> str:
    plain = plain_function(function)
    flags = 0 if plain is None else plain.__code__.co_flags
    return next((kind for flag, kind in _KINDS.items() if flags & flag), "a plain function")


def _shape(function: Any) -> list[tuple[str, str]] | None:
    found = parameters(function)
    return None if found is None else [(name, kind) for name, kind, _ in found]
