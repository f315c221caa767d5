"""Measures the longest time for which something kept it from going on; in seconds."""

import time

longest = 0.0
print("ready", flush=True)
last = time.perf_counter()
while True:
    time.sleep(0.001)
    now = time.perf_counter()
    longest = max(longest, now - last)
    last = now
