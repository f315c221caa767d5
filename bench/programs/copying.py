"""The plainest way for so many bytes to get into another process: through a Unix socket.

Its argument is their number. A child takes them in, into memory of its own, and says so. Prints
the seconds from before the first byte until then, and what the child has counted.
"""

import os
import socket
import sys
from time import perf_counter

size = int(sys.argv[1])
value = os.urandom(1 << 20) * (size >> 20)
ours, theirs = socket.socketpair()
for end in (ours, theirs):
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
child = os.fork()
if child == 0:
    ours.close()
    theirs.recv(1)
    taken = memoryview(bytearray(len(value)))
    done = 0
    while done < len(taken):
        done += theirs.recv_into(taken[done : done + (1 << 20)])
    theirs.send(b"done")
    theirs.recv(1)
    os._exit(0 if taken[-(1 << 20) :] == value[: 1 << 20] else 1)
theirs.close()
begun = perf_counter()
ours.send(b"\0")
ours.sendall(value)
ours.recv(4)
seconds = perf_counter() - begun
ours.close()
_, status = os.waitpid(child, 0)
if status:
    sys.exit("what has arrived is not what was sent")
print(seconds, len(value))
