#!/usr/bin/env python3
"""A web service that shortens links, for notebooks/web_service.ipynb to look into.

It keeps the links in SQLite, behind a pool of connections, and counts the
visits in memory. Nothing in here knows that anyone might attach to it.

    python notebooks/programs/web_service.py [PORT]
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

KNOWN = {
    "python": "https://www.python.org/",
    "jupyter": "https://jupyter.org/",
    "pep768": "https://peps.python.org/pep-0768/",
    "docs": "docs.python.org/3/",  # as its owner typed it
}

Row = tuple[object, ...]


class Connection:
    """One connection to the database, on a thread of its own, as SQLite wants it."""

    def __init__(self, path: Path, number: int) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"database-{number}")
        self._database = self._thread.submit(sqlite3.connect, path, isolation_level=None).result()

    async def fetch(self, query: str, *values: object) -> list[Row]:
        """All rows that a statement gives."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._fetch, query, values)

    def _fetch(self, query: str, values: Row) -> list[Row]:
        return self._database.execute(query, values).fetchall()

    def close(self) -> None:
        self._thread.submit(self._database.close)
        self._thread.shutdown()


class Pool:
    """Some connections, each lent to one task at a time; whoever comes then, waits."""

    def __init__(self, path: Path, size: int) -> None:
        self.connections = [Connection(path, number) for number in range(size)]
        self.free: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in self.connections:
            self.free.put_nowait(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await self.free.get()
        try:
            yield connection
        finally:
            self.free.put_nowait(connection)

    async def fetch(self, query: str, *values: object) -> list[Row]:
        async with self.connection() as connection:
            return await connection.fetch(query, *values)

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


pool: Pool
visits: Counter[str] = Counter()


async def shorten(request: Request) -> JSONResponse:
    link = (await request.json())["link"]
    key = secrets.token_urlsafe(6)
    await pool.fetch("INSERT INTO links VALUES (?, ?)", key, link)
    return JSONResponse({"key": key, "link": link}, 201)


async def follow(request: Request) -> RedirectResponse | JSONResponse:
    key = request.path_params["key"]
    rows = await pool.fetch("SELECT link FROM links WHERE key = ?", key)
    if not rows:
        return JSONResponse({"error": f"no link is called {key}"}, 404)
    visits[key] += 1
    return RedirectResponse(str(rows[0][0]))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    global pool
    with tempfile.TemporaryDirectory(prefix="links-") as place:
        pool = Pool(Path(place, "links.sqlite"), size=4)
        await pool.fetch("PRAGMA journal_mode = WAL")
        await pool.fetch("CREATE TABLE links (key TEXT PRIMARY KEY, link TEXT NOT NULL)")
        for key, link in KNOWN.items():
            await pool.fetch("INSERT INTO links VALUES (?, ?)", key, link)
        print(f"ready: links are shortened at {app.state.url}", flush=True)
        yield
        pool.close()


routes = [Route("/links", shorten, methods=["POST"]), Route("/{key}", follow)]
app = Starlette(routes=routes, lifespan=lifespan)


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        app.state.url = "http://{}:{}".format(*listener.getsockname())
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
