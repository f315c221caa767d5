"""A program that calls one small function all the time.

Its argument names a file in which it keeps a double: how often it has called it. Each turn
also goes by a line that is never reached, and one that is.
"""

import mmap
import sys
from pathlib import Path

with Path(sys.argv[1]).open("r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
record = memoryview(memory).cast("d")


def step(number):
    if number < 0:
        raise ValueError(number)  # never reached
    half = number // 2
    return half + 1


turns = value = 0
while True:
    for _ in range(500):
        value = step(value)
    turns += 500
    record[0] = turns
