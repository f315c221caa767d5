"""Forks whenever `forks` is raised; the child tells what it has, and ends or execs."""

import os
import stat
import sys
import time
import warnings

warnings.filterwarnings("ignore", "This process")  # about threads: that of the tests is one
forks = done = 0


def is_socket(descriptor):
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def child():
    threads = len(sys._current_frames())
    kind = type(sys.stdout).__name__
    print(f"child threads={threads} sockets={sum(map(is_socket, range(64)))} {kind}", flush=True)
    sys.exit(0)


print("ready", flush=True)
while True:
    if done < forks:
        done += 1
        pid = os.fork()
        if pid == 0:
            child()
        print("child ended", os.waitpid(pid, 0)[1], flush=True)
    time.sleep(0.005)
