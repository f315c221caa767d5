"""Output of children that cells of the local kernel have forked: a way to it that is no port.

Runs in the local kernel. A stock ipykernel listens for it on a TCP port of this machine, to
which any user can connect. Here it is a Unix socket without a file, at which the system lets in
nobody but our own user.
Rule: the two methods replaced are those of ipykernel 6 and 7; with another, its own stay.
"""

from __future__ import annotations

import os
import secrets
import sys
from typing import Any

import zmq
from ipykernel import iostream
from zmq.eventloop.zmqstream import ZMQStream


def use() -> None:
    """Have ipykernel do so, if it is of a kind that is known here."""
    kind = iostream.IOPubThread
    if hasattr(kind, "_setup_pipe_in") and hasattr(kind, "_setup_pipe_out"):
        kind._setup_pipe_in = _set_up  # type: ignore[method-assign]
        kind._setup_pipe_out = _connect  # type: ignore[method-assign]


def _set_up(thread: Any) -> None:
    thread._pipe_uuid = os.urandom(16)  # by which ipykernel knows its own
    pipe = thread.socket.context.socket(zmq.PULL)
    pipe.linger = 0
    pipe.setsockopt(zmq.IPC_FILTER_UID, os.geteuid())
    thread._pipe_port = f"ipc://@live-kernel-{secrets.token_hex(16)}"
    try:
        pipe.bind(thread._pipe_port)
    except zmq.ZMQError as error:
        print(f"live-kernel: no output of forked processes: {error}", file=sys.__stderr__)
        thread._pipe_flag = False
        pipe.close()
        return
    thread._pipe_in = ZMQStream(pipe, thread.io_loop)
    thread._pipe_in.on_recv(thread._handle_pipe_msg)


def _connect(thread: Any) -> tuple[zmq.Context[Any], zmq.Socket[Any]]:
    context: zmq.Context[Any] = zmq.Context()  # a new one, after a fork
    pipe = context.socket(zmq.PUSH)
    pipe.linger = 3000
    pipe.connect(thread._pipe_port)
    return context, pipe
