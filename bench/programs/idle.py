"""A program that mostly sleeps: it counts, a hundred times a second."""

import time

counter = 0
while True:
    counter += 1
    time.sleep(0.01)
