"""What the store's other modules use, each in its own way."""

import asyncio
import functools

rate = 1.0
calls = 0


def price(order, discount=0):
    if order.total < 0:
        raise ValueError("negative", order)
    return (order.total - discount) * rate


def traced(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@traced
def fancy(number):
    return number


def factorial(number):
    return 1 if number < 2 else number * factorial(number - 1)


def numbers(count):
    yield from range(count)


async def fetch(number):
    await asyncio.sleep(0.002)
    return number * 2


class Order:
    def __init__(self, total):
        self.total = total

    def __repr__(self):
        raise RuntimeError("nobody may call this in the middle of a call")

    def pay(self, by="card"):
        return self.total

    settle = pay

    @staticmethod
    def empty():
        return "empty"

    @classmethod
    def kind(cls):
        return cls.__name__

    @property
    def big(self):
        return False

    @functools.cached_property
    def label(self):
        return "order"


class Returned(Order):
    pass
