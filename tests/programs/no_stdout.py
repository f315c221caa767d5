"""Has no standard streams, as a daemon or a windowed program."""

import os
import sys
import time

sys.stdin = sys.stdout = sys.stderr = None
sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = None
word = "start"
os.write(1, b"ready\n")
while True:
    if word == "tell":
        os.write(1, b"told\n")
        word = "done"
    time.sleep(0.005)
