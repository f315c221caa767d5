"""ZMQ is loaded without `inspect`, and nobody can tell."""

from __future__ import annotations

import inspect

from loading import loaded_by, printed_by

from live_kernel.launcher import zmq_loading

BEGIN = "import sys; from live_kernel.launcher import zmq_loading\n"


def test_the_flags_are_those_of_inspect() -> None:
    assert {name: getattr(inspect, name) for name in zmq_loading.FLAGS} == zmq_loading.FLAGS


def test_zmq_asks_for_nothing_else() -> None:
    loaded = loaded_by(f"{BEGIN}zmq_loading.load()")
    assert "zmq" in loaded
    assert not loaded & {"inspect", "dis", "tokenize"}


def test_zmq_works_afterwards_and_so_does_inspect() -> None:
    code = """
zmq_loading.load()
import inspect, zmq
with zmq.Context() as context, context.socket(zmq.REP) as here, context.socket(zmq.REQ) as there:
    there.connect(f"tcp://127.0.0.1:{here.bind_to_random_port('tcp://127.0.0.1')}")
    there.send(b"question")
    print(here.recv(), inspect.signature(print), inspect.__spec__.name)
"""
    assert printed_by(BEGIN + code).startswith("b'question' (*args, sep=' '")


def test_who_asks_for_more_gets_the_real_one() -> None:
    code = """
stand_in = zmq_loading._StandIn("inspect")
sys.modules["inspect"] = stand_in
import inspect as asked
print(asked.signature(lambda a, b=1: 0), sys.modules["inspect"] is stand_in, hasattr(asked, "no"))
"""
    assert printed_by(BEGIN + code) == "(a, b=1) False False\n"


def test_one_that_is_there_is_left_alone() -> None:
    code = "import inspect; zmq_loading.load(); print(sys.modules['inspect'] is inspect)"
    assert printed_by(BEGIN + code) == "True\n"
