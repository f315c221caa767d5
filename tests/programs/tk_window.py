"""A window of Tk's; `mode` says whether it works or waits for its user."""

import signal
import sys
import tkinter as tk

mode = "busy"
ticks = 0
caught = []
window = tk.Tk()
label = tk.Label(window, text="start")
label.pack()


def tick():
    global ticks
    ticks += 1
    if mode == "busy":
        window.after(5, tick)


def ask():
    """A dialogue: waits for its window to be closed, within the main loop or before it."""
    global dialogue
    dialogue = tk.Toplevel(window)
    window.wait_window(dialogue)
    print("closed", flush=True)


def on_user_signal(*_):
    caught.append("SIGUSR1")


def on_error(kind, error, traceback):
    """What a callback raises; Tk's main loop does not get it."""
    if kind is not KeyboardInterrupt:
        sys.__excepthook__(kind, error, traceback)
    caught.append("Ctrl-C")


signal.signal(signal.SIGUSR1, on_user_signal)
window.report_callback_exception = on_error
window.after(0, tick)
print("ready", flush=True)
if "asks" in sys.argv:
    ask()
while mode != "stop":
    try:
        window.mainloop()
    except KeyboardInterrupt:
        caught.append("Ctrl-C")
