"""Its main thread waits for a lock, until it is told on stdin to wake up."""

import sys
import threading
import time

gate = threading.Lock()
gate.acquire()
state = "asleep"


def listen():
    for line in sys.stdin:
        if line == "wake\n":
            gate.release()


threading.Thread(target=listen, daemon=True).start()
print("ready", flush=True)
gate.acquire()  # here
state = "awake"
print("woken", flush=True)
while True:
    time.sleep(0.005)
