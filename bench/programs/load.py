"""A load generator: so many connections to an application, each asking again when answered.

Its arguments are the application's port on 127.0.0.1, the number of connections, and a file in
which it keeps doubles: first how many answers have come, then how many were not what they should
be, then for each of the latest answers when it had come (`time.perf_counter`, a clock that all
processes share) and how long that took, in seconds. It ends with the application.
"""

import json
import mmap
import select
import socket
import sys
from pathlib import Path
from time import perf_counter

port, connections = int(sys.argv[1]), int(sys.argv[2])
with Path(sys.argv[3]).open("r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
record = memoryview(memory).cast("d")
room = (len(record) - 2) // 2
PAGES = 200


def ask(number: int) -> bytes:
    """The request for a page, as a load balancer sends it."""
    return b"GET /%d HTTP/1.1\r\nHost: app\r\n\r\n" % number


def is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    return bool(body) and len(body) == int(head.rpartition(b" ")[2])


def is_right(answer: bytes, number: int) -> bool:
    orders = json.loads(answer.partition(b"\r\n\r\n")[2])["orders"]
    return len(orders) == 40 and orders[0]["number"] == number


known: dict[int, bytes] = {}
"""The answer for each page, checked when it came first."""
sockets: dict[int, socket.socket] = {}
asked: dict[int, tuple[int, float]] = {}
begun: dict[int, bytes] = {}
poller = select.epoll()
for number in range(connections):
    made = socket.create_connection(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sockets[made.fileno()] = made
    poller.register(made, select.EPOLLIN)
    asked[made.fileno()] = number, perf_counter()
    made.sendall(ask(number))

count = wrong = 0
while True:
    for descriptor, _ in poller.poll():
        connection = sockets[descriptor]
        data = connection.recv(1 << 16)
        if not data:
            sys.exit(0)
        answer = begun.pop(descriptor, b"") + data
        number, since = asked[descriptor]
        if answer != known.get(number):
            if not is_whole(answer):
                begun[descriptor] = answer
                continue
            wrong += number in known or not is_right(answer, number)
            known[number] = answer
        now = perf_counter()
        place = 2 + count % room * 2
        record[place], record[place + 1] = now, now - since
        count += 1
        record[0], record[1] = count, wrong
        number = (number + connections) % PAGES
        asked[descriptor] = number, perf_counter()
        connection.sendall(ask(number))
