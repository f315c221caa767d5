"""A client of the Debug Adapter Protocol: as much of it as attaching and asking takes.

Runs in the benchmark. Speaks to an adapter, a process, through its standard streams,
as editors do; the protocol is https://microsoft.github.io/debug-adapter-protocol/.
Rule: no wait without an end. An adapter that is silent for too long, or says no, is an error.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

type Message = dict[str, Any]

_BLANK = b"\r\n\r\n"


class AdapterFailed(Exception):
    """The adapter ended, was silent for too long, or refused what it was asked for."""


class Adapter:
    """A running debug adapter. `with` ends it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], place: Path) -> None:
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # for what it starts to be ended with it
        )
        self._numbers = itertools.count(1)
        self._received = b""
        self._messages: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def send(self, command: str, arguments: Message) -> int:
        """Send a request; its number is what `response` is asked for."""
        number = next(self._numbers)
        request = {"seq": number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(request).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d%s%s" % (len(body), _BLANK, body))
        return number

    def ask(self, command: str, arguments: Message, within: float = 30.0) -> Message:
        """Send a request and wait for what is in its response."""
        return self.response(self.send(command, arguments), within)

    def response(self, number: int, within: float = 30.0) -> Message:
        """What is in the response to a request. Raises AdapterFailed if that is a refusal."""
        answer = self._await({"type": "response", "request_seq": number}, within)
        if not answer["success"]:
            raise AdapterFailed(f"{answer['command']}: {answer.get('message', 'refused')}")
        body: Message = answer.get("body") or {}
        return body

    def event(self, name: str, within: float = 30.0) -> Message:
        """Wait for an event; what came before it, other than that, stays to be asked for."""
        body: Message = self._await({"type": "event", "event": name}, within).get("body") or {}
        return body

    def _await(self, wanted: Message, within: float) -> Message:
        deadline = time.monotonic() + within
        while True:
            for place, message in enumerate(self._messages):
                if wanted.items() <= message.items():
                    return self._messages.pop(place)
            self._receive(wanted, deadline - time.monotonic())

    def _receive(self, wanted: Message, rest: float) -> None:
        """Take in what the adapter writes next."""
        assert self._process.stdout is not None
        if rest <= 0 or not select.select([self._process.stdout], [], [], rest)[0]:
            raise AdapterFailed(f"nothing has come like {wanted}")
        received = os.read(self._process.stdout.fileno(), 65536)
        if not received:
            raise AdapterFailed(f"the adapter ended before anything came like {wanted}")
        self._received += received
        while (whole := _first(self._received)) is not None:
            message, self._received = whole
            self._messages.append(message)


def _first(received: bytes) -> tuple[Message, bytes] | None:
    """The first message and what comes behind it, or None where it is not complete as yet."""
    head, blank, rest = received.partition(_BLANK)
    if not blank:
        return None
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
    length = int(fields[b"Content-Length"])
    return (json.loads(rest[:length]), rest[length:]) if len(rest) >= length else None
