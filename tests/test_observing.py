"""`--observe`: sessions that look at a program, and run no code in it, whoever wants them to."""

from __future__ import annotations

import builtins
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import Kernel
from snapshots import Program
from targets import ROOT, Target, eventually, older_launcher, python315
from test_comms import tell

import live_kernel
from live_kernel.agent import observing
from live_kernel.agent.actions import Refused
from live_kernel.errors import AgentFailed, CommandMisused, OnlyLooks
from live_kernel.launcher import commands
from live_kernel.launcher.commands.command import Action, Command
from live_kernel.launcher.guarding import Reach
from live_kernel.launcher.protection import Found
from live_kernel.launcher.rails import NO_RAILS
from live_kernel.launcher.target import CellRun
from live_kernel.link import messages

pytestmark = [pytest.mark.attach, pytest.mark.client]


# -- what a command says of itself


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_each_command_says_how_far_it_reaches(name: str) -> None:
    """Its own class does, or one above it that is of its kind and no command itself."""
    kind = commands.COMMANDS[name]
    own = [cls for cls in kind.__mro__ if "reach" in vars(cls)]
    assert own, name
    assert own[0] is kind, f"{name} takes it from {own[0].__name__}"
    assert isinstance(kind.reach, Reach)


def test_launcher_and_agent_agree_on_what_only_looks() -> None:
    arguments = {"%break": "--log x f", "%patch": "a b", "%%patch": "a\ndef a(): pass"}
    for name, kind in commands.COMMANDS.items():
        if issubclass(kind, Action):
            command = kind.__new__(kind)
            reach = command.reach_of(arguments.get(name, "x"))
            assert (reach is not Reach.RUNS) is messages.ACTIONS[kind.action], name


def run_message(**fields: Any) -> dict[str, Any]:
    basis = {"op": "run", "cell": 1, "code": "", "count": 1, "silent": False, "expressions": {}}
    return {**basis, "allow_input": False, **fields}


@pytest.mark.parametrize(
    ("message", "is_look"),
    [
        (run_message(code="1"), False),
        (run_message(), False),
        (run_message(expressions={"a": "1"}, action={"name": "watch"}), False),
        (run_message(code="1", action={"name": "watch"}), False),
        (run_message(action={"name": "watch"}), True),
        (run_message(action={"name": "break", "log": ""}), False),
        (run_message(action={"name": "break", "log": "x"}), True),
        (run_message(action={"name": "enter"}), False),
        (run_message(action={"name": "patch"}), False),
        (run_message(action={"name": "of the future"}), False),
        (run_message(action={}), False),
        ({"op": "comm"}, False),
    ],
)
def test_what_is_a_look(message: dict[str, Any], is_look: bool) -> None:
    assert messages.is_look(message) is is_look


def test_a_welcome_that_is_not_understood_is_none() -> None:
    assert messages.from_launcher({"op": "welcome", "observe": True})
    assert not messages.from_launcher({"op": "welcome", "observe": "yes"})


# -- expressions that are read from memory


class Told(Exception):
    """Code of the program was run."""


def _tell(*_: object, **__: object) -> Any:
    raise Told


_METHODS = (
    *("__add__", "__radd__", "__bool__", "__call__", "__contains__", "__delattr__", "__eq__"),
    *("__float__", "__format__", "__ge__", "__getattr__", "__getattribute__", "__getitem__"),
    *("__gt__", "__hash__", "__index__", "__int__", "__iter__", "__le__", "__len__", "__lt__"),
    *("__missing__", "__mod__", "__mul__", "__ne__", "__neg__", "__next__", "__pos__"),
    *("__repr__", "__rmul__", "__str__", "__sub__", "__truediv__", "__rsub__", "__instancecheck__"),
)


class TellingMeta(type):
    __eq__ = __getattr__ = __len__ = __bool__ = __instancecheck__ = __repr__ = _tell
    __hash__ = type.__hash__


