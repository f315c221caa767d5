#!/usr/bin/env python3
"""Four workers that label parcels, for notebooks/worker_pool.ipynb to get unstuck.

Every now and then a parcel comes without its weight, and then nothing moves any
more. Nothing in here knows that anyone might attach to it.

    python notebooks/programs/worker_pool.py
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from dataclasses import dataclass

WORKERS = 4
PRINTING = 0.005
"""Seconds that a label takes."""

ARRIVING = 0.02
"""Seconds from one parcel to the next."""


@dataclass
class Parcel:
    number: int
    postage: float
    weight: float


jobs: queue.Queue[Parcel] = queue.Queue()
labels: list[str] = []
failures: list[Exception] = []
printer = threading.Lock()


def label(parcel: Parcel) -> None:
    """Print a label. There is one printer, so it is one label at a time."""
    printer.acquire()
    rate = parcel.postage / parcel.weight
    time.sleep(PRINTING)
    labels.append(f"parcel {parcel.number}: {parcel.postage:.2f} € ({rate:.2f} € a kilo)")
    printer.release()


def work() -> None:
    while True:
        parcel = jobs.get()
        try:
            label(parcel)
        except Exception as error:
            failures.append(error)


def main() -> None:
    for number in range(1, WORKERS + 1):
        threading.Thread(target=work, name=f"worker-{number}", daemon=True).start()
    print("ready: parcels arrive", flush=True)
    for number in itertools.count(1):
        weight = 0 if number % 50 == 0 else 0.5 * (1 + number % 7)
        jobs.put(Parcel(number, 4.5, weight))
        if number % 25 == 0:
            print(f"{len(labels)} labels for {number} parcels", flush=True)
        time.sleep(ARRIVING)


if __name__ == "__main__":
    main()
