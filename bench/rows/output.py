"""Cells that say much: a hundred thousand lines, and a picture of ten megabytes.

Runs in the benchmark. All of it has arrived at the client when the clock stops.
"""

from __future__ import annotations

import binascii
import zlib

from .. import targets
from ..peers import OURS, STOCK, Workshop
from ..plan import Plan
from ..samples import REFERENCE, Budget, Row, in_turns, scaled
from ..wire import Client, Unanswered

LINES = 100_000
FIGURE = 10_000_000

_PRINT = f"for number in range({LINES}):\n    print('line', number)"
_DRAW = f"""
import os

class Figure:
    def __init__(self):
        self.png = bytes.fromhex("89504e470d0a1a0a") + os.urandom({FIGURE} - 8)

    def _repr_png_(self):
        return self.png

    def __repr__(self):
        return "a figure"

figure = Figure()
import zlib
print(zlib.crc32(figure.png))
"""


def measure_lines(shop: Workshop, plan: Plan) -> list[Row]:
    expected = "".join(f"line {number}\n" for number in range(LINES))

    def printed(client: Client) -> float:
        answer = client.run(_PRINT)
        if answer.text() != expected:
            raise Unanswered("what was printed is not what arrived")
        return answer.seconds

    with (
        targets.idle(shop.environment) as target,
        shop.kernel(OURS, target) as ours,
        shop.kernel(STOCK) as stock,
    ):
        actions = {OURS: lambda: printed(ours), REFERENCE: lambda: printed(stock)}
        samples = in_turns(actions, plan.rounds(4, 20))
    name = "100 000 printed lines"
    return [Row(name, "ms", "ipykernel", Budget(0.5), scaled(samples, 1e3), digits=0)]


def measure_figure(shop: Workshop, plan: Plan) -> list[Row]:
    def drawn(client: Client, checksum: int) -> float:
        answer = client.run("figure")
        if zlib.crc32(binascii.a2b_base64(answer.value("image/png") or "")) != checksum:
            raise Unanswered("the picture that arrived is not the one that was shown")
        return answer.seconds

    with (
        targets.idle(shop.environment) as target,
        shop.kernel(OURS, target) as ours,
        shop.kernel(STOCK) as stock,
    ):
        sums = {client: int(client.run(_DRAW).text()) for client in (ours, stock)}
        actions = {
            OURS: lambda: drawn(ours, sums[ours]),
            REFERENCE: lambda: drawn(stock, sums[stock]),
        }
        samples = in_turns(actions, plan.rounds(5, 20))
    return [Row("10 MB figure", "ms", "ipykernel", Budget(0.5), scaled(samples, 1e3), digits=0)]
