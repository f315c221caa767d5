"""A real IPython in the target, brought up by the first magic of a session.

Runs in the target, on the thread of a cell. It comes from the target's own
environment, else it is lent from the launcher's; it works on the cells' names
and shows through their output. IPython is made to own a process, and this one
is not its own: what it would set up there is left out, and what its parts
change all the same is put back at detach (`Watched`).
"""

from __future__ import annotations

import atexit
import builtins
import os
import sys

from . import debugger
from .display import json_safe
from .figures import is_figure, picture
from .frames import OURS
from .interface import offer_input
from .magics import NOT_HERE, Magics, ipython_module, present_cell, usage_error
from .quiet import SHELL, Notes, Profile, QuietHistory, QuietTrap, WithoutDatabase
from .side_effects import Watched
from .streams import running_cell
from .tracebacks import as_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .shell import Shell


def bring_up(owner: Shell) -> Any:
    """Make IPython's shell for this session. Raises ImportError where there is none to be had."""
    watched = Watched(paths_too=False)
    commands = owner.imports.borrow()
    try:
        base = ipython_module(SHELL).InteractiveShell
    except ModuleNotFoundError as error:  # without the way through the import system
        raise ModuleNotFoundError(str(error), name=error.name) from None
    # Libraries tell a notebook by this name.
    shell = type(base)("ZMQInteractiveShell", (LiveShell, base), {})(owner)
    vars(shell).update(owner.parents.interface())
    _add_commands(shell, commands)
    watched.record(owner.ledger, "starting IPython")
    owner.ledger.record("IPython's shell", lambda: _take_down(owner, shell))
    return shell


def _take_down(owner: Shell, shell: Any) -> None:
    """Unload what was loaded into it, stop what it does, and forget it."""
    for name in list(shell.extension_manager.loaded):
        shell.extension_manager.unload_extension(name)
    log = vars(shell).get("_logger") or vars(shell).get("logger")
    if log is not None:
        log.logstop()
    for magics in list(shell.magics_manager.registry.values()):
        kill = getattr(magics, "kill_bg_processes", None)  # of what `%%script --bg` would start
        if kill is not None:
            atexit.unregister(kill)
    for path in (*shell.tempfiles, *shell.tempdirs):
        _remove(str(path))
    owner.made = None


def _remove(path: str) -> None:
    import shutil

    try:
        os.unlink(path)
    except IsADirectoryError:
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        pass  # it is gone


