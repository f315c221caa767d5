"""Blocks its main thread in what its argument names; the line is marked `# here`."""

import asyncio
import ctypes
import fcntl
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor


def sleep():
    time.sleep(600)  # here


def get():
    queue.Queue().get()  # here


def lock():
    held = threading.Lock()
    held.acquire()
    held.acquire()  # here


def join():
    thread = threading.Thread(target=time.sleep, args=(600,))
    thread.start()
    thread.join()  # here


def event():
    threading.Event().wait()  # here


def future():
    waiting = ThreadPoolExecutor().submit(time.sleep, 600)
    waiting.result()  # here


def accept():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.accept()  # here


def receive():
    ours, _theirs = socket.socketpair()
    ours.recv(1)  # here


def pipe():
    os.read(os.pipe()[0], 1)  # here


def stdin():
    input()  # here


def child():
    subprocess.run(["sleep", "600"])  # here


def pause():
    signal.pause()  # here


def poll_nothing():
    ctypes.CDLL(None).ppoll(None, 0, None, None)  # here


def flock():
    with tempfile.NamedTemporaryFile() as file:
        again = os.open(file.name, os.O_RDONLY)
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.flock(again, fcntl.LOCK_EX)  # here


def loop():
    asyncio.run(asyncio.sleep(600))  # here


def native():
    pow(3, 10**9)  # here


print("ready", flush=True)
globals()[sys.argv[1]]()
