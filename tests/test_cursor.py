"""Reading the code before a cursor."""

from __future__ import annotations

import sys

import pytest

if sys.version_info < (3, 14):
    pytest.skip("the agent runs in CPython 3.14 and later", allow_module_level=True)

from live_kernel.agent.cursor import Scan


class TestScan:
    def opened(self, code: str) -> list[str]:
        return [opening.text for opening in Scan(code, len(code)).open]

    @pytest.mark.parametrize(
        ("code", "opened"),
        [
            ("f(a, [1", ["(", "["]),
            ("f(a)[", ["["]),
            ("'(' + (", ["("]),
            ('"a\\"(', ['"']),
            ("'''a'b", ["'''"]),
            ("'ended by the line\n(", ["("]),
            ("'continued \\\n(", ["'"]),
            ("f'{a", ["'", "{"]),
            ("f'{{a", ["'"]),
            ("f'{a}b", ["'"]),
            ("f'{d['k'", ["'", "{", "["]),
            ("'{a", ["'"]),
            ("rb'\\'", ["'"]),
            ("x = 1 # (", []),
            ("# '\n(", ["("]),
            ("a] (", ["("]),
            ("bar'x", ["'"]),
        ],
    )
    def test_what_is_open(self, code: str, opened: list[str]) -> None:
        assert self.opened(code) == opened

    @pytest.mark.parametrize(
        ("code", "primary"),
        [
            ("a.b", "a.b"),
            ("1 + a . b", "a . b"),
            ("x(a)['k'](1)", "x(a)['k'](1)"),
            ("'s'.join", "'s'.join"),
            ("rb's'.join", "rb's'.join"),
            ("(a + b).c", "(a + b).c"),
            ("not (a).b", "(a).b"),
            ("a[b.c[0]]", "a[b.c[0]]"),
            ("x = (a\n  .b", "a\n  .b"),
            ("f'{a.b", "a.b"),
            ("f(**a.b ", "a.b"),
            ("3.real", ""),
            ("+", ""),
            ("", ""),
        ],
    )
    def test_primary(self, code: str, primary: str) -> None:
        assert Scan(code, len(code)).primary(len(code)) == primary

    def test_statement(self) -> None:
        code = "a = 1; b = (\n1,\n2\n); c"
        assert code[Scan(code, len(code)).statement :] == " c"
