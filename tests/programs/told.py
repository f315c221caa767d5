"""Does what it is told: its argument is Python code, and so is each line that comes on stdin
(with \\x1e for its line ends).

All of it runs on the main thread, in this module; "done" is written after each line. Otherwise
it idles in Python, counts its rounds, and has a thread that calls `work` now and then. What it
needs itself it takes before it is told anything, so that nothing told can take it away.
"""

import os
import sys
import threading
import time
from select import select

rounds = 0
read, write, pause, carry_out = os.read, os.write, time.sleep, exec


def work():
    return rounds


def working():
    while True:
        work()
        pause(0.01)


def main():
    global rounds
    if "working" in sys.argv:
        threading.Thread(target=working, name="worker", daemon=True).start()
    carry_out(sys.argv[1] if sys.argv[1:] else "", globals())
    write(1, b"ready\n")
    while True:
        rounds += 1
        if select([0], [], [], 0)[0]:
            code = read(0, 1 << 16).decode()
            if not code:
                return
            carry_out(code.strip().replace("\x1e", "\n"), globals())
            write(1, b"done\n")
        pause(0.005)


if __name__ == "__main__":
    main()
