"""What holds for all tests: whether attaching is possible here, what was skipped, what is left.

Runs in pytest. Rule: a skip is told with its reason; where CI=true, a machine
on which nothing could be attached to is a failure, and so is a process that
outlives the tests. Where failed tests are tried again (`--reruns`), those that pass then
are told of, and more than a few of them are a failure, too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from kernels import Kernel
from snapshots import Program
from targets import ROOT, Target

from live_kernel.agent import native
from live_kernel.errors import LiveKernelError, NotAttachable
from live_kernel.handle import attach

if TYPE_CHECKING:
    from lab import Browser, Lab

NEEDS_ATTACH = {"attach", "client", "console", "harm", "lab"}
"""Marks of tests that enter a live process."""

# The journal of all kernels and handles of these tests; nobody's own is written to.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="lk-state-")

MOST_TRIED_AGAIN = 5
"""Tests of a run that may need a second try, one in a thousand: that may be bad luck."""

_attached = pytest.StashKey[Counter[str]]()
_has_failed = pytest.StashKey[bool]()


@cache
def why_not_attachable() -> str:
    """Why no process can be entered here, found out by trying; empty if one can."""
    with Target("idle") as target:
        try:
            attach(target.pid, timeout=10).detach()
        except NotAttachable as error:
            return str(error)
        except LiveKernelError:
            return ""  # it could be entered; what went wrong then is for the tests to show
    return ""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_attached] = Counter()


def pytest_runtest_setup(item: pytest.Item) -> None:
    marks = {mark.name for mark in item.iter_markers()}
    if "root" in marks and os.geteuid() != 0:
        pytest.skip("needs to be root")
    if marks & NEEDS_ATTACH and why_not_attachable():
        pytest.skip(f"attaching is not possible here: {why_not_attachable()}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and {mark.name for mark in item.iter_markers()} & NEEDS_ATTACH:
        item.config.stash[_attached]["skipped" if report.skipped else "run"] += 1
    elif report.skipped and {mark.name for mark in item.iter_markers()} & NEEDS_ATTACH:
        item.config.stash[_attached]["skipped"] += 1
    item.stash[_has_failed] = item.stash.get(_has_failed, False) or report.failed
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Make all fixtures anew after a test that has failed: what it leaves of a server, a browser
    or a kernel that tests share is neither for its second try nor for the tests that follow.
    """
    if item.stash.get(_has_failed, False):
        item.stash[_has_failed] = False
        item.session._setupstate.teardown_exact(None)


@pytest.fixture(scope="session")
def kernelspecs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for JUPYTER_PATH with the kernelspec, put there as a user would."""
    prefix = tmp_path_factory.mktemp("prefix")
    command = [sys.executable, "-m", "live_kernel", "install", "--prefix", str(prefix)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return prefix / "share" / "jupyter"


@pytest.fixture
def artefacts(request: pytest.FixtureRequest) -> Path:
    """A directory of this test under .artefacts/, for what a person should look at."""
    name = re.sub(r"[^\w.-]+", "-", request.node.nodeid.partition("::")[2])
    place = ROOT / ".artefacts" / request.node.path.stem / name
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture
def program() -> Iterator[Program]:
    """A program that idles in Python, to be attached to."""
    with Program("idle") as running:
        yield running


@pytest.fixture
def kernel(program: Program) -> Iterator[Kernel]:
    """A kernel that is attached to it."""
    with Kernel("--pid", program.pid) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from lab import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(browser: Browser) -> Iterator[Lab]:
    from lab import Lab

    # Other tests run, too: the cards of all their programs are shown.
    with Lab(browser, options=["--LiveKernel.max_specs=1000"]) as lab:
        yield lab


@pytest.fixture
def fresh(lab: Lab) -> Iterator[None]:
    """For tests that each begin without anything open, however the one before has ended."""
    yield
    if lab.sessions():
        lab.screenshot(f"failed-{os.environ.get('PYTEST_CURRENT_TEST', '')}")
    lab.start_over()


@pytest.fixture
def beside_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the agent's code take this thread for one of a cell's."""
    monkeypatch.setattr(native, "main_ident", lambda: 0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    attached = session.config.stash[_attached]
    if os.environ.get("CI") == "true" and attached["skipped"] and not attached["run"]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if left_running() or len(tried_again(session.config)) > MOST_TRIED_AGAIN:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def tried_again(config: pytest.Config) -> list[pytest.TestReport]:
    """The failures after which a test was tried once more."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return [] if reporter is None else list(reporter.stats.get("rerun", []))


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)


def left_running() -> list[psutil.Process]:
    """Processes that the tests have started and not ended."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tell = terminalreporter
    attached = tell.config.stash[_attached]
    if attached["skipped"] and not attached["run"]:
        tell.section("no process could be attached to", red=True)
        tell.line(f"{attached['skipped']} tests were skipped for it: {why_not_attachable()}")
    reasons = Counter(_reason(report) for report in tell.stats.get("skipped", []))
    if reasons:
        tell.section(f"{reasons.total()} skipped")
        for reason, count in reasons.most_common():
            tell.line(f"{count:>4}  {reason}")
    for report in tried_again(tell.config):
        tell.section(f"tried again: {report.nodeid}")
        tell.line(report.longreprtext)
    for process in left_running():
        tell.line(f"left running, ended now: {process}", red=True)
        process.kill()


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, without the place where it said so."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
