"""Values on their way between a target and the local kernel, each in a file of memory alone.

Both of these run this code, the agent's copy inside the target, on the thread
of a cell. A parcel is one pickle a value (protocol 5), behind them the values'
large buffers as they are, then JSON that says where each begins, and the length
of that. Buffers are written from the memory of their owner and mapped at the
other end, so that there is one copy of them on the way and none more. Pickles are
read into the values that they hold: mapped memory costs several times as much to
read once, and the interpreter lock would be held for all of it.
Rule: the launcher passes parcels on and never opens one; whoever unpickles one
may be made to run any code by whoever has packed it.
"""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

LARGE = 1 << 16
"""Bytes from which a buffer travels behind the pickles instead of inside of one."""

_ALIGNED = 64
_PIECE = 1 << 26
"""Bytes written at a time: in between, an interrupt gets through."""

_JSON_PIECE = 1 << 14


def create() -> int:
    """A new file that is memory and has no name. Returns its descriptor. Raises OSError."""
    return os.memfd_create("live-kernel parcel")


def write(descriptor: int, values: Iterable[tuple[str, object]], largest: int) -> None:
    """Pack values, each with the name by which an error calls it.

    `largest`: bytes that the parcel may take. Raises PicklingError where a value can't
    be pickled, MemoryError where there is too much of it.
    """
    import pickle

    file = _File(descriptor, largest)
    buffers: list[Any] = []

    def is_small(buffer: Any) -> bool:
        with buffer.raw() as view:
            if view.nbytes < LARGE:
                return True
        buffers.append(buffer)
        return False

    # It hands on what it has every 64 KiB, which lets the program's threads take a turn.
    pickler = pickle.Pickler(file, 5, buffer_callback=is_small)
    for name, value in values:
        with _Naming(name, f"{type(value).__name__!r} object can't be pickled"):
            pickler.dump(value)
    _finish(file, {"buffers": [_write_buffer(file, buffer) for buffer in buffers]})


def _write_buffer(file: _File, buffer: Any) -> tuple[int, int]:
    """Returns where the buffer begins, and its size."""
    file.write(bytes(-file.size % _ALIGNED))
    start = file.size
    with buffer.raw() as view:
        file.write(view)
    buffer.release()
    return start, file.size - start


def _finish(file: _File, index: dict[str, Any]) -> None:
    text = json.dumps(index).encode()
    file.write(text + len(text).to_bytes(8, "big"))


def read(descriptor: int, names: Sequence[str], here: str) -> list[Any]:
    """The values of a parcel, each with the name by which an error calls it.

    Large buffers stay where they are: the values live in a private mapping of the file.
    `here`: what to call the process that runs this. Raises UnpicklingError.
    """
    import io
    import pickle

    places = _index(descriptor)["buffers"]
    data = _mapped(descriptor) if places else memoryview(b"")
    buffers = (data[start : start + size] for start, size in places)

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str, /) -> Any:
            try:
                return super().find_class(module, name)
            except (ImportError, AttributeError) as error:
                raise _missing(module, name, error, here) from None

    values = []
    with io.BufferedReader(io.FileIO(descriptor, closefd=False), LARGE) as stream:
        stream.seek(0)
        unpickler = Unpickler(stream, buffers=buffers)
        for name in names:
            with _Naming(name, f"can't be rebuilt in {here}", unpickles=True):
                values.append(unpickler.load())
    return values


def _index(descriptor: int) -> dict[str, Any]:
    """What `_finish` has written: where the values' buffers are."""
    end = os.fstat(descriptor).st_size - 8
    size = int.from_bytes(os.pread(descriptor, 8, end), "big")
    index: dict[str, Any] = json.loads(os.pread(descriptor, size, end - size))
    return index


def _missing(module: str, name: str, error: Exception, here: str) -> Exception:
    """What to tell where a class or function is not to be had."""
    if isinstance(error, ModuleNotFoundError):
        return LookupError(f"it needs the module {error.name!r}, which {here} does not have")
    if isinstance(error, ImportError):
        return LookupError(f"it needs the module {module!r}, which fails to load: {error}")
    return LookupError(f"it needs {name!r} of the module {module!r}, which has none in {here}")


def _mapped(descriptor: int) -> memoryview:
    """The file as memory that can be written to without changing the file."""
    import mmap
    import sys

    options: dict[str, Any] = {"access": mmap.ACCESS_COPY}
    if sys.version_info >= (3, 13):
        options["trackfd"] = False  # the mapping needs no descriptor to stay
    return memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size, **options))


def write_plain(descriptor: int, values: Iterable[tuple[str, object]], largest: int) -> None:
    """Pack values that JSON knows. Raises TypeError or ValueError for any other, MemoryError."""
    file = _File(descriptor, largest)
    encoder = json.JSONEncoder(check_circular=True)
    for name, value in values:
        pieces: list[str] = []
        try:
            for piece in encoder.iterencode(value):
                pieces.append(piece)
                if len(pieces) == _JSON_PIECE:
                    file.write("".join(pieces).encode())
                    pieces.clear()
        except (TypeError, ValueError, RecursionError) as error:
            raise type(error)(f"{name!r} is no plain data: {error}. {_UNCHANGED}") from None
        file.write("".join(pieces).encode() + b"\n")


def read_plain(descriptor: int, size: int) -> list[Any]:
    """The values of a parcel of `write_plain`: nothing in it can make us run code.

    `size`: bytes that it had when the launcher looked: it may have grown since.
    """
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        # Read once: whoever has sent it may still write to it.
        return [json.loads(line) for line in file.read(size).splitlines()]


class _Naming:
    """Whatever goes wrong inside is told of a value by its name, as an error of pickle's."""

    def __init__(self, name: str, what: str, unpickles: bool = False) -> None:
        self._name, self._what, self._unpickles = name, what, unpickles

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        import pickle

        if not isinstance(error, Exception) or isinstance(error, MemoryError):
            return
        reason = str(error) if type(error) is LookupError else f"{type(error).__name__}: {error}"
        kind = pickle.UnpicklingError if self._unpickles else pickle.PicklingError
        text = f"{self._name!r}: {self._what}: {reason}. {_UNCHANGED}"
        raise kind(text) from (None if type(error) is LookupError else error)


class _File:
    """What is written goes to a descriptor, up to a limit. (A method in Python on purpose:
    it is where a long run of the pickler, all of it in C, can be interrupted.)
    """

    def __init__(self, descriptor: int, largest: int) -> None:
        self._descriptor, self._largest = descriptor, largest
        self.size = 0

    def write(self, data: Any) -> int:
        with memoryview(data) as whole, whole.cast("B") as view:
            size = view.nbytes
            self.size += size
            if self.size > self._largest:
                raise MemoryError(
                    f"more than the {self._largest:,} bytes that are free. {_UNCHANGED}"
                )
            done = 0
            while done < size:
                with view[done : done + _PIECE] as piece:
                    done += os.write(self._descriptor, piece)
        return size


_UNCHANGED = "Nothing was changed."
