"""A program that mostly sleeps: it counts, a hundred times a second, and first says so."""

import time

counter = 0
print("counting", flush=True)
while True:
    counter += 1
    time.sleep(0.01)
