"""The agent: what runs inside a target.

The launcher reads these modules as source, compiles them for the target's
Python and sends them in as one bundle (`attach/payload.py`); the target never
imports them from disk. Rules: the standard library, the link and siblings
only; imports relative; anything that costs the program time or memory is
loaded by the cell that needs it; every change made to the target is entered
in the ledger, with its inverse, when it is made.

Modules that few sessions need are kept as bytes until somebody asks for them,
by `from . import NAME` and in no other way.
"""

from __future__ import annotations


def __getattr__(name: str) -> object:
    """A module that has not been loaded yet (PEP 562). Raises AttributeError if there is none."""
    load = globals().get("load_late")  # given by `entry.py`
    if load is None:  # not in a target: these are files, which Python finds by itself
        raise AttributeError(name)
    module: object = load(f"{__name__}.{name}")
    return module
