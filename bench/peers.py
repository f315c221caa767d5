"""live-kernel and the kernels that it is compared with, each driven as its users drive it.

Runs in the benchmark. Kernels are started from kernelspecs by jupyter_client's
`KernelManager`; ipykernel in a thread is put into its target by
`sys.remote_exec`, for it has no way in of its own. Rule: the same interpreter,
environment and client for all; each context manager ends what it began.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.connect import write_connection_file
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from .machine import ROOT
from .targets import PROGRAMS, Target
from .wire import Client

OURS, STOCK, THREAD, ECHO = "ours", "ipykernel", "ipykernel in a thread", "a raw ZMQ echo"
"""Whom the kernels are called in the table."""

_COMMANDS = {
    OURS: ["-m", "live_kernel", "kernel", "-f", "{connection_file}"],
    STOCK: ["-m", "ipykernel_launcher", "-f", "{connection_file}"],
}


class Workshop:
    """A directory for all that a run leaves behind, and the environment that goes with it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        own = ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "XDG_STATE_HOME")
        self.environment = {
            **kept,
            **{name: str(place / name.lower()) for name in own},
            "PYTHONPATH": str(ROOT),
        }
        for name in own:
            (place / name.lower()).mkdir()
        # The manager, too, looks there; kernels keep their connection files in it.
        os.environ.update({name: self.environment[name] for name in own})
        for name, command in _COMMANDS.items():
            spec = {"argv": [sys.executable, *command], "display_name": name, "language": "python"}
            folder = place / "kernels" / name
            folder.mkdir(parents=True)
            (folder / "kernel.json").write_text(json.dumps(spec))

    # -- kernels as processes -----------------------------------------------------------

    def _manager(self, name: str) -> KernelManager:
        specs = KernelSpecManager(
            kernel_dirs=[str(self.place / "kernels")], ensure_native_kernel=False
        )
        return KernelManager(kernel_name=name, kernel_spec_manager=specs)

    def _start(self, manager: KernelManager, target: Target | None) -> None:
        chosen = [] if target is None else ["--pid", str(target.pid)]
        manager.start_kernel(
            extra_arguments=chosen,
            env=self.environment,
            cwd=str(self.place),  # where there is no live_kernel but that of PYTHONPATH
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @contextmanager
    def kernel(self, name: str, target: Target | None = None) -> Iterator[Client]:
        """A client of a kernel that has answered; ours needs a target."""
        manager = self._manager(name)
        try:
            self._start(manager, target)
            with Client(manager.get_connection_info(), _pid(manager)) as client:
                client.await_ready()
                client.run("1")
                yield client
        finally:
            _shut_down(manager)

    def spawn(
        self,
        name: str,
        target: Target | None = None,
        ask: Callable[[Client], object] = Client.first_reply,
    ) -> float:
        """Seconds from asking for a kernel to the reply to its first cell, or what `ask` asks."""
        manager = self._manager(name)
        try:
            begun = time.perf_counter()
            self._start(manager, target)
            with Client(manager.get_connection_info()) as client:
                ask(client)
                return time.perf_counter() - begun
        finally:
            _shut_down(manager)

    # -- ipykernel in a thread of a target ----------------------------------------------

    @contextmanager
    def in_thread(self, target: Target) -> Iterator[Client]:
        """A client of an ipykernel in a thread of `target`, where it stays until that ends."""
        with self._thread_started(target) as client:
            client.await_ready()
            client.run("1")
            yield client

    def first_in_thread(self, target: Target) -> float:
        """Seconds from putting an ipykernel into `target` to the reply to its first cell."""
        begun = time.perf_counter()
        with self._thread_started(target) as client:
            client.first_reply()
            return time.perf_counter() - begun

    @contextmanager
    def _thread_started(self, target: Target) -> Iterator[Client]:
        file, connection = self._connection()
        text = (PROGRAMS / "ipykernel_in_thread.py").read_text()
        with tempfile.NamedTemporaryFile("w", suffix=".py", dir=self.place) as script:
            script.write(f"CONNECTION_FILE = {file!r}\n{text}")
            script.flush()
            sys.remote_exec(target.pid, script.name)
            with Client(connection) as client:
                yield client

    # -- a kernel that does nothing -----------------------------------------------------

    @contextmanager
    def echo(self) -> Iterator[Client]:
        """A client of `programs/echo.py`, which answers what cells and completions expect."""
        file, connection = self._connection()
        server = Target("echo", self.environment, file)
        try:
            with Client(connection) as client:
                client.await_ready()
                yield client
        finally:
            server.close()

    def _connection(self) -> tuple[str, Mapping[str, Any]]:
        """A connection file and what is in it; signed, as those of a KernelManager are."""
        key = secrets.token_hex(16).encode()
        return write_connection_file(str(self.place / f"{secrets.token_hex(4)}.json"), key=key)


def _pid(manager: KernelManager) -> int:
    return int(getattr(manager.provisioner, "pid", 0) or 0)


def _shut_down(manager: KernelManager) -> None:
    """Ask the kernel to leave; kill it if it does not."""
    if not manager.has_kernel:
        return
    try:
        manager.shutdown_kernel()
    except Exception:
        manager.shutdown_kernel(now=True)
