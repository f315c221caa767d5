"""What `get_ipython()` returns in a cell: IPython's interface, without IPython.

Runs in the target, on the thread of a cell. Commands are run by the launcher,
help comes from our own inspection; whatever else is asked for brings up a real
IPython (`ipython.py`), to which everything is passed on from then on.
Rule: a target whose cells use no magic is never made to load one.
"""

from __future__ import annotations

import builtins
import os
import sys

from . import debugger, libraries, limits, native
from .comms import Comms
from .display import bundle, json_safe
from .lent import Imports
from .parents import Parents
from .streams import SplitStream, current_cell, running_cell, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .cells import Cell, Cells
    from .ledger import Ledger
    from .namespace import Namespace

    Message = dict[str, Any]
    OnError = Callable[[BaseException], object]


_AT_ONCE = 1.0
"""Seconds for which the program's main thread waits for what the launcher answers at once."""

_HOLDS_UP = (
    "a command would hold up the program's event loop, in which a cell that awaits runs: run it "
    "in a cell without await, or by `await asyncio.to_thread(get_ipython().system, ...)`"
)


class Errands:
    """What cells want the launcher to do; they wait for it. Called on any thread of a cell."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._serial = 0
        self._waiting: dict[int, tuple[int, native.Signal]] = {}
        """By number: the cell that waits, and for what."""
        self._answers: dict[int, Message] = {}
        self._lock = native.Lock()

    def ask(self, op: str, **fields: Any) -> Message:
        """Send a request, and return what the launcher answers. Raises OSError if it has gone."""
        cell = running_cell()
        if cell is None:
            raise RuntimeError("this works in a cell, and in threads and tasks it started")
        is_on_main = native.on_main_thread()
        if is_on_main and op == "system":
            raise RuntimeError(_HOLDS_UP)
        with cell.interruption:
            cell.output.flush()
            with self._lock:
                self._serial += 1
                number = self._serial
            waiting = native.Signal()
            self._waiting[number] = cell.number, waiting
            self._send({"op": op, "cell": cell.number, "id": number, **fields})
            waiting.wait(_AT_ONCE if is_on_main else -1)
            del self._waiting[number]
        answer = self._answers.pop(number, None)
        if answer is None:
            if cell.interruption.requested:
                raise KeyboardInterrupt
            raise OSError("the kernel has gone")
        return answer

    def reply(self, message: Message) -> None:
        """The launcher's answer."""
        if message["id"] in self._waiting:
            self._answers[message["id"]] = message
            self._waiting[message["id"]][1].set()

    def cancel(self, cell: int | None = None) -> None:
        """There will be no answers: this cell was interrupted, or (None) the session ends."""
        for asking, waiting in list(self._waiting.values()):
            if cell in (None, asking):
                waiting.set()


class Publisher:
    """`get_ipython().display_pub`: where IPython's own `display` and `clear_output` end."""

    is_publishing = False

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: object = None,
        *,
        transient: Any = None,
        update: bool = False,
        **_: object,
    ) -> None:
        """Show a MIME bundle as the cell's output."""
        cell = running_cell()
        if cell is not None:
            kind = "update" if update else "display"
            data, metadata = limits.kept(json_safe(data)), json_safe(metadata or {})
            cell.emit(kind, data, metadata, json_safe(transient or {}))

    def clear_output(self, wait: bool = False) -> None:
        """Remove the cell's output, now or when there is more."""
        cell = running_cell()
        if cell is not None:
            with cell.interruption:
                cell.output.add({"event": "clear", "wait": bool(wait)})


