"""Stands in functions of every kind, each on a thread of its name; tells when a local changes."""

import asyncio
import itertools
import threading
import time
import weakref

told = set()
gone = threading.Event()
unwinding = threading.Event()


class Token:
    pass


def tell(kind, *values):
    if kind not in told:
        told.add(kind)
        print(kind, *values, flush=True)


def pauses(kind):
    while kind not in told:
        time.sleep(0.005)
        yield


def nested():
    word = "start"

    def inner():
        while word == "start":
            time.sleep(0.005)
        tell("nested", word)

    inner()


def generator():
    def steps():
        word = "start"
        while word == "start":
            time.sleep(0.005)
            yield
        tell("generator", word)

    for _ in steps():
        pass


def class_body():
    class Body:
        word = "start"
        while word == "start":
            time.sleep(0.005)
        tell("class_body", word)


def comprehension():
    return [
        tell("comprehension", word)
        for word in ("start",)
        for _ in pauses("comprehension")
        if word != "start"
    ]


def genexpr():
    return list(  # noqa: C400 - a generator expression has a frame of its own
        tell("genexpr", word) for word in ("start",) for _ in pauses("genexpr") if word != "start"
    )


def in_class():
    class InClass:
        found = [part for part in ("inside",) for _ in pauses("in_class")]  # noqa: RUF012


def depth(level):
    word = f"level {level}"
    if level == 0:
        unwinding.wait()
    else:
        depth(level - 1)
    if word != f"level {level}":
        tell("recursion", level, word)


def recursion():
    depth(3)


def leaving():
    def leave():
        global token
        secret = Token()
        token = weakref.ref(secret)
        gone.wait()

    leave()
    gone.clear()
    gone.wait()


async def serve(kind):
    word = "start"
    while word == "start":  # noqa: ASYNC110 - changed from outside, without a word
        await asyncio.sleep(0.005)
    tell(kind, word)


async def request(kind):
    user = f"user of {kind}"
    await serve(kind)
    return user


async def ticks():
    word = "start"
    while word == "start":  # noqa: ASYNC110 - changed from outside, without a word
        await asyncio.sleep(0.005)
    tell("asynchronous", word)
    yield


async def asynchronous():
    async for _ in ticks():
        pass


def loop():
    async def main():
        async with asyncio.TaskGroup() as group:
            for name in ("first", "second"):
                group.create_task(request(name), name=name)
            group.create_task(asynchronous(), name="asynchronous")

    asyncio.run(main())


class Pause:
    def __await__(self):
        yield


async def sleeper():
    word = Token()
    await Pause()
    return word


def counter():
    step = 1
    while True:
        yield step


counting = counter()
next(counting)
sleeping = sleeper()
sleeping.send(None)
sleeper_ref = weakref.ref(sleeping)

for body in (
    *(nested, generator, class_body, comprehension, genexpr, in_class),
    *(recursion, leaving, loop),
):
    threading.Thread(target=body, name=body.__name__, daemon=True).start()
print("ready", flush=True)
rests = map(time.sleep, itertools.repeat(0.005))
found = [part for part in ("of the module",) for _ in rests]
