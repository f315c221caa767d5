"""IPython's magics in a live program: refused, done otherwise, or watched.

Runs in the target, on the thread of a cell. Most magics are IPython's own and
run as they are; what they change in the process is put back (`watched`).
Rule: no magic forks in the program, starts an editor or a process in it, or
changes what all of the program shares, such as its directory.
"""

from __future__ import annotations

import sys

from . import debugger
from .capture import Captured, is_captured
from .side_effects import Watching
from .streams import running_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .shell import Shell

    _Base = Any
else:
    _Base = object

NOT_HERE = {
    "cd": "it would change the program's working directory; os.chdir(...) does, if you mean it",
    "edit": "it would start an editor in the program",
    "ed": "it would start an editor in the program",
    "gui": "the event loop is the program's",
    "set_env": "it would change the environment of the program; os.environ does, if you mean it",
    "pylab": "use %matplotlib inline and import what you need",
    "killbgscripts": "there are no background scripts",
    "popd": "it would change the program's working directory",
    "pushd": "it would change the program's working directory",
    "store": "it would be kept in the home directory of the program's user; write a file of yours",
    "autosave": "how often a notebook is saved is up to the front-end",
    "connect_info": "jupyter console --existing finds this kernel without it",
    "qtconsole": "it would be started in the program; see jupyter qtconsole --existing",
    "subshell": "it tells of ipykernel's own threads",
}
"""Magics that are refused, and why."""

_RUN_CODE = ("time", "timeit", "prun", "run", "capture", "debug", "mprun", "memit", "lprun")
"""Magics that do nothing to the process themselves, but run code that may."""

_SCRIPTS = ("sh", "bash", "perl", "ruby", "python", "python3", "python2", "pypy")
"""Interpreters that IPython has cell magics for."""


