"""Calls a function as fast as it can; says which exceptions of its signal handler get lost.

There are none before `alarms` is set.
"""

import signal

raised = caught = 0
alarms = False


class Alarm(Exception):
    pass


def on_alarm(number, frame):
    global raised
    raised += 1
    raise Alarm


def work(number):
    return number + 1


def many():
    for number in range(2000):
        work(number)


signal.signal(signal.SIGALRM, on_alarm)
print("ready", flush=True)
while True:
    try:
        if alarms:
            signal.setitimer(signal.ITIMER_REAL, 0.0007)
            while True:
                many()
        many()
    except Alarm:
        caught += 1
    if raised != caught:
        print("swallowed", raised, caught, flush=True)
