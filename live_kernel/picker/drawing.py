"""What stands on the screen, as prompt_toolkit's fragments: pairs of a style and a text.

Pure. Rule: what a process says of itself is plain text on one line (`plain.py`), cut by the
cells of the terminal that it takes, not by its characters; and nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.utils import get_cwidth

from ..attach.verdicts import span, title
from ..launcher.tables import duration
from ..plain import on_one_line, plain
from ..records import NamedTuple
from .entries import Entry, Listing

WIDE = 100
"""Columns from which on the details stand at the side of the list."""
HIGH = 16
"""Lines from which on they stand below it, else."""

_ELLIPSIS = "…"


def cut(text: str, width: int) -> str:
    """As much of a text as fits into so many cells, with an ellipsis where that is not all."""
    text = on_one_line(text)
    if len(text) <= width and get_cwidth(text) <= width:
        return text
    taken, used = [], 0
    for character in text:
        used += get_cwidth(character)
        if used > width - 1:
            break
        taken.append(character)
    return "".join(taken) + _ELLIPSIS if width > 0 else ""


def filled(text: str, width: int) -> str:
    """The same, with spaces behind up to the width."""
    text = cut(text, width)
    return text + " " * (width - get_cwidth(text))


def wrapped(text: str, width: int) -> Iterator[str]:
    """A text in lines of at most so many cells, broken at spaces where there are any."""
    width = max(width, 2)
    for paragraph in plain(text).split("\n"):
        line, used = "", 0
        for word in paragraph.replace("\t", " ").split(" "):
            for piece in _pieces(word, width):
                size = get_cwidth(piece)
                if line and used + 1 + size > width:
                    yield line
                    line, used = piece, size
                else:
                    line, used = (f"{line} {piece}", used + 1 + size) if line else (piece, size)
        yield line


def _pieces(word: str, width: int) -> Iterator[str]:
    """A word that is too long for one line, in several."""
    while get_cwidth(word) > width:
        used = taken = 0
        for character in word:
            used += get_cwidth(character)
            if used > width:
                break
            taken += 1
        taken = max(taken, 1)
        yield word[:taken]
        word = word[taken:]
    yield word


def size(count: int) -> str:
    """Bytes for people: `120 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def processor(share: float | None) -> str:
    """Of one processor: `12%`; empty where it is not known."""
    return "" if share is None else f"{share * 100:.0f}%"


# -- the list


class Columns(NamedTuple):
    """Which there is room for, and how wide they are; 0 for those that are left out."""

    pid: int
    user: int
    up: int
    processor: int
    memory: int
    command: int


def columns(entries: list[Entry], width: int) -> Columns:
    """The command is the last to go, and gets what the others leave."""
    pid = max([5, *(len(str(each.process.pid)) for each in entries)])
    user = min(max([4, *(get_cwidth(on_one_line(each.process.username)) for each in entries)]), 10)
    rest = width - 2 - pid - 1
    sizes = {"up": 7, "memory": 9, "processor": 6, "user": user + 1}
    for name in ("user", "processor", "memory", "up"):
        if rest - sum(sizes.values()) < 30:
            sizes[name] = 0
    command = max(rest - sum(sizes.values()), 1)
    return Columns(pid, sizes["user"], sizes["up"], sizes["processor"], sizes["memory"], command)


def heading(found: Columns) -> StyleAndTextTuples:
    """Above the list."""
    text = f"  {'PID':>{found.pid}} "
    text += filled("User", found.user) + filled("Up", found.up)
    text += _right("CPU", found.processor) + _right("Memory", found.memory)
    return [("class:heading", text + filled("Program", found.command))]


def rows(listing: Listing, first: int, height: int, found: Columns) -> StyleAndTextTuples:
    """So many rows, from number `first` on."""
    fragments: StyleAndTextTuples = []
    for number in range(first, min(first + height, len(listing.shown))):
        is_selected = number == listing.position
        fragments += _row(listing.shown[number], is_selected, found)
        fragments.append(("", "\n"))
    return fragments[:-1]


def _row(entry: Entry, is_selected: bool, found: Columns) -> StyleAndTextTuples:
    process = entry.process
    base = (
        "class:selected" if is_selected else "" if entry.candidate.attachable else "class:refused"
    )
    mark = ">" if is_selected else " " if entry.candidate.attachable else "x"
    text = f"{mark} {process.pid:>{found.pid}} "
    text += filled(process.username, found.user)
    text += filled(duration(process.uptime), found.up) if found.up else ""
    text += _right(processor(entry.use.processor), found.processor)
    text += _right(size(entry.use.memory) if entry.use.memory else "", found.memory)
    fragments: StyleAndTextTuples = [(base, text)]
    room = found.command
    for style, whole in _tags(entry):
        tag = cut(whole, room // 2)
        fragments.append((base if is_selected and not style else style or base, tag))
        fragments.append((base, " "))
        room -= get_cwidth(tag) + 1
    command = title(process.cmdline, process.name, max(room, 1))
    fragments.append((base, filled(command, max(room, 0))))
    return fragments


def _tags(entry: Entry) -> Iterator[tuple[str, str]]:
    """What stands before the command."""
    if entry.rails.banner:
        yield f"class:guard.{entry.rails.colour}", f" {on_one_line(entry.rails.banner)} "
    if entry.name:
        yield "", f"[{on_one_line(entry.name)}]"


def _right(text: str, width: int) -> str:
    """To the right, with a space behind."""
    return f"{text:>{width - 1}} " if width else ""


# -- the details


def details(entry: Entry, width: int) -> StyleAndTextTuples:
    """All that is known of one process, in lines of this width."""
    fragments: StyleAndTextTuples = []
    if entry.rails.banner:
        banner = cut(f" {entry.rails.banner} ", width)
        fragments += [(f"class:guard.{entry.rails.colour}", banner), ("", "\n")]
    for style, text in _told(entry):
        for line in wrapped(text, width):
            fragments += [(style, line), ("", "\n")]
    return fragments[:-1]


def _told(entry: Entry) -> Iterator[tuple[str, str]]:
    process, rails, use = entry.process, entry.rails, entry.use
    command = " ".join(" ".join(process.cmdline or (process.name,)).split())
    yield "class:command", on_one_line(command)
    about = f"pid {process.pid}"
    about += f", supervised as {on_one_line(entry.name)}" if entry.name else ""
    yield "", f"{about}, of {on_one_line(process.username)}, up {span(process.uptime)}"
    using = [f"CPU {processor(use.processor)}"] if use.processor is not None else []
    using += [f"memory {size(use.memory)}"] if use.memory else []
    using += [f"{use.threads} thread{'s' * (use.threads != 1)}"] if use.threads else []
    python = f"Python {process.version_text}" if process.version_text else "Python unknown"
    yield "", ", ".join([python, *using])
    if process.cwd:
        yield "", f"in {on_one_line(process.cwd)}"
    for kernel in entry.kernels:
        yield "class:kernel", f"attached: {on_one_line(kernel)}"
    if rails.in_words():
        yield "class:warning", f"guarded: {on_one_line(rails.in_words())}"
    yield from _verdict(entry)


def _verdict(entry: Entry) -> Iterator[tuple[str, str]]:
    error = entry.candidate.error
    if error is None:
        yield "class:good", "can be attached to"
        return
    yield "class:bad", f"no: {plain(entry.candidate.reason)}"
    if error.remedy:
        yield "class:remedy", plain(error.remedy)


# -- around them


_KEYS = (
    ("Enter", "attach"), ("Esc", "leave"), ("^O", "only look"), ("^K", "wake it first"),
    ("^T", "ask before each cell"),
)  # fmt: skip


def keys(width: int) -> StyleAndTextTuples:
    """Which keys do what, as far as there is room."""
    fragments: StyleAndTextTuples = []
    for key, what in _KEYS:
        width -= len(key) + len(what) + 3
        if width >= -1:
            fragments += [("class:key", f" {key}"), ("class:hint", f" {what} ")]
    return fragments


def status(listing: Listing, text: str, trouble: str) -> StyleAndTextTuples:
    """The line above the keys: what is wrong, or how many there are."""
    if trouble:
        return [("class:bad", on_one_line(trouble))]
    if not listing.is_loaded:
        return [("class:hint", "looking for programs …")]
    if not listing.total:
        return [("", "No Python program runs here.")]
    if not listing.shown:
        return [("class:bad", f"None of {listing.total} fits {on_one_line(text)!r}.")]
    number = f"{len(listing.shown)} of {listing.total}"
    return [("class:hint", f"{listing.position + 1}/{number if text else listing.total}")]
