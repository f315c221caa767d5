"""Profiles: stacks that were sampled, as a table and as a flame graph; and a real one."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from targets import ROOT

sys.path.insert(0, str(ROOT))

from bench import flames, profiles
from bench.peers import Workshop

SVG = "{http://www.w3.org/2000/svg}"

RAW = """\
thread (7): MainThread;_run (<frozen runpy>:88);<module> (app/__init__.py:1);work (app/a.py:3) 6
thread (7): MainThread;_run (<frozen runpy>:88);<module> (app/__init__.py:1) 1
thread (8);_load (<frozen importlib._bootstrap>:9);run (app/b.py:5);work (app/a.py:3) 3
"""


def test_stacks_lose_threads_and_the_import_system() -> None:
    assert profiles.cleaned(RAW, "launcher") == {
        ("launcher", "import app", "work (app/a.py:3)"): 6,
        ("launcher", "import app"): 1,
        ("launcher", "run (app/b.py:5)", "work (app/a.py:3)"): 3,
    }
    assert [*profiles.cleaned(RAW, "target", without=7)] == [
        ("target", "run (app/b.py:5)", "work (app/a.py:3)")
    ]


def test_the_table_tells_what_is_spent_in_a_function_and_below() -> None:
    stacks = profiles.cleaned(RAW, "launcher")
    stacks["target", "work (app/a.py:3)"] = 10
    assert flames.table(stacks, most=2).splitlines() == [
        "20 samples: launcher 50%, target 50%",
        " itself  within",
        "  95.0%   95.0%  work (app/a.py:3)",
        "   5.0%   35.0%  import app",
    ]


def test_the_graph_is_as_wide_as_the_samples_are_many() -> None:
    stacks = Counter({("launcher", "a<b"): 3, ("launcher",): 1, ("target", "c"): 4})
    svg = ET.fromstring(flames.graph("a title", stacks))
    widths = {
        group.findtext(f"{SVG}title"): float(rect.get("width", "0"))
        for group in svg.iter(f"{SVG}g")
        if (rect := group.find(f"{SVG}rect")) is not None
    }
    assert widths == {
        "launcher: 50.0%": 599.5,
        "a<b: 37.5%": 449.5,
        "target: 50.0%": 599.5,
        "c: 50.0%": 599.5,
    }


def test_a_process_that_can_not_be_sampled_is_named_with_what_py_spy_says() -> None:
    with subprocess.Popen(["sleep", "30"]) as other:
        try:
            with (
                pytest.raises(profiles.NotSampled, match=rf"target, process {other.pid}: .*\w"),
                profiles.sampled(other.pid, "target", Counter()),
            ):
                pass
        finally:
            other.kill()


@pytest.mark.slow
@pytest.mark.attach
@pytest.mark.client
def test_both_sides_of_a_cell_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))  # the workshop puts its own there
    place = tmp_path / "profiles"
    monkeypatch.setattr(profiles, "PLACE", place)
    monkeypatch.setattr(profiles, "SECONDS", 2.0)
    shop = tmp_path / "shop"
    shop.mkdir()
    text = profiles.profile_idle(Workshop(shop))
    assert "live_kernel/launcher/" in text
    assert "live_kernel/agent/" in text
    titles = [e.text or "" for e in ET.parse(place / "idle.svg").iter(f"{SVG}title")]
    assert {title.partition(":")[0] for title in titles} >= {"launcher", "target"}
