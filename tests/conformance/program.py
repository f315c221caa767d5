"""A plain program to attach to, for one start of a kernel: it ends with the kernel's launcher.

Started by `fresh.py` with the launcher's pid and a descriptor on which to say its own.
"""

import os
import select
import sys
import time

if __name__ == "__main__":
    launcher = os.pidfd_open(int(sys.argv[1]))
    with os.fdopen(int(sys.argv[2]), "w") as starter:
        print(os.getpid(), file=starter)
    while not select.select([launcher], [], [], 0)[0]:
        time.sleep(0.005)
