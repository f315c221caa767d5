"""A web application on asyncio, which answers every request with a page of JSON.

Its argument names a file in which it keeps doubles: first how many requests it has answered,
then its port on 127.0.0.1. Connections are kept open, as those of a load balancer are.
"""

import asyncio
import json
import mmap
import sys
from pathlib import Path

with Path(sys.argv[1]).open("r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
record = memoryview(memory).cast("d")

orders = {
    number: {"number": number, "total": number * 1.5, "paid": number % 3 == 0}
    for number in range(200)
}


def page(start: int) -> bytes:
    chosen = [orders[(start + step) % len(orders)] for step in range(40)]
    body = json.dumps({"orders": chosen, "total": sum(order["total"] for order in chosen)})
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body.encode())


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            writer.write(page(int(request.split()[1].removeprefix(b"/"))))
            await writer.drain()
            record[0] += 1
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    record[1] = server.sockets[0].getsockname()[1]
    async with server:
        await server.serve_forever()


asyncio.run(main())
