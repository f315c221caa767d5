"""Holds a process at a named step, for a test that wants something to happen just there.

Loaded by `site` into launchers and targets of tests. POINT names a function, as
"session.py:Session.serve"; the first thread that begins it (with ":end" behind: that is about to
return from it) connects to the socket POINTS, tells its pid, and waits until it is hung up on.
Python's short-lived helpers (`python -I -S -c`), which load no site, get this text in front of
theirs. Rule: nothing of the product is touched.
"""

import os
import sys


def hold_at(point, address):
    import _socket

    file, name, *end = point.split(":")
    monitoring = sys.monitoring
    events = monitoring.events
    event = events.PY_RETURN if end else events.PY_START
    held = []

    def on_event(code, *_):
        if held or code.co_qualname != name or code.co_filename.rpartition("/")[2] != file:
            return monitoring.DISABLE
        held.append(code)  # once; and what is monitored stays as it was, for who compares
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            connection.connect(address)
            connection.sendall(b"%d\n" % os.getpid())
            connection.recv(1)
        except OSError:
            pass  # the test has ended
        finally:
            connection.close()
        return monitoring.DISABLE

    monitoring.use_tool_id(2, "a point of a test")
    monitoring.register_callback(2, event, on_event)
    monitoring.set_events(2, event)


def reach_helpers(text):
    import subprocess

    start = subprocess.Popen.__init__

    def start_with_points(self, args, *rest, **options):
        if isinstance(args, list) and args[1:4] == ["-I", "-S", "-c"]:
            args = [*args[:4], text + args[4], *args[5:]]
        start(self, args, *rest, **options)

    subprocess.Popen.__init__ = start_with_points


def _text(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 16).decode()
    finally:
        os.close(descriptor)


if "HELPER_POINT" in globals():
    hold_at(*globals()["HELPER_POINT"])
elif "POINT" in os.environ:
    _point = os.environ["POINT"], os.environ["POINTS"]
    hold_at(*_point)
    reach_helpers(f"exec({_text(__file__)!r}, {{'HELPER_POINT': {_point!r}}})\n")
if "WITNESS_CODE" in os.environ:
    exec(_text(os.environ["WITNESS_CODE"]), {"__name__": "witness"})