class Formatter:
    """`get_ipython().display_formatter`, as far as it goes without IPython."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def format(self, obj: object, include: Any = None, exclude: Any = None) -> Any:
        cell = current_cell.get()
        return bundle(obj, include, exclude, None if cell is None else cell.report)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shell.real().display_formatter, name)


class Shell:
    """The IPython of one session: a light one, and the real one once it is needed."""

    def __init__(
        self, namespace: Namespace, ledger: Ledger, cells: Cells, errands: Errands | None
    ) -> None:
        self.namespace = namespace
        self.ledger = ledger
        self.cells = cells
        self.errands = errands or Errands(_nowhere)
        self.last_error: BaseException | None = None
        """What the last cell that failed has raised, for `%debug` and `%tb`."""
        self.made: Any = None
        self.console: Any = None
        """rich's, for the cells of this session: see `libraries.py`."""
        self._lock = native.Lock()
        self.comms = Comms(self)
        self.parents = Parents(self)
        self.interface = Interface(self)
        self.imports = Imports(self)
        self.latest_cell: Callable[[], Cell | None] = lambda: None
        """The cell that the main shell runs or ran last."""
        ledger.record("the last error", lambda: setattr(self, "last_error", None))

    def present(self) -> Any:
        """What `get_ipython()` returns now."""
        return self.interface if self.made is None else self.made

    def real(self) -> Any:
        """The real IPython, which this may bring up."""
        if self.made is None:
            from . import ipython

            with self._lock:
                if self.made is None:
                    self.made = ipython.bring_up(self)
        return self.made

    @property
    def error_mode(self) -> str:
        """What `%xmode` has been set to."""
        return "Context" if self.made is None else str(self.made.InteractiveTB.mode)

    def magics(self) -> list[str]:
        """The magics that there are, with their `%`; none as long as there is no real IPython."""
        return [] if self.made is None else self.made.magic_names()

    def trigger(self, *names: str) -> None:
        """Tell what has registered with the real IPython, if there is one, of a cell."""
        if self.made is not None:
            for name in names:
                self.made.tell(name)

    def after_error(self, cell: Cell, error: BaseException) -> None:
        """A cell has failed: keep the error, and debug it if `%pdb` was switched on."""
        if type(error).__name__ == "BdbQuit":
            return  # it was looked at already
        self.last_error = error
        if self.made is not None and self.made.call_pdb and not isinstance(error, _NOT_DEBUGGED):
            cell.interruption.begin()
            cell.output.write("stdout", f"{type(error).__name__}: {error}\n")
            debugger.post_mortem(cell, error)
            cell.interruption.end()

    # -- names --------------------------------------------------------------------------

    def scope(self) -> tuple[dict[str, Any], Any]:
        """Globals and locals for code that is not known yet: it may use any name."""
        from .names import Names

        names = Names()
        names.read.add("exec")
        return self.namespace.prepare(names)

    def sees(self, name: str) -> bool:
        """Does a cell see this name? If not, it may be a magic without its `%`."""
        if name in vars(builtins):
            return True
        try:
            self.namespace.lookup(name)
        except KeyError:
            return False
        return True

    def expand(self, text: str, frame: FrameType) -> str:
        """A command with `{expression}` and `$name` replaced, as seen from this frame.

        What has no such value is left as it is: the shell's own variables look alike.
        """
        if "{" not in text and "$" not in text:
            return text
        self.scope()
        try:
            return "".join(
                _expanded(text, lambda code: eval(code, frame.f_globals, frame.f_locals))
            )
        except Exception:  # braces and dollars that were the shell's own
            return text

    # -- commands -----------------------------------------------------------------------

    def run_command(
        self, command: str | list[str], text: str = "", capture: bool = False
    ) -> tuple[int, list[tuple[str, str]]]:
        """Run a command beside the launcher. Returns its status and what was captured."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not any(map(_is_surrogate, name + value))
        }
        answer = self.errands.ask(
            "system", command=command, text=text, environment=environment, capture=capture
        )
        output = [(str(stream), str(part)) for stream, part in answer["output"]]
        return int(answer["status"]), output

    def system(self, command: str) -> int:
        """Run a command; its output is the cell's. Returns its status."""
        _refuse_background(command)
        # Somebody has put a stream of their own in place of ours: then they want it.
        capture = not isinstance(sys.stdout, SplitStream) or is_captured()
        status, output = self.run_command(command, capture=capture)
        for stream, part in output:
            getattr(sys, stream).write(part)
        self.namespace.scratch["_exit_code"] = status
        return status

    def getoutput(self, command: str, split: bool) -> Any:
        """The output of a command: its lines, or one text."""
        _refuse_background(command)
        status, output = self.run_command(command, capture=True)
        self.namespace.scratch["_exit_code"] = status
        text = "".join(part for _, part in output)
        kinds = sys.modules.get("IPython.utils.text")
        if split:
            lines = text.splitlines()
            return lines if kinds is None else kinds.SList(lines)
        text = text.removesuffix("\n")
        return text if kinds is None else kinds.LSString(text)

    # -- help ---------------------------------------------------------------------------

    def helps(self, magic: str, line: str) -> bool:
        """Do a magic that asks for help, if it is one for which no IPython is needed."""
        if magic in ("pinfo", "pinfo2") and not line.startswith("%"):
            self.show_help(line.strip(), int(magic == "pinfo2"))
            return True
        if magic == "psearch" and "-" not in line and len(line.split()) == 1:
            self.show_names(line.strip())
            return True
        return False

    def show_names(self, pattern: str) -> None:
        """`np.s*?`: the names that fit, to the front-end's pager."""
        from .search import search

        found = search(pattern, self.namespace)
        if found:
            self.page({"text/plain": "\n".join(found)})
        else:
            print(f"No name fits `{pattern}`.")

    def show_help(self, name: str, detail: int) -> None:
        """`name?` and `name??`: to the front-end's pager."""
        from .inspection import inspect

        found = inspect(name, len(name), detail, self.namespace)
        if found.get("found"):
            self.page(found["data"])
        else:
            print(f"Object `{name}` not found.")

    # -- display ------------------------------------------------------------------------

    def bundle(self, value: object, report: OnError, on_failure: OnError | None = None) -> Any:
        """All representations of a value: ours, and those registered with the real IPython."""
        data, metadata = bundle(value, on_error=report, on_failure=on_failure)
        if self.made is not None and data:
            self.made.add_registered(value, data, metadata, report)
            limits.kept(data)
        return data, metadata

    def page(self, data: dict[str, Any], start: int = 0) -> None:
        cell = running_cell()
        if cell is not None:
            with cell.interruption:
                cell.output.add({"event": "page", "data": json_safe(data), "start": start})


