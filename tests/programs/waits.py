"""Waits, turn after turn, in what its argument names; each turn ends when a cell calls `release`.

A kind is a function that gives two others: one that waits, on the main thread, and gives what
came of it; and one that ends that wait, given a number that must come out of it where anything
can. `turn` counts the waits, `results` holds what came of those that have ended.
"""

import asyncio
import ctypes
import fcntl
import multiprocessing
import os
import queue
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures
from multiprocessing.pool import ThreadPool
from pathlib import Path

FAR = 600
os.environ.pop("WITNESS", None)  # what it starts has none
libc = ctypes.CDLL(None, use_errno=True)


def sleep():
    return lambda: time.sleep(FAR), None


def lock():
    gate = threading.Lock()
    gate.acquire()
    return gate.acquire, lambda n: gate.release()


def timed_lock():
    gate = threading.Lock()
    gate.acquire()
    return lambda: gate.acquire(timeout=FAR), lambda n: gate.release()


def rlock():
    gate, go, held = threading.RLock(), queue.SimpleQueue(), queue.SimpleQueue()

    def hold_loop():
        while True:
            with gate:
                held.put(None)
                go.get()

    threading.Thread(target=hold_loop, daemon=True).start()

    def wait():
        held.get()
        with gate:
            return True

    return wait, go.put


def semaphore():
    gate = threading.Semaphore(0)
    return gate.acquire, lambda n: gate.release()


def condition():
    changed, numbers = threading.Condition(), []

    def wait():
        with changed:
            changed.wait_for(lambda: numbers)
            return numbers.pop()

    def release(n):
        with changed:
            numbers.append(n)
            changed.notify()

    return wait, release


def event():
    happened = threading.Event()

    def wait():
        happened.wait()
        happened.clear()
        return True

    return wait, lambda n: happened.set()


def barrier():
    both = threading.Barrier(2)
    return lambda: both.wait() in (0, 1), lambda n: both.wait()


def get():
    items = queue.Queue()
    return items.get, items.put


def put():
    items = queue.Queue(1)
    items.put(0)
    return lambda: items.put(0), lambda n: items.get()


def simple_get():
    items = queue.SimpleQueue()
    return lambda: items.get(timeout=FAR), items.put


def join():
    ends = queue.SimpleQueue()

    def wait():
        thread = threading.Thread(target=ends.get)
        thread.start()
        thread.join()
        return thread.is_alive()

    return wait, ends.put


def future():
    numbers, pool = queue.SimpleQueue(), futures.ThreadPoolExecutor()
    return lambda: pool.submit(numbers.get).result(), numbers.put


def futures_wait():
    numbers, pool = queue.SimpleQueue(), futures.ThreadPoolExecutor()

    def wait():
        (done,), _ = futures.wait([pool.submit(numbers.get)])
        return done.result()

    return wait, numbers.put


def thread_pool():
    numbers, pool = queue.SimpleQueue(), ThreadPool(1)
    return lambda: pool.map(lambda _: numbers.get(), [0])[0], numbers.put


forking = multiprocessing.get_context("fork")


def process_pool():
    numbers = forking.SimpleQueue()
    pool = forking.Pool(1, vars(sys).update, ({"numbers": numbers},))  # in the child
    return lambda: pool.apply(_taken), numbers.put


def _taken():
    return sys.numbers.get()


def process_join():
    numbers = forking.SimpleQueue()

    def wait():
        child = forking.Process(target=numbers.get)
        child.start()
        child.join()
        return child.exitcode

    return wait, numbers.put


def process_queue():
    numbers = forking.SimpleQueue()
    return numbers.get, numbers.put


def process_lock():
    gate = forking.Lock()
    gate.acquire()
    return gate.acquire, lambda n: gate.release()


def connection():
    ours, theirs = forking.Pipe()
    return lambda: ours.recv() if ours.poll(None) else None, theirs.send


def accept():
    server = socket.create_server(("127.0.0.1", 0))

    def wait():
        with server.accept()[0] as client:
            return int(client.recv(9))

    def release(n):
        with socket.create_connection(server.getsockname()) as client:
            client.send(b"%d" % n)

    return wait, release


def receive():
    ours, theirs = socket.socketpair()
    return lambda: int(ours.recv(9)), lambda n: theirs.send(b"%d" % n)


def receive_timed():
    ours, theirs = socket.socketpair()
    ours.settimeout(FAR)
    return lambda: int(ours.recv(9)), lambda n: theirs.send(b"%d" % n)


def datagram():
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours.bind(("127.0.0.1", 0))
    theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return (
        lambda: int(ours.recvfrom(9)[0]),
        lambda n: theirs.sendto(b"%d" % n, ours.getsockname()),
    )


def _stream(read, write, size=1 << 20):
    """Sends more than there is room for; all of it must arrive, in order."""
    data = os.urandom(size)

    def release(n):
        got = b""
        while len(got) < size:
            got += read(size)
        received.put(got == data)

    received = queue.SimpleQueue()

    def wait():
        write(data)
        return received.get()

    return wait, release


