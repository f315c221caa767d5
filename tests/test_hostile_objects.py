"""Objects of the program's that mean harm: what they do to whatever looks at them.

Property tests in this process, which `make fuzz` drives further, and a table of objects in a
real program. Rule: who promises to raise nothing raises nothing; what is shown is bounded; an
interrupt gets through to what never ends; and afterwards the session works.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import hostile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import Kernel
from snapshots import Program

from live_kernel.agent import brief, completion, display, inspection, references, tracebacks
from live_kernel.agent.pretty import pretty
from live_kernel.link import frames

quick = settings(deadline=None, max_examples=60)


class Fatal(BaseException):
    """No Exception; its text can't be had either."""

    def __str__(self) -> str:
        raise SystemExit("str")


RAISED: list[type[BaseException]] = [
    *(ValueError, AttributeError, MemoryError, RecursionError, SystemExit, GeneratorExit),
    *(StopIteration, UnicodeError, NotImplementedError, TypeError),
]
"""What a method raises. (KeyboardInterrupt and its like are the user's, and pass.)"""


class Word(str):
    """A str that lies about itself."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError("no")

    def __len__(self) -> int:
        return 0

    def __eq__(self, _other: object) -> bool:
        raise ValueError("no")

    def __hash__(self) -> int:
        return 1

    def encode(self, *_: object, **__: object) -> bytes:
        raise ValueError("no")

    def __getitem__(self, _key: object) -> str:
        raise ValueError("no")


RETURNED: list[Any] = [
    *(None, 7, 1.5, b"x", [], {}, (), object, "\ud800", "x" * 100_000, "\x1b[2J", float("nan")),
    *(Word("word"), {"text/html": Word("x")}, {7: 8}, {"text/plain": None}, ({}, 3), -1, 1 << 80),
]

METHODS = [
    *("__repr__", "__str__", "__getattr__", "__getattribute__", "__dir__", "__len__", "__iter__"),
    *("__eq__", "__hash__", "__bool__", "__format__", "__call__", "__getitem__"),
    *("__contains__", "__reduce_ex__", "__sizeof__", "__index__", "__int__", "__float__"),
    *("_repr_html_", "_repr_mimebundle_", "_ipython_display_", "_repr_pretty_", "_repr_png_"),
    *("_repr_json_", "_repr_latex_", "_ipython_key_completions_", "keys", "items"),
]
PROPERTIES = [
    *("__class__", "__doc__", "__name__", "__qualname__", "__module__", "__wrapped__", "__file__"),
    *("__signature__", "__text_signature__", "__annotations__", "__dict__", "__func__", "__code__"),
    *("__defaults__", "__kwdefaults__", "__spec__", "__path__", "_fields", "__match_args__"),
    *("__cause__", "__context__", "__notes__", "__traceback__", "__suppress_context__", "args"),
]
BASES: list[tuple[type, ...]] = [
    *((), (str,), (int,), (dict,), (list,), (set,), (tuple,), (bytes,), (float,), (Exception,)),
    *((type(sys),), (type,), (BaseException,), (ExceptionGroup,), (dict, Exception)),
]


def _does(what: Any, is_raised: bool) -> Callable[..., Any]:
    def method(*_: Any, **__: Any) -> Any:
        if is_raised:
            raise what("\x1b[2Jraised")
        return what

    return method


@st.composite
def _methods(draw: st.DrawFn, most: int = 5) -> dict[str, Any]:
    """A namespace of a class: some methods and attributes, of which each does its worst."""
    found: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(METHODS + PROPERTIES), max_size=most, unique=True)):
        is_raised = draw(st.booleans())
        what = draw(st.sampled_from(RAISED if is_raised else RETURNED))
        method = _does(what, is_raised)
        if name in METHODS:
            found[name] = method
        elif name == "__dict__":
            continue  # a class can't be made with one
        else:
            found[name] = draw(st.sampled_from([property(method), what]))
    return found


class Odd(type):
    """A metaclass that answers wrongly, if it answers."""

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__mro__", "__name__", "__dict__", "__doc__", "__module__", "mro"):
            raise SystemExit(name)
        return type.__getattribute__(cls, name)

    def __instancecheck__(cls, _instance: object) -> bool:
        raise ValueError("no")

    def __subclasscheck__(cls, _subclass: type) -> bool:
        raise ValueError("no")

    def __dir__(cls) -> Any:
        return 7

    def __repr__(cls) -> str:
        raise ValueError("no")


@st.composite
def objects(draw: st.DrawFn, bases: Any = None) -> Any:
    """An instance of a hostile class, or the class."""
    chosen = draw(st.sampled_from(BASES)) if bases is None else bases
    namespace = draw(_methods())
    meta = type if chosen[:1] == (type,) or draw(st.booleans()) else Odd
    try:
        cls = meta(draw(st.sampled_from(["C", "\x1b[2J", "\ud800"])), chosen, namespace)
    except (TypeError, ValueError, UnicodeError):
        return object()  # nobody can make such a one
    made: Any = cls
    if not draw(st.booleans()) or bases is not None:
        arguments: tuple[Any, ...] = ()
        if chosen[:1] == (type(sys),):
            arguments = ("m",)
        elif chosen[:1] == (type,):
            arguments = ("D", (), {})
        elif chosen[:1] == (ExceptionGroup,):
            arguments = ("g", [ValueError("x")])
        with contextlib.suppress(BaseException):
            made = cls.__new__(cls, *arguments)  # type: ignore[misc]
            cls.__init__(made, *arguments)
    with contextlib.suppress(BaseException):
        object.__setattr__(made, "held", made)
    return made


class Names:
    """A namespace of one name."""

    def __init__(self, value: object) -> None:
        self._value = value

    def lookup(self, name: str) -> object:
        if name == "x":
            return self._value
        raise KeyError(name)

    def names(self) -> list[str]:
        return ["x"]

    def local_names(self) -> list[str]:
        return ["x"]


def _sent(message: dict[str, Any]) -> int:
    """It can be sent; its size in bytes."""
    return sum(map(len, frames.encode(message)))


_CODES = ["x.", "x.h", "x[", 'x["', "x(", "x", "x.held.held.", "x.__doc__.", "x[0].", "x().", "-x."]


@quick
@given(objects(), st.sampled_from(_CODES))
def test_completion(value: Any, code: str) -> None:
    answer = completion.complete(code, len(code), Names(value))
    assert _sent(answer) < 2_000_000


@quick
@given(objects(), st.sampled_from(["x", "x.held", "x.__class__", "x.__doc__"]), st.integers(0, 1))
def test_inspection(value: Any, code: str, detail: int) -> None:
    answer = inspection.inspect(code, len(code), detail, Names(value))
    assert _sent(answer) < 4_000_000


@quick
@given(objects() | st.lists(objects(), max_size=3) | st.dictionaries(st.integers(), objects()))
def test_what_is_shown_of_values(value: Any) -> None:
    assert _sent({"text": pretty(value, 10_000)}) < 50_000
    data, metadata = display.bundle(value, on_error=lambda _error: None)
    _sent({"data": data, "metadata": metadata})
    assert all(type(name) is str for name in data)


@quick
@given(objects() | st.lists(objects(), max_size=3) | st.tuples(objects()))
def test_what_a_trace_shows(value: Any) -> None:
    assert _sent({"text": brief.brief(value)}) < 20_000


@quick
@given(st.sampled_from([(Exception,), (BaseException,), (ExceptionGroup,)]).flatmap(objects))
def test_tracebacks(error: Any) -> None:
    if not issubclass(type(error), BaseException):
        return
    try:
        raise error
    except BaseException as caught:
        told = tracebacks.as_message(caught)
        verbose = tracebacks.as_message(caught, mode="Verbose")
    for message in (told, verbose):
        assert type(message["evalue"]) is str
        assert message["traceback"]
        _sent(message)


@quick
@given(objects())
def test_references(value: Any) -> None:
    """Looking for what refers to a function passes everything that a module holds."""
    module = type(sys)("hostile_module")
    module.thing = value  # type: ignore[attr-defined]

    def before() -> None: ...
    def after() -> None: ...

    module.function = before  # type: ignore[attr-defined]
    sys.modules["hostile_module"] = module
    try:
        places, _ = references.replace(before, after)
        assert module.function is after
        assert places
    finally:
        del sys.modules["hostile_module"]


# -- in a program

OBJECTS = """
import sys, threading, time, types

