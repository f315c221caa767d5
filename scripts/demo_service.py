#!/usr/bin/env python3
"""A web service that sells coffee, written as any asyncio service is.

It keeps its state in memory: the orders, the takings, a cache of exchange
rates; a task in the background brews, a thread keeps the books. Nothing in
here knows that anyone might attach to it.

    python scripts/demo_service.py [PORT]
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MENU = {"espresso": 2.20, "cortado": 2.80, "flat white": 3.60, "mocha": 4.10}
SUPPLIER = {"EUR": 1.0, "USD": 1.17, "JPY": 172.4}
KEPT = 2_000

discount = 0
"""Per cent off every order."""


@dataclass
class Order:
    id: int
    item: str
    count: int
    discount: int
    total: float
    state: str = "new"


numbers = itertools.count(1)
orders: dict[int, Order] = {}
takings: dict[str, float] = dict.fromkeys(MENU, 0.0)
rates: dict[str, tuple[float, float]] = {"EUR": (1.0, float("inf"))}
to_brew: asyncio.Queue[Order] = asyncio.Queue()
to_book: queue.SimpleQueue[Order] = queue.SimpleQueue()


def price(item: str, count: int, off: int) -> float:
    return round(MENU[item] * count * (100 - off) / 100, 2)


async def place(item: str, count: int) -> Order:
    """Take an order: it is brewed and booked behind the customer's back."""
    off = discount
    order = Order(next(numbers), item, count, off, price(item, count, off))
    orders[order.id] = order
    orders.pop(order.id - KEPT, None)
    await to_brew.put(order)
    to_book.put(order)
    return order


async def rate(currency: str) -> float:
    """What a euro is worth; the supplier is slow, so the answer is kept for a minute."""
    value, good_until = rates.get(currency, (0.0, 0.0))
    if time.monotonic() > good_until:
        await asyncio.sleep(0.1)
        value = SUPPLIER[currency]
        rates[currency] = (value, time.monotonic() + 60)
    return value


async def brew() -> None:
    while True:
        order = await to_brew.get()
        order.state = "brewing"
        await asyncio.sleep(0.002 * order.count)
        order.state = "served"


def keep_books() -> None:
    while True:
        order = to_book.get()
        takings[order.item] = round(takings[order.item] + order.total, 2)


async def show_menu(request: Request) -> JSONResponse:
    off, currency = discount, request.query_params.get("currency", "EUR")
    if currency not in SUPPLIER:
        return JSONResponse({"error": f"no rate for {currency}"}, 422)
    worth = await rate(currency)
    prices = {item: round(price(item, 1, off) * worth, 2) for item in MENU}
    return JSONResponse({"currency": currency, "discount": off, "prices": prices})


async def take_order(request: Request) -> JSONResponse:
    wanted = await request.json()
    if wanted["item"] not in MENU:
        return JSONResponse({"error": f"we do not serve {wanted['item']}"}, 422)
    order = await place(wanted["item"], wanted["count"])
    return JSONResponse(asdict(order), 201)


async def show_order(request: Request) -> JSONResponse:
    order = orders.get(request.path_params["id"])
    if order is None:
        return JSONResponse({"error": "no such order"}, 404)
    return JSONResponse(asdict(order))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    brewing = asyncio.create_task(brew(), name="brew")
    print(f"Coffee is served at {app.state.url}", flush=True)
    yield
    brewing.cancel()


app = Starlette(
    routes=[
        Route("/menu", show_menu),
        Route("/orders", take_order, methods=["POST"]),
        Route("/orders/{id:int}", show_order),
    ],
    lifespan=lifespan,
)


def main(port: int) -> None:
    # The protocol is named, so that asyncio knows to set TCP_NODELAY.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        app.state.url = "http://{}:{}".format(*listener.getsockname())
        threading.Thread(target=keep_books, name="books", daemon=True).start()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        server.run(sockets=[listener])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
