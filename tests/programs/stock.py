"""Holds numbers and texts that are large, and values of kinds that can't be moved."""

import threading
import time


class Item:
    def __init__(self, name):
        self.name = name


class Odd:
    def __reduce__(self):
        raise RuntimeError("not now")


item = Item("cup")
odd = Odd()
lock = threading.Lock()
numbers = [1, 2, 3]
counts = {"cup": 3, "plate": [1.5, None, True]}
text = "später"


def count(inside):
    while inside:
        time.sleep(0.005)


print("ready", flush=True)
count(7)
