"""A program of greenlets, with everything patched that eventlet can patch."""

import warnings

warnings.simplefilter("ignore")

import eventlet  # noqa: E402

eventlet.monkey_patch()

import threading  # noqa: E402
import time  # noqa: E402

ticks = 0


def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.01)


threading.Thread(target=tick, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(0.01)
