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
from .shell import Captured, is_captured, offer_input
from .streams import running_cell
from .tracebacks import as_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .ledger import Ledger
    from .shell import Shell

    _Base = Any
else:
    _Base = object

_SHELL = "IPython.core.interactiveshell"

_NOT_HERE = {
    "cd": "it would change the program's working directory; os.chdir(...) does, if you mean it",
    "edit": "it would start an editor in the program",
    "ed": "it would start an editor in the program",
    "gui": "the event loop is the program's",
    "set_env": "it would change the environment of the program; os.environ does, if you mean it",
    "pylab": "use %matplotlib inline and import what you need",
    "killbgscripts": "there are no background scripts",
}
"""Magics that are refused, and why."""

_RUN_CODE = ("time", "timeit", "prun", "run", "capture", "debug", "mprun", "memit", "lprun")
"""Magics that do nothing to the process themselves, but run code that may."""

_SCRIPTS = ("sh", "bash", "perl", "ruby", "python", "python3", "python2", "pypy")
"""Interpreters that IPython has cell magics for."""


def bring_up(owner: Shell) -> Any:
    """Make IPython's shell for this session. Raises ImportError where there is none to be had."""
    watched = Watched(paths_too=False)
    commands = owner.imports.borrow()
    base = _ipython(_SHELL).InteractiveShell
    # Libraries tell a notebook by this name.
    shell = type(base)("ZMQInteractiveShell", (LiveShell, base), {})(owner)
    vars(shell).update(owner.parents.interface())
    _add_commands(shell, commands)
    watched.record(owner.ledger, "starting IPython")
    owner.ledger.record("IPython's shell", lambda: _take_down(owner, shell))
    package = str(_ipython("IPython").__file__)
    owner.ledger.record("sources of IPython", lambda: _forget_sources(package))
    return shell


def _forget_sources(package: str) -> None:
    """Drop the text of our files and IPython's that Python has kept for tracebacks."""
    cache = getattr(sys.modules.get("linecache"), "cache", {})
    places = tuple(os.path.dirname(file) + os.sep for file in (_FILE, package))
    for file in [file for file in list(cache) if str(file).startswith(places)]:
        cache.pop(file, None)


def _take_down(owner: Shell, shell: Any) -> None:
    """Unload what was loaded into it, stop what it does, and forget it."""
    for name in list(shell.extension_manager.loaded):
        shell.extension_manager.unload_extension(name)
    log = vars(shell).get("_logger") or vars(shell).get("logger")
    if log is not None:
        log.logstop()
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


class _Profile:
    """The place of IPython's profile, which is neither made nor read."""

    def __init__(self, location: str) -> None:
        self.location = location


class WithoutDatabase:
    """While IPython 8 makes its shell: that makes a directory in the user's home, too."""

    def __enter__(self) -> None:
        names = vars(_ipython(_SHELL))
        self._original = names.get("PickleShareDB")
        if self._original is not None:
            names["PickleShareDB"] = lambda _place: Notes()

    def __exit__(self, *_: object) -> None:
        if self._original is not None:
            vars(_ipython(_SHELL))["PickleShareDB"] = self._original


class Notes(dict[str, object]):
    """What magics keep beyond a session in IPython's own profile: here, for the session."""

    def keys(self, pattern: str = "*") -> Any:
        from fnmatch import fnmatchcase

        return [name for name in self if fnmatchcase(name, pattern)]


class QuietHistory:
    """IPython's own would have a thread, a database, and a callback at the program's exit."""

    def init_db(self) -> None:
        """Remember nothing beyond the session."""
        self.db = _ipython("IPython.core.history").DummyDB()


class QuietTrap:
    """IPython's own would put names among the builtins of the whole program."""

    def activate(self) -> None:
        """Put nothing there."""

    def deactivate(self) -> None:
        """Take nothing away."""


def _ipython(module: str) -> Any:
    from importlib import import_module

    return import_module(module)


def _usage_error(text: str) -> Exception:
    error: Exception = _ipython("IPython.core.error").UsageError(text)
    return error


