"""Exceptions as text: no frame of ours, whatever the exception, and never without an answer."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from live_kernel.agent import tracebacks
from live_kernel.agent.frames import OURS
from live_kernel.agent.ledger import Ledger
from live_kernel.agent.tracebacks import as_message, remember_source
from live_kernel.link.messages import is_error


def plain(message: dict[str, Any]) -> str:
    """The traceback without its colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(message["traceback"]))


def raised(code: Callable[[], object]) -> BaseException:
    try:
        code()
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


def described(code: Callable[[], object]) -> dict[str, Any]:
    message = as_message(raised(code))
    assert is_error(message)
    return message


@pytest.fixture
def ours() -> Any:
    """A function in a module of the agent's that calls what it is given."""
    module = ModuleType(f"{OURS}.agent.made_for_a_test")
    code = "def call(function):\n    return function()\n"
    exec(compile(code, "our_own_file.py", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__["call"]


# -- what is shown


def test_an_error() -> None:
    message = described(lambda: 1 / 0)
    assert (message["ename"], message["evalue"]) == ("ZeroDivisionError", "division by zero")
    lines = plain(message).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert any(f'File "{__file__}"' in line for line in lines)
    assert all("\n" not in line for line in message["traceback"])


def test_the_source_of_a_cell_is_shown_and_forgotten_in_the_end() -> None:
    ledger, source = Ledger(), "def f(x):\n    return 1 / x\nf(0)"
    remember_source("<In [7]>", source, ledger)
    code = compile(source, "<In [7]>", "exec", dont_inherit=True)
    text = plain(described(lambda: exec(code, {})))
    assert 'File "<In [7]>", line 3, in <module>\n    f(0)' in text
    assert 'File "<In [7]>", line 2, in f\n    return 1 / x' in text
    linecache.checkcache()
    assert linecache.getline("<In [7]>", 3) == "f(0)"
    ledger.close()
    assert ledger.failures == []
    assert "<In [7]>" not in linecache.cache


def test_a_syntax_error_shows_its_place() -> None:
    message = described(lambda: compile("a = = 1", "<In [1]>", "exec"))
    text = plain(message)
    assert message["ename"] == "SyntaxError"
    assert 'File "<In [1]>", line 1' in text
    assert "    a = = 1\n        ^" in text


def test_notes_are_shown() -> None:
    error = ValueError("bad")
    error.add_note("found in the second file")
    assert plain(as_message(error)).endswith("ValueError: bad\nfound in the second file")


def test_an_interrupt_is_shown_as_one_whatever_class_stopped_the_cell() -> None:
    class CellInterrupted(BaseException):
        pass

    def stopped() -> None:
        raise CellInterrupted

    message = as_message(raised(stopped), interrupted=True)
    assert message["ename"] == "KeyboardInterrupt"
    assert message["traceback"][-1] == "KeyboardInterrupt"
    assert "in stopped" in plain(message)
    plain_one = as_message(raised(lambda: fail(KeyboardInterrupt())), interrupted=True)
    assert plain(plain_one).splitlines()[-1] == "KeyboardInterrupt"


def fail(error: BaseException) -> None:
    raise error


# -- what is not


def test_our_frames_are_left_out(ours: Any) -> None:
    text = plain(described(lambda: ours(lambda: ours(lambda: 1 / 0))))
    assert "our_own_file" not in text
    assert text.count("in <lambda>") == 3


def test_ours_are_left_out_of_what_it_came_from(ours: Any) -> None:
    def code() -> None:
        try:
            ours(lambda: 1 / 0)
        except ZeroDivisionError as error:
            try:
                ours(lambda: fail(KeyError("context")))
            except KeyError:
                ours(lambda: fail(ValueError("the end")))
            raise AssertionError("not reached") from error

    text = plain(described(lambda: ours(code)))
    assert "our_own_file" not in text
    for part in ("ZeroDivisionError", "KeyError: 'context'", "ValueError: the end"):
        assert part in text
    assert text.count("During handling of the above exception") == 2


def test_ours_are_left_out_of_causes_and_groups(ours: Any) -> None:
    def caused() -> None:
        try:
            ours(lambda: 1 / 0)
        except ZeroDivisionError as error:
            raise ValueError("caused") from error

    parts = [raised(lambda: ours(lambda: 1 / 0)), raised(lambda: ours(caused))]

    def grouped() -> None:
        raise ExceptionGroup("several", [parts[0], ExceptionGroup("more", [parts[1]])])  # type: ignore[list-item]

    text = plain(described(lambda: ours(grouped)))
    assert "our_own_file" not in text
    assert text.count("ZeroDivisionError: division by zero") == 2
    assert "direct cause" in text


def test_an_error_of_ours_alone_has_no_frames(ours: Any) -> None:
    error = raised(lambda: ours(None))
    error.__traceback__ = error.__traceback__.tb_next.tb_next  # type: ignore[union-attr]
    text = plain(as_message(error))
    assert "our_own_file" not in text
    assert text.endswith("TypeError: 'NoneType' object is not callable")


# -- hostile and huge ones


class BadStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class BadRepr(Exception):
    def __init__(self) -> None:
        self.args = (self,)

    def __repr__(self) -> str:
        raise SystemExit


class BadMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class NoName(Exception, metaclass=BadMeta):
    pass


class OddAttributes(Exception):
    __notes__ = 5
    filename = object()

    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no cause")


class WideText(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text of the text")


class OddText(Exception):
    def __str__(self) -> str:
        return WideText("odd")


@pytest.mark.parametrize("which", ["BadStr", "BadRepr", "NoName", "OddAttributes", "OddText"])
def test_hostile_exceptions_are_survived(which: str) -> None:
    message = described(lambda: fail(globals()[which]()))
    assert message["traceback"]
    assert type(message["ename"]) is type(message["evalue"]) is str


def test_odd_characters_are_kept() -> None:
    message = described(lambda: fail(ValueError("\ud800\0\x1b[2J")))
    assert message["evalue"] == "\ud800\0\x1b[2J"


def test_a_circle_of_contexts_has_an_end() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__context__, second.__context__ = second, first
    first.__cause__, second.__cause__ = second, first
    assert "first" in plain(as_message(first))


def test_a_long_chain_of_causes() -> None:
    error = ValueError("0")
    for number in range(3000):
        following = ValueError(str(number))
        following.__cause__ = error
        error = following
    message = as_message(error)
    assert (message["ename"], message["evalue"]) == ("ValueError", "2999")
    assert "ValueError: 2999" in plain(message)


def test_endless_recursion_is_told_briefly() -> None:
    def deeper() -> None:
        deeper()

    message = described(deeper)
    assert message["ename"] == "RecursionError"
    assert len(message["traceback"]) < 60
    assert "times]" in plain(message)


def test_a_huge_text_is_cut() -> None:
    message = described(lambda: fail(ValueError("x" * 1_000_000)))
    assert len("\n".join(message["traceback"])) < tracebacks.LONGEST + 100
    assert len(message["evalue"]) < tracebacks.LONGEST + 100
    assert "characters left out" in plain(message)


def test_the_programs_own_formatting_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may have an excepthook of its own; a cell's errors are none of its business."""
    called: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *_: called.append(1))
    described(lambda: 1 / 0)
    assert called == []
