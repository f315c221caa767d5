"""The benchmark's peers: each is driven for real, and one that can't be is named."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from bench import report, targets
from bench.beside import compare
from bench.by_pid import ENTRANCES, MEMRAY, PDB, Unavailable
from bench.dap import Adapter, AdapterFailed
from bench.peers import Workshop
from bench.samples import OURS, REFERENCE

# Refuses everything, in two writes that split a message where it should not matter.
_ADAPTER = """
import json, sys
while (line := sys.stdin.buffer.readline()):
    length = int(line.split(b":")[1])
    sys.stdin.buffer.readline()
    request = json.loads(sys.stdin.buffer.read(length))
    answer = {"type": "response", "request_seq": request["seq"], "command": request["command"],
              "success": False, "message": "not today"}
    body = json.dumps(answer).encode()
    event = b'{"type": "event", "event": "last"}'
    whole = b"".join(b"Content-Length: %d\\r\\n\\r\\n%s" % (len(x), x) for x in (event, body))
    for part in whole[:40], whole[40:]:
        sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, "")  # which a workshop sets, and this puts back
    return Workshop(tmp_path)


def test_a_peer_that_fails_is_named_and_the_others_are_measured() -> None:
    asked = []

    def fail() -> float:
        asked.append(1)
        raise Unavailable("it is not installed")

    compared = compare({OURS: lambda: 1.0, "there": lambda: 2.0, "missing": fail}, rounds=3)
    there, missing = compared.row("x", "there"), compared.row("y", "missing")
    assert (there.ratio, there.note) == (0.5, "")
    assert there.samples[REFERENCE] == [2.0] * 3
    assert missing.ratio is None
    assert missing.median(OURS) == 1.0
    assert asked == [1]
    text = report.table([there, missing])
    assert "not measured here: Unavailable: it is not installed" in text


def test_ours_may_not_fail() -> None:
    def fail() -> float:
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        compare({OURS: fail, "there": lambda: 2.0}, rounds=1)


@pytest.mark.attach
@pytest.mark.slow
@pytest.mark.parametrize("who", ENTRANCES)
def test_who_enters_by_pid_answers_and_leaves_the_program_running(shop: Workshop, who: str) -> None:
    with targets.idle(shop.environment) as target:
        begun = time.perf_counter()
        with ENTRANCES[who](shop, target) as entered:
            assert 0 < entered.ready <= entered.answered <= time.perf_counter() - begun
        assert target.process.poll() is None


@pytest.mark.parametrize("who", [PDB, MEMRAY])
def test_who_finds_no_program_says_so(shop: Workshop, who: str) -> None:
    with targets.idle(shop.environment) as target:
        pass
    with pytest.raises(Unavailable), ENTRANCES[who](shop, target):
        raise AssertionError("it has entered a process that has gone")


def test_an_adapter_that_refuses_or_ends_is_an_error(tmp_path: Path) -> None:
    with Adapter([sys.executable, "-c", _ADAPTER], {}, tmp_path) as adapter:
        with pytest.raises(AdapterFailed, match="initialize: not today"):
            adapter.ask("initialize", {"a": "ä" * 100})
        assert adapter.event("last") == {}
    with (
        Adapter([sys.executable, "-c", ""], {}, tmp_path) as adapter,
        pytest.raises(AdapterFailed, match="ended before"),
    ):
        adapter.event("initialized")


def test_the_echo_answers_as_a_kernel_does(shop: Workshop) -> None:
    with shop.echo() as client:
        answer = client.run("6 * 7")
        assert answer.value() == "42"
        assert [kind for kind, _ in answer.outputs] == [
            "status",
            "execute_input",
            "execute_result",
            "status",
        ]
