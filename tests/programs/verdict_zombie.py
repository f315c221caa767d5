"""Has a child that has ended, and does not collect it."""

import os
import time

child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print("child", child)
print("ready", flush=True)
time.sleep(600)
