"""Parcels: values in a file of memory, without any process around them.

Runs in pytest, both ends in this process.
"""

from __future__ import annotations

import ctypes
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from live_kernel.link import parcels

PLENTY = 1 << 30


@pytest.fixture
def file() -> Iterator[int]:
    descriptor = parcels.create()
    yield descriptor
    os.close(descriptor)


def moved(*values: Any) -> list[Any]:
    """The values, once they have been through a parcel."""
    descriptor = parcels.create()
    try:
        names = [f"v{number}" for number in range(len(values))]
        parcels.write(descriptor, zip(names, values, strict=True), PLENTY)
        return parcels.read(descriptor, names, "the test")
    finally:
        os.close(descriptor)


class Buffer:
    """Something that gives away its memory, as an array does."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Buffer, (pickle.PickleBuffer(self.data),)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(st.one_of(plain, st.binary(), st.tuples(plain, plain))))
def test_what_arrives_is_what_was_sent(values: list[Any]) -> None:
    assert moved(*values) == values


@given(st.lists(st.integers(0, 3 * parcels.LARGE)))
def test_buffers_of_any_size_arrive(sizes: list[int]) -> None:
    sent = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    assert [bytes(each.data) for each in moved(*map(Buffer, sent))] == sent


def test_large_buffers_are_aligned_and_can_be_written_to() -> None:
    first, second = moved(Buffer(bytearray(parcels.LARGE + 1)), Buffer(bytearray(parcels.LARGE)))
    for each in (first, second):
        view = memoryview(each.data)
        assert not view.readonly
        address = ctypes.addressof(ctypes.c_char.from_buffer(each.data))
        assert address % 64 == 0
        view[0] = 9
    assert memoryview(moved(Buffer(bytes(parcels.LARGE)))[0].data).readonly


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_mapping_keeps_no_descriptor_and_changes_no_file(file: int) -> None:
    parcels.write(file, [("v", Buffer(bytearray(parcels.LARGE)))], PLENTY)
    before = descriptors()
    (one,) = parcels.read(file, ["v"], "the test")
    assert descriptors() == before
    memoryview(one.data)[0] = 1
    (other,) = parcels.read(file, ["v"], "the test")
    assert memoryview(other.data)[0] == 0


def test_what_a_pickle_holds_is_in_memory_once(file: int) -> None:
    """The file is read, not mapped: in memory it would count for this process, too."""
    size = 64 << 20
    parcels.write(file, [("v", b"x" * size)], PLENTY)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak()
    (value,) = parcels.read(file, ["v"], "the test")
    assert value.count(b"x") == size
    assert peak() - before < 1.5 * size


def peak() -> int:
    """The most memory, in bytes, that this process has had resident."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) << 10


def test_what_two_values_share_they_share_afterwards() -> None:
    shared = [1]
    one, other = moved([shared], {"it": shared})
    assert one[0] is other["it"]


def test_there_is_a_limit(file: int) -> None:
    with pytest.raises(MemoryError, match="more than the 1,000 bytes"):
        parcels.write(file, [("v", "x" * 1001)], 1000)
    assert os.fstat(file).st_size <= 1000


def test_a_long_pickle_is_written_in_pieces(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between them others can run, and an interrupt gets through."""
    pieces: list[int] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: pieces.append(len(data)) or write(fd, data))
    parcels.write(file, [("v", list(range(300_000)))], PLENTY)
    assert len(pieces) > 10
    assert max(pieces) < 2 * parcels.LARGE


def test_an_error_names_the_value_and_its_reason(file: int) -> None:
    with pytest.raises(pickle.PicklingError, match=r"'f': 'function' object can't be pickled.*"):
        parcels.write(file, [("good", 1), ("f", lambda: 0)], PLENTY)


@pytest.mark.parametrize(
    ("module", "name", "reason"),
    [
        ("no_such_module", "X", "needs the module 'no_such_module', which the test does not have"),
        ("os.nothing", "X", "needs the module 'os.nothing', which the test does not have"),
        ("os", "nothing", "needs 'nothing' of the module 'os', which has none in the test"),
    ],
)
def test_what_is_missing_is_named(file: int, module: str, name: str, reason: str) -> None:
    stream = f"c{module}\n{name}\n.".encode()
    index = b'{"stream":%d,"buffers":[]}' % len(stream)
    os.write(file, stream + index + len(index).to_bytes(8, "big"))
    with pytest.raises(pickle.UnpicklingError) as caught:
        parcels.read(file, ["v"], "the test")
    assert str(caught.value) == (
        f"'v': can't be rebuilt in the test: it {reason}. Nothing was changed."
    )


@given(st.lists(plain))
def test_plain_data_travels_as_json(values: list[Any]) -> None:
    descriptor = parcels.create()
    try:
        parcels.write_plain(descriptor, [("v", value) for value in values], PLENTY)
        assert parcels.read_plain(descriptor, os.fstat(descriptor).st_size) == values
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("value", [object(), b"bytes", {(1, 2): 3}])
def test_what_is_not_plain_is_refused(file: int, value: object) -> None:
    with pytest.raises(TypeError, match="'v' is no plain data"):
        parcels.write_plain(file, [("v", value)], PLENTY)
