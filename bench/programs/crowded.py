"""A program with a hundred thousand variables, which mostly sleeps."""

import time

for number in range(100_000):
    globals()[f"name_{number}"] = number
ready = True
while True:
    time.sleep(0.01)