class Interface:
    """The object itself: what IPython's users know, the rest passed on to the real one."""

    def __init__(self, shell: Shell) -> None:
        vars(self).update(_shell=shell, display_pub=Publisher(), display_formatter=Formatter(shell))
        vars(self).update(shell.parents.interface())

    @property
    def user_ns(self) -> dict[str, Any]:
        scratch: dict[str, Any] = self._shell.namespace.scratch
        return scratch

    def get_ipython(self) -> Any:
        return self._shell.present()

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        """`%name line`"""
        if self._shell.helps(magic_name, line):
            return None
        return self._shell.real().run_line_magic(magic_name, line, _stack_depth + 1)

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Any:
        """`%%name line` and the rest of the cell"""
        return self._shell.real().run_cell_magic(magic_name, line, cell)

    def system(self, command: str) -> None:
        """`!command`"""
        self._shell.system(self._shell.expand(command, sys._getframe(1)))

    def getoutput(self, command: str, split: bool = True, depth: int = 0) -> Any:
        """`x = !command`"""
        return self._shell.getoutput(self._shell.expand(command, sys._getframe(depth + 1)), split)

    def sees(self, name: str) -> Any:
        """Does a cell see this name?"""
        return self._shell.sees(name)

    def object_inspect(self, oname: str, detail_level: int = 0) -> Any:
        """What IPython knows of an object, as a dictionary."""
        return self._shell.real().object_inspect(oname, detail_level)

    def ev(self, expr: str) -> Any:
        """The value of an expression, among the names of the cells."""
        return self._shell.real().ev(expr)

    def ex(self, cmd: str) -> None:
        """Run statements, among the names of the cells."""
        self._shell.real().ex(cmd)

    def run_cell(self, raw_cell: str, *arguments: Any, **options: Any) -> Any:
        """Run a cell inside the one that runs; its error is shown, not raised."""
        return self._shell.real().run_cell(raw_cell, *arguments, **options)

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """Have the front-end fill its next input cell, or this one, with `text`."""
        offer_input(text, replace)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_repr_", "_ipython_")):  # asked of anything that is shown
            raise AttributeError(name)
        return getattr(self._shell.real(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._shell.real(), name, value)

    def __repr__(self) -> str:
        return "<IPython in a live program>"


def offer_input(text: str, replace: bool) -> None:
    """Have the front-end fill its next input cell."""
    cell = running_cell()
    if cell is not None:
        with cell.interruption:
            cell.output.add({"event": "next_input", "text": str(text), "replace": bool(replace)})


def is_captured() -> bool:
    """Does the output of the running cell go into an object rather than to the front-end?"""
    cell = running_cell()
    return cell is not None and isinstance(cell.output, Captured)


class Captured:
    """Stands in for a cell's Output while `%%capture` keeps what the cell produces.

    Only what this cell writes is kept; IPython's own way, a `sys.stdout` of its own,
    would keep what the program writes meanwhile.
    """

    def __init__(self, cell: Cell, streams: dict[str, Any], outputs: list[Any] | None) -> None:
        self._cell, self._output = cell, cell.output
        self._streams, self._outputs = streams, outputs

    def __enter__(self) -> None:
        self._cell.output = self  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        self._cell.output = self._output

    def write(self, stream: str, text: str) -> None:
        kept = self._streams.get(stream)
        if kept is None:
            self._output.write(stream, text)
        else:
            kept.write(text)

    def add(self, event: Message) -> None:
        kind = event["event"]
        if self._outputs is None or kind not in ("display", "update", "result"):
            self._output.add(event)
            return
        kept = {key: event[key] for key in ("data", "metadata", "transient") if key in event}
        self._outputs.append(kept | ({"update": True} if kind == "update" else {}))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)


