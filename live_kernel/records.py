"""Named tuples whose fields' types are for the type checker alone.

Runs in every process but the target. `typing.NamedTuple` compiles the type of each field when the
class is made, which is two thirds of the time that this takes; some forty such classes stand
between a kernel's start and its first result.
Rule: to a type checker this is `typing.NamedTuple`, and whoever uses one can't tell the
difference, but that its annotations stay the strings that they are in the source.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class _Maker(type):
        """Makes a named tuple of each class that has `NamedTuple` for its base."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = body.pop("__annotations__", {})
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body.pop("__module__"))
            made.__annotations__ = fields
            for key, value in body.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Maker):
        """As `typing.NamedTuple`, by inheritance."""


__all__ = ["NamedTuple"]
