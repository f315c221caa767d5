"""Huge values: cut where they would stall somebody, with a word on what was cut.

Runs in pytest; the sizes in one process, the rest through a kernel, against a
program that measures its own longest pause. Rule: nothing here is larger than a
test machine can bear.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import Kernel
from targets import Target

from live_kernel.launcher import commands
from live_kernel.link.limits import DEFAULTS, MEANINGS, are_limits, enough_for, parse, written

# -- sizes


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("1000", 1000),
        ("1_000", 1000),
        ("500kB", 500_000),
        ("2.5 MB", 2_500_000),
        ("1g", 10**9),
        ("off", 0),
        ("None", 0),
    ],
)
def test_sizes(text: str, limit: int) -> None:
    assert parse(text) == limit


@pytest.mark.parametrize(
    "text", ["much", "-1", "", "MB", "1MBB", "1kk", "0.1", "nan", "inf", "1e999"]
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse(text)


@given(st.integers(1, 10**12))
def test_what_is_suggested_is_enough(size: int) -> None:
    assert size <= parse(written(enough_for(size))) <= max(1.11 * size, size + 1)


def test_the_table_is_whole() -> None:
    assert DEFAULTS.keys() == MEANINGS.keys()
    assert are_limits(DEFAULTS)
    for name in DEFAULTS:
        assert name in commands.help_text("%limits")


@pytest.mark.parametrize("values", [[], {"repr": -1}, {"repr": True}, {"repr": "1"}, {"other": 1}])
def test_what_is_sent_is_checked(values: object) -> None:
    assert not are_limits(values)


# -- through a kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with Target("idle") as target, Kernel("--pid", target.pid) as kernel:
        yield kernel


@pytest.fixture(autouse=True)
def as_in_the_beginning(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "kernel" in request.fixturenames:
        request.getfixturevalue("kernel").run("%limits default")


MONSTERS = {
    "a long list": "list(range(10**6))",
    "a large dict": "dict.fromkeys(range(10**6))",
    "a large set": "set(range(10**6))",
    "a long str": "'x' * 10**8",
    "long bytes": "b'x' * 10**8",
    "a nest": "[[list(range(1000))] * 1000] * 1000",
    "a deep nest": "x = []\nfor _ in range(10**4): x = [x]\nx",
    "a long repr": "class R:\n    def __repr__(self): return 'r' * 10**8\nR()",
    "repr upon repr": "class R:\n    def __repr__(self): return 'r' * 10**6\n[R()] * 1000",
    "html": "class H:\n    def _repr_html_(self): return 'h' * 2 * 10**8\nH()",
    "a bundle": "class B:\n    def _repr_mimebundle_(self, **_):\n"
    "        return {'application/json': [[0.5] * 1000] * 10_000}\nB()",
    "a picture": "class P:\n    def _repr_png_(self): return b'p' * 10**8\nP()",
    "a raw bundle": "display({'text/html': 'h' * 10**8}, raw=True)",
    "a line": "print('x' * 10**8)",
}


@pytest.mark.parametrize("name", MONSTERS)
def test_what_is_huge_is_cut(kernel: Kernel, name: str) -> None:
    cell = kernel.run(MONSTERS[name], timeout=60)
    assert cell.status == "ok", str(cell)[-1000:]
    assert "..." in cell.text or "…" in cell.text
    assert sum(len(str(message["content"])) for message in cell.messages) < 12_000_000


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("'x' * 3_000_000", "… truncated after 1,000,000 of 3,000,002 characters; "
         "%limits repr 3.1MB shows them all"),
        ("[['x' * 1000] * 1000] * 10", "… truncated after 1,000,000 characters; "
         "%limits repr 10MB shows more"),
        ("print('x' * 20_000_000)", "… truncated after 10,000,000 of 20,000,000 characters that "
         "were written at once; %limits print 20MB shows them all"),
        ("class H:\n    def __repr__(self): return 'h'\n"
         "    def _repr_html_(self): return 'h' * 30_000_000\nH()",
         "h\n… text/html left out: it has 30,000,000 characters or more, and the limit is "
         "20,000,000; %limits html 30MB shows it"),
    ],
)  # fmt: skip
def test_it_says_how_much_was_cut_and_how_to_see_it(kernel: Kernel, code: str, says: str) -> None:
    cell = kernel.run(code)
    text = cell.stdout.rstrip("\n") or str(cell.result)
    assert text.endswith(says), text[-300:]
    what = says.rpartition("%")[2].partition(" shows")[0]
    assert kernel.run(f"%{what}").status == "ok"
    again = kernel.run(code)
    assert "truncated after 1,000,000 of" not in again.text
    assert "left out" not in again.text
    assert sum(len(str(message["content"])) for message in again.messages) > 2_900_000


def test_the_command(kernel: Kernel) -> None:
    shown = kernel.run("%limits").stdout
    assert [line.split()[:2] for line in shown.splitlines()] == [
        ["repr", "1MB"], ["items", "1000"], ["html", "20MB"], ["image", "50MB"], ["print", "10MB"],
    ]  # fmt: skip
    assert kernel.run("%limits items 3\nlist(range(9))").result == "[0, 1, 2, ...]"
    assert kernel.run("list(range(9))").result == "[0, 1, 2, ...]"
    assert "items       3" in kernel.run("%limits").stdout
    cell = kernel.run("%limits off\nlist(range(3000))")
    assert str(cell.result).endswith("2999]")
    assert kernel.run("%limits default").stdout == shown


@pytest.mark.parametrize("wrong", ["bogus 3", "repr", "repr much", "repr 1 2"])
def test_what_it_does_not_know(kernel: Kernel, wrong: str) -> None:
    assert kernel.run(f"%limits {wrong}").error[0] == "LimitUnknown"


@pytest.mark.parametrize(
    "code",
    [
        "class S:\n    def __repr__(self):\n        print('here', flush=True)\n"
        "        while True: pass\n{S(), S()}",
        "class S:\n    def _repr_html_(self):\n        print('here', flush=True)\n"
        "        while True: pass\nS()",
    ],
)
def test_a_repr_can_be_interrupted(kernel: Kernel, code: str) -> None:
    cell = kernel.begin(code)
    cell.wait_for("here")
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    assert kernel.run("1").result == "1"


@pytest.mark.harm
@pytest.mark.parametrize("name", ["a nest", "repr upon repr", "a line"])
def test_the_program_is_not_stalled(name: str) -> None:
    """What is packed is packed in pieces; one of 100 MB would take most of a second.

    A single operation of the cell's own code, such as `'x' * 10**8`, is not ours to cut.
    """
    with Target("pausing") as target, Kernel("--pid", target.pid) as kernel:
        code = MONSTERS[name].replace("10**8", "10**7")
        kernel.run("%limits off\nlongest = 0.0") if name == "a line" else kernel.run(
            "longest = 0.0"
        )
        assert kernel.run(code, timeout=60).status == "ok"
        pause = kernel.value("longest")
        print(f"{name}: longest pause {pause * 1000:.0f} ms")
        assert 0 < pause < 0.25
