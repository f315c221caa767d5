"""Two threads that tell each step, main and beside; each could be stopped in `tick`."""

import threading
import time

word = "start"


def tick(name, number):
    time.sleep(0.01)
    number += 1
    print(name, number, flush=True)
    return number


def work(name):
    number = 0
    while True:
        number = tick(name, number)


threading.Thread(target=work, args=("beside",), daemon=True, name="beside").start()
print("ready", flush=True)
work("main")
