"""The picker: its list and what is drawn of it; and as a user has it, in a terminal."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from prompt_toolkit.utils import get_cwidth
from snapshots import Program
from supervised_programs import Supervised
from targets import ROOT, Target, eventually
from terminals import Terminal

from live_kernel.attach import proc, processes
from live_kernel.attach.metering import Use
from live_kernel.attach.processes import Candidate, Process
from live_kernel.errors import AttachNotPermitted
from live_kernel.launcher.rails import Rails
from live_kernel.picker import drawing
from live_kernel.picker.entries import Entry, Listing
from live_kernel.picker.watcher import Watcher

HOSTILE = "\x1b]0;gotcha\x07\x1b[31mred\r\n\x9b2J"
"""Would rename the window, colour what follows, and more."""


def entry(
    pid: int,
    *command: str,
    user: str = "ada",
    error: str = "",
    rails: Rails = Rails(),  # noqa: B008 - an immutable value
    name: str = "",
    start_time: int = 1,
) -> Entry:
    process = Process(
        pid, start_time, 1, "python", command or ("python",), "/bin/python", "/srv", 1000, 1000,
        user, "S", "CPython",
    )  # fmt: skip
    refused = AttachNotPermitted(pid, f"{process} {error}", "Run it otherwise.") if error else None
    return Entry(Candidate(process, refused), rails, Use(0.5, 12_345_678, 3), name=name)


def shown(listing: Listing) -> list[int]:
    return [each.process.pid for each in listing.shown]


# -- the list


def test_words_are_sought_in_pid_user_name_and_command() -> None:
    listing = Listing()
    listing.take([
        entry(4242, "python", "orders.py", "--port", "80"),
        entry(43, "python", "Orders.py", user="grace"),
        entry(44, "python", "billing.py", name="web"),
    ])  # fmt: skip
    for text, pids in {
        "": [4242, 43, 44], "orders": [4242, 43], "ORDERS 80": [4242], "grace": [43],
        "web": [44], "42": [4242], "44": [44], "nothing": [], "  orders   grace ": [43],
    }.items():  # fmt: skip
        listing.filter(text)
        assert shown(listing) == pids, text
    assert listing.selected is None or listing.selected.process.pid == 43


def test_a_pid_that_is_typed_in_full_is_the_first() -> None:
    listing = Listing()
    listing.take([entry(142, "python", "--pid=42"), entry(42, "python", "x")])
    listing.filter("42")
    assert shown(listing) == [42, 142]


def test_who_is_selected_stays_so() -> None:
    listing = Listing()
    listing.take([entry(1), entry(2), entry(3)])
    listing.move(1)
    listing.take([entry(9), entry(8), entry(3), entry(2), entry(1)])
    assert listing.selected is not None
    assert listing.selected.process.pid == 2
    # Its pid is another's now: what stands at its place is selected instead.
    listing.take([entry(9), entry(2, start_time=7)])
    assert listing.position == 1
    listing.take([])
    assert listing.selected is None
    listing.take([entry(5)])
    assert listing.selected.process.pid == 5


def test_the_ends_are_the_ends() -> None:
    listing = Listing()
    listing.move(1)
    listing.move(-1)
    assert (listing.position, listing.selected) == (0, None)
    listing.take([entry(1), entry(2)])
    listing.move(-5)
    assert listing.position == 0
    listing.move(5)
    assert listing.position == 1


# -- what is drawn


TEXTS = [
    "",
    "plain",
    "日本語のサービス",
    "🍜👩‍🚀" * 9,
    HOSTILE,
    "e\u0301" * 40,
    "\u202eevil",
    "a" * 300,
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", [1, 2, 3, 10, 40])
def test_a_text_takes_the_room_that_there_is(text: str, width: int) -> None:
    assert get_cwidth(drawing.filled(text, width)) == width
    assert drawing.filled(text, width).isprintable()
    for line in drawing.wrapped(text, width):
        assert get_cwidth(line) <= max(width, 2)


def test_lines_are_broken_at_spaces() -> None:
    assert [*drawing.wrapped("one two  three\nfour", 8)] == ["one two ", "three", "four"]
    assert [*drawing.wrapped("abcdefghij kl", 4)] == ["abcd", "efgh", "ij", "kl"]


@pytest.mark.parametrize("width", [5, 20, 38, 60, 80, 118, 300])
@pytest.mark.parametrize("text", TEXTS)
def test_each_row_fits(width: int, text: str) -> None:
    rails = Rails(banner=f"PRODUCTION {text}", colour="red", confirm="guard 1")
    entries = [
        entry(7, "python", text, rails=rails, name=text),
        entry(12345678, text, user=text or "x", error=f"no: {text}"),
    ]
    listing = Listing()
    listing.take(entries)
    found = drawing.columns(entries, width)
    rows = "".join(text for _, text, *_ in drawing.rows(listing, 0, 9, found)).split("\n")
    assert len(rows) == 2
    for row in [*rows, "".join(text for _, text, *_ in drawing.heading(found))]:
        assert row.isprintable()
        assert get_cwidth(row) <= max(width, 16)
    for line in "".join(t for _, t, *_ in drawing.details(entries[1], width)).split("\n"):
        assert line.isprintable()
        assert get_cwidth(line) <= max(width, 2)


def test_nothing_is_told_by_colour_alone() -> None:
    rails = Rails(banner="PRODUCTION", colour="red", observe="[[guard]] 1")
    listing = Listing()
    refused = entry(2, "python", "b.py", error="belongs to root", rails=rails)
    listing.take([entry(1, "python", "a.py"), refused])
    text = "".join(t for _, t, *_ in drawing.rows(listing, 0, 9, drawing.columns([], 80)))
    first, second = text.split("\n")
    assert first.startswith(">")
    assert second.startswith("x")
    assert " PRODUCTION " in second
    details = "".join(t for _, t, *_ in drawing.details(refused, 80))
    for told in ("PRODUCTION", "no: belongs to root", "Run it otherwise.", "guarded: only looks"):
        assert told in details
    assert "CPU 50%, memory 12.3 MB, 3 threads" in details


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (12_345_678, "12.3 MB"), (345_000_000, "345 MB"), (2e12, "2 TB")],
)
def test_sizes(count: int, text: str) -> None:
    assert drawing.size(count) == text


# -- what is found


@pytest.mark.attach
def test_the_watcher_looks_at_all_there_is() -> None:
    with Supervised("idle", args=["x"]) as target:
        pid = target.program.pid
        watcher = Watcher(lambda _entries: None)

        def mine() -> Entry:
            return next(each for each in watcher.look() if each.process.pid == pid)

        first, second = mine(), mine()
        assert first.use.processor is None, "it takes two looks"
        assert second.use.processor is not None
        assert second.use.threads == 1
        assert second.use.memory > 1_000_000
        assert second.name == target.name
        assert second.candidate.attachable


def test_usage_is_what_the_system_says() -> None:
    used = proc.usage(os.getpid())
    times = os.times()
    assert abs(used.processor - times.user - times.system) < 1
    assert used.threads >= 1


# -- in a terminal


@pytest.fixture
def tag() -> str:
    return f"pick-{secrets.token_hex(4)}"


@pytest.fixture
def program(tag: str) -> Iterator[Program]:
    with Program("idle", args=[tag]) as running:
        yield running


@pytest.fixture
def open_picker(
    kernelspecs: Path, tmp_path: Path, artefacts: Path
) -> Iterator[Callable[..., Terminal]]:
    """Opens the picker in a terminal of this size."""
    opened: list[Terminal] = []
    config = tmp_path / "config.toml"
    config.touch()

    def open_it(
        *words: str, size: tuple[int, int] = (120, 40), env: dict[str, str] | None = None
    ) -> Terminal:
        whole = {
            "JUPYTER_PATH": str(kernelspecs),
            "PYTHONPATH": str(ROOT),
            "IPYTHONDIR": str(tmp_path / "ipython"),
            "LIVE_KERNEL_CONFIG": str(config),
            "TERM": "xterm-256color",
            **(env or {}),
        }
        command = [sys.executable, "-m", "live_kernel", *words]
        terminal = Terminal(command, whole, artefacts / "screen.txt", size)
        opened.append(terminal.__enter__())
        terminal.wait_for("live-kernel >")
        return terminal

    yield open_it
    for terminal in opened:
        terminal.__exit__()


@pytest.mark.console
def test_from_the_picker_into_a_cell(
    program: Program, tag: str, open_picker: Callable[..., Terminal]
) -> None:
    terminal = open_picker()
    terminal.type(tag)
    terminal.wait_for("1/1 of ", f"pid {program.pid}, of ", "can be attached to")
    terminal.type("Enter")
    terminal.wait_for("In [1]:", f"Target: pid {program.pid}")
    assert "live-kernel >" not in terminal.screen(), "the screen is as it was before"
    terminal.enter("word = 'picked'")
    program.wait_for("word is picked")
    terminal.wait_for("In [2]:")
    assert terminal.leave_console() == 0
    assert program.alive()


@pytest.mark.console
@pytest.mark.parametrize(
    ("key", "words", "told"),
    [("C-o", [], "only to look"), ("F3", [], "asks before each"),
     ("C-t", ["attach"], "asks before"), ("Enter", ["attach", "--observe"], "only to look")],
)  # fmt: skip
def test_ways_to_attach(
    key: str,
    words: Sequence[str],
    told: str,
    program: Program,
    tag: str,
    open_picker: Callable[..., Terminal],
) -> None:
    terminal = open_picker(*words)
    terminal.type(tag)
    terminal.wait_for("1/1 of ")
    terminal.type(key)
    terminal.wait_for("In [1]:", str(program.pid))
    if told == "only to look":
        terminal.wait_for("looks")
    else:
        terminal.wait_for(told)


@pytest.mark.console
def test_one_that_is_blocked_is_woken(tag: str, open_picker: Callable[..., Terminal]) -> None:
    with Target("blocked_in", args=["sleep", tag]) as target:
        terminal = open_picker()
        terminal.type(tag)
        terminal.wait_for("1/1 of ")
        terminal.type("C-k")
        terminal.wait_for("In [1]:")
        terminal.enter("6 * 7")
        terminal.wait_for("Out[1]: 42")
        assert target.alive()


@pytest.mark.attach
@pytest.mark.parametrize("key", ["Escape", "C-c", "C-d"])
def test_left_it_leaves_the_terminal_as_it_was(
    key: str, open_picker: Callable[..., Terminal]
) -> None:
    terminal = open_picker()
    terminal.wait_for("Enter attach")
    terminal.type(key)
    assert terminal.wait_for_end() == 130
    assert [line for line in terminal.lines() if line] == ["ended with 130"]
    terminal.enter("typed")  # `cat` runs by now: the line is echoed, and said again
    terminal.wait_for("typed", times=2)


@pytest.mark.attach
def test_ctrl_z_is_not_sought(
    program: Program, tag: str, open_picker: Callable[..., Terminal]
) -> None:
    terminal = open_picker()
    terminal.type(tag[:-1], "C-z", tag[-1])
    terminal.wait_for(f"> {program.pid:>5}", f"live-kernel > {tag}\n")


@pytest.mark.attach
def test_it_stays_with_who_is_selected(tag: str, open_picker: Callable[..., Terminal]) -> None:
    with Target("idle", args=[tag, "one"]) as one, Target("idle", args=[tag, "two"]) as two:
        terminal = open_picker()
        terminal.type(tag)
        terminal.wait_for("1/2 of ", f"> {two.pid:>5}")  # the latest is the first
        terminal.type("Down")
        terminal.wait_for(f"> {one.pid:>5}", "2/2 of ")
        with Target("idle", args=[tag, "three"]):
            terminal.wait_for("3/3 of ", f"> {one.pid:>5}")
            two.close()
            terminal.wait_for("2/2 of ", f"> {one.pid:>5}")
        terminal.wait_for("1/1 of ", f"> {one.pid:>5}")
        one.close()
        terminal.wait_for(f"fits '{tag}'")


@pytest.mark.attach
def test_what_can_not_be_attached_to_says_why(
    tag: str, open_picker: Callable[..., Terminal]
) -> None:
    with Target("idle", args=[tag], options=["-X", "disable-remote-debug"]) as target:
        terminal = open_picker()
        terminal.type(tag)
        terminal.wait_for("1/1 of ", "Start it again without that option.")
        terminal.type("Enter")
        terminal.wait_for(f"pid {target.pid} can't be attached to: was started with")
        terminal.type("Escape")
        assert terminal.wait_for_end() == 130


@pytest.mark.attach
@pytest.mark.parametrize("size", [(80, 24), (40, 10), (20, 5), (10, 3), (200, 60)])
def test_in_terminals_of_all_sizes(
    size: tuple[int, int], program: Program, open_picker: Callable[..., Terminal]
) -> None:
    terminal = open_picker(size=(120, 40))
    terminal.type(str(program.pid))
    terminal.wait_for("1/")
    terminal.resize(*size)

    def fits() -> bool:
        lines = terminal.lines()
        assert len(lines) <= size[1]
        assert all(get_cwidth(line) <= size[0] for line in lines)
        return lines[0].startswith("live-kernel > " if size[0] >= 30 else "> ")

    eventually(fits)
    if size[1] > 4:
        eventually(lambda: any(line.startswith("> ") for line in terminal.lines()))
    terminal.type("Escape")
    terminal.resize(120, 40)
    assert terminal.wait_for_end() == 130


@pytest.mark.attach
def test_a_banner_has_its_colour_and_no_color_has_none(
    program: Program, tag: str, tmp_path: Path, open_picker: Callable[..., Terminal]
) -> None:
    guard = f'[[guard]]\nmatch = "{tag}"\nbanner = "PRODUCTION"\ncolour = "red"\n'
    (tmp_path / "config.toml").write_text(guard)
    for env in ({}, {"NO_COLOR": "1"}):
        terminal = open_picker(env=env)
        terminal.type(tag)
        terminal.wait_for("1/1 of ", "PRODUCTION")
        colours = re.findall(
            r"\x1b\[[\d;]*\b(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]", terminal.coloured()
        )
        assert bool(colours) is not bool(env)
        terminal.type("Escape")
        terminal.wait_for_end()


@pytest.mark.attach
def test_a_broken_configuration_is_told(
    tmp_path: Path, open_picker: Callable[..., Terminal]
) -> None:
    (tmp_path / "config.toml").write_text("[[guard]]\nnonsense = 1\n")
    open_picker().wait_for("config.toml is not understood")


@pytest.mark.attach
def test_hostile_command_lines(tag: str, open_picker: Callable[..., Terminal]) -> None:
    with Target("idle", args=[tag, HOSTILE, "日本語🍜" * 10]):
        terminal = open_picker()
        terminal.type(tag)
        screen = terminal.wait_for("1/1 of ", "gotcha")
        assert "\x1b" not in screen
        assert all(get_cwidth(line) <= 120 for line in terminal.lines())
        assert terminal.lines()[0].startswith("live-kernel")


@pytest.mark.attach
@pytest.mark.slow
def test_with_five_hundred_programs(tag: str, open_picker: Callable[..., Terminal]) -> None:
    """Typing stays quick, and every one of them is reached."""
    code = "import os, sys, signal\nfor _ in range(499):\n    if os.fork() == 0: break\n"
    code += "else: print('ready', flush=True)\nsignal.pause()\n"
    crowd = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", code, tag], stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert crowd.stdout is not None
    try:
        assert crowd.stdout.readline() == b"ready\n"
        terminal = open_picker()
        terminal.type(tag)
        terminal.wait_for("1/500 of ")
        terminal.type("PageDown")
        terminal.wait_for("/500 of ")
        terminal.type("C-End")
        terminal.wait_for("500/500 of ")
        terminal.type("BSpace", "Escape")
        assert terminal.wait_for_end() == 130
    finally:
        os.killpg(crowd.pid, signal.SIGKILL)
        crowd.wait()
        crowd.stdout.close()


# -- without a terminal


@pytest.mark.parametrize("words", [[], ["attach"]])
def test_without_a_terminal_there_is_help(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "live_kernel", *words],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Usage:" in done.stderr


def test_the_order_is_that_of_ps() -> None:
    """The same processes in the same order, whoever asks."""
    watcher = Watcher(lambda _entries: None)
    seen = [each.process.pid for each in watcher.look()]
    listed = [each.process.pid for each in processes.candidates()]
    both = set(seen) & set(listed)
    assert [pid for pid in seen if pid in both] == [pid for pid in listed if pid in both]
