"""Load by output: what prints and displays for ever, and values of two gigabytes.

See `loads.py`. Rule: however little of it the front-end takes, no party's memory grows on, and
the cell can be stopped.
"""

from __future__ import annotations

from functools import partial

from gauges import Row, within
from loads import PATIENCE, attached, case

FLOODS = {
    "lines": "while True: print('x' * 60)",
    "long lines": "line = 'x' * 9_000_000\nwhile True: print(line)",
    "stderr": "import sys\nwhile True: sys.stderr.write('x' * 60 + '\\n')",
    "threads": """\
import threading, time
goes_on = True
def prints():
    while goes_on: print('x' * 60)
threads = [threading.Thread(target=prints) for _ in range(8)]
for thread in threads: thread.start()
try:
    while True: time.sleep(0.05)
finally:
    goes_on = False""",
    "main thread": "%%main\nwhile True: print('x' * 60)",
    "awaiting": "import asyncio\nwhile True:\n    print('x' * 60_000)\n    await asyncio.sleep(0)",
    "displays": "n = 0\nwhile True:\n    n += 1\n    display(n)",
    "updates": "shown = display(0, display_id=True)\nwhile True: shown.update('x' * 1000)",
    "pictures": """\
import os
picture = {'image/png': os.urandom(500_000), 'text/plain': 'a picture'}
while True: display(picture, raw=True)""",
    "stubborn": """\
interrupts = 0
while interrupts < 3:
    try:
        while True: print('x' * 60_000)
    except KeyboardInterrupt:
        interrupts += 1""",
}
"""Cells that have no end, each a flood of its own."""

READERS = {"read": 0.0, "read slowly": 0.05, "unread": None}
"""How a front-end takes what comes: the seconds that it takes over each message, if it does."""


def flood(kind: str, reader: str, seconds: int) -> Row:
    """Let a cell flood its front-end for so long; then interrupt it."""
    pause = READERS[reader]
    name = f"{kind}, {reader}"
    program = "aio_idle" if kind == "awaiting" else "idle"
    with attached(name, program, pause=pause or 0.0) as (kernel, gauges, row):
        row.done = f"for {seconds} s"
        cell = kernel.begin(FLOODS[kind])
        kernel.wait(lambda: kernel.count > 20, PATIENCE, "the first of the flood")
        if pause is None:
            kernel.listens_to = ("shell", "control")
        kernel.read_for(seconds)
        for _ in range(3 if kind == "stubborn" else 0):
            kernel.interrupt()
            kernel.read_for(1)
        row.interrupted.append(kernel.seconds_to_interrupt(cell))
        kernel.listens_to = ("iopub", "shell", "stdin", "control")
        kernel.pause = 0.0
        cell.finish(PATIENCE)
        assert kernel.still_answers()
        within(gauges.peak, launcher=400, target=200)
    return row


VALUES = {
    "bytes": "bytes({size})",
    "text": "'x' * {size}",
    "text beyond ASCII": "'\u00e9' * {size}",
    "list": "['x' * 1_000_000] * ({size} // 1_000_000)",
    "repr": "class C:\n    def __repr__(self): return 'x' * {size}\nC()",
    "picture": "display({{'image/png': bytes({size})}}, raw=True)",
    "picture in a bytearray": "display({{'image/png': bytearray({size})}}, raw=True)",
    "print": "print('x' * {size})",
    "traceback": "raise ValueError('x' * {size})",
    "key": "{{}}['x' * {size}]",
    "variables": "def f(a):\n    b = a\n    return 1 / 0\nf('x' * {size})",
}
"""Cells whose value, output or error is of some size."""


def value(kind: str, megabytes: int) -> Row:
    """Have a cell make something large; the kernel must bear it, and answer after it."""
    with attached(f"{kind} of a size") as (kernel, gauges, row):
        row.done = f"{megabytes} MB"
        code = VALUES[kind].format(size=megabytes * 1_000_000)
        cell = kernel.run(code, PATIENCE)
        shown = len(cell.text)
        row.outcome = f"{cell.status}; {shown:,} characters shown"
        assert cell.status == ("error" if kind in ("traceback", "key", "variables") else "ok")
        assert shown < 12_000_000
        kernel.run("Out.clear(); globals().pop('_2', None); _ = __ = ___ = None", PATIENCE)
        assert kernel.still_answers()
        within(gauges.peak, launcher=100, target=2.2 * megabytes + 50)
    return row


for _kind in VALUES:
    # To write the `repr` of a text takes long, and holds the interpreter lock for as long.
    case(f"{_kind} of a size", times=500 if _kind == "key" else 2000, few=100)(
        partial(value, _kind)
    )

_READ = ("lines", "long lines", "displays", "pictures")
"""Floods that are read, too; the others are not."""

for _kind in FLOODS:
    for _reader, _pause in READERS.items():
        if _kind in _READ or _pause is None:
            case(f"{_kind}, {_reader}", times=3, few=1)(partial(flood, _kind, _reader))