class Fatal(BaseException):
    def __str__(self): raise SystemExit("str")

def bad(*a, **k): raise Fatal

class Everything:
    __slots__ = ()
    __repr__ = __str__ = __dir__ = __len__ = __iter__ = __eq__ = __bool__ = __hash__ = bad
    __getattr__ = __getattribute__ = __setattr__ = __call__ = __getitem__ = __format__ = bad
    _repr_html_ = _repr_mimebundle_ = _ipython_display_ = bad

class Meta(type):
    __getattribute__ = __instancecheck__ = __subclasscheck__ = __dir__ = __repr__ = bad
    __eq__ = __bool__ = __hash__ = bad

class OfMeta(metaclass=Meta):
    pass

class Liar:
    __class__ = property(bad)
    __doc__ = property(bad)
    __dict__ = property(bad)
    __signature__ = property(bad)
    __module__ = property(bad)

class Wrapped:
    def __call__(self): pass
Wrapped.__wrapped__ = property(lambda self: Wrapped())
circle = lambda: None
circle.__wrapped__ = circle

class Dying:
    def __del__(self): raise Fatal

class Returning:
    kept = []
    def __del__(self): Returning.kept = [self]

class Text(str):
    __str__ = __repr__ = __len__ = __eq__ = __format__ = encode = bad
    __hash__ = str.__hash__

class Keys(dict):
    __iter__ = __len__ = keys = items = __getitem__ = get = __contains__ = bad

