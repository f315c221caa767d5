"""Objects as MIME bundles, and `display()`.

Runs in the target on the thread of a cell.
Rule: a representation that fails is reported and left out, the others are
shown. What leaves this module is plain JSON. Only an interrupt passes through.
"""

from __future__ import annotations

import sys

from . import limits
from .figures import picture
from .lookup import class_name, exact, is_a, is_exactly
from .pretty import CAUGHT, Printer, pretty, sendable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

    type Bundle = tuple[dict[str, Any], dict[str, Any]]
    type Emit = Callable[[str, dict[str, Any], dict[str, Any], dict[str, Any]], object]
    type OnError = Callable[[BaseException], object]

METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_pdf_": "application/pdf",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
}
"""What an object may be asked for, beside `_repr_mimebundle_` and its text."""

_PLAIN = exact(
    *(bool, bytearray, bytes, complex, float, int, str, type(None)),
    *(dict, frozenset, list, set, tuple),
)
"""Types that have none of these methods: nothing but text."""

_CANARY = "_ipython_canary_method_should_not_exist_"
"""IPython's own; who answers to this answers to anything. Some proxies know the name."""


def bundle(
    value: object,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    on_error: OnError | None = None,
    on_failure: OnError | None = None,
) -> Bundle:
    """All representations of a value: its data and metadata by MIME type.

    Both are empty if the value displayed itself. What its `__repr__` raises stands in the
    text, or is told to `on_failure` if that is given. What is over a limit is cut or left out.
    """
    asked = _Asked(value, include, exclude, on_error)
    if not is_exactly(value, _PLAIN):
        if asked.displays_itself():
            return {}, {}
        asked.ask_for_bundle()
        for method, mime in METHODS.items():
            asked.ask_for(method, mime)
        asked.draw()
    if asked.wants("text/plain"):
        asked.write(on_failure)
    return limits.kept(asked.data), asked.metadata


class _Asked:
    """One value, and what it has answered so far."""

    def __init__(
        self,
        value: object,
        include: Collection[str] | None,
        exclude: Collection[str] | None,
        on_error: OnError | None,
    ) -> None:
        self._value = value
        self._include = include
        self._exclude = exclude
        self._on_error = on_error
        self._answers = not is_a(value, type) and _is_honest(value)
        self.data: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}

    def displays_itself(self) -> bool:
        """Let the value display itself, if it can."""
        done, _ = self._call("_ipython_display_")
        return done

    def ask_for_bundle(self) -> None:
        """Take what `_repr_mimebundle_` gives."""
        include, exclude = self._include, self._exclude
        done, answer = self._call("_repr_mimebundle_", include=include, exclude=exclude)
        data, metadata = _with_metadata(answer)
        if not done or not is_a(data, dict):
            return
        for mime, content in dict.items(data):
            if content is not None and self.wants(mime):
                self.data[str(mime)] = json_safe(content)
        if is_a(metadata, dict):
            self.metadata.update(json_safe(metadata))

    def ask_for(self, method: str, mime: str) -> None:
        """Take what one of METHODS gives."""
        if not self.wants(mime):
            return
        _, answer = self._call(method)
        content, metadata = _with_metadata(answer)
        if content is None:
            return
        if not is_a(content, (str, bytes, bytearray)) and mime != "application/json":
            self._report(TypeError(f"{method} returned a {class_name(type(content))}, not a str"))
            return
        self.data[mime] = json_safe(content)
        if metadata:
            self.metadata[mime] = json_safe(metadata)

    def draw(self) -> None:
        """Take the picture of a figure of matplotlib's, which has no method for it."""
        try:
            drawn = picture(self._value) if self.wants("image/png") else None
        except CAUGHT as error:
            self._report(error)
            return
        if drawn is not None:
            self.data["image/png"] = drawn

    def write(self, on_failure: OnError | None) -> None:
        """Take its text, as much of it as is allowed."""
        allowed = limits.present()
        printer = Printer(allowed["repr"] or sys.maxsize, allowed["items"] or sys.maxsize - 1)
        printer.pretty(self._value)
        if printer.failure is not None and on_failure is not None:
            on_failure(printer.failure)
            return
        text = json_safe(printer.finish())
        if printer.whole:
            text += f"; {limits.remedy('repr', printer.whole)} them all"
        elif printer.is_full:
            text += f"; {limits.remedy('repr', 10 * printer.limit)} more"
        self.data["text/plain"] = text

    def wants(self, mime: str) -> bool:
        """Is this representation asked for, and not there yet?"""
        if mime in self.data or (self._include is not None and mime not in self._include):
            return False
        return self._exclude is None or mime not in self._exclude

    def _call(self, name: str, **arguments: object) -> tuple[bool, Any]:
        """Whether the method was there and did its work, and what it returned."""
        method = _attribute(self._value, name) if self._answers else None
        if not callable(method):
            return False, None
        try:
            answer = method(**arguments)
        except NotImplementedError:  # how a method says that it is not for this object
            return False, None
        except CAUGHT as error:
            self._report(error)
            return False, None
        return True, answer

    def _report(self, error: BaseException) -> None:
        if self._on_error is not None:
            self._on_error(error)


