"""Uses `sys.monitoring` and a trace function itself, and says when it misses a call or a line."""

import sys
import time

monitoring = sys.monitoring
events = monitoring.events
counts = {"profiler": 0, "lines": 0, "traced": 0}
calls = 0


def called(number):
    global calls
    calls += 1
    return number


def on_start(code, offset):
    counts["profiler"] += 1


def on_line(code, line):
    counts["lines"] += 1
    return monitoring.DISABLE


def trace(frame, event, arg):
    if frame.f_code is called.__code__:
        counts["traced"] += 1


monitoring.use_tool_id(monitoring.PROFILER_ID, "profiler of the program")
monitoring.use_tool_id(4, "the program's own")
monitoring.register_callback(monitoring.PROFILER_ID, events.PY_START, on_start)
monitoring.register_callback(4, events.LINE, on_line)
monitoring.set_local_events(monitoring.PROFILER_ID, called.__code__, events.PY_START)
monitoring.set_local_events(4, called.__code__, events.LINE)
sys.settrace(trace)
print("ready", flush=True)
while True:
    called(calls)
    if counts["profiler"] != calls or counts["traced"] != calls:
        print("missed", counts, calls, flush=True)
    if counts["lines"] > 2:
        print("told again of lines that were disabled", counts, flush=True)
    time.sleep(0.002)
