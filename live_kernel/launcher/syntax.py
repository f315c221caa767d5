"""IPython's input syntax, turned into plain Python before a cell leaves for the target.

Runs in the launcher. Rule: a look at the text decides whether there can be any;
only then is IPython's own transformation loaded, so that plain cells never pay
for it. Whatever it can't make sense of goes to the target as it is, whose
compiler has the words for it.
"""

from __future__ import annotations

import re
import sys
import threading
import warnings
from typing import Any

from . import magic_names

_MAY_BE_SYNTAX = re.compile(
    r"""
      \A \s* \n? [ \t]+ \S                      # indented as a whole
    | ^ [ \t]* (?: [%!?] | >>> | In\ \[\d+\]: ) # %magic, !command, ?name, a pasted prompt
    | ^ [^\n#]* [^\n=<>!]= [ \t]* [%!] [ \t]* \w # x = %magic, x = !command
    | ^ [^\n]* \? [ \t]* ;? [ \t]* $            # name?
    """,
    re.VERBOSE | re.MULTILINE,
)


_INSTALLS = re.compile(r"\s*(?:pip|conda|mamba|micromamba|uv)[ \t]+-{0,2}[a-z][^\n=]*\s*\Z")
"""What people type without a `%`, as IPython lets them; as Python it would make no sense."""


def _is_python(code: str, mode: str = "exec") -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code.strip(), "<cell>", mode, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def may_hold_syntax(code: str) -> bool:
    """Could there be IPython's syntax in this cell? Never False where there is some."""
    return _MAY_BE_SYNTAX.search(code) is not None


_AUTOMAGIC = re.compile(r"[ \t]*(\w+)(?:[ \t]+([^=,.:\[({\s][^\n]*))?\s*\Z")
"""A cell of one line that may be a magic without its `%`."""

_OPTION = re.compile(r"(?:--?|/|~)\w")
"""`ls -la` and `cat /tmp/x` could be Python, too."""


def automagic(code: str) -> str:
    """The cell with a magic where it stands without its `%`, as IPython lets people type it.

    A name of the program's is that name; the target finds out which it is.
    """
    found = _AUTOMAGIC.match(code)
    name = found.group(1) if found else ""
    if found is None or name not in magic_names.LINE | magic_names.REFUSED:
        return "%" + code.lstrip() if _INSTALLS.match(code) and not _is_python(code) else code
    if not _is_python(code):
        return "%" + code.lstrip()
    line = (found.group(2) or "").rstrip()
    if (line and not _OPTION.match(line)) or not _is_python(code, "eval"):
        return code
    magic = f"get_ipython().run_line_magic({name!r}, {line!r})"
    return f"({code.strip()}) if get_ipython().sees({name!r}) else {magic}"


def to_python(code: str) -> str:
    """The cell as Python, each statement on the line on which it stood."""
    code = automagic(code)
    if not may_hold_syntax(code):
        return code
    before, body = _without_blank_lines(code)
    try:
        changed = str(transformer().transform_cell(body))
    except Exception:  # IPython's, on a cell that makes no sense: the target's compiler tells
        return code
    return code if changed in (body, body + "\n") else before + changed


def _without_blank_lines(code: str) -> tuple[str, str]:
    """The empty lines at the beginning, which IPython would drop, and the rest."""
    lines = code.splitlines(keepends=True)
    count = 0
    while count < len(lines) and not lines[count].strip():
        count += 1
    return "\n" * count, "".join(lines[count:])


importing = threading.Lock()
"""Threads that import a package of circular imports at the same time may find it half done."""


def transformer() -> Any:
    """A transformer of IPython's, which may have to be loaded first: 0.1 s. For any thread."""
    with importing:
        from IPython.core import inputtransformer2
    manager: Any = inputtransformer2.TransformerManager
    return manager()


def is_loaded() -> bool:
    """Does `transformer` take no time?"""
    return "IPython.core.inputtransformer2" in sys.modules and not importing.locked()
