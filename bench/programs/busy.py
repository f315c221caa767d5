"""A program that is busy in Python, and notes when it was kept from working.

Its argument names a file in which it keeps doubles: first how often the loop
has run, then how many gaps of over a millisecond there were between two turns,
then for each of the latest gaps when it ended (`time.perf_counter`, a clock
that all processes share), how long it was, and for how much of it this thread
was ready to run but had no processor (schedstat's second number).
"""

import ctypes
import mmap
import os
import sys
from pathlib import Path
from time import perf_counter

with Path(sys.argv[1]).open("r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
record = memoryview(memory).cast("d")
room = (len(record) - 2) // 3

# Called without giving up the interpreter lock, which os.pread() would do.
pread = ctypes.PyDLL(None).pread
pread.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_longlong)
schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
text = ctypes.create_string_buffer(80)


def waited_for_processor() -> float:
    """Seconds, since this thread began."""
    pread(schedstat, text, 79, 0)
    return int(text.value.split()[1]) / 1e9


def note(end: float, length: float, unscheduled: float) -> None:
    global gaps
    place = 2 + gaps % room * 3
    record[place] = end
    record[place + 1] = length
    record[place + 2] = unscheduled
    gaps += 1
    record[1] = gaps


# Whatever is made to run on this thread may run within any call. So a gap ends when the
# system has been asked about it, and not when it was seen: no time is left out between two.
turns = gaps = 0
last = perf_counter()
waited = waited_for_processor()
while True:
    for _ in range(500):
        now = perf_counter()
        if now - last > 0.001:
            before, waited = waited, waited_for_processor()
            now = perf_counter()
            note(now, now - last, waited - before)
        last = now
        turns += 1
        record[0] = turns
    before, waited = waited, waited_for_processor()
    now = perf_counter()
    if now - last > 0.001:
        note(now, now - last, waited - before)
    last = now