def send():
    ours, theirs = socket.socketpair()
    return _stream(theirs.recv, ours.sendall)


def pipe():
    reader, writer = os.pipe()
    return lambda: int(os.read(reader, 9)), lambda n: os.write(writer, b"%d" % n)


def pipe_write():
    reader, writer = os.pipe()
    file = os.fdopen(writer, "wb")

    def write(data):
        file.write(data)
        file.flush()

    return _stream(lambda size: os.read(reader, size), write)


def fifo():
    path = Path(tempfile.mkdtemp(dir=os.environ.get("PLACE"))) / "fifo"
    os.mkfifo(path)

    def wait():
        return int(path.read_text())

    def release(n):
        path.write_text(str(n))

    return wait, release


def stdin():
    reader, writer = os.pipe()
    os.dup2(reader, 0)
    return lambda: int(input()), lambda n: os.write(writer, b"%d\n" % n)


def child():
    def release(n):
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        os.kill(int(children), signal.SIGTERM)

    return lambda: subprocess.run(["sleep", str(FAR)]).returncode, release


def waitpid():
    def wait():
        pid = os.posix_spawn("/bin/sleep", ["sleep", str(FAR)], {})
        return os.waitpid(pid, 0)[1]

    return wait, child()[1]


def selecting():
    reader, writer = os.pipe()

    def wait():
        select.select([reader], [], [])
        return int(os.read(reader, 9))

    return wait, lambda n: os.write(writer, b"%d" % n)


def polling():
    reader, writer = os.pipe()
    watched = select.poll()
    watched.register(reader, select.POLLIN)

    def wait():
        watched.poll(FAR * 1000)
        return int(os.read(reader, 9))

    return wait, lambda n: os.write(writer, b"%d" % n)


def epoll():
    reader, writer = os.pipe()
    watched = select.epoll()
    watched.register(reader, select.EPOLLIN)

    def wait():
        watched.poll()
        return int(os.read(reader, 9))

    return wait, lambda n: os.write(writer, b"%d" % n)


def loop():
    arrived = asyncio.Queue()
    running = asyncio.new_event_loop()
    return (
        lambda: running.run_until_complete(arrived.get()),
        lambda n: running.call_soon_threadsafe(arrived.put_nowait, n),
    )


def sigwait():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    return lambda: signal.sigwait({signal.SIGUSR1}), _signal


def sigtimedwait():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    return lambda: signal.sigtimedwait({signal.SIGUSR1}, FAR).si_signo, _signal


def pause():
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    return signal.pause, _signal


def _signal(n):
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)


def flock():
    file = tempfile.NamedTemporaryFile(dir=os.environ.get("PLACE"))  # noqa: SIM115 - to the end
    again = os.open(file.name, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_EX)

    def wait():
        fcntl.flock(again, fcntl.LOCK_EX)
        fcntl.flock(again, fcntl.LOCK_UN)
        fcntl.flock(file, fcntl.LOCK_EX)
        return True

    return wait, lambda n: fcntl.flock(file, fcntl.LOCK_UN)


def database():
    path = Path(tempfile.mkdtemp(dir=os.environ.get("PLACE"))) / "db"
    theirs = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    ours = sqlite3.connect(path, isolation_level=None, timeout=FAR)
    theirs.execute("create table numbers (n)")
    theirs.execute("begin exclusive")

    def wait():
        ours.execute("begin exclusive")
        ours.execute("commit")
        theirs.execute("begin exclusive")
        return True

    return wait, lambda n: theirs.execute("commit")


def c_sleep():
    return lambda: libc.sleep(FAR), None


def c_pause():
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    return libc.pause, _signal


def c_poll():
    reader, writer = os.pipe()

    def wait():
        watched = (ctypes.c_int * 2)(reader, select.POLLIN)
        while libc.poll(watched, 1, FAR * 1000) != 1:  # as C code does that is ready for signals
            pass
        return int(os.read(reader, 9))

    return wait, lambda n: os.write(writer, b"%d" % n)


def c_read():
    signal.signal(signal.SIGUSR1, lambda number, frame: print("handled", flush=True))
    signal.siginterrupt(signal.SIGUSR1, False)  # the C code does not return for it
    reader, writer = os.pipe()

    def wait():
        buffer = ctypes.create_string_buffer(9)
        ctypes.set_errno(77)  # is swapped for the library's while that is called
        return libc.read(reader, buffer, 9), int(buffer.value), ctypes.get_errno()

    return wait, lambda n: os.write(writer, b"%d" % n)


def c_semaphore():
    memory = ctypes.create_string_buffer(64)
    libc.sem_init(memory, 0, 0)

    def wait():
        while libc.sem_wait(memory):  # likewise
            pass
        return True

    return wait, lambda n: libc.sem_post(memory)


wait, release = globals()[sys.argv[1]]()
turn, results = 0, []
print("ready", flush=True)
while True:
    turn += 1
    begun = time.monotonic()
    results.append(wait())
    print("turn", turn, results[-1], flush=True)
