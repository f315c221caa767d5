"""The first code of the bundle: puts the agent's modules in place and begins a session.

Runs in the target, on the thread that the bootstrap started, with `PLACE` and
`TOKEN` among its globals and, added by `attach/payload.py`, `PACKAGE` and
`MAGIC`. Rule: a failure is told to the launcher, and to nobody else.
"""

# mypy: disable-error-code="name-defined"
# ruff: noqa: F821

from __future__ import annotations

import _imp
import marshal
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _package() -> Any:
    """The agent's package in this process: the one there, or a new one, unloaded.

    Two launchers may come at the same time: `setdefault` decides, the lock makes
    the second one wait. (A lock of CPython's own, whatever gevent put in its place.)
    """
    present = sys.modules.get(PACKAGE)
    if present is not None:
        return present
    thread = _imp.create_builtin(ModuleSpec("_thread", None))
    _imp.exec_builtin(thread)
    package = _module(PACKAGE, is_package=True)
    package.__dict__.update(lock=thread.RLock(), loaded=False, late={}, load_late=_load_late)
    return sys.modules.setdefault(PACKAGE, package)


def _module(name: str, is_package: bool) -> Any:
    module = type(sys)(name)
    module.__spec__ = ModuleSpec(name, None, is_package=is_package)
    module.__package__ = name if is_package else name.rpartition(".")[0]
    if is_package:
        module.__path__ = []
    return module


def _modules() -> list[tuple[str, bool, int, bytes]]:
    """The rest of the bundle, in the order of imports: name, is a package, the number of its
    group if it is loaded late or else 0, marshalled code.
    """
    with open(PLACE + "/bundle", "rb") as file:
        file.seek(4 + int.from_bytes(file.read(4)))
        return marshal.loads(file.read())  # type: ignore[no-any-return]


def _load() -> None:
    """Run the modules that are not there yet. They stay when the session ends."""
    package = _package()
    with package.lock:
        if package.loaded:
            return
        for name, is_package, group, code in _modules():
            if group:
                package.late[name] = group, code
            elif name == PACKAGE:
                exec(_compiled(code), package.__dict__)
            else:
                _run_module(_module(name, is_package), code)
        package.loaded = True


def _run_module(module: Any, code: bytes) -> None:
    name = module.__name__
    parent, _, child = name.rpartition(".")
    sys.modules[name] = module
    exec(_compiled(code), module.__dict__)
    setattr(sys.modules[parent], child, module)


def _load_late(wanted: str) -> Any:
    """Load a module that was kept as bytes, with those of its group. Raises AttributeError."""
    package = sys.modules[PACKAGE]
    with package.lock:
        if wanted in package.late:
            number = package.late[wanted][0]
            group = [name for name, (its, _) in package.late.items() if its == number]
            for name in group:
                _run_module(_module(name, is_package=False), package.late.pop(name)[1])
        if wanted in sys.modules:  # or another thread was quicker
            return sys.modules[wanted]
    raise AttributeError(wanted)


def _compiled(data: bytes) -> Any:
    """Code; or what comes as text and the name of its file, compiled here."""
    code = marshal.loads(data)
    if type(code) is tuple:
        text, file = code
        code = compile(text, file, "exec", dont_inherit=True)
    return code


def _tell(text: str) -> None:
    """Report a failure over a connection of its own, with nothing but sockets; only to a launcher
    that is root's or our own user's, as `peers.py` has it, which may not even be loaded.
    """
    import _socket
    import posix

    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else " " for c in text)[:2000]
    body = f'{{"op":"bye","reason":"failed","detail":"{plain}"}}'.encode()
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(PLACE + "/link")
        peer = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        if int.from_bytes(peer[4:8], sys.byteorder) in (0, posix.geteuid()):
            connection.sendall(len(body).to_bytes(4, "big") * 2 + body)
    finally:
        connection.close()


try:
    if MAGIC not in (None, MAGIC_NUMBER):
        raise ImportError(f"the agent was compiled for another Python than {sys.version}")
    _load()
    _run = sys.modules[PACKAGE + ".agent.session"].begin(PLACE, TOKEN)
except BaseException as _error:
    _tell(f"{type(_error).__name__}: {_error}")
else:
    _run()
