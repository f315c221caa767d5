"""C functions and memory of this interpreter, by `_ctypes`, which loads less than `ctypes`.

Runs in the target, on threads of ours. Every function here is called with the interpreter
lock held, so that no thread of the program runs Python code meanwhile. Rule: an address
comes from the interpreter itself, and what lies there is checked before it is written to.

Some builds of libffi, below `_ctypes`, keep one descriptor open on their own file for the
rest of the program's life.
"""

from __future__ import annotations

import _ctypes as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Int(c._SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _Byte(c._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class Word(c._SimpleCData):  # type: ignore[type-arg]
    """An unsigned long: 8 bytes on every system that there is an agent for."""

    _type_ = "L"


class Object(c._SimpleCData):  # type: ignore[type-arg]
    """A reference to a Python object."""

    _type_ = "O"


class _Call(c.CFuncPtr):
    _flags_ = c.FUNCFLAG_CDECL | c.FUNCFLAG_PYTHONAPI  # the interpreter lock is kept
    _restype_ = _Int


class _CallOnAddress(c.CFuncPtr):
    _flags_ = c.FUNCFLAG_CDECL | c.FUNCFLAG_PYTHONAPI
    _restype_ = Word
    _argtypes_ = (Word,)


class _CallOnWords(c.CFuncPtr):
    _flags_ = c.FUNCFLAG_CDECL | c.FUNCFLAG_PYTHONAPI
    _restype_ = Word
    _argtypes_ = (Word, Word, Word)


_LOADED_ALREADY = 4 | 2
"""RTLD_NOLOAD | RTLD_NOW."""


def address_of(name: str) -> int:
    """Where a symbol of the program lies. Raises OSError if it has none of this name."""
    program = c.dlopen(None, 0)  # type: ignore[arg-type]  # None: the program itself
    try:
        return c.dlsym(program, name)
    finally:
        c.dlclose(program)


def address_in(file: str, name: str) -> int:
    """Where a symbol lies of a library that the program has loaded, or of one that this one needs.

    Raises OSError.
    """
    library = c.dlopen(file, _LOADED_ALREADY)
    try:
        return c.dlsym(library, name)
    finally:
        c.dlclose(library)


def function(name: str) -> Any:
    """A function of the program that returns an int; it takes what this module has, and `None`."""
    return _Call(address_of(name))


def function_on_address(name: str) -> Any:
    """A function that takes an address, whatever else it is given, and returns one."""
    return _CallOnAddress(address_of(name))


def function_on_words(address: int) -> Any:
    """The function there, which takes three words or fewer, and returns one or nothing."""
    return _CallOnWords(address)


def copying() -> Any:
    """memmove(3): to, from, size."""
    return function_on_words(address_of("memmove"))


def word_at(address: int) -> int:
    return int(Word.from_address(address).value)


def write(address: int, data: bytes) -> None:
    """Into memory that is ours."""
    bytes_of(len(data)).from_address(address)[:] = data


def bytes_of(size: int) -> Any:
    """The type of so many bytes of memory."""
    return type("Bytes", (c.Array,), {"_type_": _Byte, "_length_": size})


def address(memory: Any) -> int:
    """Where something of a type of this module lies; it must be kept meanwhile."""
    return c.addressof(memory)
