"""What the agent changes in a process, found by reading it: each change has its inverse on record.

Reads source; runs nothing of it. A change is a call or an assignment from which something
outside the agent differs afterwards. Rule: it stands in a function that records the inverse in
the ledger, or in `UNRECORDED`, with the reason for which it needs no entry of its own.
`test_traces.py` holds the same from the outside, by comparing programs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import live_kernel

AGENT = Path(live_kernel.__file__).parent / "agent"

CALLS = re.compile(
    r"""
      sys\.(set\w+|_set\w+|addaudithook|activate\w+|deactivate\w+|remote_exec)
    | sys\.(path|meta_path|path_hooks|modules|path_importer_cache|warnoptions)\.
      (append|insert|extend|remove|pop|clear|update|setdefault)
    | (sys\.)?_?monitoring\.(use_tool_id|free_tool_id|clear_tool_id|set_\w+|register_callback
      |restart_events)
    | threading\.(set\w+|_register_atexit)
    | _?signal\.(signal|set_wakeup_fd|setitimer|siginterrupt|pthread_sigmask|alarm)
    | (dispositions|capi)\.write
    | os\.(chdir|fchdir|chroot|umask|nice|putenv|unsetenv|dup2?|pipe2?|open|memfd_create|mkdir|fork
      |set\w+|register_at_fork|close|symlink|link|unlink|remove|rename|chmod|chown|posix_spawn\w*|kill)
    | os\.environb?\.(pop|update|setdefault|clear|popitem)
    | atexit\.(register|unregister|_clear)
    | gc\.(disable|enable|set_\w+|freeze|unfreeze)|gc\.callbacks\.\w+
    | warnings\.(filterwarnings|simplefilter|resetwarnings)|warnings\.filters\.\w+
    | locale\.setlocale|faulthandler\.\w+|tracemalloc\.\w+|random\.seed
    | _?socket\.(socket|setdefaulttimeout|socketpair|create_\w+)
    | asyncio\.set_\w+|\w+\.set_(debug|exception_handler|task_factory|default_executor)
    | linecache\.(clearcache|lazycache|updatecache|checkcache|getlines?)
    | linecache\.cache\.(pop|clear|update)
    | (_native|_thread|module|native)\.(start_new_thread|start|start_joinable_thread)
    | tempfile\.\w+|shutil\.rmtree|subprocess\.\w+|mmap\.mmap
    | setattr|delattr
    """,
    re.VERBOSE,
)
"""Calls that change something, as they are written."""

TARGETS = re.compile(
    r"""
      (sys|os|threading|builtins|asyncio|signal|_signal|warnings|gc|linecache|pdb|bdb|socket)\.\w+
    | (sys\.(modules|path_importer_cache)|os\.environb?|linecache\.cache)\[.*\]
    | sys\.(path|meta_path)\[.*\]
    | \w+\.(f_trace\w*|f_locals|__code__|__defaults__|__kwdefaults__|__dict__|__class__)(\[.*\])?
    """,
    re.VERBOSE,
)
"""What must not simply be assigned to or deleted."""

UNRECORDED = {
    # Threads: each ends with what it does, or when the session's channel closes.
    "native.start": "the one way to a thread; who calls it is asked below",
    "bootstrap._start": "the thread of the control channel, which closes the ledger as it ends",
    "session.Session._start": "ends when the cells channel closes, which is on record",
    "asking.ask": "ends with the question; `LATE_LIMIT` of them at most are stuck in one",
    "beats": "ends when nothing is watched any more; what is watched is on record",
    "held.ThreadRun.interrupt": "ends with the interrupt",
    "output.Output._carry": "ends with what it sends, or as the channel closes",
    "telling.on_a_thread": "ends with what it does",
    "visits.Visit.begin": "ends with the visit, whose script and rouser are on record",
    "loops.Knocker._tk": "ends with the question to Tcl",
    # Descriptors.
    "channel._new_socket": "the session records the channel as soon as it is there",
    "bootstrap._tell": "closed before the function returns",
    "scripts": "the script's descriptor and file: `Script` records `_remove`",
    # What stays for the next attach, see docs/what-stays.md.
    "entry": "the agent's own modules",
    # Done and taken back by one block or object, which its user records or leaves.
    "lent._Unhooked": "put back as the block ends",
    "prompting.WithoutReadline": "put back as the block ends",
    "places.OwnLoop._loop_loop": "of a thread of ours, which ends with the loop; that is on record",
    "prompting.Prompting": "`leave` untraces; the cell, or the entry of `%enter`, calls it",
    "debugger._what_it_leaves": "an inverse, called at the end of the cell",
    "monitoring.Tool": "who takes it has an entry for each breakpoint and trace, and gives it back",
    "putting_off.PutOff": "`__enter__` records, the others are its halves",
    "held._Interrupts": "`__enter__` records, `_leave` is the inverse",
    "rousing": "`Rouser` records; the signals that it has taken are counted here",
    "strays": "`expect` records the hook; a handler is the bearer of the program's own exception, "
    "and puts back what was there as it raises that",
    "streams": "`Split.enter` records; these are its halves",
    "comms._Bridge": "`Shared` records; these are its halves",
    # Inverses that stand apart from their change.
    "ipython._take_down": "the inverse of bringing up IPython",
    "ipython._remove": "removes IPython's own temporary files",
    "ipython.LiveShell.__init__": "takes back what IPython has registered",
    "lent.Imports.leave": "the inverse of `enter`",
    "lent._Bridge._take_out": "the inverse of `_put_in`",
    "lent._Loans._call_in": "the inverse of lending",
    "side_effects.Watched.record": "puts back the program's `__main__`",
    "inspection._lines": "puts back what it has made Python read",
    "tracebacks": "puts back what it has made Python read",
    # No change of the program's.
    "interface.Interface": "an attribute of IPython's shell that the user sets",
    "libraries._Renderers": "an attribute of plotly's that the user sets",
    "loops._queue_for_tcl": "memory that Tcl has given for it, and frees",
    "names._GlobalWrites": "the syntax tree of a cell",
    "replacements.settled": "a function that was made here",
}
"""Where something is changed without an entry in the ledger of its own: module, class or function,
and the reason. What stands in it need not be listed.
"""


def changes(source: str, module: str) -> Iterator[tuple[str, str, bool]]:
    """Where something is changed, as module.Class.function; what; is an inverse recorded?"""
    yield from _within(ast.parse(source), module, False)


def _within(node: ast.AST, place: str, is_recorded: bool) -> Iterator[tuple[str, str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            has_record = is_recorded or any(map(_records, ast.walk(child)))
            yield from _within(child, f"{place}.{child.name}", has_record)
        elif isinstance(child, ast.ClassDef):
            yield from _within(child, f"{place}.{child.name}", False)
        else:
            for what in _changed_by(child):
                yield place, what, is_recorded
            yield from _within(child, place, is_recorded)


def _records(node: ast.AST) -> bool:
    """Is it a call of `ledger.record`, or of `Shared.need`, which calls that?"""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (
            (node.func.attr == "record" and "ledger" in ast.unparse(node.func.value).lower())
            or (node.func.attr == "need" and "shared" in ast.unparse(node.func.value).lower())
        )
    )


def _changed_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=func):
            called = ast.unparse(func)
            of_self = node.args[:1] and ast.unparse(node.args[0]) in ("self", "super()")
            if CALLS.fullmatch(called) and not (called in ("setattr", "delattr") and of_self):
                yield f"{called}(…)"
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            for target in targets:
                parts = target.elts if isinstance(target, ast.Tuple) else [target]
                yield from (text for part in parts if TARGETS.fullmatch(text := ast.unparse(part)))
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            if TARGETS.fullmatch(ast.unparse(target)):
                yield ast.unparse(target)


def all_changes() -> list[tuple[str, str, bool]]:
    return [
        change
        for file in sorted(AGENT.glob("*.py"))
        for change in changes(file.read_text(), file.stem)
    ]


def why_unrecorded(place: str) -> str | None:
    """The entry of `UNRECORDED` for a function, or for what it stands in."""
    parts = place.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in UNRECORDED), None)


def test_each_change_has_its_inverse_on_record() -> None:
    missing = [
        f"{place}: {what}"
        for place, what, is_recorded in all_changes()
        if not is_recorded and why_unrecorded(place) is None
    ]
    assert not missing, "not in the ledger, nor in UNRECORDED:\n" + "\n".join(missing)


def test_each_exception_is_one() -> None:
    """Who no longer changes anything, or records it now, is not excused any more."""
    used = {why_unrecorded(place) for place, _, is_recorded in all_changes() if not is_recorded}
    assert set(UNRECORDED) == used - {None}


@pytest.mark.parametrize(
    "code",
    [
        "sys.settrace(f)",
        "sys.stdout = x",
        "sys.stdin, sys.stdout = x, y",
        "sys.path.append('x')",
        "sys.path[:0] = ['x']",
        "sys.modules['x'] = y",
        "del sys.modules['x']",
        "os.environ['X'] = '1'",
        "os.environ.pop('X')",
        "os.chdir('/')",
        "_signal.signal(2, f)",
        "sys.monitoring.use_tool_id(3, 'x')",
        "_monitoring.set_events(3, 1)",
        "atexit.register(f)",
        "os.register_at_fork(before=f)",
        "native.start(f, name='x')",
        "setattr(module, name, value)",
        "threading.excepthook = f",
        "frame.f_trace = f",
        "function.__code__ = other",
        "linecache.cache['x'] = ()",
        "gc.disable()",
        "warnings.simplefilter('error')",
        "x = os.open('x', 0)",
        "sys.ps1 += 1",
    ],
)
def test_a_change_is_seen(code: str) -> None:
    found = list(changes(f"def f():\n    if x:\n        {code}", "module"))
    assert found
    assert all(place == "module.f" and not recorded for place, _, recorded in found)


def test_a_record_is_seen() -> None:
    source = "def f(self):\n    self.ledger.record('x', lambda: g)\n    sys.stdout = x"
    assert [recorded for _, _, recorded in changes(source, "module")] == [True]
    elsewhere = "class C:\n    def f(self): ledger.record('x', g)\n    def h(self): sys.stdout = x"
    assert [recorded for _, _, recorded in changes(elsewhere, "module")] == [False]
