"""The first code of the bundle: puts the agent's modules in place and begins a session.

Runs in the target, on the thread that the bootstrap started, with `PLACE`, `TOKEN`,
`TELL` and `MACHINERY` among its globals, all from there, and, added by `attach/payload.py`,
`PACKAGE` and `MAGIC`. The agent's modules get builtins of their own, and find each other in
a table of their own: whatever the program does to `builtins` or `sys.modules`, they work.
Rule: a failure is told to the launcher, and to nobody else.
"""

# mypy: disable-error-code="name-defined"
# ruff: noqa: F821
# (Not even `annotations` is imported here: that, too, would go by way of the program.)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

sys, _imp, ModuleSpec = MACHINERY["sys"], MACHINERY["_imp"], MACHINERY["ModuleSpec"]
marshal = MACHINERY["_bootstrap_external"].marshal

_NEEDED = """
__build_class__ abs all any ascii callable chr compile delattr dir divmod eval exec format getattr
globals hasattr hash id isinstance issubclass iter len locals max min next open ord repr round
setattr sorted sum vars bool bytearray bytes classmethod dict enumerate filter float frozenset int
list map memoryview object property range reversed set slice staticmethod str super tuple type zip
"""
"""What of Python's own the agent calls; `__import__` besides."""


def _own_builtins() -> dict[str, Any]:
    """The builtins, as Python made them where the program has put its own in their place."""
    here: Any = _own_builtins
    own = {**here.__builtins__}
    if not _is_as_made("__import__", own.get("__import__")):
        own["__import__"] = MACHINERY["__import__"]
    altered = [name for name in _NEEDED.split() if not _is_as_made(name, own.get(name))]
    if altered:
        own["open"] = MACHINERY["_bootstrap_external"]._io.open
        own.update(_as_made([name for name in altered if name != "open"]))
    return own


def _is_as_made(name: str, value: Any) -> bool:
    kind = value.__class__
    is_builtin = kind is _imp.lock_held.__class__ or kind is kind.__class__
    home = "_io" if name == "open" else "builtins"
    return is_builtin and value.__module__ == home and value.__name__ == name


def _as_made(names: list[str]) -> dict[str, Any]:
    """These from the copy of its builtins that the interpreter keeps; empty if there is none."""
    try:
        objects = MACHINERY["__import__"]("gc").get_objects()
    except Exception:  # the program does not allow it
        return {}
    here: Any = _own_builtins
    present: dict[str, Any] = here.__builtins__
    kind = present.__class__
    kind_of = kind.__class__  # `type`; no object is asked for its `__class__`, which may be code
    for each in objects:
        is_of_builtins = kind_of(each) is kind and each.get("__name__") == "builtins"
        if is_of_builtins and False not in [_is_as_made(n, each.get(n)) for n in names]:
            return {name: each[name] for name in names}
    return {}


_own = _own_builtins()
__builtins__ = _own  # type: ignore[assignment]  # for all functions below


def _package() -> Any:
    """The agent's package in this process: the one there, or a new one, unloaded.

    Two launchers may come at the same time: `setdefault` decides, the lock makes
    the second one wait. (A lock of CPython's own, whatever gevent put in its place.)
    """
    present = sys.modules.get(PACKAGE)
    if present is not None and _is_half_done(present):
        sys.modules.pop(PACKAGE, None)
    elif present is not None:
        return present
    thread = _imp.create_builtin(ModuleSpec("_thread", None))
    _imp.exec_builtin(thread)
    package = _module(PACKAGE, is_package=True, builtins={**_own})
    package.__dict__.update(lock=thread.RLock(), pid=_pid(), loaded=False)
    package.__dict__.update(late={}, modules={PACKAGE: package})
    package.__builtins__["__import__"] = _importer(package.modules)
    return sys.modules.setdefault(PACKAGE, package)


def _is_half_done(package: Any) -> bool:
    """Was this process forked while a thread of its parent's was loading the agent?"""
    return package.pid != _pid() and (package.lock.locked() or not package.loaded)


def _pid() -> int:
    return int(MACHINERY["_bootstrap_external"]._os.getpid())


def _importer(modules: dict[str, Any]) -> Callable[..., Any]:
    """What `import` does in the agent: what is its own it finds even if the program unloads it."""
    outside = _own["__import__"]

    def import_(
        name: str,
        globals: Any = None,  # noqa: A002 - as Python has them
        locals: Any = None,  # noqa: A002
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        if not level:
            return outside(name, globals, locals, fromlist)
        parent = globals["__package__"].rsplit(".", level - 1)[0]
        return modules[f"{parent}.{name}" if name else parent]

    return import_


def _module(name: str, is_package: bool, builtins: dict[str, Any]) -> Any:
    module = type(sys)(name)
    module.__spec__ = ModuleSpec(name, None, is_package=is_package)
    module.__package__ = name if is_package else name.rpartition(".")[0]
    module.__dict__["__builtins__"] = builtins
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


def _load(package: Any) -> None:
    """Run the modules that are not there yet. They stay when the session ends."""
    with package.lock:
        if package.loaded:
            return
        for name, is_package, group, code in _modules():
            if group:
                package.late[name] = group, code
            elif name == PACKAGE:
                exec(_compiled(code), package.__dict__)
            else:
                _run_module(package, name, is_package, code)
        package.loaded = True


def _run_module(package: Any, name: str, is_package: bool, code: bytes) -> None:
    module = _module(name, is_package, package.__builtins__)
    if is_package:
        module.load_late = lambda wanted: _load_late(package, wanted)
    sys.modules[name] = package.modules[name] = module
    exec(_compiled(code), module.__dict__)
    parent, _, child = name.rpartition(".")
    setattr(package.modules[parent], child, module)


def _load_late(package: Any, wanted: str) -> Any:
    """Load a module that was kept as bytes, with those of its group. Raises AttributeError."""
    with package.lock:
        if wanted in package.late:
            number = package.late[wanted][0]
            group = [name for name, (its, _) in package.late.items() if its == number]
            for name in group:
                _run_module(package, name, False, package.late.pop(name)[1])
        if wanted in package.modules:  # or another thread was quicker
            return package.modules[wanted]
    raise AttributeError(wanted)


def _compiled(data: bytes) -> Any:
    """Code; or what comes as text and the name of its file, compiled here."""
    code = marshal.loads(data)
    if type(code) is tuple:
        text, file = code
        code = compile(text, file, "exec", dont_inherit=True)
    return code


def _main() -> None:
    try:
        if MAGIC not in (None, MACHINERY["_bootstrap_external"].MAGIC_NUMBER):
            raise ImportError(f"the agent was compiled for another Python than {sys.version}")
        package = _package()
        _load(package)
        run = package.modules[PACKAGE + ".agent.session"].begin(PLACE, TOKEN)
    except BaseException as error:
        TELL(PLACE, error)
    else:
        run()


_main()