def telling(*bases: type) -> type:
    """A class whose instances tell of whatever is asked of them."""
    own = dict.fromkeys(_METHODS, _tell) | {"computed": property(_tell), "plain": 7}
    return TellingMeta("Telling", bases, own)


def hostile() -> dict[str, Any]:
    """Names of which some tell when they are asked, beside plain ones."""
    names: dict[str, Any] = {"x": 3, "y": 2.5, "s": "text", "l": [1, 2, 3], "d": {"a": 1, 2: "b"}}
    for base in (object, dict, list, tuple, str, int, float, set):
        names[f"t_{base.__name__}"] = base.__new__(telling(*[base] * (base is not object)))
    names["t_class"] = telling()
    names["held"] = [names["t_object"]]
    names["module"] = sys
    return names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x + y * 2 - 1", 7.0),
        ("-x // 2, x % 2", (-2, 1)),
        ("len(s), len(l), len(d), len('abc')", (4, 3, 2, 3)),
        ("d['a'], d[2], l[-1], l[1:], s[0]", (1, "b", 3, [2, 3], "t")),
        ("x > 2 and y < 3 or s", True),
        ("not l, not x", (False, False)),
        ("x in l, 9 in l, 'a' in d, 'ex' in s, 9 not in l", (True, False, True, True, True)),
        ("1 < x < 4, x is None, x is not None", (True, False, True)),
        ("sum(l), min(l), max(l)", (6, 1, 3)),
        ("'yes' if x == 3 else t_object.computed", "yes"),
        ("type(x) is type(1)", True),
        ("module.maxsize", sys.maxsize),
        ("t_object.plain", 7),
        ("t_class.plain", 7),
        ("t_object is t_object, type(t_object) is t_class", (True, False)),
        ("len(held)", 1),
        ("3 in held", False),
    ],
)
def test_what_is_read(text: str, value: object) -> None:
    assert observing.Expression(text).value(_names()) == value


def _names() -> dict[str, Any]:
    return vars(builtins) | hostile()


@pytest.mark.parametrize(
    "text",
    [
        *("f()", "x.bit_length()", "len(x, y)", "len(*l)", "print(x)", "eval('1')", "open('f')"),
        *(
            "[a for a in l]",
            "lambda: 1",
            "(y := 1)",
            "f'{x}'",
            "{1: 2}",
            "{1}",
            "2 ** 99",
            "1 << 9",
        ),
        *("~x", "x @ y", "[*l]", "await x", "(yield)", "l[f()]", "s.format(x)", "type(x)(5)"),
        *("len(f())", "(lambda: 0)()", "d[print()]", "x if f() else y", "x | y"),
    ],
)
def test_what_is_refused_before_anything_is_read(text: str) -> None:
    with pytest.raises(Refused):
        observing.Expression(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "t_object.computed",
            "t_object + 1",
            "1 + t_int",
            "t_int * 2",
            "-t_float",
            "not t_object",
        ),
        *(
            "t_object == 1",
            "t_str == 'x'",
            "x < t_int",
            "t_object['a']",
            "t_dict['a']",
            "t_list[0]",
        ),
        *("l[t_int]", "d[t_object]", "t_object in l", "1 in t_list", "1 in t_set", "t_str in s"),
        *(
            "len(t_list)",
            "len(t_object)",
            "len(t_str)",
            "sum(held)",
            "max(t_list)",
            "t_object and 1",
        ),
        *("t_list or 1", "1 if t_object else 2", "t_tuple < (1,)", "d[(t_object,)]", "l[t_int:]"),
        *("min(d)", "t_class == 1"),
    ],
)
def test_what_only_code_could_tell_is_not_read(text: str) -> None:
    with pytest.raises(observing.NotRead):
        observing.Expression(text).value(_names())


