"""An asyncio server, and a client of its own that loads it; says what went wrong, if anything."""

import asyncio

served = 0
slowest = 0.0


async def serve(reader, writer):
    global served
    while line := await reader.readline():
        served += 1
        writer.write(b"answer " + line)


async def load(port):
    global slowest
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    while True:
        number += 1
        if number == 10:
            print("ready", flush=True)
        begin = loop.time()
        writer.write(f"{number}\n".encode())
        answer = await asyncio.wait_for(reader.readline(), 20)
        slowest = max(slowest, loop.time() - begin)
        if answer != f"answer {number}\n".encode():
            print("wrong", number, answer, flush=True)
        await asyncio.sleep(0.001)


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    asyncio.get_running_loop().set_exception_handler(lambda loop, told: print("loop", told))
    await load(server.sockets[0].getsockname()[1])


asyncio.run(main())
