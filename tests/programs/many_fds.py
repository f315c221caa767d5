"""Holds many files open: more than select(2) can name, or as many as it may ("all")."""

import os
import resource
import sys
import time

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
limit = 64 if "all" in sys.argv else min(hard, 4096)
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
files = []
for _ in range(2000):
    try:
        files.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break
print("open", len(files), flush=True)
print("ready", flush=True)
while True:
    time.sleep(0.005)
