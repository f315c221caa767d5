"""What is measured, one module for each thing.

Runs in the benchmark. A measurement takes a workshop and a plan and returns
rows; its name is what the command line calls it. README.md says of each row why
it matters and where its limit is. Rule: a measurement checks that what came
back is right before it believes how long that took.
"""

from __future__ import annotations

from collections.abc import Callable

from ..peers import Workshop
from ..plan import Plan
from ..samples import Row
from . import (
    app,
    attach,
    breakpoints,
    crowd,
    endurance,
    fleet,
    imports,
    loops,
    memory,
    output,
    places,
    pull,
    round_trip,
    spawn,
    speed,
    stall,
    trace,
    watch,
)

type Measurement = Callable[[Workshop, Plan], list[Row]]

MEASUREMENTS: dict[str, Measurement] = {
    "spawn": spawn.measure,
    "attach": attach.measure,
    "fleet": fleet.measure,
    "idle": round_trip.measure_idle,
    "busy": round_trip.measure_busy,
    "main": places.measure,
    "complete": round_trip.measure_completion,
    "lines": output.measure_lines,
    "figure": output.measure_figure,
    "loop": loops.measure,
    "stall": stall.measure,
    "speed": speed.measure,
    "trace": trace.measure,
    "memory": memory.measure,
    "break": breakpoints.measure,
    "watch": watch.measure,
    "app": app.measure,
    "imports": imports.measure,
    "complete_large": crowd.measure,
    "million": endurance.measure_million,
    "cells": endurance.measure_cells,
    "pull": pull.measure,
}
