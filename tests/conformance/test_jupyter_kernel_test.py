"""Jupyter's own conformance suite for kernels, in full: `jupyter_kernel_test`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jupyter_kernel_test
import pytest
from fresh import write_kernelspec

NAME = "live-kernel-fresh"

pytestmark = [pytest.mark.attach, pytest.mark.client]


@pytest.fixture(scope="module", autouse=True)
def kernelspec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A kernelspec that starts us with a program of its own, and an empty history."""
    place: Path = tmp_path_factory.mktemp("jupyter")
    write_kernelspec(place, NAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(place))
        patch.setenv("IPYTHONDIR", str(place / "ipython"))
        yield


class TestKernel(jupyter_kernel_test.KernelTests):
    """What every kernel has to do; the samples are those of ipykernel, and some more."""

    kernel_name = NAME
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [  # noqa: RUF012
        {"text": "zi", "matches": {"zip"}},
        {"text": "[].appe", "matches": {"append"}},
    ]
    complete_code_samples = [  # noqa: RUF012
        "1",
        "print('hello, world')",
        "def f(x):\n  return x*2\n\n\n",
        "%attach 4242",
        "await thing()",
    ]
    incomplete_code_samples = [  # noqa: RUF012
        "print('''hello",
        "def f(x):\n  x*2",
        "for i in range(3):",
        "f(1,",
        "%%timeit\n1",
    ]
    invalid_code_samples = ["import = 7q", "x = )"]  # noqa: RUF012
    code_page_something = "zip?"
    code_generate_error = "raise ValueError"
    code_execute_result = [  # noqa: RUF012
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data = [  # noqa: RUF012
        {
            "code": "class Bold:\n  def _repr_html_(self): return '<b>x</b>'\ndisplay(Bold())",
            "mime": "text/html",
        },
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class TestWelcome(jupyter_kernel_test.IopubWelcomeTests):
    """A subscriber of iopub is greeted, and misses nothing from then on."""

    kernel_name = NAME
    support_iopub_welcome = True
