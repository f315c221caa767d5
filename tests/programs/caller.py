"""Its main thread waits until it is told to wake up; before, `PATH HEX` on stdin has it call a
socket, say that, and tell what has come back.
"""

import socket
import sys
import threading
import time

gate = threading.Lock()
gate.acquire()
state = "asleep"


def call(path, said):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(said)
        return connection.recv(100)


def listen():
    for line in sys.stdin:
        if line == "wake\n":
            gate.release()
        else:
            path, said = line.split()
            print("answer:", call(path, bytes.fromhex(said)), flush=True)


threading.Thread(target=listen, daemon=True).start()
print("ready", flush=True)
gate.acquire()
state = "awake"
while True:
    time.sleep(0.005)
