"""Several threads that write to stdout all the time, each its own lines."""

import sys
import threading
import time

stdout = sys.stdout
local = threading.local()


def write(name):
    local.name = name
    number = 0
    while True:
        number += 1
        print(name, number, flush=True)
        if threading.current_thread().name != name:
            print("another thread", flush=True)
        time.sleep(0.01)


for each in ("one", "two", "three"):
    threading.Thread(target=write, args=(each,), name=each, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(0.005)
