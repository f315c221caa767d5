"""The ledger: each change undone once, newest first, whatever the others do."""

from __future__ import annotations

import gc
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live_kernel.agent.ledger import Ledger


def test_closing_undoes_the_newest_first() -> None:
    ledger, undone = Ledger(), []
    for number in range(4):
        ledger.record(f"change {number}", lambda number=number: undone.append(number))  # type: ignore[misc]
    assert ledger.standing() == ["change 0", "change 1", "change 2", "change 3"]
    ledger.close()
    assert undone == [3, 2, 1, 0]
    assert ledger.standing() == []
    ledger.close()
    assert undone == [3, 2, 1, 0]


def test_undoing_early_is_undoing_once() -> None:
    ledger, undone = Ledger(), []
    first = ledger.record("first", lambda: undone.append("first"))
    ledger.record("second", lambda: undone.append("second"))
    first.undo()
    assert ledger.standing() == ["second"]
    first.undo()
    ledger.close()
    first.undo()
    assert undone == ["first", "second"]


def fails(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyboardInterrupt("no"), SystemExit("no")], ids=repr
)
def test_one_that_fails_keeps_no_other_from_running(error: BaseException) -> None:
    ledger, undone = Ledger(), []
    ledger.record("before", lambda: undone.append("before"))
    ledger.record("the one", lambda: fails(error))
    ledger.record("after", lambda: undone.append("after"))
    ledger.close()
    assert undone == ["after", "before"]
    assert ledger.failures == [f"the one: {type(error).__name__}: no"]
    assert ledger.standing() == []


def test_who_undoes_early_hears_of_the_failure() -> None:
    ledger = Ledger()
    entry = ledger.record("the one", lambda: fails(ValueError("no")))
    with pytest.raises(ValueError, match="no"):
        entry.undo()
    assert ledger.standing() == []
    ledger.close()
    assert ledger.failures == []


def test_an_inverse_may_undo_another_and_make_a_change_itself() -> None:
    ledger, undone = Ledger(), []
    first = ledger.record("first", lambda: undone.append("first"))

    def inverse() -> None:
        undone.append("second")
        first.undo()
        ledger.record("third", lambda: undone.append("third"))

    ledger.record("second", inverse)
    ledger.close()
    assert undone == ["second", "first", "third"]
    assert ledger.standing() == []


def test_an_entry_holds_on_to_nothing_once_undone() -> None:
    ledger = Ledger()

    class Program:
        pass

    thing = Program()
    entry = ledger.record("a change", thing.__str__)
    entry.undo()
    assert not gc.get_referrers(thing)


def test_two_threads_undo_the_same_change_once() -> None:
    for _ in range(50):
        ledger, undone, start = Ledger(), [], threading.Barrier(2)
        entry = ledger.record("a change", lambda undone=undone: undone.append(1))  # type: ignore[misc]

        def early(start: threading.Barrier = start, entry: object = entry) -> None:
            start.wait()
            entry.undo()  # type: ignore[attr-defined]

        thread = threading.Thread(target=early)
        thread.start()
        start.wait()
        ledger.close()
        thread.join()
        assert undone == [1]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from("ru"), max_size=30), st.randoms(use_true_random=False))
def test_what_was_recorded_is_undone_once_however_it_goes(steps: list[str], random: object) -> None:
    ledger, entries, undone = Ledger(), [], []
    for step in steps:
        if step == "r":
            number = len(entries)
            entries.append(
                ledger.record(str(number), lambda number=number: undone.append(number))  # type: ignore[misc]
            )
        elif entries:
            random.choice(entries).undo()  # type: ignore[attr-defined]
    early = list(undone)
    assert ledger.standing() == [str(n) for n in range(len(entries)) if n not in early]
    ledger.close()
    assert undone[len(early) :] == [n for n in reversed(range(len(entries))) if n not in early]
