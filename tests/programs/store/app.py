"""A store that is busy on three threads: `step()` calls everything once; `seen` is what came of it.

It steps as long as `pace` is set, and counts. A line is printed when an exception gets out.
"""

import asyncio
import sys
import threading
import time

import pricing
import views

pace = 0.003
steps = 0
seen = None
failed = 0


def step(number, handler=pricing.price):
    global failed
    order = pricing.Order(number)
    try:
        pricing.price(pricing.Order(-1))
    except ValueError:
        failed += 1
    order.pay(), order.big, pricing.Order.empty(), pricing.Order.kind()
    pricing.fancy(number), pricing.factorial(3), list(pricing.numbers(2))
    return pricing.price(order), *views.show(order), views.routes["/price"](order)


def work():
    number = 0
    while True:
        number += 1
        try:
            step(number)
        except BaseException as error:
            print("worker:", repr(error), flush=True)
        time.sleep(pace)


async def serve():
    while True:
        if await pricing.fetch(3) not in (6, -3, None):
            print("wrong answer", flush=True)


threading.Thread(target=work, daemon=True, name="worker").start()
threading.Thread(target=lambda: asyncio.run(serve()), daemon=True, name="looper").start()


def run(price, order):
    global steps, seen
    while True:
        steps += 1
        seen = (*step(1), price(order))
        time.sleep(pace)


sys.modules["app"] = sys.modules["__main__"]
print("ready", flush=True)
run(pricing.price, pricing.Order(1))
