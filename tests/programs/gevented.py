"""A program of greenlets, with everything patched that gevent can patch."""

import threading
import time

from gevent import monkey

monkey.patch_all()

ticks = 0
word = seen = "start"


def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.01)


threading.Thread(target=tick, daemon=True).start()
print("ready", flush=True)
while True:
    if word != seen:
        seen = word
        print("word is", word, flush=True)
    time.sleep(0.01)
