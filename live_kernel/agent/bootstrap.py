"""The only text that is handed to `sys.remote_exec`.

Runs in the target, on its main thread, at a safe point; above it the launcher
puts one line that assigns `PLACE`, the launcher's private directory, and
`TOKEN`. Rule: start a thread and return. Nothing is imported that is not in
the interpreter already, and nothing may reach the program's stderr.
"""

# mypy: disable-error-code="name-defined"
# ruff: noqa: F821


def _enter(place: str, token: str) -> None:
    try:
        import marshal

        with open(place + "/bundle", "rb") as file:
            constants, entry = marshal.loads(file.read(int.from_bytes(file.read(4))))
        exec(entry, {"__name__": "live_kernel_entry", "PLACE": place, "TOKEN": token} | constants)
    except BaseException as error:  # it would end on the program's stderr
        del error


def _start(place: str, token: str) -> None:
    import _imp
    import _thread
    from _frozen_importlib import ModuleSpec

    start: object = _thread.start_new_thread
    module = _thread
    if type(start) is not type(_imp.lock_held):  # gevent's, not CPython's
        module = _imp.create_builtin(ModuleSpec("_thread", None))
        _imp.exec_builtin(module)
    module.start_new_thread(_enter, (place, token))


try:
    _start(PLACE, TOKEN)
except BaseException as _error:
    del _error
