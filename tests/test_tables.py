"""Processes as tables: what is shown of them, and that none can write on our terminal or page."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live_kernel.attach.processes import Candidate, Process
from live_kernel.attach.runtime import PythonVersion
from live_kernel.errors import NotAttachable, NotPython, PythonMismatch
from live_kernel.launcher import tables
from live_kernel.plain import plain

VERSION = PythonVersion(3, 14, 8)


def process(*command: str, pid: int = 42, user: str = "root") -> Process:
    return Process(
        pid, 7, 1, "python", command, "", "", 0, 0, user, "S", "CPython", VERSION
    )  # fmt: skip


def candidate(*command: str, error: NotAttachable | None = None, pid: int = 42) -> Candidate:
    return Candidate(process(*command, pid=pid), error)


class Page(HTMLParser):
    """The texts and attributes of a piece of HTML, as a browser takes them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.titles: list[str | None] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (86399, "23 h"),
        (86400 * 400, "400 d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert tables.duration(seconds) == text


def test_columns_are_aligned() -> None:
    found = [
        candidate("python", "a.py", pid=7),
        candidate("python", "longer.py", pid=123456, error=PythonMismatch(123456, "too old")),
    ]
    head, first, second = tables.as_text(found).splitlines()
    assert head.split() == ["PID", "Python", "User", "Up", "Command", "Attach"]
    column = head.index("Command")
    assert first[column:].startswith("python a.py")
    assert second[column:].startswith("python longer.py")
    verdict = head.index("Attach")
    assert (first[verdict:], second[verdict:]) == ("yes", "no: python version")
    assert [line.split()[:3] for line in (first, second)] == [
        ["7", "3.14.8", "root"],
        ["123456", "3.14.8", "root"],
    ]


def test_a_long_command_is_cut() -> None:
    lines = tables.as_text([candidate("python", "x" * 500)]).splitlines()
    assert max(map(len, lines)) < 120
    assert "…" in lines[1]
    assert lines[1].endswith("yes")


def test_html_has_the_same_rows_and_the_reason_as_a_tooltip() -> None:
    error = NotPython(43, "pid 43 (bash) is no Python", "Name a Python program.")
    found = [candidate("python", "a.py"), candidate("bash", error=error, pid=43)]
    page = Page(tables.as_html(found))
    assert page.tags.count("tr") == 3
    assert page.texts[:6] == ["PID", "Python", "User", "Up", "Command", "Attach"]
    assert page.texts[6:] == [cell for one in found for cell in tables.row(one) if cell]
    assert page.titles == ["", "pid 43 (bash) is no Python\nName a Python program."]


def test_a_bundle_has_both_and_a_sentence_for_nobody() -> None:
    found = [candidate("python", "a.py")]
    assert tables.as_bundle(found) == {
        "text/plain": tables.as_text(found),
        "text/html": tables.as_html(found),
    }
    assert tables.as_bundle([]) == {"text/plain": tables.NOBODY}


HOSTILE = [
    "\x1b[2J\x1b]0;title\x07",
    "a\nb\r\nc\td",
    "\u202eevil",
    "\x9b31m",
    "\u2028",
    "\ud800",
    "\U000e0041",
    "<script>alert(1)</script>",
    "' onmouseover='alert(1)",
    '"><img src=x>',
    "&lt;b&gt;",
]


@pytest.mark.parametrize("words", HOSTILE, ids=ascii)
def test_a_command_line_says_nothing_to_the_terminal(words: str) -> None:
    hostile = process("python", words)
    _, row = tables.as_text([Candidate(hostile, None)]).split("\n")
    nameless = hostile._replace(cmdline=(), name=f"python {words}")
    for text in (row, str(hostile), hostile.title, nameless.title):
        assert "python" in text
        for letter in text:
            assert unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), ascii(text)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60) | st.sampled_from(HOSTILE), st.text(max_size=60))
def test_a_command_line_adds_no_tag_to_the_page(words: str, reason: str) -> None:
    harmless = Page(tables.as_html([candidate("python", "x", error=NotPython(42, "x", "x"))]))
    hostile = candidate("python", words, error=NotPython(42, words, reason))
    page = Page(tables.as_html([hostile]))
    assert page.tags == harmless.tags
    assert page.titles == [plain(f"{words}\n{reason}" if reason else words)]
