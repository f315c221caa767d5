"""The only text that is handed to `sys.remote_exec`.

Runs in the target, on its main thread, at a safe point; above it the launcher
puts one line that assigns `PLACE`, the launcher's private directory, `TOKEN`, and
`PID`, the target's own. Rule: start a thread and return. Nothing is imported that is
not in the interpreter already, and not by way of what the program may have put in the
place of Python's own functions; nothing may reach the program's stderr. What goes wrong is
told to the launcher.
"""

# mypy: disable-error-code="name-defined,attr-defined,no-any-return"
# ruff: noqa: F821


def _machinery() -> dict:  # type: ignore[type-arg]
    """The names of the import machinery, among them modules that are there in any program."""
    try:
        return _machinery.__builtins__["__loader__"].find_spec.__globals__
    except (LookupError, AttributeError):  # the program has removed the way to them
        import _frozen_importlib

        return _frozen_importlib.__dict__


def _tell(place: str, error: BaseException) -> None:
    """Tell the launcher of a failure: by a connection, or else by a link that leads nowhere; only
    to one that is root's or our own user's, as `peers.py` has it.
    """
    text = f"{type(error).__name__}: {error}"
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else " " for c in text)[:1000]
    names = _machinery()
    try:
        socket = names["__import__"]("_socket")
        body = f'{{"op":"bye","reason":"failed","detail":"{plain}"}}'.encode()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(0.2)
            connection.connect(place + "/link")
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            uid = int.from_bytes(peer[4:8], names["sys"].byteorder)
            if uid in (0, names["_bootstrap_external"]._os.geteuid()):
                connection.sendall(len(body).to_bytes(4, "big") * 2 + body)
        finally:
            connection.close()
    except Exception:  # no descriptor to be had, or sockets are forbidden here
        names["_bootstrap_external"]._os.symlink(plain, place + "/why")


def _enter(place: str, token: str, names: dict) -> None:  # type: ignore[type-arg]
    try:
        external = names["_bootstrap_external"]
        with external._io.open(place + "/bundle", "rb") as file:
            constants, entry = external.marshal.loads(file.read((0).from_bytes(file.read(4))))
        if entry.__class__ is "".__class__:
            entry = compile(entry, "<live-kernel>", "exec")
        given = {"__name__": "live_kernel_entry", "PLACE": place, "TOKEN": token, "TELL": _tell}
        function = _tell.__class__  # this is what `exec` does, which the program may have replaced
        function(entry, given | {"MACHINERY": names} | constants)()  # type: ignore[misc]
    except BaseException as error:  # it would end on the program's stderr
        try:
            _tell(place, error)
        except BaseException as another:
            del another


def _start(place: str, token: str, pid: int) -> None:
    names = _machinery()
    if names["_bootstrap_external"]._os.getpid() != pid:
        return  # a child that was forked while this was waiting to be run
    imp, module = names["_imp"], names["_thread"]
    if type(module.start_new_thread) is not type(imp.lock_held):  # gevent's, not CPython's
        module = imp.create_builtin(names["ModuleSpec"]("_thread", None))
        imp.exec_builtin(module)
    module.start_new_thread(_enter, (place, token, names))


try:
    try:
        _start(PLACE, TOKEN, PID)
    except Exception as _error:
        _tell(PLACE, _error)
except BaseException as _another:
    del _another