def test_a_name_of_the_programs_own_is_not_called() -> None:
    for name in ("len", "sum", "type"):
        with pytest.raises(observing.NotRead):
            observing.Expression(f"{name}(l)").value(_names() | {name: _tell})


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (deque([1]), 1),
        (defaultdict(list, a=1), 1),
        (Counter("ab"), 2),
        (OrderedDict(a=1), 1),
        (frozenset({1}), 1),
        (range(5), 5),
        (bytearray(b"abc"), 3),
    ],
)
def test_containers_of_the_standard_library_have_a_length(value: Any, length: int) -> None:
    assert observing.Expression("len(v)").value({"len": len, "v": value}) == length


def test_a_missing_key_of_a_dictionary_makes_none() -> None:
    counts: Any = defaultdict(_tell, a=1)
    with pytest.raises(observing.NotRead):
        observing.Expression("c['b']").value({"c": counts})
    assert list(counts) == ["a"]


_leaves = st.sampled_from([*hostile(), "1", "2.5", "'a'", "None", "nothing"])


def _built(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = ["+", "-", "*", "/", "%", "==", "<", "in", "is", "and", "or", "not in"]
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(operators), inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}[{}:]".format, inner, inner),
        st.builds(
            "({}).{}".format, inner, st.sampled_from(["computed", "plain", "__class__", "x"])
        ),
        st.builds("{}({})".format, st.sampled_from(["len", "sum", "type", "max"]), inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("(not {}, -{})".format, inner, inner),
    )


@given(st.recursive(_leaves, _built, max_leaves=12))
def test_no_expression_runs_code_of_the_program(text: str) -> None:
    """Whatever is put together: it has a value, or an error of Python's own, or is not read."""
    from live_kernel.agent import readings

    try:
        value = observing.Expression(text).value(_names())
        readings.from_memory(value, 0.0)
        observing.truth(value)
    except (Refused, observing.NotRead, ArithmeticError, TypeError, LookupError):
        pass
    except (NameError, AttributeError, ValueError):
        pass


# -- a kernel that only looks


@pytest.fixture
def store() -> Iterator[Program]:
    with Program("store/app") as running:
        yield running


LOOKS = {
    "%status": "Kernel:    only looks",
    "%threads": "worker",
    "%stack worker": "work",
    "%tasks": "Task-",
    "%where": "Cells see",
    "%frame work": "Cells see work()",
    "%up": "",
    "%down": "",
    "%thread looper": "Cells see",
    "%module pricing": "Cells see module pricing",
    "%frame --default": "",
    "%watch steps > 0, len(seen) for 60ms": "its time is over",
    "%watch every 1s": None,
    "%watch": "Nothing is watched",
    "%trace pricing.price -n 2 if order.total > 0": "that many were asked for",
    "%trace": "Nothing is traced",
    "%break --log order.total pricing.price": "Logs 1",
    "%breaks": "logs order.total",
    "%unbreak": "Removed 1",
    "%ps": "",
    "%limits": "repr",
    "%idle": "does not detach",
    "%place": "Cells run",
    "pricing.price?": "",
}


def test_it_looks_and_the_program_notices_nothing(store: Program) -> None:
    before = store.snapshot()
    with Kernel("--pid", store.pid, "--observe") as kernel:
        attach = kernel.run(f"%attach {store.pid}")
        assert "only looks, and runs no cells (--observe)" in attach.text
        for code, text in LOOKS.items():
            cell = kernel.run(code)
            assert (cell.status == "ok") is (text is not None), (code, cell)
            assert (text or "") in cell.text, (code, cell.text)
        assert "price" in kernel.complete("pricing.pri")
        found = kernel.ask("inspect_request", code="pricing.rate", cursor_pos=12, detail_level=0)
        assert "1.0" in found["data"]["text/plain"]
        kernel.run("%detach")
        store.assert_unharmed_since(before)


