"""A server that forks its worker, and replaces it upon SIGHUP, as gunicorn does."""

import os
import signal
import time

worker = 0


def serve():
    ends = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
    print("worker", os.getpid(), flush=True)
    while not ends:
        time.sleep(0.005)
    os._exit(0)


def start(*_):
    global worker
    old, worker = worker, os.fork()
    if not worker:
        serve()
    if old:
        os.kill(old, signal.SIGTERM)
        os.waitpid(old, 0)


signal.signal(signal.SIGHUP, start)
start()
print("ready", flush=True)
while True:
    time.sleep(0.005)
