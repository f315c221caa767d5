"""A part of the table of faults; `make faults` tries all of it (see faults.py).

Runs in pytest. Chosen so that each step of the attach and of the detach, each party and each
fault has its turn, and what takes longest comes once.
"""

from __future__ import annotations

import faults
import pytest

pytestmark = [pytest.mark.attach, pytest.mark.harm]

_CASES = {str(case): case for case in faults.cases()}

_CHOSEN = [
    *(f"attach: {name} - launcher - SIGKILL" for name in faults.IN_LAUNCHER),
    *(f"attach: {name} - launcher - SIGKILL" for name in faults.IN_TARGET),
    *(f"cell: {name} - launcher - SIGKILL" for name in faults.STATES),
    "attach: directory made - target - SIGKILL",
    "attach: all written - launcher - full disk",
    "attach: all written - launcher - SIGSTOP",
    "attach: scheduled - front-end - SIGKILL",
    "attach: scheduled - target - SIGSTOP",
    "attach: bootstrap runs - target - SIGKILL",
    "attach: half of them are - target - SIGKILL",
    "attach: second channel - target - SIGKILL",
    "attach: modules are loaded - launcher - SIGSTOP",
    "attach: nothing written - launcher - full disk",
    "attach: helper holds the thread - helper - SIGKILL",
    "attach: helper has written - launcher - SIGKILL",
    "attach: other Python compiles - helper - SIGKILL",
    "attach: other Python writes - helper - full disk",
    "cell: local kernel is bridged - launcher - SIGKILL",
    "cell: local kernel begins - launcher - full disk",
    "cell: a flood - front-end - SIGSTOP",
    "cell: a flood - launcher - SIGSTOP",
    "cell: %watch - target - SIGKILL",
    "cell: %trace - front-end - SIGKILL",
    "cell: !command - helper - SIGKILL",
    "holds: %%main flood - launcher - SIGSTOP",
    "holds: %%main question - launcher - SIGKILL",
    "holds: breakpoint - launcher - SIGSTOP",
    "holds: %enter - target - SIGKILL",
    "detach: agent undoes - launcher - SIGKILL",
    "detach: agent says goodbye - launcher - SIGSTOP",
    "restart: agent begins to leave - launcher - SIGKILL",
    "restart: agent has stopped cells - target - SIGKILL",
]


@pytest.mark.parametrize("name", _CHOSEN)
def test_all_others_survive(name: str) -> None:
    faults.run(_CASES[name])
