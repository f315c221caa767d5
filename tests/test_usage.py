"""What `usage_request` tells: of the target while there is one, else of the launcher."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from kernels import Kernel
from targets import Target, eventually

from live_kernel.attach import proc
from live_kernel.attach.metering import Meter
from live_kernel.launcher.usage import Sum

BUSY = "while True: pass"


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child, both of which count."""
    code = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', '{BUSY}']); {BUSY}"
    process = subprocess.Popen([sys.executable, "-c", code.replace("; while", "\nwhile")])
    try:
        eventually(lambda: psutil.Process(process.pid).children(), what="the child")
        yield process
    finally:
        for child in psutil.Process(process.pid).children():
            child.kill()
        process.kill()
        process.wait()


def test_processor_time_is_that_between_two_looks(busy: subprocess.Popen[bytes]) -> None:
    meter = Sum()
    assert meter.read(busy.pid)["kernel_cpu"] == 0

    def again() -> dict[str, Any]:
        found = meter.read(busy.pid)
        return found if found["kernel_cpu"] > 20 else {}

    found = eventually(again, every=0.3)
    assert found["pid"] == busy.pid
    assert found["hostname"] == socket.gethostname()
    assert found["cpu_count"] == psutil.cpu_count()
    assert found["host_virtual_memory"]["total"] > found["kernel_memory"] > 4 << 20


def test_children_count(busy: subprocess.Popen[bytes]) -> None:
    (child,) = psutil.Process(busy.pid).children()
    eventually(lambda: child.cpu_times().user > 0.1, what="the child is a Python that works")
    alone = psutil.Process(busy.pid).memory_info().rss
    assert Sum().read(busy.pid)["kernel_memory"] > 1.3 * alone


def test_process_that_has_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    found = Sum().read(process.pid)
    assert found["pid"] == process.pid
    assert "kernel_memory" not in found


def test_nobody_but_ourselves() -> None:
    assert Sum().read(None)["pid"] == os.getpid()


@pytest.mark.attach
@pytest.mark.client
def test_kernel_tells_of_its_target(tmp_path: Path) -> None:
    env = {"IPYTHONDIR": str(tmp_path)}
    with Target("idle") as target, Kernel("--pid", target.pid, env=env) as kernel:
        kernel.run("1")
        assert kernel.ask("usage_request", "control")["pid"] == target.pid
        kernel.run("%detach")
        found = kernel.ask("usage_request", "control")
        assert found["pid"] == kernel.launcher_pid
        assert found["kernel_memory"] > 0


def test_another_process_with_the_pid_is_not_counted() -> None:
    start_time = proc.stat(os.getpid()).start_time
    meter = Meter()
    first = meter.read(os.getpid(), start_time)
    assert first is not None
    assert first.processor is None, "it takes two looks"
    assert meter.read(os.getpid(), start_time - 1) is None
    again = meter.read(os.getpid(), start_time)
    assert again is not None
    assert again.processor is not None
    meter.forget_all_but([])
    forgotten = meter.read(os.getpid(), start_time)
    assert forgotten is not None
    assert forgotten.processor is None


def test_one_that_has_got_the_pid_of_another_is_not_compared_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meter = Meter()
    told = [proc.Usage(float(start), 0, 1, start_time=start) for start in (7, 7, 8)]
    monkeypatch.setattr(proc, "usage", lambda _pid: told.pop(0))
    uses = [meter.read(4242) for _ in range(3)]
    assert [use and use.processor for use in uses] == [None, 0.0, None]
    assert not told, "each is looked at once"
