"""A pytest plugin for ipykernel's tests: what one of them leaves behind fails no other.

Their tests share one kernel; one that fails or hangs leaves messages in its
channels. Rule: a test that fails ends the shared kernel, so that the next
begins with a new one. It also knows their option `--cov`, which one test asks for.
"""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Generator
from importlib import import_module

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cov", default=None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        helpers = import_module("tests.utils")
        if helpers.KC is not None:
            atexit.unregister(helpers.stop_global_kernel)  # the next kernel registers it again
            with contextlib.suppress(Exception):
                helpers.stop_global_kernel()
    return report
