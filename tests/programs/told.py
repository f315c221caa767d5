"""Does what it is told: its argument is Python code, and so is each line that comes on stdin.

All of it runs on the main thread, in this module; "done" is written after each line, unless
that has taken stdout away. Otherwise it idles in Python and counts its rounds.
"""

import os
import select
import sys
import time

rounds = 0
namespace = globals()
pause, look, told = time.sleep, select.select, os.read
done = os.write

exec(sys.argv[1] if len(sys.argv) > 1 else "", namespace)
done(1, b"ready\n")
while True:
    rounds += 1
    if look([0], [], [], 0)[0]:
        code = told(0, 1 << 16).decode()
        if code:
            exec(code, namespace)
            done(1, b"done\n")
    pause(0.005)