@pytest.mark.older
@pytest.mark.python315
def test_between_other_versions() -> None:
    with Program("store/app", python315()) as store:
        env = {"PYTHONPATH": str(ROOT)}
        with Kernel("--pid", store.pid, "--observe", python=older_launcher(), env=env) as kernel:
            assert kernel.run("steps").error[0] == "OnlyLooks"
            watch = kernel.run("%watch len(seen) == 5, seen[0] if seen else 0 for 60ms")
            assert "its time is over" in watch.stdout
            assert "= (True, " in watch.text
            log = kernel.run("%break --log order.total + 1 pricing.price")
            kernel.wait(lambda: "order.total + 1 = " in log.stdout, what="a value")


REFUSED = {
    "steps": "The cell",
    "%%main\nsteps": "%%main",
    "%%thread worker\n1": "%%thread",
    "%%loop\n1": "%%loop",
    "%%own\n1": "%%own",
    "%threads\n1": "The cell",
    "!echo hello": "The cell",
    "%time 1": "The cell",
    "%pull steps": "%pull",
    "%push steps": "%push",
    "%%patch pricing.price\ndef price(order): return 5": "%%patch",
    "%patch pricing.price f": "%patch",
    "%patch": "%patch",
    "%unpatch": "%unpatch",
    "%break pricing.price": "%break",
    "%break pricing.price if order.total": "%break",
    "%enter": "%enter",
    "%watch step(1)": "calls something",
    "%watch [step(n) for n in seen]": "ListComp",
    "%trace pricing.price if order.pay()": "calls something",
    "%break --log order.pay() pricing.price": "calls something",
    "%break --log 1 pricing.price if order.pay()": "calls something",
}


def test_it_runs_nothing(store: Program) -> None:
    with Kernel("--pid", store.pid, "--observe") as kernel:
        kernel.run("%frame")
        for code, what in REFUSED.items():
            name, text = kernel.run(code, allow_stdin=True).error
            assert name == "OnlyLooks", code
            assert what in text, (code, text)
        assert "--observe" in kernel.run("1").error[1]
        silent = kernel.run("steps", silent=True)
        assert (silent.status, silent.reply["ename"]) == ("error", "OnlyLooks")
        assert kernel.run("", user_expressions={"a": "1"}).error[0] == "OnlyLooks"
        watch = kernel.run("%watch steps for 20ms", user_expressions={"a": "step(1)"})
        assert watch.status == "ok"
        assert watch.expressions["a"]["ename"] == "OnlyLooks"
        assert kernel.prompts == []
        # Beside the program is elsewhere.
        assert kernel.run("%%local\n6 * 7").result == "42"


def test_what_is_shown_is_read_from_memory(store: Program) -> None:
    """The orders' `__repr__` raises."""
    with Kernel("--pid", store.pid, "--observe") as kernel:
        log = kernel.run("%break --log order pricing.price")
        kernel.wait(lambda: "order = <Order total=" in log.stdout, what="an order")
        assert "raises" not in log.stdout
        kernel.run("%unbreak")


def test_a_property_is_not_run(program: Program) -> None:
    with Kernel("--pid", program.pid, "--observe") as kernel:
        watch = kernel.run("%watch orders[0].secret for 60ms")
        assert "Order.secret is computed, which would run code of the program" in watch.text
        assert "orders[1].total = 32" in kernel.run("%watch orders[1].total for 20ms").text
        assert "<Order number=1 total=10>" in kernel.run("%watch orders[0] for 20ms").text
        found = kernel.ask("inspect_request", code="orders", cursor_pos=3, detail_level=0)
        assert "number=1" in found["data"]["text/plain"]
    assert "property run" not in program.lines()


