"""A program that knows of comms and widgets itself; tells of them for each line that it reads."""

import select
import sys

import comm
import ipywidgets
from ipywidgets.widgets import widget

own = ipywidgets.IntSlider(value=3)
print("ready", flush=True)
while True:
    if select.select([sys.stdin], [], [], 0.005)[0]:
        word = sys.stdin.readline().strip()
        functions = comm.create_comm.__name__, comm.get_comm_manager.__name__
        print(word, *functions, len(widget._instances), own.value, flush=True)
