"""Waits as its argument says, and tells of each signal that it handles, and of each error of that.

The handler raises, wherever the main thread stands; whatever that is, the error is told once.
"""

import os
import queue
import signal
import sys
import time

mode = sys.argv[1]


class Interrupted(Exception):
    pass


def on_signal(*_):
    os.write(1, b"handled\n")
    raise Interrupted


def wait():
    if mode == "busy":
        sum(range(100))
    elif mode == "sleep":
        time.sleep(600)
    else:
        queue.Queue().get()


def go_on(depth):
    while mode != "stop":
        try:
            go_on(depth - 1) if depth else wait()
        except Interrupted:
            os.write(1, b"told\n")


signal.signal(signal.SIGINT, on_signal)
signal.signal(signal.SIGUSR1, lambda *_: None)  # wakes it, so that it can be entered
print("ready", flush=True)
go_on(3)
