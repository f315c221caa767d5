"""What each wait ends with, in words; and what makes such a call, as a rule.

Pure; used by `blocked`. Rule: a wait that is not here ends when "the system call returns".
"""

from __future__ import annotations

USUAL_CALL = {
    "clock_nanosleep": "time.sleep",
    "nanosleep": "time.sleep",
    "pause": "signal.pause",
    "rt_sigtimedwait": "signal.sigwait",
    "wait4": "os.waitpid",
    "waitid": "os.waitid",
    "accept": "socket.accept",
    "accept4": "socket.accept",
    "connect": "socket.connect",
    "flock": "fcntl.flock",
    "futex": "a lock",
}
"""What makes the call in Python, where it is nearly always that."""

READS = frozenset({"read", "readv", "pread64", "recvfrom", "recvmsg"})

_WAKES = {
    "clock_nanosleep": "the sleep ends",
    "nanosleep": "the sleep ends",
    "restart_syscall": "the sleep or the wait ends",
    "epoll_wait": "a request or a signal arrives, or a timer of its event loop is due",
    "epoll_pwait": "a request or a signal arrives, or a timer of its event loop is due",
    "epoll_pwait2": "a request or a signal arrives, or a timer of its event loop is due",
    "poll": "one of the files that it watches is ready, or its time-out ends",
    "ppoll": "one of the files that it watches is ready, or its time-out ends",
    "select": "one of the files that it watches is ready, or its time-out ends",
    "pselect6": "one of the files that it watches is ready, or its time-out ends",
    "accept": "a client connects",
    "accept4": "a client connects",
    "connect": "the other side answers",
    "write": "the reader at the other end takes what is written",
    "writev": "the reader at the other end takes what is written",
    "sendto": "the other side takes what is sent",
    "sendmsg": "the other side takes what is sent",
    "wait4": "the child process that it waits for ends",
    "waitid": "the child process that it waits for ends",
    "clone": "the child process that it starts has begun",
    "vfork": "the child process that it starts has begun",
    "clone3": "the child process that it starts has begun",
    "pause": "a signal arrives that it handles",
    "rt_sigsuspend": "a signal arrives that it handles",
    "rt_sigtimedwait": "a signal arrives that it waits for",
    "flock": "the file lock is released",
    "fcntl": "the file lock is released",
    "fsync": "the disk has written",
    "fdatasync": "the disk has written",
    "futex_waitv": "the lock is released",
    "msgrcv": "a message arrives",
    "mq_timedreceive": "a message arrives",
    "semop": "the semaphore is released",
    "semtimedop": "the semaphore is released",
    "io_uring_enter": "one of its operations completes",
    "io_getevents": "one of its operations completes",
    "openat": "the file can be opened (a FIFO: the other end is opened)",
}


_WAKES_LOCK = {
    "join": "the thread that it waits for ends",
    "Queue.get": "the queue gets an item",
    "Queue.put": "the queue has room",
    "Queue.join": "all items of the queue are done",
    "result": "the task that it waits for is done",
    "Event.wait": "the event is set",
    "Condition.wait": "the condition is notified",
    "Condition.wait_for": "the condition is notified",
    "Barrier.wait": "the other threads arrive at the barrier",
    "Semaphore.acquire": "the semaphore is released",
}
"""By the end of the name of the library function that waits."""


def end_of(syscall: str, call: str, descriptor: str) -> str:
    """What would end a wait in `syscall`, made by the library function `call`."""
    if syscall == "futex":
        return _of_lock(call)
    if syscall in READS:
        return _of_read(descriptor)
    return _WAKES.get(syscall, "the system call returns")


def _of_lock(call: str) -> str:
    parts = call.split(".")
    default = "the lock that it waits for is released"
    return _WAKES_LOCK.get(".".join(parts[-2:]), _WAKES_LOCK.get(parts[-1], default))


def _of_read(descriptor: str) -> str:
    if descriptor.startswith("/dev/") and ("tty" in descriptor or "pts" in descriptor):
        return "somebody types a line in its terminal"
    if descriptor.startswith("socket"):
        return "the other side sends something"
    if descriptor.startswith("pipe"):
        return "something is written into the pipe"
    return "there is something to read"
