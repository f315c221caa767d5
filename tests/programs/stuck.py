"""Has threads and tasks; told "hold" on stdin, keeps the GIL in C code until the next line."""

import asyncio
import ctypes
import sys
import threading


def hold():
    print("holding", flush=True)
    ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(100), 100)  # here
    print("let go", flush=True)


def wait_for_orders():
    while sys.stdin.buffer.raw.readline() == b"hold\n":
        thread = threading.Thread(target=hold, name="holder", daemon=True)
        thread.start()
        thread.join()


async def fetch(number):
    page = f"page {number}"
    await asyncio.sleep(1000)
    return page


async def gathered():
    await asyncio.gather(fetch(3), fetch(4))


async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(fetch(1), name="fetch-1")
        group.create_task(fetch(2), name="\x1b[31m<b>fetch-2")
        group.create_task(gathered(), name="gathered")
        print("ready", flush=True)


def größe_世界():  # noqa: N802, PLC2401 - as a program may name it
    asyncio.run(fetch(5))


threading.Thread(target=wait_for_orders, name="orders", daemon=True).start()
threading.Thread(target=größe_世界, name="<i>loop</i>\x1b[2J", daemon=True).start()
asyncio.run(main())
