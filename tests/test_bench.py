"""The benchmark: its statistics beside noisy neighbours, its table, its history, its check.

Runs in pytest. Rule: how fast anything is is nobody's business here; that a figure which has
grown is noticed, and that noise is not taken for it, is.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from targets import ROOT

sys.path.insert(0, str(ROOT))

from bench import check, estimates, history, report, runs
from bench.check import Verdict
from bench.history import Key
from bench.plan import Plan
from bench.rows import MEASUREMENTS
from bench.samples import OURS, REFERENCE, Budget, Row, Samples
from bench.topics import TOPICS

# -- samples as a shared machine gives them


class Neighbour:
    """Times that are wanted, with what others on the machine add to them.

    `share` of the rounds are taken while somebody else computes: then both take longer, each by
    another factor, of up to `factor`.
    """

    def __init__(self, seed: int, share: float = 0.4, factor: float = 4.0) -> None:
        self._random = random.Random(seed)
        self._share, self._factor = share, factor

    def samples(self, ratio: float, rounds: int = 20, each: int = 2) -> Samples:
        """Of two things, the one of which takes `ratio` of the other."""
        taken: Samples = {OURS: [], REFERENCE: []}
        for _ in range(rounds):
            is_disturbed = self._random.random() < self._share
            for who, seconds in ((OURS, ratio), (REFERENCE, 1.0)):
                worst = self._factor if is_disturbed else 1.0
                slower = self._random.uniform(1.0, worst)
                taken[who] += [seconds * slower * self._jitter() for _ in range(each)]
        return taken

    def paces(self, ratio: float, rounds: int = 30) -> Samples:
        """Of one thing, in turns as it is and at `ratio` of its pace; taken in processor time."""
        pairs = [(ratio * self._pace(), self._pace()) for _ in range(rounds)]
        return {OURS: [pair[0] for pair in pairs], REFERENCE: [pair[1] for pair in pairs]}

    def _jitter(self) -> float:
        return 1.0 + self._random.expovariate(10)

    def _pace(self) -> float:
        return 10 * self._random.gauss(1.0, 0.02)


def row(samples: Samples, budget: Budget | None = None, against: str = "peer") -> Row:
    is_pace = budget is not None and budget.at_least
    return Row("a thing", "ms", against, budget or Budget(1.0), samples, is_paired=is_pace)


def recorded(row: Row, ratio: float | None = None) -> dict[Key, history.Record]:
    """What is on record when this row was: with its own ratio, or another."""
    record = history.of_row(row)
    if ratio is not None:
        record["undisturbed"] = [ratio] * 3
    return history.newest([{"rows": [record]}])


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "DRAWS", 200)


# -- intervals


def test_a_ratio_lies_in_its_interval_as_often_as_is_said(few_draws: None) -> None:
    """95 %, or nearly so: twenty stretches are few."""
    quiet = Neighbour(1, share=0.0)
    found = [row(quiet.samples(0.4)).interval for _ in range(200)]
    inside = sum(each.low <= 0.4 <= each.high for each in found if each)
    assert inside / len(found) > 0.88
    assert all(each and each.high - each.low < 0.1 for each in found)


def test_the_ratio_of_the_undisturbed_is_the_same_beside_any_neighbour(few_draws: None) -> None:
    def value(share: float) -> float:
        found = row(Neighbour(2, share).samples(0.4, rounds=60)).undisturbed()
        assert found is not None
        return found.value

    assert value(0.0) == pytest.approx(value(0.3), rel=0.1)


def test_samples_that_belong_together_are_drawn_together() -> None:
    """Both take ten times as long in every second round: the ratio knows nothing of it."""
    samples = {OURS: [1.0, 10.0] * 10, REFERENCE: [2.0, 20.0] * 10}
    found = row(samples, Budget(0.9, at_least=True)).interval
    assert found == (0.5, 0.5, 0.5)


def test_a_constant_is_compared_with() -> None:
    found = row({OURS: [4.0, 5.0, 6.0, 5.0], REFERENCE: [5.0]}).interval
    assert found is not None
    assert 0.8 <= found.low < found.value == 1.0 < found.high <= 1.2


def test_nothing_to_compare_with_is_no_ratio() -> None:
    nothing: list[Samples] = [{}, {OURS: [1.0, 2.0]}, {OURS: [1.0, 2.0], REFERENCE: [0.0, 0.0]}]
    for samples in nothing:
        assert row(samples).ratio is None
        assert row(samples).interval is None
        assert row(samples).undisturbed() is None


# -- the check, on what neighbours make of the samples


def test_noise_is_hardly_ever_taken_for_a_regression(few_draws: None) -> None:
    """Nothing has changed, 300 times: hardly one fails once, none twice."""
    neighbour = Neighbour(3)
    known = recorded(row(Neighbour(4, share=0.0).samples(0.3, rounds=60)))
    alarms = [check.judge(row(neighbour.samples(0.3)), known, 1.4).is_worse for _ in range(300)]
    again = [check.judge(row(neighbour.samples(0.3)), known, 1.4).is_worse for _ in range(300)]
    assert sum(alarms) <= 3
    assert not any(one and other for one, other in zip(alarms, again, strict=True))


def test_what_takes_twice_as_long_is_noticed_beside_such_neighbours(few_draws: None) -> None:
    neighbour = Neighbour(5)
    known = recorded(row(Neighbour(6).samples(0.3, rounds=60)))
    noticed = [
        check.judge(row(neighbour.samples(0.6, rounds=60)), known, 1.4).is_worse for _ in range(100)
    ]
    assert sum(noticed) >= 97


def test_of_a_pace_it_is_the_loss_that_is_noticed(few_draws: None) -> None:
    neighbour, budget = Neighbour(7), Budget(0.99, at_least=True)
    known = recorded(row(neighbour.paces(1.0), budget))
    for true, is_worse in ((0.85, True), (1.0, False), (1.3, False)):
        for _ in range(50):
            found = check.judge(row(neighbour.paces(true), budget), known, 1.05)
            assert found.is_worse is is_worse, (true, found)


def test_what_is_not_on_record_is_not_judged() -> None:
    verdict = check.judge(row(Neighbour(8).samples(9.0)), {}, 1.1)
    assert (verdict.recorded, verdict.limit, verdict.is_worse) == (None, None, False)
    assert "not on record" in check.table([verdict], [])


# -- looking twice


def measured(*ratios: float) -> check.Measure:
    """A measurement that finds one ratio after the other."""
    left: Iterator[float] = iter(ratios)

    def measure(names: Iterable[str], plan: Plan) -> tuple[list[Row], bool]:
        assert [*names] == ["idle"]
        return [row(Neighbour(9, share=0.0).samples(next(left)))], False

    return measure


@pytest.mark.parametrize(
    ("ratios", "times", "is_worse"),
    [((0.3,), 1, False), ((0.9, 0.3), 2, False), ((0.3, 0.9), 1, False), ((0.9, 0.8), 2, True)],
)
def test_only_what_is_worse_twice_counts(
    ratios: tuple[float, ...], times: int, is_worse: bool
) -> None:
    known = recorded(row(Neighbour(9, share=0.0).samples(0.3)))
    first, second, failed = check.check(["idle"], known, measured(*ratios))
    assert len(first) + len(second) == times
    assert bool(check.worse(first, second)) is is_worse
    assert ("WORSE" in check.table(first, second)) is is_worse
    assert not failed


@pytest.mark.parametrize(("breaks", "fails"), [([True, False], False), ([True, True], True)])
def test_what_can_not_be_measured_twice_fails(breaks: list[bool], fails: bool) -> None:
    """A kernel that finds its port taken, for example, does not come up."""
    left = iter(breaks)

    def measure(names: Iterable[str], plan: Plan) -> tuple[list[Row], bool]:
        if next(left):
            return [Row("idle", "", "", note="not measured: it broke")], True
        return [row(Neighbour(9, share=0.0).samples(0.3))], False

    known = recorded(row(Neighbour(9, share=0.0).samples(0.3)))
    first, second, failed = check.check(["idle"], known, measure)
    assert failed is fails
    assert len(first) + len(second) == breaks.count(False)
    assert ("as it was" in check.table(first, second)) is not fails


def test_every_row_that_is_checked_is_on_record() -> None:
    """So that the check can't become one of nothing."""
    assert check.CHECKED.keys() <= MEASUREMENTS.keys()
    known = history.newest(history.read()).values()
    assert check.CHECKED.keys() <= {each["measurement"] for each in known if "budget" in each}


