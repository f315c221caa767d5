"""The Python stacks and asyncio tasks of another process.

Runs in the launcher where that is of the target's version, else in the target's
own interpreter as a program of its own (`python -I -S -c SOURCE PID [TID]`): so it
imports nothing of ours, little else, and keeps to what 3.14 and 3.15 have.
Rule: reads the memory of a process that goes on running; what comes back may be
torn, and any exception means only that there is nothing to tell. It is C code that reads
what the process may have forged: never with more rights than that has (`rights.py`).
"""

import sys


def stacks(pid: int) -> dict[int, list[tuple[str, int, str]]]:
    """By thread id, frames as (file, line, function), innermost first.

    3.14 sees those only that are inside of the last call from C to Python (see `stackwalk.py`).
    Raises ImportError, RuntimeError, OSError and others.
    """
    found = {}
    for each in _unwinder(pid).get_stack_trace():
        # 3.14 gives threads, 3.15 interpreters with threads.
        for thread in getattr(each, "threads", [each]):
            found[thread.thread_id] = _frames(thread.frame_info)
    return found


def stack(pid: int, thread: int) -> list[tuple[str, int, str]]:
    """The frames of thread id `thread`. Raises as `stacks` does."""
    return stacks(pid).get(thread, [])


def tasks(pid: int) -> list[dict[str, object]]:
    """The asyncio tasks of all threads. Raises RuntimeError, also where asyncio is not loaded."""
    return [
        {
            "id": task.task_id,
            "name": task.task_name,
            "thread": each.thread_id,
            "frames": [f for coro in task.coroutine_stack for f in _frames(coro.call_stack)],
            "waiters": [coro.task_name for coro in task.awaited_by],
        }
        for each in _unwinder(pid).get_all_awaited_by()
        for task in each.awaited_by
    ]


def _unwinder(pid: int):  # type: ignore[no-untyped-def]
    # By this name, since type checkers know no such module.
    return __import__("_remote_debugging").RemoteUnwinder(pid, all_threads=True)


def _frames(frames: object) -> list[tuple[str, int, str]]:
    return [(f.filename, _line(f), f.funcname) for f in frames]  # type: ignore[attr-defined]


def _line(frame: object) -> int:
    """3.14 has `lineno`, 3.15 a location, which is missing for frames without source."""
    return int(getattr(getattr(frame, "location", frame), "lineno", 0) or 0)


def everything(pid: int) -> tuple[dict[int, list[tuple[str, int, str]]], list[dict[str, object]]]:
    """Stacks and tasks; no tasks where there are none to be told."""
    try:
        every = tasks(pid)
    except Exception:
        every = []
    return stacks(pid), every


def told(text: str) -> tuple[dict[int, list[tuple[str, int, str]]], list[dict[str, object]]]:
    """What this file, run as a program, has said of itself. Raises ValueError, TypeError."""
    import json

    found = json.loads(text)
    stacks = {int(number): _checked(frames) for number, frames in found["stacks"]}
    tasks: list[dict[str, object]] = [
        {
            "id": int(task["id"]),
            "name": str(task["name"]),
            "thread": int(task["thread"]),
            "frames": _checked(task["frames"]),
            "waiters": [each for each in task["waiters"] if isinstance(each, str | int)],
        }
        for task in found["tasks"]
    ]
    return stacks, tasks


def _checked(frames: object) -> list[tuple[str, int, str]]:
    return [(str(file), int(line), str(name)) for file, line, name in frames]  # type: ignore[attr-defined]


def _main(pid: int, thread: int = 0) -> None:
    import json

    found, tasks = ({thread: stack(pid, thread)}, []) if thread else everything(pid)
    print(json.dumps({"stacks": list(found.items()), "tasks": tasks}))


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:]))
