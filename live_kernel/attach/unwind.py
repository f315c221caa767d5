"""The Python stack of one thread of another process.

Runs in the launcher where that is of the target's version, else in the target's
own interpreter as a program of its own (`python -I -S -c SOURCE PID TID`): so it
imports nothing of ours, little else, and keeps to what 3.14 and 3.15 have.
Rule: reads the memory of a process that goes on running; what comes back may be
torn, and any exception means only that there is nothing to tell.
"""

import sys


def stack(pid: int, thread: int) -> list[tuple[str, int, str]]:
    """Frames as (file, line, function), innermost first; of thread id `thread`.

    Raises ImportError, RuntimeError, OSError and others.
    """
    # By this name, since type checkers know no such module.
    unwinder = __import__("_remote_debugging").RemoteUnwinder(pid, all_threads=True)
    for each in unwinder.get_stack_trace():
        # 3.14 gives threads, 3.15 interpreters with threads.
        for found in getattr(each, "threads", [each]):
            if found.thread_id == thread:
                return [(f.filename, _line(f), f.funcname) for f in found.frame_info]
    return []


def _line(frame: object) -> int:
    """3.14 has `lineno`, 3.15 a location, which is missing for frames without source."""
    return int(getattr(getattr(frame, "location", frame), "lineno", 0) or 0)


if __name__ == "__main__":
    print(ascii(stack(int(sys.argv[1]), int(sys.argv[2]))))
