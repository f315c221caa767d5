"""Does nothing, in a way that any CPython since 2.7 understands."""

import sys
import time

sys.stdout.write("ready\n")
sys.stdout.flush()
while True:
    time.sleep(600)
