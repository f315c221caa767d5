"""An asyncio program on uvloop; `mode` says whether it works or waits, `caught` what befell it."""

import asyncio
import signal
import sys

import uvloop

mode = "busy"
ticks = 0
caught = []


def tick():
    global ticks
    ticks += 1
    if mode == "busy":
        loop.call_later(0.005, tick)


async def main():
    global loop, wake
    loop, wake = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, caught.append, "SIGUSR1")
    loop.add_signal_handler(signal.SIGTERM, caught.append, "SIGTERM")
    tick()
    print("ready", flush=True)
    while mode != "stop":
        try:
            await wake.wait()
        except asyncio.CancelledError:
            caught.append("Ctrl-C")
            asyncio.current_task().uncancel()


class Service:
    """Starts its loop as many do, where nothing of asyncio's stands among the frames."""

    def __init__(self):
        self.engine = uvloop.new_event_loop()

    def serve(self):
        self.engine.run_until_complete(main())


if sys.argv[1:] == ["own"]:
    Service().serve()
else:
    uvloop.run(main())
