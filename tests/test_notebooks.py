"""The notebooks of notebooks/, run by nbclient in the programs that they are about.

Each runs as it is. What its cells do is seen from outside: in the answers of the
service, in what the programs write. Rule: the outputs that are kept in a notebook
are those of a run like this one; `.artefacts/` has the new ones.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import nbformat
import pytest
from nbclient import NotebookClient
from snapshots import Program, Snapshot
from targets import ROOT, eventually

from live_kernel.attach import processes
from live_kernel.handle import attach

NOTEBOOKS = ROOT / "notebooks"
NAMES = ("web_service", "training", "worker_pool")

pytestmark = [pytest.mark.attach, pytest.mark.client]

Notebook = Any


@pytest.fixture(autouse=True)
def jupyter_path(kernelspecs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernelspecs))


class Stage(Program):
    """The program of a notebook, started as its first cell says, for the notebook to run in."""

    def __init__(self, name: str, artefacts: Path, env: Mapping[str, str] | None = None) -> None:
        self.notebook: Notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        self.record = artefacts / f"{name}.ipynb"
        args = [0] if name == "web_service" else []  # any free port
        super().__init__(NOTEBOOKS / "programs" / f"{name}.py", sys.executable, args, env)

    def from_outside(self) -> Snapshot:
        """Without the fonts that Matplotlib keeps open for each thread that has drawn."""
        seen = super().from_outside()
        files: dict[str, str] = seen["descriptors"]
        return seen | {"descriptors": {n: f for n, f in files.items() if not f.endswith(".ttf")}}

    def snapshot_with(self, code: str) -> Snapshot:
        """How it is once this has run in it: what the notebook's own cells load, which stays."""
        first = self.snapshot()
        with attach(self.pid) as handle:
            assert handle.run(code)["status"] == "ok"

        def left() -> Snapshot | None:
            seen = self.snapshot()
            same = all(seen[kind] == first[kind] for kind in ("threads", "native threads"))
            return seen if same else None

        return eventually(left, what="the agent's threads have ended")

    def run(self, after: Mapping[str, Callable[[], object]]) -> Notebook:
        """Run all cells in the program. `after`: what to see to when a cell with this text has run.

        Returns the notebook with its new outputs, which it also leaves in the artefacts.
        """
        left = dict(after)

        def has_run(cell: Notebook, **_: object) -> None:
            for text in [text for text in left if text in cell.source]:
                left.pop(text)()

        notebook = nbformat.from_dict(self.notebook)
        client = NotebookClient(notebook, timeout=30, on_cell_executed=has_run)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LIVE_KERNEL_TARGET", str(self.pid))
            client.execute()
        assert not left, f"no cell has {left.keys()}"
        portable = nbformat.writes(notebook).replace(f"{ROOT}/", "")
        self.record.write_text(portable + "\n")
        return nbformat.reads(portable, as_version=4)


# -- the notebooks


@pytest.mark.harm
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_web_service(artefacts: Path, tmp_path: Path) -> None:
    """Its handler is patched, put back and its data mended; no visitor waits in vain."""
    with Stage("web_service", artefacts, {"TMPDIR": str(tmp_path)}) as service:
        place = service.wait_for("ready").rpartition("/")[2]
        with Visitors(place) as visitors:
            visitors.see_another()
        before = at_rest(service)
        with Visitors(place) as visitors:
            notebook = service.run(
                {
                    "route.app = request_response": lambda: visitors.wait_to_be_sent_to(WHOLE),
                    "route.app = before": lambda: visitors.wait_to_be_sent_to(TYPED),
                    "UPDATE links": lambda: visitors.wait_to_be_sent_to(WHOLE),
                }
            )
            visitors.see_another()
        assert visitors.trouble == []
        assert [key for key, _ in groupby(visitors.sent_to)] == [TYPED, WHOLE, TYPED, WHOLE]
        assert_as_kept(service, notebook)
        service.assert_unharmed_since(before)


@pytest.mark.harm
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_training(artefacts: Path) -> None:
    """It learns faster from one epoch to the next, and stops when told to."""
    with Stage("training", artefacts) as training:
        training.wait_for("epoch 100:")
        before = training.snapshot_with("import matplotlib.pyplot as plt; plt.plot([1])")
        notebook = training.run(
            {
                "learning_rate = 0.1": lambda: eventually(
                    lambda: min(losses(training, 0.1), default=1) < 0.2
                ),
                "is_enough = True": lambda: training.wait_for("trained for "),
            }
        )
        training.assert_unharmed_since(before)
        log = [line for line in training.lines() if line.startswith("epoch")]
        epochs = [int(line.split()[1].rstrip(":")) for line in log]
        assert epochs == list(range(100, 100 * len(log) + 1, 100)), "none is lost or repeated"
        slow, fast = losses(training, 0.0005), losses(training, 0.1)
        assert len(slow) + len(fast) == len(log)
        assert min(slow) > 0.6 > 0.2 > fast[-1]
        assert_as_kept(training, notebook)


def losses(training: Stage, rate: float) -> list[float]:
    """What its log says of the loss at this learning rate."""
    log = [line.split() for line in training.lines() if line.endswith(f" at {rate}")]
    return [float(loss) for _, _, _, loss, *_ in log]


