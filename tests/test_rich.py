"""Rich output of libraries, as a stock ipykernel publishes it for the same cell.

Runs in pytest, against a real target that has the libraries. Rule: what differs
from ipykernel stands here, with its reason.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import Kernel
from snapshots import Program
from stock import Stock, shown_by
from targets import Target

pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(sys.version_info[:2] != (3, 14), reason="targets run on our own Python"),
]


@pytest.fixture(scope="module")
def stock() -> Iterator[Stock]:
    with Stock() as stock:
        yield stock


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with Target("idle", sys.executable) as target, Kernel("--pid", target.pid) as kernel:
        yield kernel


SAME = {
    "pandas": "import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': ['x', '<y>']})",
    "a large DataFrame": "import pandas as pd\npd.DataFrame({'a': range(10**6)})",
    "a Series": "import pandas as pd\npd.Series([1.5, None])",
    "a figure": "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
    "a figure as the value": "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nfig",
    "an empty figure": "import matplotlib.pyplot as plt\nplt.figure()",
    "figures that are displayed": "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\n"
    "ax.plot([3])\ndisplay(fig)\nplt.close(fig)",
    "two figures": "import matplotlib.pyplot as plt\nfor n in (1, 2):\n"
    "    plt.figure()\n    plt.bar([1, 2], [n, n])",
    "plt.show": "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\ndisplay('after')\n"
    "plt.plot([2]);",
    "no pyplot": "from matplotlib.figure import Figure\nf = Figure()\nf.subplots().plot([1])\nf",
    "a plot of pandas": "import pandas as pd\npd.Series([1, 2]).plot()",
    "PIL": "from PIL import Image\nImage.new('RGB', (3, 2), 'red')",
    "PIL with transparency": "from PIL import Image\nImage.new('RGBA', (3, 2))",
    "plotly": "import plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 3, 2]))",
    "plotly's show": "import plotly.graph_objects as go\ngo.Figure(go.Bar(y=[1, 3])).show()",
    "HTML": "from IPython.display import HTML\nHTML('<b>x</b>')",
    "SVG": "from IPython.display import SVG\n"
    "SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"><g/></svg>')",
    "Markdown": "from IPython.display import Markdown\nMarkdown('*x*')",
    "LaTeX": "from IPython.display import Latex, Math\ndisplay(Latex('$x$'), Math('x^2'))",
    "JSON": "from IPython.display import JSON\nJSON({'a': [1, None]})",
    "an image": "from IPython.display import Image\nImage(data=b'\\x89PNG\\r\\n\\x1a\\n', width=5)",
    "rich.print": "import rich\nrich.print('[b]hi[/b]', {'a': 1})",
    "a table of rich": "from rich.table import Table\nt = Table('a', 'b')\nt.add_row('1', 'x')\nt",
    "a console of rich": "from rich.console import Console\nConsole().print('[red]x')",
}


@pytest.mark.parametrize("name", SAME)
def test_as_ipykernel_has_it(kernel: Kernel, stock: Stock, name: str) -> None:
    cell = kernel.run(SAME[name], timeout=60)
    assert (cell.status, shown_by(cell)) == stock.run(SAME[name])


def test_figures_in_another_format(kernel: Kernel, stock: Stock) -> None:
    """SVG has the date in it, so that only the types are compared."""
    draw = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"
    try:
        for choose in (
            "%config InlineBackend.figure_formats = ['svg']",
            "from matplotlib_inline.backend_inline import set_matplotlib_formats\n"
            "set_matplotlib_formats('retina')",
        ):
            assert stock.run(choose)[0] == kernel.run(choose).status == "ok"
            ((_, data, metadata),) = stock.run(draw)[1]
            ((_, ours, with_ours),) = shown_by(kernel.run(draw, timeout=60))
            assert ours.keys() == data.keys()
            assert with_ours == metadata
    finally:
        for each in (stock, kernel):
            each.run("set_matplotlib_formats('png')")


# -- where it differs


def test_progress_bars_are_text_or_widgets(kernel: Kernel) -> None:
    """tqdm makes a widget if `ipykernel` is loaded, which it is not in our targets."""
    cell = kernel.run("from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass")
    assert cell.status == "ok"
    assert cell.stderr.startswith("\r  0%|")
    assert "\r100%|" in cell.stderr
    assert "3/3" in cell.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from tqdm.notebook import tqdm\nfor _ in tqdm(range(2)): pass",
        "from rich.progress import track\nfor _ in track(range(2)): pass",
    ],
)
def test_progress_bars_that_want_widgets(kernel: Kernel, code: str) -> None:
    cell = kernel.run(code, timeout=60)
    assert cell.status == "ok", cell
    assert cell.displays
    assert "Traceback" not in cell.text


FAILING = "class F:\n    def __repr__(self): return 1 / 0\n"


def test_a_repr_that_raises_ends_the_cell(kernel: Kernel, stock: Stock) -> None:
    cell = kernel.run(FAILING + "F()")
    assert (cell.status, shown_by(cell)) == stock.run(FAILING + "F()") == ("error", [])
    assert cell.error == ("ZeroDivisionError", "division by zero")
    assert "in __repr__" in cell.traceback
    assert kernel.run("_ is Out[max(Out)]").result == "True"


def test_a_repr_that_raises_within_a_value(kernel: Kernel) -> None:
    """ipykernel would show nothing of the list, and fail."""
    cell = kernel.run(FAILING + "[1, F()]")
    assert cell.status == "ok"
    assert cell.result == "[1, <repr failed: ZeroDivisionError: division by zero>]"


def test_html_that_raises_leaves_the_text(kernel: Kernel) -> None:
    """ipykernel shows the same text, but fails; and with it "Run All"."""
    cell = kernel.run("class H:\n    def _repr_html_(self): return 1 / 0\nH()")
    assert cell.status == "ok"
    assert "ZeroDivisionError" in cell.stderr
    assert str(cell.result).startswith("<__main__.H")


# -- what is left of it in the program


LIBRARIES = """
import rich, rich.console, time
import plotly.io as pio
import matplotlib.pyplot as plt
pio.renderers.default = "browser"
console = rich.get_console()
print("ready", flush=True)
while True:
    time.sleep(0.005)
