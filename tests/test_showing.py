"""What looks show: answers as text and HTML, whatever a hostile program says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tables import process

from live_kernel.attach import outside
from live_kernel.attach.blocked import Blocked, Frame
from live_kernel.errors import LiveKernelError
from live_kernel.launcher import looking
from live_kernel.launcher.looking import Seen
from live_kernel.launcher.showing import places, stacks, tasks, threads

EVIL = "\x1b[31m<script>alert(1)</script>\r"


def thread(
    native: int = 42, name: str = "MainThread", *, gil: bool = False, syscall: str | None = "futex"
) -> outside.Thread:
    state = Blocked(42, native, "S", 202 if syscall else None, syscall)
    return outside.Thread(native, native * 1000, name, gil, 1.5, state)


def seen(
    answer: dict[str, Any] | None = None,
    *others: outside.Thread,
    inside: outside.Inside | None = None,
) -> Seen:
    every = [thread(), *others]
    return Seen(process(), every, answer or {}, inside, "Why.", {42: (0.5, 1.0)})


def task(number: int, *waiters: int, name: str = "") -> dict[str, Any]:
    return {
        "number": number,
        "name": name or f"task-{number}",
        "thread": "MainThread",
        "frames": [["/a/app.py", 3, "run"]],
        "running": False,
        "waiters": list(waiters),
    }


def drawn(*told: dict[str, Any]) -> list[str]:
    """The tasks as the table draws them."""
    table = tasks.table(seen({"tasks": list(told)}))
    return [row[1] + (" again" if row[2] == "(see above)" else "") for row in table.rows]


def test_a_task_is_below_all_that_wait_for_it() -> None:
    told = [task(1), task(2, 1), task(3, 1, 2), task(4)]
    assert drawn(*told) == [
        "task-1",
        "├─ task-2",
        "│  └─ task-3",
        "└─ task-3 again",
        "task-4",
    ]


def test_tasks_that_wait_for_each_other_end() -> None:
    assert drawn(task(1, 2), task(2, 1)) == ["task-1", "└─ task-2", "   └─ task-1 again"]
    assert drawn(task(1, 1)) == ["task-1", "└─ task-1 again"]


def test_a_chain_of_tasks_may_be_long() -> None:
    told = [task(number, number - 1) for number in range(1, 1000)]
    assert len(drawn(*told)) == 999


def test_a_thread_that_may_wait_for_the_gil_is_not_said_to_wait_for_a_lock() -> None:
    inside = outside.Inside({42: [Frame("/a/app.py", 7, "work")], 43: []}, [])
    free = threads.table(seen(None, inside=inside)).rows[0]
    assert free[4] == "work at app.py:7 (a lock)"
    taken = threads.table(seen(None, thread(43, "other", gil=True), inside=inside))
    assert taken.rows[0][4] == "work at app.py:7 (a lock or the GIL)"
    assert taken.rows[1][5] == "has it"
    assert list(taken.more)[:2] == [
        "Why.",
        "The GIL is held by other (43), which waits in futex (a lock).",
    ]


def test_the_share_of_a_processor_is_that_since_the_last_look() -> None:
    inside = outside.Inside({42: [Frame("/a/app.py", 7, "work")]}, [])
    assert threads.table(seen(None, inside=inside)).rows[0][6] == "1.50 s, 50%"


def answers() -> list[tuple[str, Any, dict[str, Any]]]:
    frame = [EVIL, 3, EVIL]
    return [
        (
            "threads",
            threads.table,
            {"threads": [{"name": EVIL, "ident": 1, "native": 2, "frames": [frame]}], "kernel": []},
        ),
        (
            "stack",
            lambda found: stacks.table(found, ""),
            {
                "label": EVIL,
                "bound": 0,
                "bound_place": EVIL,
                "frames": [{"number": 0, "at": frame, "source": EVIL}],
            },
        ),
        ("tasks", tasks.table, {"tasks": [task(1, name=EVIL)], "bound": EVIL, "left_out": 3}),
    ]


@pytest.mark.parametrize(("name", "table", "answer"), answers(), ids=lambda value: str(value)[:8])
def test_what_the_program_says_is_escaped(name: str, table: Any, answer: dict[str, Any]) -> None:
    shown = table(seen(answer)).as_bundle()
    assert "\x1b" not in shown["text/plain"] + shown["text/html"]
    assert "\r" not in shown["text/plain"]
    assert "<script>" not in shown["text/html"]
    assert "&lt;script&gt;" in shown["text/html"]


def test_what_is_left_out_of_a_deep_stack_is_told() -> None:
    frames = [{"number": n, "at": ["/a/app.py", 3, "run"], "source": "run()"} for n in (7, 8)]
    answer = {"label": "thread MainThread", "bound": 8, "bound_place": "", "frames": frames}
    table = stacks.table(seen(answer), "")
    assert table.more == ["The 7 frames outside of these are left out."]
    assert (table.rows[1][0], table.marked) == ("→ 8", 1)


def test_a_place_is_escaped() -> None:
    answer = {
        "binding": {"place": EVIL, "file": "/none", "line": 3},
        "is_gone": False,
        "source": EVIL,
        "number": 1,
        "depth": 2,
        "main": [[EVIL, 3, EVIL]],
        "ident": 42000,
    }
    shown = places.bundle(seen(answer))
    assert "\x1b" not in shown["text/plain"] + shown["text/html"]
    assert "<script>" not in shown["text/html"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_KEYS = ("threads", "kernel", "left_out", "frames", "bound", "label", "tasks", "binding", "main")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _JSON))
def test_an_answer_that_makes_no_sense_is_an_error_of_ours(answer: dict[str, Any]) -> None:
    shows: list[Any] = [
        lambda found: threads.table(found).as_bundle(),
        lambda found: stacks.table(found, "").as_bundle(),
        lambda found: tasks.table(found).as_bundle(),
        places.bundle,
    ]
    for show in shows:
        try:
            shown = looking.checked(show, seen(answer))
        except LiveKernelError:
            continue
        assert isinstance(shown["text/plain"], str)


def test_what_is_refused_says_why_and_what_there_is() -> None:
    refusal = {"refused": "there is none", "remedy": "There are others."}
    with pytest.raises(looking.LookRefused, match="there is none") as caught:
        looking.checked(places.bundle, seen(refusal))
    assert caught.value.remedy == "There are others."
