"""What docs/front-ends.md tells to type for front-ends that run without anybody, typed.

The console and JupyterLab have test files of their own, and nbclient has `test_clients.py`.
"""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from recipes import blocks
from snapshots import Program
from targets import ROOT, clean_environment

pytestmark = [pytest.mark.attach, pytest.mark.client, pytest.mark.slow, pytest.mark.timeout(120)]

PAGE = ROOT / "docs" / "front-ends.md"


def lines_with(word: str) -> list[str]:
    """The lines of the page's blocks with this word."""
    return [line for block in blocks(PAGE) for line in block.text.splitlines() if word in line]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A notebook that asks for the program's words, as any kernel's would."""
    cells = [nbformat.v4.new_code_cell("word, total()")]
    kernel = {"name": "live-attach", "display_name": "Attach to PID", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "report.ipynb")
    return tmp_path / "report.ipynb"


def type_(line: str, program: Program, place: Path, kernelspecs: Path) -> str:
    """Type a line of the page in a shell, for this program. What it has said, if it went well."""
    binaries = Path(sys.executable).parent
    env = clean_environment() | {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "JUPYTER_PATH": str(kernelspecs),
        "HOME": str(place),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        ["bash", "-euc", line.replace("4242", str(program.pid))],
        cwd=place, env=env, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_jupyter_execute(program: Program, report: Path, kernelspecs: Path) -> None:
    (line,) = lines_with("jupyter execute")
    before = program.snapshot()
    type_(line + " --inplace", program, report.parent, kernelspecs)
    (cell,) = nbformat.read(report, as_version=4).cells
    assert cell.outputs[-1]["data"]["text/plain"] == "('start', 42)"
    program.assert_unharmed_since(before)


def test_nbconvert(program: Program, report: Path, kernelspecs: Path) -> None:
    (line,) = lines_with("jupyter nbconvert")
    before = program.snapshot()
    type_(line, program, report.parent, kernelspecs)
    page = report.with_suffix(".html").read_text()
    assert "('start', 42)" in html.unescape(page)
    assert f"Attached to pid {program.pid}" in page
    program.assert_unharmed_since(before)


def test_nbclient_in_python(program: Program, report: Path, kernelspecs: Path) -> None:
    code = "\n".join(block.text for block in blocks(PAGE) if "NotebookClient(" in block.text)
    script = (
        "import nbformat, os\nfrom nbclient import NotebookClient\n"
        f"notebook = nbformat.read({str(report)!r}, as_version=4)\n{code}\n"
        "print(notebook.cells[0].outputs[-1]['data']['text/plain'])"
    )
    told = type_(f"python -c {shlex.quote(script)}", program, report.parent, kernelspecs)
    assert told.strip() == "('start', 42)"


def test_a_question_is_an_error_that_says_what_to_do(
    program: Program, report: Path, kernelspecs: Path
) -> None:
    """Without a variable, in a front-end that can't ask."""
    (line,) = lines_with("jupyter execute")
    without = re.sub(r"LIVE_KERNEL_TARGET=\d+ ", "", line)
    with pytest.raises(AssertionError, match="NoTarget") as caught:
        type_(without, program, report.parent, kernelspecs)
    assert "%attach PID" in str(caught.value)


def test_the_kernelspec_is_as_the_page_says(kernelspecs: Path) -> None:
    spec = json.loads((kernelspecs / "kernels/live-attach/kernel.json").read_text())
    assert spec["display_name"] == "Attach to PID"
    assert spec["interrupt_mode"] == "message"
    assert spec["metadata"]["supported_encryption"]
    assert not spec["metadata"].get("debugger")
