"""A web service: `threads` (http.server) or `loop` (asyncio); answers with the sum of its input.

Says on which port. Each answer takes a few waits: a lock, a short sleep.
"""

import asyncio
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

counter, served = threading.Lock(), 0


def count():
    global served
    with counter:
        served += 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.002)
        count()
        self.answer(b"%d" % sum(data))

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


async def handle(reader, writer):
    while head := await _head(reader):
        size = next(int(x.split(b":")[1]) for x in head.split(b"\r\n") if b"-length" in x.lower())
        data = await reader.readexactly(size)
        await asyncio.sleep(0.002)
        count()
        body = b"%d" % sum(data)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
    writer.close()


async def _head(reader):
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1])
    print("ready", flush=True)
    await server.serve_forever()


if sys.argv[1] == "loop":
    asyncio.run(main())
else:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print("port", server.server_address[1])
    print("ready", flush=True)
    server.serve_forever()
