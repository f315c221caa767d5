"""The guards of the user's configuration: how they are written, what breaks, for whom they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from kernels import Kernel
from snapshots import Program
from test_cli import live_kernel
from test_router import process

from live_kernel.errors import ConfigBroken
from live_kernel.launcher import guards, rails, tables
from live_kernel.launcher.rails import NO_RAILS, Rails
from live_kernel.launcher.showing import banners

ME = process()._replace(
    pid=os.getpid(), cmdline=("python", "billing.py", "--live"), cwd="/srv/billing/web"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def found(file: Path, text: str, who: Any = ME) -> Rails:
    file.write_text(text)
    return guards.of(who, {"LIVE_KERNEL_CONFIG": str(file)})


# -- what is written


def test_all_that_a_guard_may_have(file: Path) -> None:
    text = (
        '[[guard]]\nmatch = "bill.*live"\nuser = "root"\ncwd = "/srv/billing"\n'
        'banner = "PRODUCTION: billing"\ncolour = "magenta"\n'
        'observe = true\nconfirm = true\nidle = "30m"\n'
    )
    by = f"[[guard]] 1 of {file}"
    expected = Rails(by, by, 1800.0, by, "PRODUCTION: billing", "magenta")
    assert found(file, text) == expected
    for other in ({"cmdline": ("python",)}, {"username": "ada", "uid": 5}, {"cwd": "/srv/bill"}):
        assert found(file, text, ME._replace(**other)) == NO_RAILS


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        ('match = "."', True),
        ('match = "^python billing"', True),
        ('match = "^billing"', False),
        ('user = "0"', True),
        ('user = "roo"', False),
        ('cwd = "/srv/billing/web/"', True),
        ('cwd = "/srv/billing/web/static"', False),
        ('unit = "no-such.service"', False),
    ],
)
def test_for_which_programs_it_is(file: Path, line: str, fits: bool) -> None:
    assert bool(found(file, f"[[guard]]\n{line}\nobserve = true").observe) is fits


def test_a_unit_is_a_name_along_the_control_group(file: Path) -> None:
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    names = [name for line in groups for name in line.rpartition(":")[2].split("/") if name]
    if not names:
        pytest.skip("this process is in the root of all control groups")
    assert found(file, f'[[guard]]\nunit = "{names[-1]}"\nconfirm = true').confirm


def test_all_guards_that_fit_hold_together(file: Path) -> None:
    text = (
        '[[guard]]\nmatch = "billing"\nidle = "1h"\nbanner = "first"\n'
        '[[guard]]\nmatch = "nobody"\nobserve = true\n'
        '[[guard]]\nuser = "root"\nidle = "10m"\nconfirm = true\nbanner = "second"\ncolour = "blue"'
    )
    both = found(file, text)
    assert (both.banner, both.colour, both.observe) == ("first", "red", "")
    assert both.confirm == both.idle_by == f"[[guard]] 3 of {file}"
    assert both.idle == 600.0


def test_no_file_is_no_guard_and_one_that_is_named_must_be_there(tmp_path: Path) -> None:
    assert guards.read({"XDG_CONFIG_HOME": str(tmp_path)}).guards == ()
    assert guards.read({"HOME": str(tmp_path), "XDG_CONFIG_HOME": "relative"}).guards == ()
    with pytest.raises(ConfigBroken, match="LIVE_KERNEL_CONFIG names it, but No such file"):
        guards.read({"LIVE_KERNEL_CONFIG": str(tmp_path / "none.toml")})
    place = tmp_path / "live-kernel"
    place.mkdir()
    (place / "config.toml").write_text('[[guard]]\nmatch = "."\nobserve = true')
    assert guards.of(ME, {"XDG_CONFIG_HOME": str(tmp_path)}).observe


@pytest.mark.parametrize(
    ("text", "says", "remedy"),
    [
        ("[[guard]]\nmatch = x", "at line 2", "docs/production.md"),
        ("[[guards]]\nmatch = 'x'", "no table 'guards' (is 'guard' meant?)", "A guard is written"),
        ("[guard]\nmatch = 'x'", "`guard` is no list", "[[guard]]"),
        ("guard = 5", "`guard` is no list", "[[guard]]"),
        ("[[guard]]\nobserve = true", "[[guard]] 1 does not say which", "match"),
        (
            "[[guard]]\nmatch = 'x'\n[[guard]]\nmatch = '('",
            "[[guard]] 2, `match`: '(' is no regular expression",
            "A guard is written",
        ),
        ("[[guard]]\nmatch = 'x'\nobserv = true", "(is 'observe' meant?)", "The keys of a guard"),
        ("[[guard]]\nmatch = 'x'\ncolor = 'red'", "(is 'colour' meant?)", "colour"),
        ("[[guard]]\nmatch = 'x'\nobserve = 'yes'", "`observe`: 'yes' is not true or false", ""),
        ("[[guard]]\nmatch = 'x'\nobserve = 1", "`observe`: 1 is not true or false", ""),
        ("[[guard]]\nmatch = 5", "`match`: 5 is not a text", ""),
        ("[[guard]]\nmatch = ''", "`match`: it is empty", ""),
        ("[[guard]]\nmatch = 'x'\nidle = 'soon'", "`idle`: 'soon' is no span of time", "30m"),
        ("[[guard]]\nmatch = 'x'\nidle = 30", "`idle`: 30 is not a text", ""),
        ("[[guard]]\nmatch = 'x'\ncolour = 'pink'", "`colour`: there is no 'pink'", "red, yellow"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    file: Path, text: str, says: str, remedy: str
) -> None:
    with pytest.raises(ConfigBroken) as caught:
        found(file, text)
    assert str(file) in str(caught.value)
    assert "nothing is attached" in str(caught.value)
    assert says in str(caught.value)
    assert remedy in caught.value.remedy


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigBroken, match="can't be read"):
        guards.read({"LIVE_KERNEL_CONFIG": str(tmp_path)})
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigBroken, match="can't be read"):
        guards.read({"LIVE_KERNEL_CONFIG": str(tmp_path / "bytes")})


# -- rails


def test_rails_add_up() -> None:
    mine, theirs = (
        Rails("--observe", "", 60.0, "--idle"),
        Rails("", "file", 30.0, "file", "B", "red"),
    )
    assert mine.plus(theirs) == theirs.plus(mine)
    assert mine.plus(theirs) == Rails("--observe", "file", 30.0, "file", "B", "red")
    assert mine.plus(NO_RAILS) == NO_RAILS.plus(mine) == mine


@pytest.mark.parametrize("text", ["", "0", "no", " Off", "false"])
def test_variables_that_say_no(text: str) -> None:
    assert (
        rails.from_environment(dict.fromkeys((rails.OBSERVE, rails.CONFIRM, rails.IDLE), text))
        == NO_RAILS
    )


@pytest.mark.parametrize("text", ["1", "yes", "on", "please", "nope"])
def test_whatever_else_a_variable_says_is_a_yes(text: str) -> None:
    assert rails.from_environment({rails.OBSERVE: text}).observe == rails.OBSERVE
    assert rails.from_environment({rails.CONFIRM: text}).confirm == rails.CONFIRM


def test_a_span_of_time_in_a_variable() -> None:
    assert rails.from_environment({rails.IDLE: "1.5h"}).idle == 5400.0
    with pytest.raises(ConfigBroken, match="LIVE_KERNEL_IDLE"):
        rails.from_environment({rails.IDLE: "some day"})


# -- what is shown


def test_a_banner_does_not_reach_a_terminal_or_a_page_as_anything_but_text() -> None:
    wild = Rails(banner="\x1b[2J<script>", colour="red", observe="\x1b]0;<b>")
    bundle = banners.bundle(wild, ME)
    assert "<script" not in bundle["text/html"]
    assert "<b>" not in bundle["text/html"]
    assert "\x1b[2J" not in bundle["text/plain"]
    assert "\x1b]" not in bundle["text/plain"]
    assert banners.line(wild, ME, coloured=False).isprintable()


@pytest.mark.parametrize("colour", guards.COLOURS)
def test_each_colour_is_known_wherever_it_is_shown(colour: str) -> None:
    from live_kernel import console

    strip = banners.bundle(Rails(banner="B", colour=colour), ME)
    assert "\x1b[1;" in strip["text/plain"]
    assert "background:#37474f" not in strip["text/html"]
    assert colour in console._COLOURS


def test_a_table_of_programs_says_what_guards_them(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from live_kernel.attach.processes import Candidate

    listed = [Candidate(ME, None), Candidate(ME._replace(cmdline=("other",)), None)]
    monkeypatch.setenv("LIVE_KERNEL_CONFIG", str(file))
    file.write_text('[[guard]]\nmatch = "bill"\nbanner = "B"\nconfirm = true\nidle = "5m"')
    text = tables.as_text(listed)
    assert text.count("B, confirm, idle 5 min") == 1
    assert text.splitlines()[0].endswith("Guard")
    file.write_text("[[guard]]\nmatch = 5")
    assert "`match`: 5 is not a text" in tables.as_text(listed)
    file.write_text("")
    assert "Guard" not in tables.as_text(listed)


# -- attaching


pytestmark = pytest.mark.attach


@pytest.fixture
def guarded(file: Path) -> dict[str, str]:
    """The environment in which the program is guarded, by its line and its directory."""
    file.write_text(
        '[[guard]]\nmatch = "programs/idle"\nbanner = "PRODUCTION: idle"\ncolour = "blue"\n'
        'observe = true\nidle = "1h"\n'
    )
    return {"LIVE_KERNEL_CONFIG": str(file)}


def test_a_guard_holds_whatever_a_user_says(
    program: Program, guarded: dict[str, str], file: Path
) -> None:
    with Kernel("--pid", program.pid, env=guarded) as kernel:
        cell = kernel.run("word")
        assert cell.error[0] == "OnlyLooks"
        assert f"[[guard]] 1 of {file}" in cell.error[1]
        assert "take `observe` out" in cell.traceback
        attach = kernel.run(f"%attach {program.pid}")
        (strip,) = (each for each in attach.displays if "PRODUCTION" in each["text/plain"])
        assert "\x1b[1;97;44m PRODUCTION: idle " in strip["text/plain"]
        assert "background:#0d47a1" in strip["text/html"]
        assert kernel.run("word").error[0] == "OnlyLooks"
        status = kernel.run("%status").stdout
        assert "PRODUCTION: idle" in status
        assert "only looks" in status
        assert "detaches after 1 h" in status
        banner = kernel.ask("kernel_info_request")["banner"]
        assert "PRODUCTION: idle  only looks" in banner
        assert banner.replace("\n", "").isprintable()
        assert kernel.run("%idle 2h").error[0] == "Guarded"
        assert "10 min" in kernel.run("%idle 10m").stdout
        file.write_text("")  # what is changed holds from the next attach on
        assert kernel.run("word").error[0] == "OnlyLooks"
        kernel.run(f"%attach {program.pid}")
        assert kernel.value("word") == "start"


def test_with_a_broken_configuration_nothing_is_attached(program: Program, file: Path) -> None:
    before = program.snapshot()
    file.write_text("[[guard]]\nmatch = 'idle'\nobserve = maybe")
    env = {"LIVE_KERNEL_CONFIG": str(file)}
    with Kernel("--pid", program.pid, env=env) as kernel:
        cell = kernel.run("word")
        assert cell.error[0] == "ConfigBroken"
        assert str(file) in cell.error[1]
        assert "at line 3" in cell.error[1]
        assert kernel.run(f"%attach {program.pid}").error[0] == "ConfigBroken"
        program.assert_unharmed_since(before)
        file.write_text("")
        assert kernel.run(f"%attach {program.pid}\nword").result == "'start'"
        file.write_text("[")
        assert kernel.run(f"%attach {program.pid}").error[0] == "ConfigBroken"
        assert kernel.value("word") == "start"  # what was attached stays so
    file.write_text("[")
    done = live_kernel("exec", program.pid, "word", env=env)
    assert (done.returncode, done.stdout) == (21, "")
    assert str(file) in done.stderr
    assert live_kernel("attach", program.pid, env=env).returncode == 21
    listed = live_kernel("ps", "--json", env=env)
    assert str(file) in listed.stderr
    assert program.pid in [each["pid"] for each in json.loads(listed.stdout)]


def test_a_span_that_is_none_is_as_broken(program: Program) -> None:
    with Kernel("--pid", program.pid, env={"LIVE_KERNEL_IDLE": "soon"}) as kernel:
        assert kernel.run("word").error[0] == "ConfigBroken"
        assert kernel.run(f"%attach {program.pid}").error[0] == "ConfigBroken"


def test_the_command_line_shows_the_banner_and_what_comes_of_it(
    program: Program, guarded: dict[str, str], file: Path
) -> None:
    done = live_kernel("exec", program.pid, "word", env=guarded)
    assert (done.returncode, done.stdout) == (22, "")
    assert "PRODUCTION: idle  only looks" in done.stderr
    listed = json.loads(live_kernel("ps", "--json", env=guarded).stdout)
    (mine,) = (each for each in listed if each["pid"] == program.pid)
    assert mine["guard"]["banner"] == "PRODUCTION: idle"
    assert "PRODUCTION: idle, observe, idle 1 h" in live_kernel("ps", env=guarded).stdout
    file.write_text('[[guard]]\nmatch = "programs/idle"\nbanner = "TEST: idle"')
    done = live_kernel("exec", program.pid, "word", env=guarded)
    assert (done.returncode, done.stdout.strip()) == (0, "'start'")
    assert done.stderr.strip() == "TEST: idle"
