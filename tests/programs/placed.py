"""Works or waits as its first argument, or later `mode`, says; keeps what has befallen it."""

import queue
import signal
import sys
import threading
import time

mode = sys.argv[1] if len(sys.argv) > 1 else "busy"
rounds = 0
caught = []
inbox = queue.Queue()
outcome = None
local = threading.local()
local.name = "main's own"


def working():
    """A thread that works, with a thread-local of its own."""
    local.name = "worker's own"
    beat = 0
    while not stop.is_set():
        beat += 1


def waiting():
    """A thread that waits in a queue."""
    local.name = "waiter's own"
    waiter_inbox.get()
    while not stop.is_set():
        time.sleep(0.01)


def sleeping():
    """A thread that sleeps."""
    local.name = "sleeper's own"
    while not stop.is_set():
        time.sleep(60)


stop = threading.Event()
waiter_inbox = queue.Queue()
for body in (working, waiting, sleeping):
    threading.Thread(target=body, name=body.__name__, daemon=True).start()


def on_user_signal(number, _frame):
    caught.append(signal.Signals(number).name)


def on_alarm(number, _frame):
    raise TimeoutError("the program's own alarm")


signal.signal(signal.SIGUSR1, on_user_signal)
signal.signal(signal.SIGALRM, on_alarm)
print("ready", flush=True)
while mode != "stop":
    try:
        while mode != "stop":
            rounds += 1
            if mode == "busy":
                sum(range(1000))
            elif mode == "sleep":
                time.sleep(0.05)
            elif mode == "queue":
                outcome = inbox.get()
    except KeyboardInterrupt:
        caught.append("KeyboardInterrupt")
    except TimeoutError as error:
        caught.append(str(error))
