"""Has an audit hook, which takes note of events and refuses those named in its arguments."""

import sys
import time

refused = set(sys.argv[1:])
seen = set()


def hook(event, arguments):
    seen.add(event)
    if event in refused:
        raise RuntimeError(f"{event} is not allowed here")


sys.addaudithook(hook)
print("ready", flush=True)
while True:
    time.sleep(0.005)
