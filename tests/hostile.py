"""What nobody sends who means well: texts, values and bytes for property tests and the fuzzer.

Runs in pytest, and in the processes of `make fuzz`. Rule: what is made here can be sent; what is
done with it stands in the tests.
"""

from __future__ import annotations

import copy
import json
import unicodedata
from html.parser import HTMLParser
from typing import Any

from hypothesis import strategies as st

TEXTS = [
    "",
    "\x1b[2J\x1b]0;title\x07",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x9b31m\x9d52;c;eA==\x9c",
    "a\nb\r\nc\td\x08\x08",
    "\u202eevil\u2066",
    "\u2028",
    "\ud800",
    "\udfff\ud800",
    "\0",
    "<script>alert(1)</script>",
    "' onmouseover='alert(1)",
    '"><img src=x onerror=alert(1)>',
    "</table></pre></div><svg/onload=alert(1)>",
    "&lt;b&gt;",
    "../../../../etc/shadow",
    "/dev/zero",
    "%s%n{0.__class__}",
    "\x1b" * 3000,
    "=",
    "$bytes",
]
"""What a terminal or a browser would obey, half characters, paths, and the link's own words."""

NUMBERS = [
    *(0, -0.0, 1, -1, 255, 2**31, -(2**31), 2**53, 2**63, -(2**63), 2**64, 10**30, 10**400),
    *(1.5, -1.5, 1e308, float("nan"), float("inf"), float("-inf"), True, False),
]


def nested(depth: int, within: Any = None) -> Any:
    """Lists and objects, so deep."""
    value = within
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


texts = st.sampled_from(TEXTS) | st.text(max_size=30)
numbers = st.sampled_from(NUMBERS) | st.integers(-5, 5)
plain_values = st.recursive(
    st.none() | texts | numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
values = plain_values | st.sampled_from([50, 150, 400, 3000]).map(nested)
"""Anything that JSON can say, and what Python's reads and writes besides."""


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if len(path) < 8:
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            inner = value[key]
            if isinstance(inner, dict | list):
                found += _places(inner, (*path, key))
            else:
                found.append((*path, key))
    return found


@st.composite
def bent(draw: st.DrawFn, valid: st.SearchStrategy[Any], most: int = 3) -> Any:
    """A valid value of objects and lists, of which up to so many parts are something else."""
    value = copy.deepcopy(draw(valid))
    for _ in range(draw(st.integers(0, most))):
        places = _places(value)
        if not places:
            break
        path = draw(st.sampled_from(places))
        owner = value
        for key in path[:-1]:
            owner = owner[key]
        match draw(st.integers(0, 3)):
            case 0:
                del owner[path[-1]]
            case 1 if isinstance(owner, dict):
                owner[draw(texts)] = owner.pop(path[-1])
            case 2 if isinstance(owner, list):
                owner += [owner[path[-1]]] * draw(st.sampled_from([1, 40]))
            case _:
                owner[path[-1]] = draw(values)
    return value


def as_json(value: Any) -> str:
    """As text, so that an example can be shown which is nested more deeply than Python likes."""
    return json.dumps(value)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes], most: int = 4) -> bytes:
    """Bytes of which up to so many pieces were overwritten, cut out or doubled."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from([1, 2, 4, 8, 16]))
        match draw(st.integers(0, 3)):
            case 0:
                del data[at : at + size]
            case 1:
                data[at:at] = data[at : at + size]
            case 2:
                number = draw(st.sampled_from([0, 1, 2**size - 1, 2 ** (8 * size - 1)]))
                data[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size, "little")
            case _:
                data[at : at + size] = draw(st.binary(max_size=size))
    return bytes(data)


class Page(HTMLParser):
    """The tags, attributes and titles of a piece of HTML, as a browser takes them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


_OURS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "div", "pre"}
_OUR_ATTRIBUTES = {"style", "scope", "title", "aria-current"}


def assert_harmless(text: str) -> None:
    """Nothing in it that a terminal would obey."""
    for letter in text:
        if letter not in "\n\t":
            assert unicodedata.category(letter)[0] != "C", ascii(text)[:300]


def assert_harmless_bundle(bundle: dict[str, str]) -> None:
    """A MIME bundle of the kernel's own: plain text, and a page of its own tags alone."""
    assert_harmless(bundle["text/plain"])
    if "text/html" in bundle:
        page = Page(bundle["text/html"])
        assert page.tags <= _OURS, page.tags
        assert page.attributes <= _OUR_ATTRIBUTES, page.attributes
        for text in page.texts:
            assert_harmless(text)
