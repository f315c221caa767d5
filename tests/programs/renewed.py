"""A program that others start again when it ends; it has something to break at, patch and watch.

Upon SIGUSR1 it executes itself anew, in place; upon SIGUSR2 something else.
"""

import os
import signal
import sys
import time

rate = 2
count = last = 0


def price(order):
    global last
    last = order * rate
    return last


def step():
    global count
    count += 1
    return price(count)


signal.signal(signal.SIGUSR1, lambda *_: os.execv(sys.executable, sys.orig_argv))
signal.signal(
    signal.SIGUSR2, lambda *_: os.execv(sys.executable, [sys.executable, "-c", "input()"])
)
print("ready", flush=True)
while True:
    step()
    time.sleep(0.005)