class Magics(_Base):  # type: ignore[misc]
    """What stands before IPython's own way to run a magic, among the bases of the shell."""

    _live: Shell

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        if magic_name in NOT_HERE or (magic_name == "env" and _assigns(line)):
            why = NOT_HERE.get(magic_name, NOT_HERE["set_env"])
            raise usage_error(f"%{magic_name} is not for cells in a live program: {why}")
        if self._live.helps(magic_name, line):
            return None
        if magic_name == "config" and line.startswith("IPCompleter"):
            print(_NO_COMPLETER, file=sys.stderr)
            return None
        if magic_name in ("pip", "conda", "mamba", "micromamba", "uv"):
            print(_INSTALLS.format(magic_name), file=sys.stderr)
        if magic_name == "config" and "InlineBackend" in line:
            self._offer_inline_backend()
        if magic_name == "debug" and line.strip():
            return self._step_through(line)
        with self._in_cell(magic_name):
            return super().run_line_magic(magic_name, line, _stack_depth + 1)

    def run_cell_magic(self, magic_name: str, line: str, cell: str) -> Any:
        with self._in_cell(magic_name):
            if magic_name == "debug" and cell:
                return self._step_through(f"{line}\n{cell}")
            if magic_name == "capture" and cell:
                return self._capture(line, cell)
            if magic_name == "time" and self._live.cells.awaits(self.transform_cell(cell)):
                return self._time(cell)
            if magic_name == "script" or magic_name in _SCRIPTS:
                program = line if magic_name == "script" else f"{magic_name} {line}"
                return self._script(program, cell)
            function = self.find_cell_magic(magic_name)
            if not cell or not getattr(function, "needs_local_scope", False):
                return super().run_cell_magic(magic_name, line, cell)
            if not getattr(function, "_ipython_magic_no_var_expand", False):
                line = self.var_expand(line)
            return function(line, cell, local_ns=self._live.scope()[1])

    def _step_through(self, code: str) -> None:
        """`%debug code` and `%%debug`: stop at its first line."""
        python = self.transform_cell(code)
        debugger.step_through(present_cell(), lambda: self._live.cells.run_inside(python))

    def _offer_inline_backend(self) -> None:
        """Let `%config` change `InlineBackend`, which knows no more of figures than formats."""
        inline = ipython_module("matplotlib_inline.config").InlineBackend
        if not any(isinstance(each, inline) for each in self.configurables):
            self.configurables.append(inline(parent=self, shell=self))

    def add_own_magics(self) -> None:
        """Have those that we do otherwise instead of IPython's, and ipykernel's besides."""
        for name in ("pip", "less", "more", "man", "clear"):
            function = self._less if name == "more" else getattr(self, f"_{name}")
            self.register_magic_function(function, "line", name)

    def _pip(self, line: str) -> None:
        """Run pip for the Python of the program, in a process beside it."""
        import shlex

        self._live.system(f"{shlex.quote(sys.executable)} -m pip {line}")

    def _less(self, line: str) -> None:
        """Show a file of the program's machine in the pager."""
        from os.path import expanduser

        with open(expanduser(line.strip()), encoding="utf-8", errors="replace") as file:
            self._live.page({"text/plain": file.read(PAGE_LIMIT)})

    def _man(self, line: str) -> None:
        """Show the manual page of a command in the pager."""
        import shlex

        command = f"man {shlex.quote(line.strip())} | col -b"
        self._live.page({"text/plain": str(self._live.getoutput(command, False))})

    def _clear(self, line: str) -> None:
        """Clear the terminal."""
        print("\x1b[H\x1b[2J", end="")

    def define_macro(self, name: str, themacro: Any) -> None:
        """Keep a macro that runs when its name stands at the end of a cell."""
        kind = ipython_module("IPython.core.macro").Macro
        text = themacro if isinstance(themacro, str) else themacro.value
        self.user_ns[name] = type(kind)("Macro", (Macro, kind), {"_run": self.run_cell})(text)

    def magic_names(self) -> list[str]:
        """The magics that are there and not refused, each with its `%` or `%%`."""
        there = self.magics_manager.magics
        names = ["%" + name for name in list(there["line"]) if name not in NOT_HERE]
        return names + ["%%" + name for name in list(there["cell"])]

    def _in_cell(self, magic: str) -> Any:
        """Around every magic. What the user's own code changes is not ours to put back."""
        self.follow_cell()
        self._live.scope()
        return Watching(None if magic in _RUN_CODE else self._live.ledger, f"%{magic}")

    def _capture(self, line: str, cell: str) -> None:
        import shlex
        from io import StringIO

        function = self.find_cell_magic("capture")
        given = function.__func__.parser.parse_args(shlex.split(line))
        streams = {
            "stdout": None if given.no_stdout else StringIO(),
            "stderr": None if given.no_stderr else StringIO(),
        }
        outputs: list[Any] | None = None if given.no_display else []
        with Captured(present_cell(), streams, outputs):
            self.run_cell(cell)
        if given.output:
            kept = ipython_module("IPython.utils.capture").CapturedIO(
                streams["stdout"], streams["stderr"], outputs
            )
            self._live.scope()[1][given.output] = kept

    def _time(self, cell: str) -> None:
        """`%%time` for a cell that awaits, as IPython's own can't."""
        import time

        begin = time.perf_counter()
        try:
            self._live.cells.run_inside(self.transform_cell(cell))
        finally:
            seconds = time.perf_counter() - begin
            print(
                f"Wall time: {seconds * 1000:.3g} ms"
                if seconds < 1
                else f"Wall time: {seconds:.3g} s"
            )

    def _script(self, line: str, cell: str) -> None:
        """`%%bash` and its like: IPython's own would fork in the program."""
        import shlex
        from subprocess import CalledProcessError

        magics = ipython_module("IPython.core.magics.script").ScriptMagics
        given, rest = magics.shebang.parser.parse_known_args(shlex.split(line))
        if given.bg:
            raise usage_error("--bg is not for cells in a live program")
        wanted = {"stdout": given.out, "stderr": given.err}
        capture = any(wanted.values()) or is_captured()
        status, output = self._live.run_command(rest, cell, capture)
        for stream, name in wanted.items():
            text = "".join(part for where, part in output if where == stream)
            if name:
                self._live.scope()[1][name] = text
            elif text:
                getattr(sys, stream).write(text)
        self._live.namespace.scratch["_exit_code"] = status
        if given.raise_error and status != 0:
            raise CalledProcessError(status, cell)


class Macro:
    """Stands before IPython's Macro among the bases of those that are made here."""

    _run: Any
    value: str

    def _ipython_display_(self) -> None:
        type(self)._run(self.value)


_NO_COMPLETER = (
    "Completion is the kernel's own here; what is set of IPython's IPCompleter has no effect."
)

PAGE_LIMIT = 1_000_000
"""Characters of a file that are shown."""

_INSTALLS = (
    "%{0} works on the environment of the live program, from a process beside it; what is "
    "loaded in the program stays as it is until the program restarts."
)


def _assigns(line: str) -> bool:
    """Is this `%env name=value` or `%env name value`, rather than a look?"""
    return "=" in line or len(line.split()) > 1


def present_cell() -> Any:
    """The cell that runs on this thread or in this task. Raises RuntimeError elsewhere."""
    cell = running_cell()
    if cell is None:
        raise RuntimeError("magics work in a cell, and in threads and tasks it started")
    return cell


def ipython_module(module: str) -> Any:
    """A module of IPython's or of what belongs to it, imported when it is first needed."""
    from importlib import import_module

    return import_module(module)


def usage_error(text: str) -> Exception:
    """The error that IPython shows as a sentence, without a traceback."""
    error: Exception = ipython_module("IPython.core.error").UsageError(text)
    return error
