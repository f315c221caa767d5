"""IPython's syntax as the launcher turns it into Python.

Runs in pytest, without a target. Rule: the quick look misses nothing that
IPython itself would change.
"""

from __future__ import annotations

import pytest
from loading import loaded_by

from live_kernel.launcher.syntax import automagic, may_hold_syntax, to_python

PLAIN = [
    "",
    "1 + 1",
    "x = 100 % 7",
    "pip - x",
    "pip\ninstall",
    "x = y % z",
    "a != b",
    "time.sleep(1)",
    "time == x",
    "config = 3",
    "load(x)",
    "history[0]",
    "who;",
    "who\nwho",
    "time is None",
    "x %= 3",
    "print('?')",
    "text = '50 % of it!'",
    "def f():\n    return 1 % 2",
    "if a:\n    b\n\nc != d",
]

CALL = "get_ipython()."
CHANGED = {
    "%time 1 + 1": CALL + "run_line_magic('time', '1 + 1')\n",
    "!ls -l": CALL + "system('ls -l')\n",
    "x = !ls": "x = " + CALL + "getoutput('ls')\n",
    "x = %timeit -o 1": "x = " + CALL + "run_line_magic('timeit', '-o 1')\n",
    "a.b, c = !ls": "a.b, c = " + CALL + "getoutput('ls')\n",
    "!!ls": CALL + "getoutput('ls')\n",
    "str.split?": CALL + "run_line_magic('pinfo', 'str.split')\n",
    "str.split??": CALL + "run_line_magic('pinfo2', 'str.split')\n",
    "?str": CALL + "run_line_magic('pinfo', 'str')\n",
    "%%bash -x\nls\npwd": CALL + "run_cell_magic('bash', '-x', 'ls\\npwd\\n')\n",
    "if x:\n    !ls\n": "if x:\n    " + CALL + "system('ls')\n",
    "\n\n%time 1\nx": "\n\n" + CALL + "run_line_magic('time', '1')\nx\n",
    ">>> x = 1\n>>> x": "x = 1\nx\n",
    "    x = 1\n    x": "x = 1\nx\n",
    "In [3]: x = 1": "x = 1\n",
    "time f(x)": CALL + "run_line_magic('time', 'f(x)')\n",
    "run -i script.py": CALL + "run_line_magic('run', '-i script.py')\n",
    "who": f"(who) if {CALL}sees('who') else {CALL}run_line_magic('who', '')",
    "ls -la": f"(ls -la) if {CALL}sees('ls') else {CALL}run_line_magic('ls', '-la')",
    "cd /tmp\n": f"(cd /tmp) if {CALL}sees('cd') else {CALL}run_line_magic('cd', '/tmp')",
    "pip install x": CALL + "run_line_magic('pip', 'install x')\n",
}


@pytest.mark.parametrize("code", PLAIN)
def test_plain_code_is_left_alone(code: str) -> None:
    assert to_python(code) == code


@pytest.mark.parametrize("code", CHANGED, ids=repr)
def test_syntax_becomes_python(code: str) -> None:
    assert may_hold_syntax(code) or automagic(code) != code
    assert to_python(code) == CHANGED[code]


def test_most_plain_code_is_not_even_looked_at_twice() -> None:
    assert not any(may_hold_syntax(code) for code in PLAIN)


@pytest.mark.parametrize("code", ["%%time", "x = (\n!ls", "'''\n%x\n", "?", "a b?", "\\\n%"])
def test_what_makes_no_sense_raises_nothing(code: str) -> None:
    assert isinstance(to_python(code), str)


def test_text_in_a_string_is_no_magic() -> None:
    code = "x = '''\n%time\n!ls\nwhat?\n'''"
    assert to_python(code) == code


def test_plain_cells_never_load_ipython() -> None:
    begin = "from live_kernel.launcher import syntax; syntax.to_python"
    assert "IPython" not in loaded_by(f"{begin}('x = 1 % 2')")
    assert "IPython" in loaded_by(f"{begin}('%time')")