class LiveShell(Magics):
    """Stands before IPython's InteractiveShell among the bases of the shell that is made.

    What IPython's own would do to the process, it leaves out or does otherwise.
    """

    def __init__(self, live: Shell) -> None:
        self._live = live
        config = ipython_module("traitlets.config").Config
        with WithoutDatabase():
            super().__init__(
                user_ns=live.namespace.scratch,
                config=config({"IPKernelApp": {}, "HistoryManager": {"enabled": False}}),
            )
        atexit.unregister(self.atexit_operations)
        self.last_execution_result = ipython_module(SHELL).ExecutionResult(None)
        live.namespace.scratch.pop("__builtin__", None)

    # -- what it would set up in the process, and does not --------------------------

    def init_ipython_dir(self, ipython_dir: Any) -> None:
        home = os.path.expanduser("~")
        self.set_trait("ipython_dir", os.path.join(home, ".ipython"))

    def _ipython_dir_changed(self, change: Any) -> None:
        """Make no directory."""

    def init_profile_dir(self, profile_dir: Any) -> None:
        """Make no directory."""

    @property
    def profile_dir(self) -> Any:
        return Profile(os.path.join(self.ipython_dir, "profile_default"))

    _notes: Notes | None = None

    @property
    def db(self) -> Any:
        if self._notes is None:
            self._notes = Notes()
        return self._notes

    @db.setter
    def db(self, value: object) -> None:
        """Keep no other notes."""

    def init_virtualenv(self) -> None:
        pass

    def init_sys_modules(self) -> None:
        pass

    def init_history(self) -> None:
        manager = ipython_module("IPython.core.history").HistoryManager
        quiet = type(manager)("QuietHistory", (QuietHistory, manager), {})
        self.history_manager = quiet(shell=self, parent=self, hist_file=":memory:", enabled=False)

    def init_builtins(self) -> None:
        trap = ipython_module("IPython.core.builtin_trap").BuiltinTrap
        quiet = type(trap)("QuietTrap", (QuietTrap, trap), {})
        self.builtin_trap = quiet(shell=self)

    def init_io(self) -> None:
        pass

    def init_prompts(self) -> None:
        pass

    def init_completer(self) -> None:
        self.Completer = None

    def init_logstart(self) -> None:
        pass

    def init_display_pub(self) -> None:
        self.display_pub = self._live.interface.display_pub

    def init_user_ns(self) -> None:
        names = self.user_ns
        names.setdefault("In", [""])
        names.setdefault("Out", {})
        self.user_ns_hidden.update({name: names[name] for name in ("In", "Out")})
        names["_oh"], names["_dh"] = names["Out"], [os.getcwd()]
        self.history_manager.dir_hist = names["_dh"]
        self.follow_cell()

    def follow_cell(self) -> None:
        """Know the number and the history of the cell that runs now."""
        cell = running_cell()
        if cell is not None:
            self.execution_count = cell.count
        history = self.history_manager
        history.input_hist_parsed = history.input_hist_raw = self.user_ns.get("In", [""])
        history.output_hist = self.user_ns.get("Out", {})

    def init_hooks(self) -> None:
        super().init_hooks()

        def show_in_pager(_shell: Any, data: Any, start: int = 0, *_: object, **__: object) -> None:
            bundle: Any = data if isinstance(data, dict) else {"text/plain": str(data)}
            self._live.page(bundle.get("data", bundle), max(0, int(start)))

        self.set_hook("show_in_pager", show_in_pager, 10)

    def reset(self, new_session: bool = True, aggressive: bool = False) -> None:
        """Forget the names of the cells; those of the program are not ours to forget."""
        kept = ("__builtins__", "__name__", "In", "Out", "_oh", "_dh")
        for name in [name for name in self.user_ns if name not in kept]:
            del self.user_ns[name]
        self.user_ns["Out"].clear()

    def restore_sys_module_state(self) -> None:
        pass

    def cleanup(self) -> None:
        pass

    def enable_gui(self, gui: Any = None) -> None:
        if gui not in (None, "inline"):
            raise usage_error(f"%gui is not for cells in a live program: {NOT_HERE['gui']}")

    # -- display --------------------------------------------------------------------

    def enable_matplotlib(self, gui: Any = None) -> Any:
        """`%matplotlib inline`, which is how it is anyway: see `figures.py`."""
        if gui not in (None, "inline", "agg"):
            raise usage_error(f"%matplotlib {gui} is not for cells in a live program")
        return "inline", ipython_module("matplotlib").get_backend()

    def init_display_formatter(self) -> None:
        super().init_display_formatter()
        as_png = self._formatters()["image/png"].for_type_by_name
        as_png("matplotlib.figure", "Figure", picture)
        self._common = {mime: _printers(each) for mime, each in self._formatters().items()}

    def _formatters(self) -> Any:
        return self.display_formatter.formatters

    def add_registered(self, value: Any, data: Any, metadata: Any, report: Any) -> None:
        """Add what `for_type` was told of this value's type, `%precision` among it.

        What it was told to forget is left out: figures as PNG, if they are wanted otherwise.
        """
        if "image/png" in data and self._knows_no_png(value):
            del data["image/png"]
        for mime, formatter in self._formatters().items():
            common = self._common.get(mime, {})
            try:
                if _printers(formatter) == common:
                    continue
                printer = formatter.lookup(value)
                of_precision = mime == "text/plain" and type(value) is float
                if of_precision or printer not in common.values():
                    _add(mime, formatter(value), data, metadata)
            except KeyError:
                continue
            except Exception as error:
                report(error)

    def _knows_no_png(self, value: Any) -> bool:
        try:
            self._formatters()["image/png"].lookup(value)
        except KeyError:
            return is_figure(value)
        return False

    # -- names ----------------------------------------------------------------------

    def _ofind(self, oname: str, namespaces: Any = None) -> Any:
        if namespaces is None:
            names = self._live.namespace
            namespaces = [
                ("Interactive", names.scratch),
                ("Program", _Seen(names)),
                ("Python builtin", vars(builtins)),
            ]
        return super()._ofind(oname, namespaces)

    def sees(self, name: str) -> bool:
        """Does a cell see this name?"""
        return self._live.sees(name)

    def get_local_scope(self, stack_depth: int) -> Any:
        frame = sys._getframe(stack_depth + 1)
        at_top = frame.f_code.co_name == "<module>"
        return self._live.scope()[1] if at_top else frame.f_locals

    def var_expand(self, cmd: str, depth: int = 0, formatter: Any = None) -> str:
        return self._live.expand(cmd, _outer_frame())

    def ev(self, expr: str) -> Any:
        return eval(expr, *self._live.scope())

    def ex(self, cmd: str) -> None:
        exec(cmd, *self._live.scope())

    def tell(self, event: str) -> None:
        """A cell begins or ends: tell those that have registered."""
        self.follow_cell()
        info = ipython_module(SHELL).ExecutionInfo(
            present_cell().source, True, present_cell().silent, True, None
        )
        if event == "pre_run_cell":
            self.events.trigger(event, info)
        elif event == "post_run_cell":
            self.last_execution_result = ipython_module(SHELL).ExecutionResult(info)
            self.events.trigger(event, self.last_execution_result)
        else:
            self.events.trigger(event)

    def run_cell(self, raw_cell: str, *_: Any, **options: Any) -> Any:
        """Run a cell inside the one that runs; its error is shown, not raised."""
        info = ipython_module(SHELL).ExecutionInfo(
            raw_cell, False, bool(options.get("silent")), True, None
        )
        result = ipython_module(SHELL).ExecutionResult(info)
        try:
            result.result = self._live.cells.run_inside(self.transform_cell(raw_cell))
        except BaseException as error:
            if present_cell().interruption.requested:
                raise
            result.error_in_exec = self._live.last_error = error
            self._show(error)
        return result

    # -- commands of the system -----------------------------------------------------

    def system(self, cmd: str) -> None:
        self._live.system(self._live.expand(cmd, sys._getframe(1)))

    system_piped = system_raw = system

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        return self._live.getoutput(self._live.expand(cmd, sys._getframe(depth + 1)), split)

    # -- errors ---------------------------------------------------------------------

    def _get_exc_info(self, exc_tuple: Any = None) -> Any:
        error = exc_tuple[1] if exc_tuple else sys.exception() or self._live.last_error
        if error is None:
            raise ValueError("No exception to find")
        return type(error), error, error.__traceback__

    def showtraceback(self, exc_tuple: Any = None, *_: Any, **__: Any) -> None:
        try:
            error = self._get_exc_info(exc_tuple)[1]
        except ValueError:
            print("No traceback available to show.", file=sys.stderr)
            return
        self._live.last_error = error
        self._show(error)

    def showsyntaxerror(self, *_: Any, **__: Any) -> None:
        self.showtraceback()

    def _show(self, error: BaseException) -> None:
        cell = present_cell()
        with cell.interruption:
            cell.output.add(
                {"event": "error", "error": as_message(error, mode=self._live.error_mode)}
            )

    def debugger(self, force: bool = False) -> None:
        if not force:
            return
        if self._live.last_error is None:
            print("No traceback has been produced, nothing to debug.", file=sys.stderr)
            return
        debugger.post_mortem(present_cell(), self._live.last_error)

    def init_magics(self) -> None:
        super().init_magics()
        self.add_own_magics()

    def set_next_input(self, s: str, replace: bool = False) -> None:
        offer_input(s, replace)

    def get_ipython(self) -> Any:
        return self

    def __repr__(self) -> str:
        return "<IPython in a live program>"


