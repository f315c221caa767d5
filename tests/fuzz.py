"""The fuzzer: property tests of hostile input, driven by what code they reach. `make fuzz`.

Runs by hand, as long as one likes. Each surface is a property test of the test suite, which
takes its input from hypothesis; here atheris (libFuzzer) chooses that, so that inputs which
reach new code of `live_kernel` are kept and varied. Each surface has a process of its own, for
its share of the time, and its inputs are kept in .artefacts/fuzz for the next run. Rule: what is
found here becomes a test of its own.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / ".artefacts" / "fuzz"

SURFACES = {
    "link: frames and messages": "test_hostile_bytes.test_frames",
    "link: what is framed": "test_hostile_bytes.test_what_is_framed_comes_out_again",
    "link: knocking": "test_hostile_agents.test_whoever_knocks",
    "link: agents that lie": "test_hostile_agents.test_whatever_agents_and_front_ends_say",
    "answers: what looks show": "test_hostile_agents.test_what_looks_show",
    "jupyter: signed messages": "test_hostile_bytes.test_jupyter_messages",
    "jupyter: what is sent on": "test_hostile_bytes.test_whatever_a_target_says_can_be_sent_on",
    "jupyter: connection files": "test_hostile_bytes.test_connection_files",
    "start: argv": "test_hostile_bytes.test_argv",
    "start: choices, notebooks": "test_hostile_bytes.test_remembered_choices_and_notebooks",
    "start: history database": "test_hostile_bytes.test_history",
    "process: ELF files": "test_hostile_bytes.test_elf_files",
    "process: memory": "test_hostile_bytes.test_memory",
    "process: tables of lines": "test_hostile_bytes.test_tables_of_lines",
    "process: command lines": "test_hostile_bytes.test_command_lines",
    "process: names in /proc": "test_hostile_bytes.test_names_in_proc",
    "objects: completion": "test_hostile_objects.test_completion",
    "objects: inspection": "test_hostile_objects.test_inspection",
    "objects: results": "test_hostile_objects.test_what_is_shown_of_values",
    "objects: traces": "test_hostile_objects.test_what_a_trace_shows",
    "objects: tracebacks": "test_hostile_objects.test_tracebacks",
}
"""Each surface, and the property test that drives it."""

_LARGEST_INPUT = 4096
_SLOWEST = 60
"""Seconds that one input may take, before that is a finding."""

_MEMORY = 2048
"""Megabytes that a surface may take, before that is a finding."""


class Tally(NamedTuple):
    """What came of one surface. `points`: places in the code that its inputs have reached."""

    inputs: int
    points: int
    kept: int
    seconds: float
    finding: str


def main() -> int:
    """Fuzz each surface in turn, and print a row for each. Returns 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz FUZZ_ARGS=…", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for all surfaces together")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="surfaces with this in their name"
    )
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        drive(given.child, given.minutes)
    chosen = [name for name in SURFACES if given.only in name]
    share = given.minutes * 60 / max(1, len(chosen))
    print(
        f"{'surface':<28}{'inputs':>10}{'reached':>9}{'kept':>6}{'seconds':>9}  found", flush=True
    )
    found = 0
    for name in chosen:
        tally = fuzz(name, share)
        found += bool(tally.finding)
        numbers = f"{tally.inputs:>10,}{tally.points:>9,}{tally.kept:>6,}{tally.seconds:>9.0f}"
        print(f"{name:<28}{numbers}  {tally.finding or 'nothing'}", flush=True)
    return int(found > 0)


def fuzz(name: str, seconds: float) -> Tally:
    """One surface, in a process of its own."""
    place = CORPUS / re.sub(r"\W+", "-", name)
    place.mkdir(parents=True, exist_ok=True)
    log = place.with_suffix(".log")
    begun = time.monotonic()
    command = [sys.executable, __file__, "--child", name, "--minutes", str(seconds / 60)]
    with log.open("w") as file:
        ended = subprocess.run(
            command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, check=False,
            timeout=seconds + 300, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    told = log.read_text(errors="replace")
    reached = re.findall(r"cov: (\d+).*? corp: (\d+)", told)
    points, kept = map(int, reached[-1]) if reached else (0, 0)
    inputs = [int(number) for number in re.findall(r"^#(\d+)\t", told, re.MULTILINE)]
    finding = "" if ended.returncode == 0 else f"{_last_error(told)} (see {log.relative_to(ROOT)})"
    return Tally(max(inputs, default=0), points, kept, time.monotonic() - begun, finding)


def _last_error(told: str) -> str:
    lines = re.findall(
        r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt|timeout)\b.*", told, re.MULTILINE
    )
    return lines[-1][:100] if lines else "ended badly"


def drive(name: str, minutes: float) -> None:
    """In the process of one surface: never returns."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import atheris

    module, _, test = SURFACES[name].partition(".")
    with atheris.instrument_imports(include=["live_kernel"]):
        property_test = getattr(importlib.import_module(module), test)
    place = CORPUS / re.sub(r"\W+", "-", name)
    options = [
        f"-max_total_time={max(1, int(minutes * 60))}",
        f"-max_len={_LARGEST_INPUT}",
        f"-timeout={_SLOWEST}",
        f"-rss_limit_mb={_MEMORY}",
        f"-artifact_prefix={place}.found-",
    ]
    atheris.Setup([sys.argv[0], *options, str(place)], property_test.hypothesis.fuzz_one_input)
    atheris.Fuzz()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
