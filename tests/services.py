"""Programs as people run them: servers, workers, pools, a test run; and whether they work.

Runs in pytest and in `make traces`. A `Service` is a process group of its own with a witness in
each of its processes; nothing of it is left when the block ends. They run on our own Python,
whose environment has what they need. Rule: each is asked, before and after, for what it is for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from groups import Group
from snapshots import Snapshot, inside, outside, witness
from targets import PROGRAMS, clean_environment, eventually

PLACE = PROGRAMS / "services"

PATIENCE = 60.0
"""Seconds that one of them may take to begin, or to answer, on a busy machine."""


@dataclass(frozen=True)
class Kind:
    """How a service is started, and asked whether it works.

    `command` is given its place and a free port; `works` raises, or is false, while it does not.
    `whom` finds the process to attach to, the first as a rule; `wake`: that waits for work.
    `own_changes`: what of a snapshot it changes itself, now and then. `at_the_end` may end it in
    its own way, and tells whether that was as it should be.
    """

    command: Callable[[Path, int], list[str]]
    works: Callable[[Service], object]
    whom: Callable[[Service], int] = lambda service: service.process.pid
    has: frozenset[str] = frozenset({"main"})
    at_the_end: Callable[[Service], object] = lambda service: True
    wake: bool = False
    own_changes: frozenset[str] = frozenset()


class Service(Group):
    """A running service."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def begin(self) -> None:
        for name in ("queue", "control", "results", "tmp", "home"):
            (self.place / name).mkdir()
        command = [sys.executable, *self._kind.command(self.place, self.port)]
        self.start(command, PLACE, self._environment())

    def await_ready(self) -> None:
        eventually(self.works, PATIENCE, every=0.05)
        self.pid = self._kind.whom(self)

    def works(self) -> bool:
        """Does it do what it is for?"""
        assert self.process.poll() is None, f"it has ended:\n{self.told()}"
        try:
            return bool(self._kind.works(self))
        except (OSError, subprocess.SubprocessError) as error:
            raise AssertionError(f"{error}\n{self.told()}") from None

    def ends_well(self) -> bool:
        return bool(self._kind.at_the_end(self))

    def snapshot(self) -> Snapshot:
        """The process to which is attached, as it is now."""
        own = Path(f"{self.place}/witness.{self.pid}")
        return inside(own if own.exists() else self.place / "witness") | outside(self.pid)

    def told(self) -> str:
        """What it has written, the tests of a test run into a file of their own."""
        files = [self.place / "told", self.place / "stop-not-yet"]
        return "".join(f.read_text(errors="replace") for f in files if f.exists())

    def children(self) -> list[int]:
        return sorted(child.pid for child in psutil.Process(self.process.pid).children())

    def _environment(self) -> dict[str, str]:
        of_witness = witness(self.place / "witness", sys.executable)
        of_witness["PYTHONPATH"] += f"{os.pathsep}{PLACE}"
        return clean_environment() | of_witness | {
            "WITNESS_IN_CHILDREN": "1",
            "WITNESS_OF_AUDITS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.place / "tmp"),
            "HOME": str(self.place / "home"),
            "QUEUE": str(self.place),
            "STOP": str(self.place / "stop"),
        }  # fmt: skip


# -- whether they work


def _answers(text: str, path: str = "/") -> Callable[[Service], bool]:
    def works(service: Service) -> bool:
        address = f"http://127.0.0.1:{service.port}{path}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return text in answer.read().decode()

    return works


def _goes_on(service: Service) -> bool:
    """Does it tell of a round that has not been told of yet?"""

    def rounds() -> list[str]:
        return re.findall(r"round \d+(?: by [\d ]+)?\n", service.told())

    before = len(rounds())
    return bool(eventually(lambda: len(rounds()) > before + 2, PATIENCE))


def _adds(service: Service) -> bool:
    command = [sys.executable, str(PLACE / "tasks.py"), "3", "4"]
    environment = clean_environment() | {"QUEUE": str(service.place)}
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return ran.stdout.strip() == "7"


def _suite_passes(service: Service) -> bool:
    (service.place / "stop").touch()
    assert service.process.wait(PATIENCE) == 0, service.told()
    return "3 passed" in service.told()


# -- whom to attach to


def _first_child(service: Service) -> int:
    return eventually(service.children, PATIENCE)[0]


def _worker_of_pool(service: Service) -> int:
    return int(re.findall(r"round \d+ by (\d+)", service.told())[-1])


# -- the services


def _gunicorn(worker: str) -> Callable[[Path, int], list[str]]:
    def command(place: Path, port: int) -> list[str]:
        bind = ["--bind", f"127.0.0.1:{port}", "--worker-tmp-dir", str(place / "tmp")]
        return [
            "-m",
            "gunicorn",
            "web:wsgi",
            "--worker-class",
            worker,
            "--no-control-socket",
            *bind,
        ]

    return command


def _celery(place: Path, port: int) -> list[str]:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return ["-m", "celery", "-A", "tasks", "worker", "--concurrency", "1", *quiet]


def _lab(place: Path, port: int) -> list[str]:
    server = {
        "ServerApp.port": port, "ServerApp.root_dir": place, "IdentityProvider.token": "",
        "ServerApp.allow_root": True, "ServerApp.open_browser": False, "ServerApp.ip": "127.0.0.1",
    }  # fmt: skip
    return ["-m", "jupyterlab", *(f"--{name}={value}" for name, value in server.items())]


_LOOP = frozenset({"main", "loop"})

SERVICES: dict[str, Kind] = {
    "uvicorn": Kind(
        lambda _, port: ["-m", "uvicorn", "web:app", "--port", str(port)],
        _answers("served"),
        has=_LOOP,
    ),
    "gunicorn, sync worker": Kind(_gunicorn("sync"), _answers("served"), _first_child, wake=True),
    "gunicorn, arbiter": Kind(_gunicorn("sync"), _answers("served")),
    "gunicorn, gevent worker": Kind(
        _gunicorn("gevent"), _answers("served"), _first_child, frozenset({"main", "gevent"})
    ),
    "celery worker": Kind(_celery, _adds),
    "celery, child of the worker": Kind(_celery, _adds, _first_child, frozenset(), wake=True),
    "multiprocessing.Pool": Kind(lambda *_: ["pool.py"], _goes_on),
    "multiprocessing.Pool, worker": Kind(lambda *_: ["pool.py"], _goes_on, _worker_of_pool),
    "concurrent.futures": Kind(lambda *_: ["pipeline.py"], _goes_on),
    "http.server": Kind(
        lambda place, port: ["-m", "http.server", str(port), "--bind", "127.0.0.1"],
        _answers("web.py"),
    ),
    "jupyterlab": Kind(
        _lab, _answers("started", "/api/status"), has=_LOOP, own_changes=frozenset({"random"})
    ),
    "pytest": Kind(
        lambda *_: [
            "-m",
            "pytest",
            "-c",
            "/dev/null",
            "-p",
            "no:cacheprovider",
            "-q",
            "slow_suite.py",
        ],
        _goes_on,
        at_the_end=_suite_passes,
    ),
}
