"""The pure modules of the JupyterLab extension, in the page's own JavaScript; and its packaging."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lab import Lab
from targets import ROOT

import live_kernel

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(120)]

EXTENSION = ROOT / "live_kernel" / "labextension"
STATIC = EXTENSION / "static"


def call(lab: Lab, module: str, code: str, given: object = None) -> Any:
    """What an expression comes to; the module's names are in `m`, what is given in `given`."""
    path = f"/lab/extensions/live-kernel/static/{module}.js"
    return lab.page.evaluate(
        f"async given => {{ const m = await import({json.dumps(path)}); return {code}; }}", given
    )


@pytest.mark.parametrize(
    ("versions", "wanted"),
    [
        ({"4.2.0": {}, "4.10.0": {}, "4.9.1": {}}, "4.10.0"),
        ({"4.6.0-beta.2": {}, "4.6.0-beta.10": {}, "4.6.0-alpha.3": {}}, "4.6.0-beta.10"),
        ({"4.6.0-beta.2": {}, "4.6.0": {}}, "4.6.0"),
        ({"4.2.0": {"loaded": 1}, "4.10.0": {}}, "4.2.0"),
        ({"4.2.0": {"from": "@jupyterlab/application-top"}, "4.10.0": {"from": "x"}}, "4.2.0"),
        ({"4.2.0": {"from": "@jupyter-notebook/application-top"}, "5.0.0": {}}, "4.2.0"),
        ({"2.3.1+build.7": {}, "2.3.0": {}}, "2.3.1+build.7"),
    ],
)
def test_of_a_shared_module_the_one_that_runs(lab: Lab, versions: object, wanted: str) -> None:
    assert call(lab, "shared", "m.chosen(given)", versions) == wanted


def test_a_module_that_is_not_shared_is_none(lab: Lab) -> None:
    assert call(lab, "shared", "await m.take({}, '@jupyterlab/statusbar')") is None
    broken = "{ x: { '1.0.0': { get: () => { throw new Error('no') } } } }"
    assert call(lab, "shared", f"await m.take({broken}, 'x')") is None


def process(pid: int, **more: object) -> dict[str, object]:
    guard = {"banner": "", "colour": "", "observe": "", "confirm": "", "idle": 0}
    usual = {"name": "app", "command": "python app.py", "user": "ann", "python": "3.14.8"}
    figures = {"cpu": 0, "memory": 0, "threads": 1, "started": pid, "kernels": []}
    about = {"pid": pid, "attachable": True, "reason": None, "remedy": None, "guard": guard}
    return {**usual, **figures, **about, **more}


def test_finds_all_words_wherever_they_stand(lab: Lab) -> None:
    listed = [
        process(1, name="orders", command="python orders.py --port 80"),
        process(2, guard={"banner": "PRODUCTION"}),
        process(3, user="bob"),
    ]
    found = "m.found(given[0], given[1]).map(each => each.pid)"
    for words, pids in (
        ("", [1, 2, 3]), ("PORT orders", [1]), ("production", [2]), ("bob 3", [3]), ("x", []),
    ):  # fmt: skip
        assert call(lab, "listing", found, [listed, words]) == pids


def test_sorts_what_is_attached_first(lab: Lab) -> None:
    listed = [
        process(1, cpu=5),
        process(2, cpu=50, attachable=False),
        process(3, cpu=9),
        process(4, kernels=["k"]),
    ]
    code = "m.sorted(given[0], given[1], each => each.kernels.length > 0).map(each => each.pid)"
    assert call(lab, "listing", code, [listed, "cpu"]) == [4, 3, 1, 2]
    assert call(lab, "listing", code, [listed, "pid"]) == [4, 1, 3, 2]
    assert call(lab, "listing", code, [listed, "no such order"]) == [4, 3, 1, 2]


def test_the_likest_is_the_same_command_line(lab: Lab) -> None:
    listed = [
        process(1, command="python worker.py --queue slow", name="worker"),
        process(2, command="python worker.py --queue fast", name="worker"),
        process(3, command="uvicorn shop:app", name="shop"),
        process(4, command="python worker.py --queue fast", name="worker", attachable=False),
    ]
    code = "m.byLikeness(given[0], given[1]).map(each => each.pid)"
    gone = {"name": "worker", "command": "python worker.py --queue fast"}
    assert call(lab, "listing", code, [listed, gone]) == [2, 1, 3]
    gone = {"name": "shop", "command": ""}
    assert call(lab, "listing", code, [listed, gone])[0] == 3
    gone = {"name": "", "command": "/usr/bin/python3 worker.py --queue slow --more"}
    assert call(lab, "listing", code, [listed, gone])[0] == 1


def test_figures_in_words(lab: Lab) -> None:
    sizes = call(lab, "words", "given.map(m.size)", [0, 999, 1000, 9_949_999, 123_456_789, 4e12])
    assert sizes == ["0 B", "999 B", "1.0 kB", "9.9 MB", "123 MB", "4.0 TB"]
    assert call(lab, "words", "given.map(m.share)", [0, 0.46, 12.6, 399]) == [
        "0 %", "0.5 %", "13 %", "399 %",
    ]  # fmt: skip
    assert call(lab, "words", "given.map(m.span)", [0.2, 59, 60, 7200, 200_000]) == [
        "0 s", "59 s", "1 min", "2 h", "2 d",
    ]  # fmt: skip


def test_a_verdict_is_one_sentence(lab: Lab) -> None:
    verdicts = {
        "is stopped: nothing in it runs": "it is stopped: nothing in it runs.",
        "can't be attached to: ptrace_scope is 1": "ptrace_scope is 1.",
        "pid 7 belongs to another user": "pid 7 belongs to another user.",
    }
    told = call(lab, "words", "given.map(m.whyNot)", [*verdicts, None])
    assert told == [*(f"Can't be attached to: {each}" for each in verdicts.values()), ""]


def test_a_line_ends_at_the_right_and_stands_on_zero(lab: Lab) -> None:
    points = call(lab, "sparkline", "m.points(given, 100)", [0, 50, 200])
    last = points.split()[-1]
    assert last == "64.0,1.0"
    assert points.split()[0].endswith(",15.0")


def test_the_package_says_what_it_is() -> None:
    package = json.loads((EXTENSION / "package.json").read_text())
    assert package["version"] == live_kernel.__version__
    build = package["jupyterlab"]["_build"]
    assert (EXTENSION / build["load"]).is_file()
    names = re.findall(r'"(\./\w+)":', (STATIC / "remoteEntry.js").read_text())
    assert {build["extension"], build["style"]} == set(names)
    (schema,) = EXTENSION.rglob("schemas/live-kernel/*.json")
    assert f'"live-kernel:{schema.stem}"' in (STATIC / "extension.js").read_text()


def test_every_module_says_what_it_is_and_is_used() -> None:
    texts = {path.name: path.read_text() for path in STATIC.glob("*.js")}
    for name, text in texts.items():
        assert text.startswith(("// @ts-check\n/**", "/**")), name
    loaded = {name for text in texts.values() for name in re.findall(r'"\./([\w-]+\.js)"', text)}
    assert loaded | {"remoteEntry.js"} == set(texts)


def test_the_wheel_brings_it(tmp_path: Path) -> None:
    import zipfile

    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    place = "data/share/jupyter/labextensions/live-kernel/"
    brought = {name.partition(place)[2] for name in names if place in name}
    files = [path for path in EXTENSION.rglob("*") if path.is_file()]
    assert brought == {str(path.relative_to(EXTENSION)) for path in files}
