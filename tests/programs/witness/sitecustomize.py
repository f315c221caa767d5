"""Tells what a program looks like from inside, whenever a test asks.

Loaded by `site` into the programs of the tests, where the variable WITNESS
names a socket. A thread made with the interpreter's own means answers each
connection with a marshalled snapshot; it was there before the program, so that
it is in every snapshot alike. Rule: nothing is imported here but what is built
in, so that what the agent makes the program import is seen.
"""

import _locale
import _signal
import _socket
import _thread
import atexit
import gc
import marshal
import os
import sys

import witness_native

start_new_thread = _thread.start_new_thread  # as it was before gevent


def snapshot():
    return of_the_process() | of_modules() | of_c()


def of_the_process():
    modules = dict(sys.modules)
    threading = modules.get("threading")
    return {
        "threads": sorted(sys._current_frames()),
        "threads of the agent": of_the_agent(),
        "modules": {name: id(module) for name, module in modules.items()},
        "standard library": sorted(sys.stdlib_module_names),
        "packages": list({n.partition(".")[0] for n, m in modules.items() if is_of_a_package(m)}),
        "stdio": [describe(getattr(sys, n, None)) for n in ("stdin", "stdout", "stderr")],
        "original stdio": [describe(getattr(sys, f"__{n}__")) for n in ("stdout", "stderr")],
        "handlers": {n: describe(_signal.getsignal(n)) for n in range(1, 65)},
        "timers": [bool(sum(_signal.getitimer(which))) for which in range(3)],
        "path": list(sys.path),
        "meta_path": [describe(finder) for finder in sys.meta_path],
        "path_hooks": [describe(hook) for hook in sys.path_hooks],
        "importer cache": sorted(sys.path_importer_cache),
        "builtins": names_of(modules["builtins"]),
        "sys": names_of(modules["sys"], leave_out=("last_exc", "last_type", "last_value")),
        "threading": names_of(threading),
        "Thread": names_of(getattr(threading, "Thread", None)),
        "known threads": sorted(map(str, list(getattr(threading, "_active", {}).values()))),
        "_thread": names_of(modules.get("_thread")),
        "os": names_of(os),
        "warnings": [str(f) for f in getattr(modules.get("warnings"), "filters", [])],
        "monitoring": [sys.monitoring.get_tool(tool) for tool in range(6)],
        "monitored": monitored(),
        "traced frames": sorted(frame.f_code.co_name for frame in frames() if frame.f_trace),
        "breakpoints": breakpoints(modules.get("bdb")),
        "asyncio policy": describe(
            getattr(modules.get("asyncio.events"), "_event_loop_policy", None)
        ),
        "event loops": event_loops(modules.get("asyncio.events")),
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.get_freeze_count()],
        "gc's callbacks": [describe(callback) for callback in gc.callbacks],
        "interpreter's limits": [
            sys.getrecursionlimit(),
            sys.getswitchinterval(),
            sys.get_int_max_str_digits(),
        ],
        "environment": dict(os.environ),
        "locale": _locale.setlocale(_locale.LC_ALL, None),
        "atexit": atexit._ncallbacks(),
        "fork hooks": fork_hooks(),
        "audit hooks": audit_hooks and len(audit_hooks),
        "faulthandler": is_on(modules.get("faulthandler"), "is_enabled"),
        "tracemalloc": is_on(modules.get("_tracemalloc"), "is_tracing"),
        "random": hash(modules["random"].getstate()) if "random" in modules else None,
        "decimal": str(getattr(modules.get("decimal"), "DefaultContext", None)),
        "stack size": stack_size(),
        "dlopen flags": sys.getdlopenflags(),
        "linecache": sorted(map(str, getattr(modules.get("linecache"), "cache", ()))),
        "names of __main__": sorted(vars(modules["__main__"])),
        "socket timeout": _socket.getdefaulttimeout(),
    }


def of_the_agent():
    """Where its threads stand."""
    found = {}
    for thread, frame in sys._current_frames().items():
        names = []
        while frame is not None:
            names.append(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}")
            frame = frame.f_back
        if names[-1].startswith("_live_kernel_"):  # not the program's, in a stream of ours
            found[thread] = " < ".join(names)
    return found


NOT_COMPARED = ("_live_kernel_", "witness", "__main__")
"""Modules of which only the names are of interest: the program binds its own as it likes."""