_NOT_DEBUGGED = (SystemExit, KeyboardInterrupt, SyntaxError)
"""What `%pdb` does not care for: somebody wanted it, or nothing was run."""


def _nowhere(_message: Message) -> None:
    raise OSError("there is no kernel to ask")


def _refuse_background(command: str) -> None:
    if command.rstrip().endswith("&"):
        raise OSError("Background processes not supported.")


def _is_surrogate(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


_CONVERSIONS: dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}


def _expanded(text: str, evaluate: Callable[[str], Any]) -> Any:
    """The pieces of a command, as IPython reads it: Python's format, and `$name` besides."""
    import _string  # type: ignore[import-not-found]  # what string.Formatter is made of

    for literal, field, spec, conversion in _string.formatter_parser(text):
        yield from _dollars(literal, evaluate)
        if field is not None:
            value = evaluate(field)
            if conversion:
                value = _CONVERSIONS[conversion](value)
            yield format(value, spec or "")


def _dollars(literal: str, evaluate: Callable[[str], Any]) -> Any:
    """`$name` and `$name.attribute` outside single quotes; `$$` stands for a dollar."""
    import re

    done = 0
    for match in re.finditer(r"\$(\$?[\w.]+)(?=(?:[^']*'[^']*')*[^']*$)", literal):
        yield literal[done : match.start()]
        done = match.end()
        name = match.group(1)
        yield name if name.startswith("$") else _value_or_itself(name, evaluate)
    yield literal[done:]


def _value_or_itself(name: str, evaluate: Callable[[str], Any]) -> str:
    first, dot, rest = name.partition(".")
    if not first.isidentifier():
        return "$" + name
    try:
        evaluate(first)
    except NameError:
        return "$" + name
    return str(evaluate(first + dot + rest))


split.add(*debugger.REPLACED, *libraries.REPLACED)
split.on_import("plotly.io._renderers", libraries.choose_as_outside)
