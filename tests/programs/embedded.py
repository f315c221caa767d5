"""Has an IPython of its own, as programs that embed one do; told to look, it tells of it."""

import select
import sys
import time

from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
word = "start"


def look():
    taught = "instance" in vars(InteractiveShell)
    print(f"look: taught {taught}, own {InteractiveShell.instance() is shell}", flush=True)


print("ready", flush=True)
while True:
    if word == "look" or select.select([sys.stdin], [], [], 0)[0]:
        word = "looked" if word == "look" else sys.stdin.readline().strip() + "ed"
        look()
    time.sleep(0.005)