class Error(Exception):
    __str__ = __repr__ = bad
    __notes__ = property(bad)
    __suppress_context__ = property(bad)

class Chain(Exception):
    __cause__ = property(lambda self: Chain())

class Looped(Exception):
    pass
looped = Looped(); other = Looped(); looped.__cause__ = other; other.__cause__ = looped

wide = types.SimpleNamespace(**{f"name{n}": n for n in range(200_000)})
module = types.ModuleType("hostile")
module.__getattr__ = bad
module.__spec__ = module.__file__ = module.__path__ = module.__name__ = Everything()
sys.modules["hostile"] = module
sys.modules["hostile_text"] = Everything()

def make(name):
    code = (lambda: 1 / 0).__code__.replace(co_filename=name, co_name=name, co_qualname=name)
    return types.FunctionType(code, {})

odd_code = make("\\x1b[2J<b>\\ud800")
lineless = types.FunctionType(bad.__code__.replace(co_linetable=b"\\xf7" * 5000), {})

class Endless:
    def __repr__(self):
        while True: pass
class EndlessIter(dict):
    def __iter__(self):
        while True: yield 1
class EndlessHtml:
    def _repr_html_(self):
        while True: pass
class EndlessError(Exception):
    def __str__(self):
        while True: pass

everything, of_meta, liar, wrapped = Everything(), OfMeta(), Liar(), Wrapped()
text, keys, error = Text("x"), Keys(a=1), Error()
"""

NAMES = [
    *("everything", "Everything", "of_meta", "OfMeta", "liar", "wrapped", "circle", "text", "keys"),
    *("error", "looped", "wide", "module", "odd_code", "lineless", "Dying()", "Returning()"),
]
FEATURES = ["{}", "[{}, 1]", "raise_it({})", "f({})", "print(1, {})"]


PREPARED = """
def raise_it(value):
    raise value

def f(value):
    local = value
    {}[value]

def hold(value):
    held = value
    while not is_over:
        time.sleep(0.01)

is_over = False
"""


@pytest.fixture(scope="module")
def crowded() -> Iterator[Kernel]:
    """A kernel in a program that holds all of these."""
    with Program("idle") as program, Kernel("--pid", program.pid) as kernel:
        assert kernel.run(OBJECTS).status == "ok"
        assert kernel.run(PREPARED).status == "ok"
        yield kernel


def _is_well(kernel: Kernel) -> bool:
    return kernel.run("1 + 1").result == "2"


@pytest.mark.attach
@pytest.mark.parametrize("name", NAMES)
def test_each_object_in_each_feature(crowded: Kernel, name: str) -> None:
    for feature in FEATURES:
        crowded.run(feature.format(name))
    simple = name.removesuffix("()")
    for code in (f"{simple}.", f"{simple}[", f"{simple}(", f"{simple}.__doc__."):
        crowded.complete(code)
    crowded.ask("inspect_request", code=simple, cursor_pos=len(simple), detail_level=1)
    crowded.run(f"%watch {name} every 20ms for 100ms --here")
    crowded.run(f"{simple}??")
    assert _is_well(crowded)


@pytest.mark.attach
@pytest.mark.parametrize(
    "code",
    [
        "Endless()",
        "print([Endless()])",
        "EndlessHtml()",
        "raise EndlessError",
        "raise Chain",
        "list(EndlessIter())",
    ],
)
def test_an_interrupt_ends_what_never_would(crowded: Kernel, code: str) -> None:
    crowded.run("import resource; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss")
    cell = crowded.begin(f"print('begun', flush=True)\n{code}")
    cell.wait_for("begun")
    crowded.interrupt()
    cell.finish()
    assert cell.status == "error"
    assert _is_well(crowded)


@pytest.mark.attach
def test_looks_at_a_program_full_of_them(crowded: Kernel) -> None:
    """Threads and tasks with names that are none, and frames that hold what can't be held."""
    crowded.run(
        "threads = [threading.Thread(target=hold, args=[v], name=n, daemon=True) for v, n in"
        " [(everything, '\\x1b[2J<b>'), (keys, '\\ud800'), (liar, 'x' * 5000)]]\n"
        "for each in threads: each.start()\n"
        "threads[0]._name = everything; threads[1]._name = text; threads[2]._name = 7"
    )
    try:
        for command in ("%threads", "%tasks", "%where", "%stack", "%status", "%breaks"):
            shown = crowded.run(command)
            assert shown.status == "ok", shown.error
            for data in shown.displays:
                hostile.assert_harmless_bundle(data)
        crowded.run("%patch f\ndef f(value): return 7")
        crowded.run("%trace f -n 3 --beside")
        crowded.run("f(everything), f(keys), f(text)")
        crowded.run("%untrace all")
        crowded.run("%break f if everything")
        crowded.run("%break --log everything f")
        crowded.run("%unbreak all")
        assert _is_well(crowded)
    finally:
        crowded.run("is_over = True")