class LiveShell(_Base):  # type: ignore[misc]
    """Stands before IPython's InteractiveShell among the bases of the shell that is made.

    What IPython's own would do to the process, it leaves out or does otherwise.
    """

    def __init__(self, live: Shell) -> None:
        self._live = live
        config = _ipython("traitlets.config").Config
        with WithoutDatabase():
            super().__init__(
                user_ns=live.namespace.scratch,
                config=config({"IPKernelApp": {}, "HistoryManager": {"enabled": False}}),
            )
        atexit.unregister(self.atexit_operations)
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
        return _Profile(os.path.join(self.ipython_dir, "profile_default"))

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
        manager = _ipython("IPython.core.history").HistoryManager
        quiet = type(manager)("QuietHistory", (QuietHistory, manager), {})
        self.history_manager = quiet(shell=self, parent=self, hist_file=":memory:", enabled=False)

    def init_builtins(self) -> None:
        trap = _ipython("IPython.core.builtin_trap").BuiltinTrap
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
            raise _usage_error(f"%gui is not for cells in a live program: {_NOT_HERE['gui']}")

    # -- display --------------------------------------------------------------------

    def enable_matplotlib(self, gui: Any = None) -> Any:
        """`%matplotlib inline`, which is how it is anyway: see `figures.py`."""
        if gui not in (None, "inline", "agg"):
            raise _usage_error(f"%matplotlib {gui} is not for cells in a live program")
        return "inline", _ipython("matplotlib").get_backend()

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

    def _offer_inline_backend(self) -> None:
        """Let `%config` change `InlineBackend`, which knows no more of figures than formats."""
        inline = _ipython("matplotlib_inline.config").InlineBackend
        if not any(isinstance(each, inline) for each in self.configurables):
            self.configurables.append(inline(parent=self, shell=self))

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

    # -- magics ---------------------------------------------------------------------

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        if magic_name in _NOT_HERE or (magic_name == "env" and _assigns(line)):
            why = _NOT_HERE.get(magic_name, _NOT_HERE["set_env"])
            raise _usage_error(f"%{magic_name} is not for cells in a live program: {why}")
        if magic_name in ("pinfo", "pinfo2") and not line.startswith("%"):
            self._live.show_help(line.strip(), int(magic_name == "pinfo2"))
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
        debugger.step_through(_cell(), lambda: self._live.cells.run_inside(python))

    def _in_cell(self, magic: str) -> Any:
        """Around every magic. What the user's own code changes is not ours to put back."""
        self.follow_cell()
        self._live.scope()
        return _Run(None if magic in _RUN_CODE else self._live.ledger, f"%{magic}")

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
        with Captured(_cell(), streams, outputs):
            self.run_cell(cell)
        if given.output:
            kept = _ipython("IPython.utils.capture").CapturedIO(
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

        magics = _ipython("IPython.core.magics.script").ScriptMagics
        given, rest = magics.shebang.parser.parse_known_args(shlex.split(line))
        if given.bg:
            raise _usage_error("--bg is not for cells in a live program")
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

    def tell(self, event: str) -> None:
        """A cell begins or ends: tell those that have registered."""
        self.follow_cell()
        info = _ipython(_SHELL).ExecutionInfo(_cell().source, True, _cell().silent, True, None)
        if event == "pre_run_cell":
            self.events.trigger(event, info)
        elif event == "post_run_cell":
            self.events.trigger(event, _ipython(_SHELL).ExecutionResult(info))
        else:
            self.events.trigger(event)

    def run_cell(self, raw_cell: str, *_: Any, **options: Any) -> Any:
        """Run a cell inside the one that runs; its error is shown, not raised."""
        info = _ipython(_SHELL).ExecutionInfo(
            raw_cell, False, bool(options.get("silent")), True, None
        )
        result = _ipython(_SHELL).ExecutionResult(info)
        try:
            result.result = self._live.cells.run_inside(self.transform_cell(raw_cell))
        except BaseException as error:
            if _cell().interruption.requested:
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
        cell = _cell()
        with cell.interruption:
            cell.output.add({"event": "error", "error": as_message(error)})

    def debugger(self, force: bool = False) -> None:
        if not force:
            return
        if self._live.last_error is None:
            print("No traceback has been produced, nothing to debug.", file=sys.stderr)
            return
        debugger.post_mortem(_cell(), self._live.last_error)

    def set_next_input(self, s: str, replace: bool = False) -> None:
        offer_input(s, replace)

    def get_ipython(self) -> Any:
        return self

    def __repr__(self) -> str:
        return "<IPython in a live program>"


_INSTALLS = (
    "%{0} works on the environment of the live program, from a process beside it; what is "
    "loaded in the program stays as it is until the program restarts."
)


def _assigns(line: str) -> bool:
    """Is this `%env name=value` or `%env name value`, rather than a look?"""
    return "=" in line or len(line.split()) > 1


def _cell() -> Any:
    cell = running_cell()
    if cell is None:
        raise RuntimeError("magics work in a cell, and in threads and tasks it started")
    return cell


def _outer_frame() -> Any:
    """The innermost frame that is neither ours nor IPython's: whose code calls a magic."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] not in (OURS, "IPython") and not name.startswith(OURS + "."):
            break
        frame = frame.f_back
    return frame


_FILE = _forget_sources.__code__.co_filename


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
            raise _usage_error(f"{name} stands at the beginning of a cell, on a line of its own")

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


class _Run:
    """While a magic runs, and after: what it changes in the process is put back at detach."""

    def __init__(self, ledger: Ledger | None, what: str) -> None:
        self._ledger, self._what = ledger, what

    def __enter__(self) -> None:
        if self._ledger is not None:
            self._watched = Watched()

    def __exit__(self, *_: object) -> None:
        if self._ledger is not None:
            self._watched.record(self._ledger, self._what)


_ATTRIBUTES = {
    "sys": (
        *("displayhook", "excepthook", "unraisablehook", "breakpointhook"),
        *("ps1", "ps2", "ps3", "argv", "tracebacklimit"),
    ),
    "builtins": ("display", "get_ipython", "__IPYTHON__", "input", "exit", "quit", "help"),
    "linecache": ("checkcache", "_checkcache_ori", "getlines", "updatecache"),
    "warnings": ("showwarning", "_showwarning_orig", "formatwarning"),
    "pdb": ("set_trace", "Pdb"),
    "traceback": ("print_exception",),
    "pydoc": ("help", "pager"),
    "threading": ("excepthook",),
}
"""Where tools for people at a prompt like to hook in."""

_LISTS = (("sys", "path"), ("sys", "meta_path"), ("sys", "path_hooks"), ("warnings", "filters"))

_ABSENT = object()


class Watched:
    """Global state of the process at one moment.

    Without `paths_too`, but for `sys.path` and the environment: to start IPython takes long and
    changes neither, so that what changes there in the meantime is the program's doing.
    """

    def __init__(self, paths_too: bool = True) -> None:
        self._values = dict(_values())
        self._lists = {place: list(found) for place, found in _lists()}
        if not paths_too:
            del self._lists["sys", "path"]
        self._environment = dict(os.environ) if paths_too else None
        self._main = sys.modules.get("__main__")

    def record(self, ledger: Ledger, what: str) -> None:
        """Enter in the ledger what is different now; only that is put back, if it still stands."""
        for (module, name), now in list(_values()):
            before = self._values.get((module, name), _ABSENT)
            if now is not before:
                _record_value(ledger, f"{module}.{name}, by {what}", module, name, before, now)
        for place, now in list(_lists()):
            before = self._lists.get(place)
            if before is not None and before != now:
                added = [item for item in now if item not in before]
                _record_list(ledger, f"{'.'.join(place)}, by {what}", now, before, added)
        environment = os.environ if self._environment is None else self._environment
        for name in os.environ.keys() | environment.keys():
            was, is_now = environment.get(name), os.environ.get(name)
            if was != is_now:
                _record_variable(ledger, f"${name}, by {what}", name, was, is_now)
        main = self._main
        if main is not None and sys.modules.get("__main__") is not main:
            sys.modules["__main__"] = main


def _values() -> Iterator[tuple[tuple[str, str], Any]]:
    for module, names in _ATTRIBUTES.items():
        loaded = sys.modules.get(module)
        if loaded is not None:
            for name in names:
                yield (module, name), vars(loaded).get(name, _ABSENT)


def _lists() -> Iterator[tuple[tuple[str, str], list[Any]]]:
    for module, name in _LISTS:
        loaded = sys.modules.get(module)
        if loaded is not None:
            yield (module, name), getattr(loaded, name)


def _record_value(ledger: Ledger, what: str, module: str, name: str, before: Any, now: Any) -> None:
    owner = sys.modules[module]

    def put_back() -> None:
        if vars(owner).get(name, _ABSENT) is not now:
            return  # somebody has changed it since
        if before is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    ledger.record(what, put_back)


def _record_list(
    ledger: Ledger, what: str, now: list[Any], before: list[Any], added: list[Any]
) -> None:
    def put_back() -> None:
        if sorted(map(id, now)) == sorted(map(id, [*before, *added])):
            now[:] = before
        else:
            now[:] = [item for item in now if item not in added]
        tell = getattr(sys.modules.get("warnings"), "_filters_mutated", None)
        if tell is not None:
            tell()

    ledger.record(what, put_back)


def _record_variable(
    ledger: Ledger, what: str, name: str, before: str | None, now: str | None
) -> None:
    def put_back() -> None:
        if os.environ.get(name) == now:
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before

    ledger.record(what, put_back)
