"""What NumPy's and pandas' objects have below their names: columns, fields, keys.

Runs in the target, on the thread `control`. Rule: neither is imported; a class is
known by its full name. Their own code is asked only for the list of keys
(see `lookup.listed`), and NumPy's compiled code for what it has in memory.
"""

from __future__ import annotations

import sys
from types import GetSetDescriptorType

from .lookup import ABSENT, bases, full_name, is_a, listed, module_name, own_entry, type_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FRAMES = ("pandas.DataFrame", "pandas.core.frame.DataFrame")
_SERIES = ("pandas.Series", "pandas.core.series.Series")
_ARRAYS = ("numpy.ndarray", "numpy.void")


def keys_function(owner: object) -> Any:
    """The method of a pandas object that lists its keys; ABSENT for anything else."""
    return type_entry(type(owner), "keys") if _is_of(owner, _FRAMES + _SERIES) else ABSENT


def fields_of(owner: object) -> list[str]:
    """The names of the fields of a structured array, or of one of its records."""
    if not _is_of(owner, _ARRAYS):
        return []
    kind = _compiled(owner, "dtype")
    names = _compiled(kind, "names")
    return list(names) if type(names) is tuple else []


def _compiled(owner: object, name: str) -> Any:
    """An attribute that a class of NumPy's own compiled code keeps; or ABSENT."""
    entry = type_entry(type(owner), name)
    is_numpy = type(entry) is GetSetDescriptorType and module_name(entry.__objclass__) == "numpy"
    return entry.__get__(owner) if is_numpy else ABSENT


def item_of(owner: object, key: object) -> Any:
    """One record or element of an array in memory; ABSENT for anything else."""
    if type(key) is not int or type(owner) is not own_entry(sys.modules.get("numpy"), "ndarray"):
        return ABSENT
    return type_entry(type(owner), "__getitem__").__get__(owner)(key)


def column_class(owner: object, key: object) -> type | None:
    """The class of a column of a DataFrame, where pandas would have to be asked for itself."""
    if type(key) is not str or not _is_of(owner, _FRAMES):
        return None
    columns = listed(keys_function(owner), owner)
    if not any(type(column) is str and column == key for column in columns):
        return None
    return _class_of_pandas("Series")


def axis_class(entry: object) -> type | None:
    """The class of `frame.index` and `frame.columns`, by the descriptor that gives them."""
    is_axis = full_name(type(entry)) == "pandas._libs.properties.AxisProperty"
    return _class_of_pandas("Index") if is_axis else None


def _class_of_pandas(name: str) -> type | None:
    found = own_entry(sys.modules.get("pandas"), name)
    return found if is_a(found, type) else None


def _is_of(owner: object, names: tuple[str, ...]) -> bool:
    return any(full_name(base) in names for base in bases(type(owner)))