"""


def test_the_program_keeps_its_console_and_its_renderer(tmp_path: Path) -> None:
    program = tmp_path / "libraries.py"
    program.write_text(LIBRARIES)
    with Program(program, sys.executable) as target:
        with Kernel("--pid", target.pid) as kernel:
            cell = kernel.run("rich.print('[b]x')")
            assert "text/html" in cell.displays[0]
            cell = kernel.run("import plotly.graph_objects as go\ngo.Figure()", timeout=60)
            assert list(cell.displays[0]) == ["application/vnd.plotly.v1+json"]
            assert kernel.value("rich._console is console, console.is_jupyter") == (True, False)
        with Kernel("--pid", target.pid) as kernel:
            code = "import sys\nr = sys.modules['plotly.io._renderers'].renderers\n"
            kernel.run(code + "asked = getattr(r, '_original', r).default")
            assert kernel.value("asked") == "browser"


def test_a_cell_that_loads_the_libraries_chooses_nothing_for_the_program() -> None:
    with Target("idle", sys.executable) as target:
        with Kernel("--pid", target.pid) as kernel:
            kernel.run("import rich\nrich.print('x')", timeout=60)
            assert kernel.value("rich._console") is None
            kernel.run("import plotly.io._renderers", timeout=60)
            kernel.run("import matplotlib.pyplot as plt", timeout=60)
            assert "inline" in kernel.value("plt.matplotlib.get_backend()")
        with Kernel("--pid", target.pid) as kernel:
            kernel.run("import matplotlib, sys, plotly.io._renderers", timeout=60)
            backend = kernel.run("dict.__getitem__(matplotlib.rcParams, 'backend')").result
            assert "inline" not in str(backend)
            kernel.run("r = sys.modules['plotly.io._renderers'].renderers")
            assert "mimetype" not in kernel.value("getattr(r, '_original', r).default")
