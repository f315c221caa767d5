"""Holds a lock of the agent's for short moments, while its signal handler raises anywhere.

Prints how often the lock was left held. Argument: the name of the lock in `agent/native.py`.
"""

import signal
import sys

from live_kernel.agent import native

ROUNDS = 2000


class Struck(Exception):
    pass


def strike(*_):
    raise Struck


def hold_until_struck(lock, delay):
    signal.setitimer(signal.ITIMER_REAL, delay)
    while True:
        with lock:
            pass


lock = getattr(native, sys.argv[1])()
signal.signal(signal.SIGALRM, strike)
left = 0
for number in range(ROUNDS):
    try:
        hold_until_struck(lock, 1e-5 * (1 + number % 7))
    except Struck:
        if lock._recursion_count():
            left += 1
            lock.release()
print(left)