@pytest.mark.slow
@pytest.mark.attach
@pytest.mark.client
@pytest.mark.timeout(180)
def test_a_real_row_that_has_doubled_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory: the row that is the same on any machine, however busy."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))  # the workshop puts its own there
    monkeypatch.setattr(check, "CHECKED", {"memory": check.Held(1.15, times=1)})
    rows, failed = runs.measure(["memory"], Plan(quick=True))
    assert not failed, rows[0].note
    now = rows[0].ratio
    assert now is not None
    for known, is_worse in ((now, False), (now / 2, True)):
        file = tmp_path / f"{known}.jsonl"
        record = history.of_row(rows[0]) | {"undisturbed": [known] * 3}
        history.append({"rows": [record]}, file)
        first, second, failed = check.check(["memory"], history.newest(history.read(file)))
        assert not failed
        assert bool(check.worse(first, second)) is is_worse, check.table(first, second)


# -- history


RUN = {
    "at": "2026-01-01T00:00:00+00:00",
    "quick": True,
    "cpu": "a processor",
    "cores": 2,
    "system": "Linux",
    "python": "CPython 3.14.0",
    "live_kernel": "0.1.0 abcdef0",
    "taken": 0.01,
}


def test_a_run_is_one_line_without_its_samples(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    rows = [
        row(Neighbour(10).samples(0.3, rounds=500)),
        Row("a thing", "ms", "a peer", note="not measured: there is none"),
        Row("broken", "", "", note="not measured: it broke"),
    ]
    for _ in range(2):
        history.append(history.line(rows, RUN), file)
    assert len(file.read_text().splitlines()) == 2
    assert len(file.read_text()) < 2000
    first, second = history.read(file)
    assert first == second
    assert first["commit"] == "abcdef0"
    [there, missing] = first["rows"]
    assert there["interval"][0] <= there["ratio"] <= there["interval"][1]
    assert missing["note"] == "not measured: there is none"
    assert [*history.newest([first])] == [("a thing", "peer")]


def test_the_newest_record_of_a_row_counts() -> None:
    older, newer = row(Neighbour(11).samples(0.3)), row(Neighbour(11).samples(0.6))
    lines = [history.line([older], RUN), history.line([newer], RUN)]
    lines.append(history.line([Row("other", "ms", "peer")], RUN))
    assert history.newest(lines) == recorded(newer)


@pytest.mark.parametrize(
    ("revision", "is_one"), [("0.1.0 abcdef0", True), ("0.1.0 abcdef0+", False), ("0.1.0", False)]
)
def test_only_a_commit_is_recorded(revision: str, is_one: bool) -> None:
    assert history.is_of_a_commit(revision) is is_one


def test_what_is_recorded_here_can_be_read() -> None:
    for line in history.read():
        assert {"at", "commit", "quick", "machine", "taken"} <= line.keys()
        assert all(history.key(record).name for record in line["rows"])
        assert "samples" not in json.dumps(line["rows"])


# -- the table


def test_every_measurement_has_its_topic() -> None:
    names = [name for names in TOPICS.values() for name in names]
    assert sorted(names) == sorted(MEASUREMENTS)


def test_peers_stand_below_each_other_and_who_is_missing_is_named() -> None:
    samples, alone = {OURS: [1.0, 1.0], REFERENCE: [2.0, 2.0]}, {OURS: [1.0, 1.0]}
    rows = [
        Row("a thing", "ms", "one", Budget(0.4), samples, measurement="idle"),
        Row("a thing", "ms", "two", None, alone, "no gdb here", measurement="idle"),
        Row("other", "ms", "one", Budget(0.9), samples, measurement="lines"),
        Row("broken", "", "", note="not measured: it broke", measurement="lines"),
    ]
    assert report.table(rows).splitlines() == [
        "what                    ours            reference  against  ratio  budget  met",
        "───────  ───────────────────  ───────────────────  ───────  ─────  ──────  ───",
        "",
        "CELLS",
        "a thing  1.00 ms (1.00–1.00)  2.00 ms (2.00–2.00)  one      0.500   ≤ 0.4   NO",
        "                                     not measured  two",
        "",
        "OUTPUT",
        "other    1.00 ms (1.00–1.00)  2.00 ms (2.00–2.00)  one      0.500   ≤ 0.9  yes",
        "broken          not measured",
        "",
        "a thing, two: no gdb here",
        "broken: not measured: it broke",
        "1 of 2 budgets are met; not those of: a thing (≤ 0.4).",
        "Values are medians, the middle half of the samples in brackets; "
        "bench/README.md explains each row.",
    ]


def test_of_a_row_measured_twice_both_are_shown() -> None:
    now = estimates.Interval(0.5, 0.6, 0.7)
    verdict = Verdict(Key("a thing", "peer"), 0.3, now, 0.42, is_worse=True)
    assert check.table([verdict], [verdict]).splitlines()[2:] == [
        "a thing      peer         0.300      0.600      0.500–0.700  0.420  worse",
        "  once more               0.300      0.600      0.500–0.700  0.420  WORSE",
    ]
