"""Carries out an order for the helper that wakes threads, but is killed after step N of it.

`dying_waker.py ROOT N`, the order on stdin. A step is a request to ptrace(2), or the writing of
the target's memory. Prints how many steps there were if it gets to the end.
"""

import json
import os
import signal
import sys

sys.path.append(sys.argv[1])

from live_kernel.attach import tracing, waker

taken, last = 0, int(sys.argv[2])
request, pwrite = tracing.request, os.pwrite


def count():
    global taken
    taken += 1
    if taken == last:
        os.kill(os.getpid(), signal.SIGKILL)


def counted_request(*arguments):
    request(*arguments)
    count()


def counted_pwrite(*arguments):
    written = pwrite(*arguments)
    count()
    return written


tracing.request, os.pwrite = counted_request, counted_pwrite
outcome, why = waker.carry_out(waker.Order(**json.load(sys.stdin)))
assert outcome == "done", why
print(taken)
