"""Tells each signal that it is sent, and obeys what stands on stdin: quit N, stop, or anything."""

import os
import signal
import sys


def tell(number: int, _frame: object) -> None:
    os.write(1, f"got {signal.Signals(number).name}\n".encode())  # print can't be called in itself


for number in map(int, sys.argv[1].split(",")):
    signal.signal(number, tell)
print("ready", os.getpid(), flush=True)
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    print("read", word, flush=True)
    if word == "quit":
        sys.exit(int(rest))
    if word == "stop":
        os.kill(os.getpid(), signal.SIGTSTP)
