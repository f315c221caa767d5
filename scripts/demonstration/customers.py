"""The customers of the demo service: a steady load, each reply of which is checked.

A process of its own, so that nothing else weighs on its clock. On stdin it is
told, a word a line, which phase begins; at the end of stdin it leaves and
prints what each phase saw, as JSON.

    python customers.py URL REQUESTS_PER_SECOND
"""

from __future__ import annotations

import http.client
import json
import random
import statistics
import sys
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

CUSTOMERS = 4
PATIENCE = 10.0
SHOWN = 5

MENU = {"espresso": 2.20, "cortado": 2.80, "flat white": 3.60, "mocha": 4.10}

Reply = tuple[int, dict[str, Any]]


class Phase:
    """What the customers saw while it lasted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seconds = array("d")
        self.problems: list[str] = []
        self.failed = 0
        self.discounts: Counter[int] = Counter()

    def summary(self) -> dict[str, Any]:
        in_order = sorted(self.seconds)
        return {
            "name": self.name,
            "requests": len(in_order),
            "failed": self.failed,
            "problems": self.problems,
            "median": statistics.median(in_order) if in_order else 0.0,
            "p99": in_order[len(in_order) * 99 // 100] if in_order else 0.0,
            "slowest": in_order[-1] if in_order else 0.0,
            "discounts": self.discounts,
        }


class Customer(threading.Thread):
    """One connection that is kept open, and one request after the other on it."""

    def __init__(self, place: str, pause: float, phases: list[Phase]) -> None:
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection(place, timeout=PATIENCE)
        self.pause = pause
        self.phases = phases
        self.leaves = threading.Event()
        self.order: dict[str, Any] = {}
        self.was_served = threading.Event()

    def run(self) -> None:
        wishes: list[Callable[[], int | None]] = [
            self.read_menu,
            self.order_something,
            self.look_at_order,
            self.order_something,
            self.look_at_order,
            self.ask_for_tea,
            self.ask_for_nothing,
        ]
        turn = random.randrange(len(wishes))
        due = time.monotonic()
        while not self.leaves.is_set():
            self.try_to(wishes[turn % len(wishes)])
            turn += 1
            due = max(due + self.pause, time.monotonic())
            self.leaves.wait(due - time.monotonic())
        self.connection.close()

    def try_to(self, wish: Callable[[], int | None]) -> None:
        """A request counts for the phase in which it was sent."""
        phase = self.phases[-1]
        began = time.monotonic()
        try:
            discount = wish()
            if discount is not None:
                phase.discounts[discount] += 1
        except Exception as error:
            self.connection.close()
            phase.failed += 1
            if len(phase.problems) < SHOWN:
                phase.problems.append(f"{wish.__name__}: {type(error).__name__}: {error}")
        phase.seconds.append(time.monotonic() - began)
        self.was_served.set()

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text)
        reply = self.connection.getresponse()
        return reply.status, json.load(reply)

    def read_menu(self) -> int:
        status, menu = self.ask("GET", "/menu")
        off = menu["discount"]
        wanted = {item: priced(item, 1, off) for item in MENU}
        check((status, menu["prices"]), (200, wanted))
        return off

    def order_something(self) -> int:
        item, count = random.choice(list(MENU)), random.randint(1, 4)
        status, order = self.ask("POST", "/orders", {"item": item, "count": count})
        seen = status, order["item"], order["count"], order["total"]
        check(seen, (201, item, count, priced(item, count, order["discount"])))
        check(order["id"] > self.order.get("id", 0), True)
        self.order = order
        return order["discount"]

    def look_at_order(self) -> int | None:
        if not self.order:
            return self.order_something()
        status, order = self.ask("GET", f"/orders/{self.order['id']}")
        check(order.pop("state") in ("new", "brewing", "served"), True)
        check((status, order), (200, {k: v for k, v in self.order.items() if k != "state"}))
        return None

    def ask_for_tea(self) -> None:
        check(self.ask("POST", "/orders", {"item": "tea", "count": 1})[0], 422)

    def ask_for_nothing(self) -> None:
        check(self.ask("GET", "/orders/0")[0], 404)


def priced(item: str, count: int, off: int) -> float:
    return round(MENU[item] * count * (100 - off) / 100, 2)


def check(seen: object, wanted: object) -> None:
    if seen != wanted:
        raise AssertionError(f"{seen!r} where {wanted!r} was due")


def main(url: str, rate: float) -> None:
    place = urlsplit(url).netloc
    phases = [Phase("before")]
    customers = [Customer(place, CUSTOMERS / rate, phases) for _ in range(CUSTOMERS)]
    for customer in customers:
        customer.start()
        time.sleep(1 / rate)
    for customer in customers:
        customer.was_served.wait()
    print("open", flush=True)
    for line in sys.stdin:
        phases.append(Phase(line.strip()))  # noqa: PERF401  each counts from now on
    for customer in customers:
        customer.leaves.set()
    for customer in customers:
        customer.join(PATIENCE)
    print(json.dumps([phase.summary() for phase in phases]))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