def _is_honest(value: object) -> bool:
    try:
        return getattr(value, _CANARY, None) is None
    except CAUGHT:
        return False


def _attribute(value: object, name: str) -> Any:
    """An attribute, or None. Here the program may answer as it likes; a cell asked for it."""
    try:
        return getattr(value, name, None)
    except CAUGHT:
        return None


def _with_metadata(answer: Any) -> tuple[Any, Any]:
    if type(answer) is tuple and len(answer) == 2:
        return answer
    return answer, None


_JSON = exact(bool, int, type(None))
_NUMBERS = exact(int, float)
_CONVERTED = exact(bool, int, float, str, list)
_DEPTH = 100


def json_safe(value: Any, around: tuple[int, ...] = ()) -> Any:
    """The same in types that the link carries: odd keys and values become text.

    Bytes stay what they are; the launcher makes base64 of them.

    `around`: the containers in which it stands, by id.
    """
    if is_a(value, str):
        return sendable(value)
    if is_exactly(value, _JSON):
        return value
    if is_a(value, float):
        return _number(float.__float__(value))
    if is_a(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if id(value) in around or len(around) > _DEPTH:
        return "..."
    around = (*around, id(value))
    if is_a(value, dict):
        return {_key(key): json_safe(item, around) for key, item in list(dict.items(value))}
    if is_a(value, (list, tuple)):
        return _json_list(list(value), around)
    return _converted(value, around)


def _json_list(values: list[Any], around: tuple[int, ...]) -> list[Any]:
    kinds = set(map(id, map(type, values)))
    if kinds <= _NUMBERS and _all_finite(values):  # as the long lists are, those of plots
        return values
    return [json_safe(item, around) for item in values]


def _all_finite(numbers: list[Any]) -> bool:
    """Are there no NaN and no infinity? They would show in the sum."""
    try:
        return _number(float(sum(numbers))) is not None
    except OverflowError:
        return False


def _number(value: float) -> float | None:
    """JSON knows no NaN and no infinity; JavaScript, too, writes null for them."""
    return value if value - value == 0 else None


def _key(key: object) -> str:
    return sendable(key) if is_a(key, str) else pretty(key, 1000)  # type: ignore[arg-type]


def _converted(value: Any, around: tuple[int, ...]) -> Any:
    """A number of numpy's as Python's own, an enumerated int as an int, the rest as text."""
    if is_a(value, int):
        return int.__index__(value)
    convert = _attribute(value, "tolist")
    try:
        plain = convert() if callable(convert) else None
    except CAUGHT:
        plain = None
    if is_exactly(plain, _CONVERTED):
        return json_safe(plain, around)
    return pretty(value, 1000)


class DisplayHandle:
    """A display that can be changed: what `display(..., display_id=...)` returns."""

    def __init__(self, display_id: str, emit: Emit, on_error: OnError | None = None) -> None:
        self.display_id = display_id
        self._emit = emit
        self._on_error = on_error

    def __repr__(self) -> str:
        return f"<DisplayHandle display_id={self.display_id}>"

    def display(self, obj: object, **options: Any) -> None:
        """Display an object under this id once more."""
        self._show(obj, options, update=False)

    def update(self, obj: object, **options: Any) -> None:
        """Show this object instead, wherever the id is displayed."""
        self._show(obj, options, update=True)

    def _show(self, obj: object, options: dict[str, Any], update: bool) -> None:
        options = {"emit": self._emit, "on_error": self._on_error} | options
        display(obj, display_id=self.display_id, update=update, **options)


def display(
    *objects: object,
    emit: Emit,
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
    metadata: dict[str, Any] | None = None,
    transient: dict[str, Any] | None = None,
    display_id: str | bool | None = None,
    raw: bool = False,
    update: bool = False,
    on_error: OnError | None = None,
) -> DisplayHandle | None:
    """Display objects, by `emit("display" or "update", data, metadata, transient)`.

    With `raw`, the objects are MIME bundles themselves. Returns a handle if there is
    a `display_id`; True stands for a new one.
    """
    transient = dict(transient or {})
    if display_id:
        transient["display_id"] = new_display_id() if display_id is True else display_id
    if update and "display_id" not in transient:
        raise TypeError("display_id required for update")
    for value in objects:
        if raw and not is_a(value, dict):
            raise TypeError(f"a MIME bundle is a dict, not a {class_name(type(value))}")
        no_notes: dict[str, Any] = {}
        data, notes = (
            (limits.kept(json_safe(value)), no_notes)
            if raw
            else bundle(value, include, exclude, on_error)
        )
        if data:
            notes = _merged(notes, json_safe(metadata or {}))
            emit("update" if update else "display", data, notes, transient)
    return DisplayHandle(transient["display_id"], emit, on_error) if display_id else None


def new_display_id() -> str:
    """An id that nobody has used."""
    import os

    return os.urandom(16).hex()


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Metadata with those that the caller gave, which go before."""
    merged = dict(first)
    for key, value in second.items():
        both = type(value) is dict and type(merged.get(key)) is dict
        merged[key] = _merged(merged[key], value) if both else value
    return merged
