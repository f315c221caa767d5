"""A kernel that does nothing: it answers each request with messages made beforehand.

Its argument is a connection file. What it sends is what a kernel sends for the same request:
busy, the input, the value and idle on iopub, and the reply on shell, each of as many frames,
of which it copies the request's header alone. So it is the floor: what a round trip costs
if Python and ZMQ carry the messages and nobody makes, signs or reads them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import zmq

DELIMITER, SIGNATURE, EMPTY = b"<IDS|MSG>", b"0" * 64, b"{}"
HEADER = {
    "msg_id": "0" * 36,
    "session": "0" * 36,
    "username": "echo",
    "date": "2026-01-01T00:00:00.000000Z",
    "version": "5.3",
}
BUSY, IDLE = {"execution_state": "busy"}, {"execution_state": "idle"}
INPUT = {"code": "6 * 7", "execution_count": 1}
VALUE = {"data": {"text/plain": "42"}, "metadata": {}, "execution_count": 1}
REPLY = {"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}
MATCHES = ["startswith", "basename", "isinstance"]
COMPLETIONS = {
    "status": "ok",
    "matches": MATCHES,
    "cursor_start": 0,
    "cursor_end": 0,
    "metadata": {},
}

type Made = tuple[bytes, bytes]


def made(kind: str, content: Mapping[str, object]) -> Made:
    """A message's header and content."""
    return json.dumps({**HEADER, "msg_type": kind}).encode(), json.dumps(content).encode()


ANSWERS: dict[bytes, tuple[list[Made], Made]] = {
    b"execute_request": (
        [made("execute_input", INPUT), made("execute_result", VALUE)],
        made("execute_reply", REPLY),
    ),
    b"complete_request": ([], made("complete_reply", COMPLETIONS)),
    b"kernel_info_request": ([], made("kernel_info_reply", {"status": "ok"})),
}
STATUS_BUSY, STATUS_IDLE = made("status", BUSY), made("status", IDLE)

connection = json.loads(Path(sys.argv[1]).read_text())
context = zmq.Context()
shell, iopub = context.socket(zmq.ROUTER), context.socket(zmq.PUB)
for socket, port in ((shell, "shell_port"), (iopub, "iopub_port")):
    socket.bind(f"tcp://{connection['ip']}:{connection[port]}")

while True:
    frames = shell.recv_multipart()
    parent = frames[3]
    kind = next(kind for kind in ANSWERS if kind in parent)
    outputs, (head, reply) = ANSWERS[kind]
    for header, content in (STATUS_BUSY, *outputs):
        iopub.send_multipart([b"echo", DELIMITER, SIGNATURE, header, parent, EMPTY, content])
    shell.send_multipart([frames[0], DELIMITER, SIGNATURE, head, parent, EMPTY, reply])
    header, content = STATUS_IDLE
    iopub.send_multipart([b"echo", DELIMITER, SIGNATURE, header, parent, EMPTY, content])
