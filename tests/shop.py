"""A shop of three programs, for pictures: they look as programs do on a machine that is used.

Runs in pytest. Their command lines are short and tell of no place on this machine; nothing of
them is left when the block ends.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from targets import ROOT, clean_environment, eventually

_ROASTING = """\
import time

print("roasting", flush=True)
degrees = 20
while True:
    degrees = degrees + (200 - degrees) / 100
    time.sleep(0.02)
"""

_BILLING = """\
import threading
import time


def remind():
    while True:
        time.sleep(1)


print("billing", flush=True)
for _ in range(3):
    threading.Thread(target=remind, daemon=True).start()
remind()
"""

_GUARD = """\
[[guard]]
match = "billing"
banner = "PRODUCTION: billing"
confirm = true
idle = "30m"
"""


class Running:
    """One of its programs."""

    def __init__(self, place: Path, name: str) -> None:
        self.name = name
        binaries = Path(sys.executable).parent
        env = clean_environment() | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
        self.process = subprocess.Popen(
            ["python", f"shop/{name}.py"], cwd=place, env=env, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().strip()

    @property
    def pid(self) -> int:
        return self.process.pid

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Shop:
    """The programs; use it in a `with` block. `config`: a file with a guard for one of them."""

    def __enter__(self) -> Self:
        self._exits = contextlib.ExitStack()
        try:
            self._open(Path(self._exits.enter_context(_place())))
        except BaseException:
            self._exits.close()
            raise
        return self

    def _open(self, place: Path) -> None:
        (place / "shop").mkdir()
        shutil.copy(ROOT / "scripts/demo_service.py", place / "shop/coffee.py")
        (place / "shop/roasting.py").write_text(_ROASTING)
        (place / "shop/billing.py").write_text(_BILLING)
        self.config = place / "config.toml"
        self.config.write_text(_GUARD)
        self.billing, self.roasting, self.coffee = (
            self._start(place, name) for name in ("billing", "roasting", "coffee")
        )
        self._address = self.coffee.first_line.split()[-1]
        leave = threading.Event()
        customers = threading.Thread(target=_buy_until, args=(leave, self._address))
        customers.start()
        self._exits.callback(customers.join)
        self._exits.callback(leave.set)

    def _start(self, place: Path, name: str) -> Running:
        running = Running(place, name)
        self._exits.callback(running.close)
        return running

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def sell(self, count: int) -> None:
        """Wait until so many orders have been taken."""
        eventually(lambda: self._has_sold(count), timeout=30, what=f"{count} orders")

    def _has_sold(self, count: int) -> bool:
        try:
            urllib.request.urlopen(f"{self._address}/orders/{count}", timeout=10).close()
        except urllib.error.HTTPError as error:
            error.close()
            return False
        return True


def _place() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="srv-", dir="/tmp")


def _buy_until(leave: threading.Event, address: str) -> None:
    """One order after the other, some twenty a second."""
    items = (("espresso", 4), ("flat white", 1), ("mocha", 2), ("cortado", 2), ("mocha", 1))
    wanted = itertools.cycle(items)
    while not leave.wait(0.04):
        item, count = next(wanted)
        order = json.dumps({"item": item, "count": count}).encode()
        with urllib.request.urlopen(f"{address}/orders", data=order, timeout=10) as answer:
            assert answer.status == 201
