"""Ends when it is told to, in the way that `how` names; says when its exit handlers run."""

import atexit
import os
import sys
import time

how = ""
atexit.register(print, "exit handlers", flush=True)
print("ready", flush=True)
while not how:
    time.sleep(0.005)
print("leaving", flush=True)
if how == "exit":
    sys.exit(3)
if how == "_exit":
    os._exit(4)
if how == "raise":
    raise RuntimeError("as told")
if how == "signal":
    os.kill(os.getpid(), 9)
