"""Waits for two seconds in what its argument names, and tells how long that took, and its value."""

import asyncio
import ctypes
import os
import queue
import select
import signal
import socket
import sys
import threading
import time

SECONDS = 2
libc = ctypes.CDLL(None)


def lock():
    held = threading.Lock()
    held.acquire()
    return held.acquire(timeout=SECONDS)


def get():
    try:
        return queue.Queue().get(timeout=SECONDS)
    except queue.Empty:
        return "empty"


def receive():
    ours, _theirs = socket.socketpair()
    ours.settimeout(SECONDS)
    try:
        return ours.recv(1)
    except TimeoutError:
        return "timed out"


def sigtimedwait():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    return signal.sigtimedwait({signal.SIGUSR1}, SECONDS)


def alarm():
    signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.alarm(SECONDS)
    return signal.pause()


KINDS = {
    "sleep": lambda: time.sleep(SECONDS),
    "lock": lock,
    "event": lambda: threading.Event().wait(SECONDS),
    "get": get,
    "select": lambda: select.select([os.pipe()[0]], [], [], SECONDS),
    "poll": lambda: select.poll().poll(SECONDS * 1000),
    "receive": receive,
    "sigtimedwait": sigtimedwait,
    "loop": lambda: asyncio.run(asyncio.sleep(SECONDS, "slept")),
    "alarm": alarm,
    "c_sleep": lambda: libc.sleep(SECONDS),
    "c_poll": lambda: libc.poll(None, 0, SECONDS * 1000),
}

print("ready", flush=True)
begun = time.monotonic()
value = KINDS[sys.argv[1]]()
print(f"took {(time.monotonic() - begun) / SECONDS} {value}", flush=True)
sys.stdin.read()