def of_modules():
    """What stands in modules and in their classes: whoever replaces a function there is seen."""
    attributes, sizes = {}, {}
    for name, module in dict(sys.modules).items():
        if isinstance(module, type(sys)) and not name.startswith(NOT_COMPARED):
            is_standard = name.partition(".")[0] in sys.stdlib_module_names
            found, lengths = attributes.setdefault(name, {}), sizes.setdefault(name, {})
            for key, value in dict(vars(module)).items():
                if key.startswith("__") and key.endswith("__"):
                    continue
                kind = type(value)
                if is_standard or callable(value) or kind is type(sys):
                    found[key] = 0 if kind.__name__ == "lazy_import" else id(value)
                if is_standard and kind in (dict, list, set):
                    lengths[key] = len(value)
                if issubclass(kind, type) and belongs_to(value, name):
                    for each, member in dict(type.__dict__["__dict__"].__get__(value)).items():
                        found[f"{key}.{each}"] = id(member)
    return {"attributes": attributes, "sizes": sizes}


def is_of_a_package(module):
    return "site-packages" in str(getattr(module, "__file__", None))


def belongs_to(cls, module):
    return type.__dict__["__module__"].__get__(cls) == module


def of_c():
    """What Python has no names for, where this Python has `_ctypes`; else nothing."""
    global native
    if native is None:
        try:
            native = witness_native.Native()
        except ImportError:
            native = False
    layout = tuple(map(int, os.environ.get("WITNESS_LAYOUT", "").split()))
    return {
        "dispositions": native and native.dispositions(),
        "wakeup descriptor": native and native.wakeup(),
        "hooks of threads": native and layout and native.hooks(layout),
    }


def monitored():
    """What each tool of `sys.monitoring` is told of: everywhere, and in single functions."""
    told = {}
    for tool in range(6):
        if sys.monitoring.get_tool(tool) is not None:
            told[tool] = {"": sys.monitoring.get_events(tool)}
            for code in {f.__code__ for f in gc.get_objects() if type(f) is type(monitored)}:
                events = sys.monitoring.get_local_events(tool, code)
                if events:
                    told[tool][f"{code.co_qualname} {id(code):#x}"] = events
    return told


def event_loops(events):
    """How each loop of asyncio is set."""
    base = getattr(events, "AbstractEventLoop", None)
    found = [each for each in gc.get_objects() if base and issubclass(type(each), base)]
    names = ("_exception_handler", "_task_factory", "_default_executor")
    return {
        describe(loop): [
            loop.get_debug(),
            getattr(loop, "slow_callback_duration", None),
            sorted(map(int, getattr(loop, "_signal_handlers", ()))),
            *(describe(getattr(loop, name, None)) for name in names),
        ]
        for loop in found
        if not loop.is_closed()
    }


def fork_hooks():
    """What is called at a fork: before, in the parent, in the child."""
    lists = [each for each in gc.get_referrers(at_fork) if type(each) is list]
    return sorted([named(hook) for hook in each] for each in lists)


def named(function):
    return f"{getattr(function, '__module__', '')} {describe(function)}"


def stack_size():
    size = _thread.stack_size()  # which sets it, too
    _thread.stack_size(size)
    return size


def is_on(module, name):
    return module is not None and getattr(module, name)()


def frames():
    for frame in sys._current_frames().values():
        while frame is not None:
            yield frame
            frame = frame.f_back


def breakpoints(bdb):
    if bdb is None:
        return [["None"], 1, []]
    table = bdb.Breakpoint
    return [list(map(str, table.bpbynumber)), table.next, sorted(map(str, table.bplist))]


def describe(thing):
    return f"{type(thing).__name__} {id(thing):#x}"


def names_of(owner, leave_out=()):
    names = dict(getattr(owner, "__dict__", {}))
    return {name: id(value) for name, value in names.items() if name not in leave_out}


def answer_loop(listener):
    while True:
        descriptor, _ = listener._accept()
        connection = _socket.socket(fileno=descriptor)
        try:
            told = snapshot()
        except BaseException as error:
            told = {"witness": f"{type(error).__name__}: {error}"}
        try:
            connection.sendall(marshal.dumps(told, 4))
        except OSError:
            pass  # who has asked is gone
        connection.close()


def begin(path):
    global listener
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError:
        listener.bind(f"{path}.{os.getpid()}")
    listener.listen(8)
    start_new_thread(answer_loop, (listener,))


def at_fork():
    """Also found where Python keeps what is called at forks, with all else that is."""
    if "WITNESS_IN_CHILDREN" in os.environ and os.getpid() != pid:
        listener.close()
        begin(os.environ["WITNESS"])


def audit(event, arguments):
    if event == "sys.addaudithook":
        audit_hooks.append(event)


listener = native = audit_hooks = None
pid = os.getpid()
if "WITNESS" in os.environ:
    os.register_at_fork(before=at_fork, after_in_parent=at_fork, after_in_child=at_fork)
    if "WITNESS_OF_AUDITS" in os.environ:
        audit_hooks = []
        sys.addaudithook(audit)
    begin(os.environ["WITNESS"])
