"""A window of Qt's, by the binding that its first argument names; `mode` as in tk_window."""

import importlib
import signal
import sys

QtCore = importlib.import_module(sys.argv[1] + ".QtCore")
QtWidgets = importlib.import_module(sys.argv[1] + ".QtWidgets")

mode = "busy"
ticks = 0
caught = []
application = QtWidgets.QApplication(sys.argv[:1])
label = QtWidgets.QLabel("start")
label.show()


def tick():
    global ticks
    ticks += 1
    if mode != "busy":
        timer.stop()


def ask():
    """A dialogue: runs an event loop of its own within the application's."""
    global dialogue
    dialogue = QtWidgets.QDialog(label)
    dialogue.exec()
    print("closed", flush=True)


def on_signal(number, _frame):
    caught.append("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)


signal.signal(signal.SIGINT, on_signal)
signal.signal(signal.SIGUSR1, on_signal)
timer = QtCore.QTimer()
timer.timeout.connect(tick)
timer.start(5)
print("ready", flush=True)
application.exec()
