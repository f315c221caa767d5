"""Load by visits: attach, run, detach, and that as often as a week may bring.

See `loads.py`. Rule: a round leaves nothing, be it a byte: what grows at first are caches and
arenas that find their size, so growth is counted after a time of warming up.
"""

from __future__ import annotations

from collections.abc import Callable

from gauges import MB, Gauges, Row, held, nothing_more, ours
from loads import PATIENCE, Listener, case
from snapshots import Program

from live_kernel.handle import attach

CELLS = [
    "mine = 'x' * 100_000\ndef f(): return mine\nlen(f())",
    "print('text')",
    "1 / 0",
]
"""What is run in each round."""

PEOPLES = ["objects", "blocks", "interned strings", "importers", "linecache", "modules"]


def counted(program: Program) -> dict[str, int]:
    """What can be counted in the program."""
    return dict(zip(PEOPLES, held(program), strict=True))


def assert_nothing_left(before: dict[str, int], after: dict[str, int], rounds: int) -> str:
    """Fail where the program holds more for each round. Returns what it holds more, in words."""
    more = {name: after[name] - before[name] for name in PEOPLES}
    # CPython takes a few blocks now and then, the fewer the longer this goes on.
    few = 1000
    assert all(number < few for number in more.values()), f"{more} in {rounds} rounds"
    return f"{more['blocks']:+} memory blocks and {more['objects']:+} objects in all"


def go_round(
    row: Row,
    program: Program,
    round_trip: Callable[[], object],
    warming: int,
    times: int,
    **parties: int,
) -> None:
    """Do so many rounds, after some for warming up, and compare; `parties` beside the program."""
    for _ in range(warming):
        round_trip()
    snapshot, before = program.after_leaving(), counted(program)
    with Gauges(target=program.pid, **parties) as gauges:
        for _ in range(times):
            round_trip()
        program.wait_until_left()
        row.measured(gauges)  # before the witness looks, who takes memory himself
        row.outcome = assert_nothing_left(before, counted(program), times)
        program.assert_unharmed_since(snapshot)
    nothing_more(gauges)


@case("rounds by handles", times=10_000, few=300)
def by_handles(times: int) -> Row:
    """The public API, in one process."""
    row = Row("rounds by handles", f"{times:,} rounds of attach, 3 cells, detach")
    with Program("idle") as program:

        def round_trip() -> None:
            with attach(program.pid) as handle:
                for code in CELLS:
                    handle.run(code)

        go_round(row, program, round_trip, max(100, times // 10), times, launcher=ours())
        # Some arenas find their size; a leak, be it small, shows among the blocks.
        assert max(row.growth.values()) < 8 * MB, row.growth
        row.interrupted.append(_seconds_to_interrupt(program))
    return row


def _seconds_to_interrupt(program: Program) -> float:
    with Listener("--pid", program.pid) as kernel:
        cell = kernel.begin("print('begun', flush=True)\nwhile True: pass")
        cell.wait_for("begun", PATIENCE)
        return kernel.seconds_to_interrupt(cell)


@case("rounds by %attach and %detach", times=1500, few=30)
def by_commands(times: int) -> Row:
    """One launcher does all the rounds."""
    row = Row("rounds by %attach and %detach", f"{times:,} rounds in one kernel")
    with Program("idle") as program, Listener() as kernel:

        def round_trip() -> None:
            for code in (f"%attach {program.pid}", "len('x' * 100_000)", "%detach"):
                assert kernel.run(code, PATIENCE).status == "ok", kernel.told()
                kernel.messages.clear()

        parties = {"launcher": kernel.launcher_pid, "frontend": ours()}
        go_round(row, program, round_trip, max(30, times // 10), times, **parties)
        # It keeps what was run, for the history; and the C library does not give back all that
        # the threads of the attaches have used.
        assert row.growth["launcher"] < 16 * MB + 1000 * times, row.growth
        assert row.growth["target"] < 4 * MB, row.growth
    return row


@case("rounds by kernels", times=60, few=3)
def by_kernels(times: int) -> Row:
    """Each round is a kernel that is started and shut down."""
    row = Row("rounds by kernels", f"{times:,} rounds, a kernel each")
    with Program("idle") as program:

        def round_trip() -> None:
            with Listener("--pid", program.pid) as kernel:
                assert kernel.still_answers()

        go_round(row, program, round_trip, max(2, times // 10), times)
        assert row.growth["target"] < 4 * MB, row.growth
    return row
