"""Tells what a program looks like from inside, whenever a test asks.

Loaded by `site` into the programs of the tests, where the variable WITNESS
names a socket. A thread made with the interpreter's own means answers each
connection with a marshalled snapshot; it was there before the program, so that
it is in every snapshot alike. Rule: nothing is imported here but what is built
in, so that what the agent makes the program import is seen.
"""

import _signal
import _socket
import _thread
import atexit
import gc
import marshal
import os
import sys


def snapshot():
    modules = dict(sys.modules)
    threading = modules.get("threading")
    return {
        "threads": sorted(sys._current_frames()),
        "modules": {name: id(module) for name, module in modules.items()},
        "standard library": sorted(sys.stdlib_module_names),
        "stdio": [describe(getattr(sys, n, None)) for n in ("stdin", "stdout", "stderr")],
        "original stdio": [describe(getattr(sys, f"__{n}__")) for n in ("stdout", "stderr")],
        "handlers": {n: describe(_signal.getsignal(n)) for n in range(1, 65)},
        "path": list(sys.path),
        "meta_path": [describe(finder) for finder in sys.meta_path],
        "path_hooks": [describe(hook) for hook in sys.path_hooks],
        "importer cache": sorted(sys.path_importer_cache),
        "builtins": names_of(modules["builtins"]),
        "sys": names_of(modules["sys"], leave_out=("last_exc", "last_type", "last_value")),
        "threading": names_of(threading),
        "Thread": names_of(getattr(threading, "Thread", None)),
        "known threads": sorted(str(t) for t in getattr(threading, "_active", {})),
        "_thread": names_of(modules.get("_thread")),
        "os": names_of(os),
        "warnings": [str(f) for f in getattr(modules.get("warnings"), "filters", [])],
        "trace": [describe(sys.gettrace()), describe(sys.getprofile())],
        "monitoring": [sys.monitoring.get_tool(tool) for tool in range(6)],
        "traced frames": sorted(frame.f_code.co_name for frame in frames() if frame.f_trace),
        "breakpoints": breakpoints(modules.get("bdb")),
        "asyncio policy": describe(
            getattr(modules.get("asyncio.events"), "_event_loop_policy", None)
        ),
        "asyncgen hooks": [describe(hook) for hook in sys.get_asyncgen_hooks()],
        "gc": [gc.isenabled(), list(gc.get_threshold()), len(gc.callbacks), gc.get_debug()],
        "interpreter's limits": [
            sys.getrecursionlimit(),
            sys.getswitchinterval(),
            sys.get_int_max_str_digits(),
        ],
        "environment": dict(os.environ),
        "atexit": atexit._ncallbacks(),
        "linecache": sorted(map(str, getattr(modules.get("linecache"), "cache", ()))),
        "names of __main__": sorted(vars(modules["__main__"])),
        "socket timeout": _socket.getdefaulttimeout(),
    }


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
        connection.sendall(marshal.dumps(told, 4))
        connection.close()


if "WITNESS" in os.environ:
    _listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    _listener.bind(os.environ["WITNESS"])
    _listener.listen(8)
    _thread.start_new_thread(answer_loop, (_listener,))