def _outer_frame() -> Any:
    """The innermost frame that is neither ours nor IPython's: whose code calls a magic."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] not in (OURS, "IPython") and not name.startswith(OURS + "."):
            break
        frame = frame.f_back
    return frame


class _Seen:
    """The program's names as IPython looks for them."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    def __getitem__(self, name: str) -> Any:
        return self._namespace.lookup(name)

    def __contains__(self, name: str) -> bool:
        try:
            self._namespace.lookup(name)
        except KeyError:
            return False
        return True


def _add_commands(shell: Any, commands: dict[str, str]) -> None:
    """Our own commands among the magics, for `%lsmagic`; the launcher runs them."""
    for name, text in commands.items():

        def command(_line: str, _cell: str = "", name: str = name) -> None:
            raise usage_error(f"{name} stands at the beginning of a cell, on a line of its own")

        command.__doc__ = text
        kind = "cell" if name.startswith("%%") else "line"
        shell.register_magic_function(command, kind, name.lstrip("%"))


def _printers(formatter: Any) -> dict[Any, Any]:
    """What a formatter was told to do, and for floats besides."""
    return {
        **formatter.singleton_printers,
        **formatter.type_printers,
        **formatter.deferred_printers,
        "float": getattr(formatter, "float_format", ""),
    }


def _add(mime: str, content: Any, data: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Add what a formatter has returned, with its metadata if it has any."""
    if isinstance(content, tuple) and len(content) == 2:
        content, metadata[mime] = content[0], json_safe(content[1])
    if content is not None:
        data[mime] = json_safe(content)
