"""A script that attaches to many programs at once through the Python API.

Reads one command a line from stdin, and answers each with a line of JSON: `attach PID …`
and `detach NUMBER`, of those that were attached to first, with what each program took, in
order: seconds, and seconds of processor time, here and there. A program is attached to once
its handle is there; that a cell runs in it is checked when the clock has stopped. It is left
once it has one thread again. `memory` is answered with the megabytes that are resident.
"""

import json
import sys
from pathlib import Path
from time import clock_gettime, perf_counter, process_time

import live_kernel
from live_kernel import Handle

type Taken = tuple[float, float]

ITS_CLOCK = 2  # CPUCLOCK_SCHED, as in targets.py
handles: list[Handle] = []


def used(pid: int) -> float:
    """Processor time of this process and of that one, in seconds."""
    return process_time() + clock_gettime(~pid << 3 | ITS_CLOCK)


def attach(pid: int) -> Taken:
    before, begun = used(pid), perf_counter()
    handles.append(live_kernel.attach(pid))
    return perf_counter() - begun, used(pid) - before


def check(handle: Handle) -> None:
    shown: list[object] = []
    handle.run("6 * 7", show=shown.append)
    if "'42'" not in str(shown):
        raise RuntimeError(f"6 * 7 was {shown} in {handle.process}")


def detach(handle: Handle) -> Taken:
    pid = handle.process.pid
    threads = Path(f"/proc/{pid}/task")
    before, begun = used(pid), perf_counter()
    handle.detach()
    while len(list(threads.iterdir())) > 1:
        if perf_counter() - begun > 20:
            raise RuntimeError(f"threads have stayed in {handle.process}")
    return perf_counter() - begun, used(pid) - before


def memory() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss")) / 1024


def answer(word: str, numbers: list[str]) -> object:
    if word == "memory":
        return memory()
    if word == "attach":
        taken = [attach(int(number)) for number in numbers]
        for handle in handles[-len(numbers) :]:
            check(handle)
        return taken
    return [detach(handles.pop(0)) for _ in range(int(numbers[0]))]


for line in sys.stdin:
    word, *numbers = line.split()
    print(json.dumps(answer(word, numbers)), flush=True)