@pytest.mark.harm
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_worker_pool(artefacts: Path) -> None:
    """It stands still, and catches up when its lock is released; it does not get stuck again."""
    with Stage("worker_pool", artefacts) as pool:
        pool.wait_for("49 labels for 100 parcels")
        before = pool.snapshot_with("import linecache; linecache.getlines(__file__)")
        notebook = pool.run({})
        pool.assert_unharmed_since(before)
        count = len(pool.lines())
        labels, parcels = map(int, re.findall(r"\d+", pool.wait_for("labels", after=count)))
        without_weight = parcels // 50
        assert without_weight > 2, "it has met another one since"
        assert parcels - without_weight - 10 < labels <= parcels - without_weight
        assert_as_kept(pool, notebook)


# -- the service's visitors

TYPED = "docs.python.org/3/"
WHOLE = "https://docs.python.org/3/"


class Visitors(threading.Thread):
    """Follow links and make some, one after the other, for as long as the block lasts.

    `trouble`: each answer that was wrong or did not come. `sent_to`: where the link
    that is patched has led.
    """

    def __init__(self, place: str) -> None:
        super().__init__(daemon=True)
        self.trouble: list[str] = []
        self.sent_to: list[str] = []
        self._place = place
        self._leaves = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaves.set()
        self.join()

    def see_another(self) -> None:
        """Wait for one more whole round."""
        count = len(self.sent_to) + 1
        eventually(lambda: len(self.sent_to) > count, what="the visitors come through")

    def wait_to_be_sent_to(self, link: str) -> None:
        """Wait until that is where the patched link leads."""
        eventually(lambda: self.sent_to[-1:] == [link], what=f"the visitors are sent to {link}")

    def run(self) -> None:
        while not self._leaves.wait(0.005):
            try:
                with closing(HTTPConnection(self._place, timeout=10)) as connection:
                    self._come_through(connection)
            except Exception as error:
                self.trouble.append(repr(error))

    def _come_through(self, connection: HTTPConnection) -> None:
        assert self._ask(connection, "GET", "/python") == (307, "https://www.python.org/")
        assert self._ask(connection, "GET", "/nothing") == (404, None)
        link = "https://example.org/a/long/one"
        connection.request("POST", "/links", json.dumps({"link": link}))
        answer = connection.getresponse()
        assert answer.status == 201
        key = json.load(answer)["key"]
        assert self._ask(connection, "GET", f"/{key}") == (307, link)
        status, sent_to = self._ask(connection, "GET", "/docs")
        assert (status, sent_to) in ((307, TYPED), (307, WHOLE))
        self.sent_to.append(sent_to or "")

    def _ask(self, connection: HTTPConnection, method: str, path: str) -> tuple[int, str | None]:
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["Location"]


def at_rest(service: Stage) -> Snapshot:
    """The service as it is once it has hung up on visitors that have left."""

    def settled() -> Snapshot | None:
        first, second = service.snapshot(), service.snapshot()
        return first if first == second else None

    return eventually(settled, what="the service is at rest", every=0.1)


# -- as they are kept


def assert_as_kept(program: Stage, run: Notebook) -> None:
    """The outputs in the file are what a run gives today, but for numbers."""
    kept, new = (
        [
            list(map(shape, filter(is_of_the_cell, cell.get("outputs", ()))))
            for cell in notebook.cells
        ]
        for notebook in (program.notebook, run)
    )
    for cell, was, now in zip(run.cells, kept, new, strict=True):
        assert was == now, f"run {program.record} and keep it\n{cell.source}"


def is_of_the_cell(output: Notebook) -> bool:
    """And not the kernel's word on what it waits for, where the machine is slow."""
    return not str(output.get("data", {}).get("text/plain", "")).startswith("Waiting: pid ")


def shape(output: Notebook) -> tuple[str, object]:
    """What kind of output it is, and its text without what differs from run to run."""
    data = output.get("data", {})
    text = output.get("text") or data.get("text/plain") or output.get("evalue")
    text = re.sub(r"\(python [^)]+", "(python …", str(text))  # a long path is left out
    text = re.sub(r"0x[0-9a-f]+|\d+([.,]\d+)*|\s+", "#", text)
    return output.output_type, (sorted(data), text)


@pytest.mark.parametrize("name", NAMES)
def test_opens_in_its_program(name: str, artefacts: Path) -> None:
    """The text in its metadata is in the command line that its first cell tells to type."""
    with Stage(name, artefacts) as program:
        text = program.notebook.metadata.live_kernel.target
        assert text in program.notebook.cells[0].source
        assert text in " ".join(processes.identify(program.pid).cmdline)


@pytest.mark.parametrize("name", NAMES)
def test_is_kept_from_a_run(name: str) -> None:
    """With outputs, in the order of its cells, and nothing of the machine that it ran on."""
    file = NOTEBOOKS / f"{name}.ipynb"
    cells = [c for c in nbformat.read(file, as_version=4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not re.search(r"/(home|root|work|tmp|usr|Users)/", file.read_text())
