"""A program that calls a function about 10^5 times a second, and counts the calls.

Its argument names a file in which it keeps doubles: first how often it has called, then
0, for there is nothing else to be told (see `busy.py`). The function works for about ten
microseconds, so that the processor is never idle.
"""

import mmap
import sys
from pathlib import Path

with Path(sys.argv[1]).open("r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
record = memoryview(memory).cast("d")


def work(number: int) -> int:
    total = 0
    for step in range(250):
        total += step & number
    return total


calls = 0
while True:
    for number in range(100):
        work(number)
    calls += 100
    record[0] = calls
