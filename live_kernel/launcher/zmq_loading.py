"""ZMQ, loaded without a module of which it wants seven numbers.

Runs in the launcher, once, before the channels are opened. The compiled part of pyzmq asks
`inspect` for the flags of code objects while it is initialised, and for nothing ever after;
`inspect`, with `dis`, `tokenize` and what else it loads, would be a fifth of the time that ZMQ
takes to load. A stand-in answers instead.
Rule: nobody else notices. Whoever asks the stand-in for anything more gets the real
module's, and it is gone when ZMQ is there.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

FLAGS = {
    "CO_OPTIMIZED": 0x1,
    "CO_NEWLOCALS": 0x2,
    "CO_VARARGS": 0x4,
    "CO_VARKEYWORDS": 0x8,
    "CO_GENERATOR": 0x20,
    "CO_COROUTINE": 0x80,
    "CO_ASYNC_GENERATOR": 0x200,
}
"""As CPython has had them since 3.6 ("Code Objects Bit Flags" in `inspect`'s documentation)."""


class _StandIn(ModuleType):
    """`inspect`, as far as its flags go; for the rest, it makes way for the real one."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        _withdraw(self)
        return getattr(import_module("inspect"), name)


def load() -> None:
    """Load ZMQ. Raises ImportError where it can't be."""
    if "inspect" in sys.modules:
        import_module("zmq")
        return
    stand_in = _StandIn("inspect")
    vars(stand_in).update(FLAGS)
    sys.modules["inspect"] = stand_in
    try:
        import_module("zmq")
    finally:
        _withdraw(stand_in)


def _withdraw(stand_in: ModuleType) -> None:
    if sys.modules.get("inspect") is stand_in:
        del sys.modules["inspect"]
