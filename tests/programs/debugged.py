"""Works on its main thread and on two others, in functions that are called all the time."""

import functools
import threading
import time

turns = {"main": 0, "one": 0, "two": 0}
told = 0
errors = 0


def traced(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


def step(name, number):
    doubled = number * 2
    squared = doubled * doubled
    return squared  # noqa: RET504 - a line to stop at


@traced
def decorated(value):
    answer = value + 1
    return answer  # noqa: RET504 - a line to stop at


class Worker:
    def turn(self, name, count):
        result = step(name, count)
        total = decorated(result)
        return total  # noqa: RET504 - a line to stop at


def work(name):
    worker = Worker()
    count = 0
    while True:
        count += 1
        worker.turn(name, count)
        turns[name] = count
        time.sleep(0.002)


def numbers(limit):
    for each in range(limit):
        square = each * each
        yield square


for each in ("one", "two"):
    threading.Thread(target=work, args=(each,), name=each, daemon=True).start()
number = 0
print("ready", flush=True)
while True:
    number += 1
    turns["main"] = number
    step("main", number)
    if told != errors:
        errors = told
        print("told", told, flush=True)
    time.sleep(0.002)
