"""Draws with pyplot, one round for each line on stdin; says on which figure it draws.

The argument is its backend.
"""

import queue
import sys
import threading

import matplotlib as mpl

mpl.use(sys.argv[1])

import matplotlib.pyplot as plt

rounds = queue.SimpleQueue()
threading.Thread(target=lambda: [rounds.put(line) for line in sys.stdin], daemon=True).start()
figure = plt.figure()
plt.plot([1, 2])
print("ready", flush=True)
while True:
    try:
        rounds.get(timeout=0.005)
    except queue.Empty:
        continue
    plt.plot([3, 4])
    made = plt.figure()
    print("drew on", [len(axes.lines) for axes in figure.axes], plt.get_fignums(), flush=True)
    plt.close(made)
    plt.figure(figure.number)
