"""Says hello where it is told to, as an agent does, and then nothing until the other end closes."""

import json
import os
import socket
import sys

print("ready", flush=True)
place, token = sys.stdin.readline().split()
with socket.socket(socket.AF_UNIX) as link:
    link.connect(f"{place}/link")
    hello = {"op": "hello", "protocol": 1, "token": token, "channel": "control", "pid": os.getpid()}
    body = json.dumps(hello).encode()
    link.sendall(len(body).to_bytes(4, "big") * 2 + body)
    print("hello", flush=True)
    while link.recv(1000):
        pass
print("left alone", flush=True)
sys.stdin.readline()
