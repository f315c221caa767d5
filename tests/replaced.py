"""Programs that are replaced by others of the same kind: restarted, reloaded, relieved.

Runs in pytest. Rule: whoever looks after them is real (a shell, uvicorn, gunicorn, a pool of
multiprocessing's), in a session of its own, and nothing of it is left when the block ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Sequence

import psutil
from groups import Group
from targets import PROGRAMS, clean_environment, eventually, python314

LOOP = 'while :; do "$@"; done'
"""The plainest of supervisors."""

ORDERS = """\
RATE = 2
seen = []


def price(order):
    total = order * RATE
    return total


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    seen.append(price(len(seen)))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(seen[-1]).encode()})
"""

PLAIN = """\
RATE = 2


def price(order):
    return order * RATE


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(price(21)).encode()]
"""


class Family(Group):
    """A process and the workers that it starts.

    `is_worker`: whether one of its descendants does the work. `files`: to be put into its
    directory before. `count`: of workers.
    """

    def __init__(
        self,
        command: Sequence[str],
        is_worker: Callable[[psutil.Process], bool] = lambda _process: True,
        files: dict[str, str] | None = None,
        count: int = 1,
        env: dict[str, str] | None = None,
    ) -> None:
        self._command, self._is_worker, self._count = list(command), is_worker, count
        self._files, self._env = files or {}, env or {}

    def begin(self) -> None:
        self.place.chmod(0o755)
        for name, text in self._files.items():
            (self.place / name).write_text(text)
        command = [part.format(port=self.port) for part in self._command]
        env = clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"} | self._env
        self.start(command, self.place, env)

    def await_ready(self) -> None:
        self.workers()

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        """Those of its children, or theirs, that do the work, the oldest first."""
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    is_there = each.status() != psutil.STATUS_ZOMBIE
                    if is_there and self._is_worker(each):
                        found.append((each.create_time(), each.pid))
        return [pid for _, pid in sorted(found)]

    def workers(self, other_than: Sequence[int] = (), count: int = 0) -> list[int]:
        """Its workers, once there are as many as there should be, and none of these."""

        def whole() -> list[int]:
            pids = self.children()
            assert len(pids) == (count or self._count), f"{pids}:\n{self.told()}"
            assert not set(pids) & set(other_than), pids
            return pids

        return eventually(whole, 60, every=0.02)

    @property
    def worker(self) -> int:
        return self.workers()[0]

    def replace(self, pid: int, number: int = signal.SIGTERM) -> int:
        """End a worker, and wait for the one that comes in its place."""
        before = self.children()
        os.kill(pid, number)
        (fresh,) = eventually(
            lambda: [each for each in self.children() if each not in before], 30, every=0.02
        )
        eventually(lambda: not psutil.pid_exists(pid), 30, every=0.02)
        return fresh

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def answers(self) -> str:
        """What it answers on its port, once it does."""

        def answer() -> str:
            try:
                url = f"http://127.0.0.1:{self.port}/"
                with urllib.request.urlopen(url, timeout=5) as reply:
                    return str(reply.read().decode())
            except OSError as error:
                raise AssertionError(f"{error}:\n{self.told()}") from None

        return eventually(answer, 60, every=0.05)


def is_python(process: psutil.Process) -> bool:
    """Has it become Python? What a shell has just forked has the shell's command line."""
    return process.name().startswith("python")


def restarted(python: str = "", *, wrap: Sequence[str] = ()) -> Family:
    """A program that a shell starts again whenever it has ended."""
    program = [python or python314(), str(PROGRAMS / "renewed.py")]
    return Family([*wrap, "sh", "-c", LOOP, "sh", *program], is_python)


def reloaded() -> Family:
    """uvicorn --reload."""
    command = [sys.executable, "-m", "uvicorn", "orders:app", "--reload", "--port", "{port}"]
    return Family(command, lambda p: "spawn_main" in " ".join(p.cmdline()), {"orders.py": ORDERS})


def served(count: int = 1, *more: str) -> Family:
    """gunicorn with so many workers."""
    command = [sys.executable, "-m", "gunicorn", "plain:app", "--bind", "127.0.0.1:{port}"]
    command += ["--workers", str(count), "--graceful-timeout", "2", *more]
    return Family(command, files={"plain.py": PLAIN}, count=count)


def pooled(method: str, count: int = 1) -> Family:
    """A pool of multiprocessing's."""
    command = [python314(), str(PROGRAMS / "pooled.py"), method, str(count)]
    return Family(command, lambda p: _works(p, method), count=count)


def _works(process: psutil.Process, method: str) -> bool:
    command = " ".join(process.cmdline())
    if method == "fork":
        return True
    if method == "forkserver":
        return "forkserver import main" in command and bool(_server_of(process))
    return "spawn_main" in command


def _server_of(process: psutil.Process) -> bool:
    """Is its parent the server of forks, and not it itself?"""
    parent = process.parent()
    return parent is not None and "forkserver import main" in " ".join(parent.cmdline())
