"""Figures of cells, beside those of a program that draws.

Runs in pytest, against real targets with matplotlib. Rule: the program finds its
figures, the one that it draws on, and its backend as they were.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator

import pytest
from kernels import Kernel
from snapshots import outside
from targets import Target, eventually

pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(sys.version_info[:2] != (3, 14), reason="targets run on our own Python"),
]


@pytest.fixture(params=["agg", "svg", "module://windows"], scope="module")
def program(request: pytest.FixtureRequest) -> Iterator[Target]:
    """One that draws, for a file or in windows."""
    with Target("drawing", sys.executable, [request.param]) as target:
        yield target


@pytest.fixture
def kernel(program: Target) -> Iterator[Kernel]:
    with Kernel("--pid", program.pid) as kernel:
        yield kernel


def draws(program: Target) -> str:
    """What the program says of a round of its own drawing."""
    count = len(program.lines())
    program.send("draw")
    return program.wait_for("drew on", after=count)


def pictures(kernel: Kernel, code: str) -> int:
    """How many pictures a cell showed, which must succeed, and quietly."""
    cell = kernel.run(code, timeout=60)
    assert cell.status == "ok", cell
    assert not cell.stderr, cell.stderr
    return sum("image/png" in display for display in cell.displays)


def test_a_cell_draws_on_figures_of_its_own(program: Target, kernel: Kernel) -> None:
    assert pictures(kernel, "plt.plot([5])") == 1
    lines = kernel.value("len(figure.axes[0].lines)")
    assert draws(program) == f"drew on [{lines + 1}] [1, 2]"
    assert pictures(kernel, "plt.figure(); plt.plot([1]); plt.figure(); plt.plot([2])") == 2
    assert pictures(kernel, "plt.plot([1]); plt.close('all')") == 0
    assert draws(program) == f"drew on [{lines + 2}] [1, 2]"


def test_the_programs_figures_can_be_seen_and_named(program: Target, kernel: Kernel) -> None:
    assert kernel.value("plt.get_fignums()") == [1]
    assert kernel.value("plt.figure(1) is figure, plt.gcf() is figure") == (True, True)
    assert kernel.value("plt.figure().number, plt.get_fignums()") == (2, [1, 2])
    assert pictures(kernel, "display(figure)") == 1
    assert pictures(kernel, "plt.figure(1); plt.title('named')") == 0
    assert kernel.value("figure.axes[0].get_title()") == "named"
    assert draws(program).endswith("[1, 2]")


def test_the_backend_is_the_programs(program: Target, kernel: Kernel) -> None:
    before = kernel.value("plt.get_backend(), plt._backend_mod.__name__")
    assert pictures(kernel, "%matplotlib inline\nplt.plot([1])") == 1
    assert kernel.value("plt.get_backend(), plt._backend_mod.__name__") == before
    assert "inline" not in "".join(before)


def test_a_cell_opens_no_window() -> None:
    with Target("drawing", sys.executable, ["module://windows"]) as program:
        with Kernel("--pid", program.pid) as kernel:
            assert pictures(kernel, "plt.plot([1]); plt.show(); plt.subplots()[1].plot([2])") == 2
        draws(program)
        windows = [line for line in program.lines() if "window" in line]
        assert windows == ["opens a window"] * 2  # its own


def test_figures_are_drawn_while_the_program_draws(program: Target, kernel: Kernel) -> None:
    """In the middle of a cell the program goes on with its own figures."""
    kernel.run("lines = len(figure.axes[0].lines)")
    cell = kernel.begin(
        "plt.figure(); plt.plot([1])\nprint('drawn', flush=True)\n"
        "while len(figure.axes[0].lines) == lines: pass\nplt.plot([2])\nlen(plt.gca().lines)"
    )
    cell.wait_for("drawn")
    assert draws(program).endswith("[1, 2]")
    assert cell.finish().result == "2"
    assert len(cell.displays) == 1


def test_figures_of_threads_and_of_cells_that_await() -> None:
    with Target("aio_idle", sys.executable) as target, Kernel("--pid", target.pid) as kernel:
        kernel.run("import asyncio, threading\nimport matplotlib.pyplot as plt", timeout=60)
        code = "t = threading.Thread(target=plt.plot, args=([1],))\nt.start(); t.join()"
        assert pictures(kernel, code) == 1
        assert pictures(kernel, "await asyncio.sleep(0)\nplt.plot([1])") == 1
        assert pictures(kernel, "await asyncio.sleep(0)\nplt.plot([1]);") == 1


def test_figures_before_an_error_are_shown(kernel: Kernel) -> None:
    cell = kernel.run("plt.plot([1])\n1 / 0")
    assert cell.status == "error"
    assert len(cell.displays) == 1
    assert kernel.value("plt.get_fignums()") == [1]


def test_a_figure_that_can_not_be_drawn(kernel: Kernel) -> None:
    cell = kernel.run("plt.title('$\\\\bad{$')\nplt.figure(); plt.plot([1]);")
    assert cell.status == "ok"
    assert "ValueError" in cell.stderr
    assert sum("image/png" in display for display in cell.displays) == 1


def test_drawing_can_be_interrupted(kernel: Kernel) -> None:
    code = """
from matplotlib.artist import Artist
class Slow(Artist):
    def draw(self, renderer):
        print("drawing", flush=True)
        while True: pass
plt.figure().add_artist(Slow()); plt.plot([1]);"""
    cell = kernel.begin(code)
    kernel.wait(lambda: "drawing" in cell.stdout, what="the drawing")  # so is the program called
    kernel.interrupt()
    assert cell.finish().error[0] == "KeyboardInterrupt"
    assert pictures(kernel, "plt.plot([1])") == 1


def test_figures_can_be_shown_one_by_one(kernel: Kernel) -> None:
    code = "a = plt.figure(); plt.plot([1]); a.show(); plt.figure(); plt.plot([2]);"
    assert pictures(kernel, code) == 2
    assert pictures(kernel, "plt.plot([1]); plt.show(); plt.show()") == 1


def test_nothing_is_left() -> None:
    """pyplot's functions and its list of figures are those that were there; no font is open."""
    look = (
        "from matplotlib import _pylab_helpers\n"
        "print(type(_pylab_helpers.Gcf.figs).__name__, plt.show.__module__,"
        " plt._get_backend_mod.__module__, plt.Figure.show.__module__, plt.get_fignums())"
    )
    with Target("drawing", sys.executable, ["agg"]) as program:
        before = outside(program.pid)["descriptors"]
        with Kernel("--pid", program.pid) as kernel:
            assert pictures(kernel, "plt.plot([1])") == 1
        eventually(lambda: outside(program.pid)["descriptors"] == before, what="fonts are closed")
        count = len(program.lines())
        sys_remote = f"import sys\nplt = sys.modules['matplotlib.pyplot']\n{look}"
        run_in(program, sys_remote)
        expected = "OrderedDict matplotlib.pyplot matplotlib.pyplot matplotlib.figure [1]"
        assert program.wait_for("OrderedDict", after=count) == expected


def run_in(program: Target, code: str) -> None:
    """Run code in the program without us."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(code + "\nprint('ran', flush=True)")
        script.flush()
        count = len(program.lines())
        sys.remote_exec(program.pid, script.name)
        program.send("wake up")
        program.wait_for("ran", after=count)
