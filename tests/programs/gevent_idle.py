"""A program of greenlets in which nothing happens for long; `mode` says whether all sleep."""

import signal
import threading
import time

from gevent import monkey

monkey.patch_all()

mode = "busy"
ticks = 0
caught = []


def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.005 if mode == "busy" else 600)


def on_user_signal(*_):
    caught.append("SIGUSR1")


signal.signal(signal.SIGUSR1, on_user_signal)
threading.Thread(target=tick, name="ticking", daemon=True).start()
print("ready", flush=True)
while mode != "stop":
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        caught.append("Ctrl-C")
