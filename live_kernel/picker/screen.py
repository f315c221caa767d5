"""The picker's screen: a line to type into, the list, the details; and its keys.

Runs on the main thread of the command line, on the terminal's other screen. Rule: however it
ends, the terminal is as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from prompt_toolkit.application import Application, get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import (
    ConditionalContainer,
    Dimension,
    HSplit,
    Layout,
    VSplit,
    Window,
)
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from ..attach.processes import Process
from ..records import NamedTuple
from . import drawing
from .entries import Entry, Listing
from .watcher import Watcher

_STYLE = Style.from_dict({
    "title": "bold",
    "heading": "underline",
    "selected": "reverse",
    "refused": "ansibrightblack",
    "command": "bold",
    "good": "ansigreen",
    "bad": "ansired",
    "remedy": "",
    "warning": "ansiyellow",
    "kernel": "ansicyan",
    "key": "reverse",
    "hint": "",
    "guard.red": "bg:#b71c1c #ffffff bold",
    "guard.green": "bg:#1b5e20 #ffffff bold",
    "guard.yellow": "bg:#f9a825 #000000 bold",
    "guard.blue": "bg:#0d47a1 #ffffff bold",
    "guard.magenta": "bg:#6a1b9a #ffffff bold",
    "guard.cyan": "bg:#006064 #ffffff bold",
})  # fmt: skip

_TITLE, _NARROW = "live-kernel ", 30
"""What stands before the line to type into; columns below which it does not."""

_ESCAPE_WITHIN = 0.05
"""Seconds after which an escape that nothing follows is the key of that name."""


class Chosen(NamedTuple):
    """The process to attach to, and how."""

    process: Process
    observe: bool = False
    confirm: bool = False
    wake: bool = False


def pick(heading: str = "") -> Chosen | None:
    """Let the user choose a program; None where he leaves. `heading`: what else is asked for."""
    return Screen(heading).run()


class Screen:
    """The application, and what it shows."""

    def __init__(self, heading: str = "") -> None:
        self.listing = Listing()
        self._heading = heading
        self._said = ""
        self._first = 0
        self._typed = Buffer(multiline=False, on_text_changed=self._on_typed)
        self._watcher = Watcher(self._on_found)
        self.app: Application[Chosen | None] = Application(
            Layout(self._layout()),
            key_bindings=self._keys(),
            style=_STYLE,
            full_screen=True,
            color_depth=ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None,
        )
        self.app.ttimeoutlen = _ESCAPE_WITHIN

    def run(self) -> Chosen | None:
        """Show it until a program is chosen, or none."""
        try:
            return self.app.run(pre_run=self._watcher.begin)
        finally:
            self._watcher.end()

    # -- what happens

    def _on_found(self, entries: list[Entry]) -> None:
        """On the watcher's thread."""
        loop = self.app.loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._take, entries)

    def _take(self, entries: list[Entry]) -> None:
        self.listing.take(entries)
        self.app.invalidate()

    def _on_typed(self, _: object) -> None:
        self._said = ""
        self.listing.filter(self._typed.text)

    def _move(self, by: int) -> None:
        self._said = ""
        self.listing.move(by)

    def _choose(self, **how: bool) -> None:
        entry = self.listing.selected
        if entry is None:
            return
        if entry.candidate.error is not None:
            self._said = f"pid {entry.process.pid} can't be attached to: {entry.candidate.reason}"
            return
        self.app.exit(result=Chosen(entry.process, **how))

    def _keys(self) -> KeyBindings:
        bindings = KeyBindings()

        def bind(*names: str, do: Callable[[], object]) -> None:
            def handler(_: KeyPressEvent) -> None:
                do()

            for name in names:
                bindings.add(name, eager=name == "escape")(handler)

        bind("up", "c-p", do=lambda: self._move(-1))
        bind("down", "c-n", do=lambda: self._move(1))
        bind("pageup", do=lambda: self._move(-self._height))
        bind("pagedown", do=lambda: self._move(self._height))
        bind("c-home", do=lambda: self._move(-len(self.listing.shown)))
        bind("c-end", do=lambda: self._move(len(self.listing.shown)))
        bind("enter", do=self._choose)
        bind("c-o", "f2", do=lambda: self._choose(observe=True))
        bind("c-t", "f3", do=lambda: self._choose(confirm=True))
        bind("c-k", "f4", do=lambda: self._choose(wake=True))
        bind("escape", "c-c", "c-d", "c-q", do=lambda: self.app.exit(result=None))
        bind("c-z", do=lambda: None)  # which would be typed into the text that is sought
        return bindings

    # -- what is shown

    def _layout(self) -> HSplit:
        is_wide = Condition(lambda: self._width >= drawing.WIDE)
        is_high = Condition(lambda: self._width < drawing.WIDE and self._lines >= drawing.HIGH)
        details = FormattedTextControl(self._details)
        beside = VSplit([Window(width=1, char="│"), Window(details, width=self._beside)])
        below = HSplit([Window(height=1, char="─"), Window(details, height=self._below)])
        body = VSplit([
            Window(FormattedTextControl(self._rows), dont_extend_width=False),
            ConditionalContainer(beside, is_wide),
        ])  # fmt: skip
        return HSplit([
            self._top(),
            ConditionalContainer(
                Window(FormattedTextControl(self._head), height=1),
                Condition(lambda: self._lines >= 8),
            ),
            body,
            ConditionalContainer(below, is_high),
            Window(FormattedTextControl(self._status), height=1, style="class:status"),
            ConditionalContainer(
                Window(FormattedTextControl(lambda: drawing.keys(self._width)), height=1),
                Condition(lambda: self._lines >= 6),
            ),
        ])  # fmt: skip

    def _top(self) -> VSplit:
        heading = FormattedTextControl(lambda: [("class:warning", self._heading)])
        return VSplit([
            Window(FormattedTextControl(self._label), width=self._label_width, height=1),
            Window(BufferControl(self._typed), height=1),
            ConditionalContainer(
                Window(heading, height=1, width=Dimension.exact(len(self._heading))),
                Condition(lambda: self._width >= _NARROW + len(self._heading)),
            ),
        ])  # fmt: skip

    def _label(self) -> StyleAndTextTuples:
        return [("class:title", _TITLE if self._width >= _NARROW else ""), ("", "> ")]

    def _label_width(self) -> Dimension:
        return Dimension.exact(len(_TITLE) + 2 if self._width >= _NARROW else 2)

    @property
    def _width(self) -> int:
        return get_app().output.get_size().columns

    @property
    def _lines(self) -> int:
        return get_app().output.get_size().rows

    def _beside(self) -> Dimension:
        return Dimension.exact(self._width * 2 // 5)

    def _below(self) -> Dimension:
        return Dimension.exact(min(self._lines // 2 - 1, 11))

    @property
    def _list_width(self) -> int:
        is_wide = self._width >= drawing.WIDE
        return self._width - self._width * 2 // 5 - 2 if is_wide else self._width

    @property
    def _height(self) -> int:
        """Rows of the list."""
        rest = self._lines - 2 - (self._lines >= 8) - (self._lines >= 6)
        if self._width < drawing.WIDE and self._lines >= drawing.HIGH:
            rest -= 1 + min(self._lines // 2 - 1, 11)
        return max(rest, 1)

    def _visible(self) -> tuple[int, list[Entry]]:
        """The number of the first row that is shown, and the entries from there on."""
        height, at = self._height, self.listing.position
        self._first = max(min(self._first, at, len(self.listing.shown) - height), at - height + 1)
        self._first = max(self._first, 0)
        return self._first, self.listing.shown[self._first : self._first + height]

    def _head(self) -> StyleAndTextTuples:
        return drawing.heading(drawing.columns(self._visible()[1], self._list_width))

    def _rows(self) -> StyleAndTextTuples:
        first, entries = self._visible()
        found = drawing.columns(entries, self._list_width)
        return drawing.rows(self.listing, first, self._height, found)

    def _details(self) -> StyleAndTextTuples:
        entry = self.listing.selected
        is_wide = self._width >= drawing.WIDE
        width = self._width * 2 // 5 - 1 if is_wide else self._width
        return [] if entry is None else drawing.details(entry, width)

    def _status(self) -> StyleAndTextTuples:
        said = drawing.cut(self._said, self._width)
        return drawing.status(self.listing, self._typed.text, said or self._watcher.trouble)