DIRECTED = """
import time
asked = 0
class Directed:
    def __dir__(self):
        global asked
        asked += 1
        return ["one"]
    def _ipython_key_completions_(self):
        global asked
        asked += 1
        return ["key"]
    def __repr__(self):
        global asked
        asked += 1
        return "told"
    real = 1
directed = Directed()
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""


def test_completion_and_help_ask_the_program_nothing(tmp_path: Any) -> None:
    file = tmp_path / "directed.py"
    file.write_text(DIRECTED)
    with Program(file) as program:
        with Kernel("--pid", program.pid, "--observe") as kernel:
            kernel.run("%frame")
            assert "real" in kernel.complete("directed.")
            assert "one" not in kernel.complete("directed.")
            kernel.complete("directed['")
            found = kernel.ask("inspect_request", code="directed", cursor_pos=3, detail_level=0)
            assert "<Directed>" in found["data"]["text/plain"]
            assert "asked = 0" in kernel.run("%watch asked for 20ms").text
        with Kernel("--pid", program.pid) as kernel:
            kernel.run("%frame")
            assert "one" in kernel.complete("directed.")  # another session may


def test_messages_of_widgets_do_not_arrive() -> None:
    with Target("widgets", sys.executable) as program:
        program.send("before")
        with Kernel("--pid", program.pid, "--observe") as kernel:
            kernel.run("%frame")
            first = tell(kernel, "x", {"method": "update"})
            assert "only looks" in first.stderr
            assert tell(kernel, "x", {"method": "update"}).stderr == ""  # said once
            request = {"comm_id": "y", "target_name": "jupyter.widget.control", "data": {}}
            kernel.send("comm_open", request)
            assert kernel.run("%status").status == "ok"
            assert kernel.ask("comm_info_request")["comms"] == {}
        program.send("after")
        before, after = program.wait_for("before "), program.wait_for("after ")
        assert before.split()[1:] == after.split()[1:]  # widgets that there are, and a value


# -- how it is asked for, and left


def test_by_a_variable(program: Program) -> None:
    with Kernel("--pid", program.pid, env={"LIVE_KERNEL_OBSERVE": "1"}) as kernel:
        assert "LIVE_KERNEL_OBSERVE" in kernel.run("word").error[1]
        assert kernel.run(f"%attach {program.pid}").status == "ok"
        assert kernel.run("word").error[0] == "OnlyLooks"


def test_by_attach_and_back(program: Program) -> None:
    with Kernel() as kernel:
        cell = kernel.run(f"%attach --observe {program.pid}")
        assert "only looks, and runs no cells (%attach --observe)" in cell.text
        error = kernel.run("word")
        assert error.error[0] == "OnlyLooks"
        assert "%attach PID, without --observe" in error.traceback
        kernel.restart()
        assert kernel.run("word").error[0] == "OnlyLooks"
        assert kernel.run(f"%attach {program.pid}").status == "ok"
        assert kernel.value("word") == "start"
        kernel.run(f"%attach --observe {program.pid}")
        assert kernel.run("word").error[0] == "OnlyLooks"


def test_a_kernel_that_only_looks_asks_for_no_program_to_run_a_cell(program: Program) -> None:
    with Kernel("--observe") as kernel:
        assert kernel.run("word", allow_stdin=True).error[0] == "OnlyLooks"
        assert kernel.prompts == []


# -- the API


def test_a_handle_that_only_looks(program: Program) -> None:
    with live_kernel.attach(program.pid, observe=True) as handle:
        with pytest.raises(OnlyLooks, match="observe=True"):
            handle.run("word = 'changed'")
        assert "word" in handle.complete("wor")
        assert handle.look("threads")["threads"]
        assert handle.look("stack", "MainThread")["frames"]
        with pytest.raises(CommandMisused):
            handle.look("secrets")
    with live_kernel.attach(program.pid) as handle:
        assert handle.run("assert word == 'start'")["status"] == "ok"


# -- the agent itself


def outcome_of(handle: live_kernel.Handle, send: Callable[[CellRun], None]) -> dict[str, Any]:
    """What the agent makes of something that no launcher should have sent."""
    target = handle._target
    target.protection._found = Found(
        NO_RAILS, NO_RAILS
    )  # the launcher has forgotten that it only looks
    outcome: list[Any] = []
    send(CellRun(lambda _: None, outcome.append, outcome.append, undelivered=lambda: None))
    assert target.reactor.run_until(lambda: bool(outcome), 20)
    return dict(outcome[0])


WRONG: dict[str, dict[str, Any]] = {
    "code": run_message(code="import builtins; builtins.caught = 1"),
    "an expression": run_message(expressions={"a": "setattr(__import__('sys'), 'caught', 1)"}),
    "a place": run_message(code="caught = 1", place={"kind": "main"}),
    "a patch": run_message(
        action={"name": "patch", "function": "total", "code": "def total(): pass", "by": ""}
    ),
    "a breakpoint": run_message(
        action={"name": "break", "where": "total", "condition": "", "log": ""}
    ),
    "entering": run_message(action={"name": "enter", "thread": ""}, allow_input=True),
    "code beside a look": run_message(
        code="caught = 1", action={"name": "unwatch", "which": "all"}
    ),
    "a call that is watched": run_message(
        action={
            "name": "watch",
            "expression": "orders.append(1)",
            "every": 0.1,
            "seconds": 0.1,
            "beside": False,
            "updates": False,
        }
    ),
    "a call that is logged": run_message(
        action={"name": "break", "where": "total", "condition": "", "log": "orders.append(1)"}
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_agent_refuses_what_a_wrong_launcher_sends(program: Program, name: str) -> None:
    request = {key: value for key, value in WRONG[name].items() if key not in ("op", "cell")}
    with live_kernel.attach(program.pid, observe=True) as handle:
        outcome = outcome_of(handle, lambda run: handle._target.run(request, run))
        assert outcome["status"] == "error"
        assert outcome["error"]["ename"] == "OnlyLooks"
    with live_kernel.attach(program.pid) as handle:
        check = "import builtins, sys; assert not hasattr(builtins, 'caught') and len(orders) == 2"
        assert handle.run(check)["status"] == "ok"
        assert handle.run("assert total() == 42 and not hasattr(sys, 'caught')")["status"] == "ok"


def test_the_agent_takes_no_message_of_a_widget(program: Program) -> None:
    message = {
        "subshell": "",
        "kind": "comm_open",
        "content": {"comm_id": "x", "target_name": "jupyter.widget", "data": {}},
        "metadata": {},
        "buffers": [],
        "parent": {},
        "meanwhile": False,
    }
    with live_kernel.attach(program.pid, observe=True) as handle:
        outcome = outcome_of(handle, lambda run: handle._target.deliver(message, run))
        assert outcome["error"]["ename"] == "OnlyLooks"


def test_an_agent_that_does_not_say_that_it_only_looks_is_left(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the word had been lost on its way."""
    from live_kernel.launcher import channel

    send = channel.Channel.send

    def lose(self: Any, message: dict[str, Any]) -> None:
        send(self, {"op": "welcome"} if message["op"] == "welcome" else message)

    monkeypatch.setattr(channel.Channel, "send", lose)
    before = program.snapshot()
    with pytest.raises(AgentFailed, match="does not say that it only looks"):
        live_kernel.attach(program.pid, observe=True)
    program.assert_unharmed_since(before)


def test_sessions_do_not_share_what_they_may(program: Program) -> None:
    """One that only looks beside one that runs cells."""
    with (
        live_kernel.attach(program.pid, observe=True) as looking,
        live_kernel.attach(program.pid) as running,
    ):
        assert running.run("assert total() == 42")["status"] == "ok"
        with pytest.raises(OnlyLooks):
            looking.run("1")
        eventually(lambda: looking.look("threads").get("threads"), what="an answer")


def test_a_command_is_known_by_its_class() -> None:
    """So that the two tables above have all that there is."""
    assert all(issubclass(kind, Command) for kind in commands.COMMANDS.values())
