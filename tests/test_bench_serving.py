"""The application under load, with which the benchmark measures what its users notice.

Real processes. Rule: both the application and its load have ended when the block has.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from targets import eventually

if sys.version_info < (3, 14):
    pytest.skip("the benchmark runs in CPython 3.14 and later", allow_module_level=True)

from bench import footprint, serving
from bench.targets import Target
from bench.wire import Unanswered

ENVIRONMENT = dict(os.environ)


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_the_application_answers_and_ends_with_the_block() -> None:
    with serving.loaded(ENVIRONMENT) as app:
        window = app.watch(0.2)
        processes = [app.target.pid, app.load.pid]
        assert window.rate > 0
        assert len(window.latencies) >= serving.CONNECTIONS
        assert window.latencies == sorted(window.latencies)
        assert 0 < window.quantile(0.5) <= window.quantile(0.99) <= window.worst
    assert not any(map(is_there, processes))


def test_a_stall_shows_in_the_latencies() -> None:
    with serving.loaded(ENVIRONMENT) as app:

        def stall(_seconds: float) -> None:
            app.target.pause()
            time.sleep(0.3)  # this is what is measured
            app.target.go_on()

        assert app.watch(0.5, stall).worst >= 0.3


def test_an_application_that_answers_nothing_is_an_error() -> None:
    with serving.loaded(ENVIRONMENT) as app:
        app.target.pause()
        before = -1
        while before != app.answered:  # until those on their way have been noted
            before = app.answered
            time.sleep(0.1)
        with pytest.raises(Unanswered, match="nothing"):
            app.watch(0.3)
        app.target.go_on()


def test_a_wrong_answer_is_noticed() -> None:
    """From a server that has no orders."""
    with _lying() as port, serving.record(2 + 2 * 64) as answers:
        load = Target("load", ENVIRONMENT, str(port), "1", answers.name)
        try:
            eventually(lambda: answers.doubles[1] > 0, what="the wrong answer")
        finally:
            load.close()


@contextmanager
def _lying() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            while connection.recv(1 << 12):
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"orders":[]}')

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()
        thread.join()


def test_the_peak_of_a_process_can_begin_anew() -> None:
    pid, size = os.getpid(), 64
    held = bytearray(size << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    assert footprint.peak(pid) >= footprint.resident(pid) >= size
    del held
    footprint.forget_peak(pid)
    before = footprint.peak(pid)
    held = bytearray(size << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    assert footprint.peak(pid) - before > 0.9 * size
