"""What measurements are about: the parts of the table, on the screen and in the documentation.

Pure. Rule: every measurement has its topic; a test holds that.
"""

from __future__ import annotations

TOPICS: dict[str, tuple[str, ...]] = {
    "Getting in": ("spawn", "attach", "fleet", "imports", "stall", "memory"),
    "Cells": ("idle", "busy", "main", "loop", "cells"),
    "Completion": ("complete", "complete_large"),
    "Output": ("lines", "million", "figure", "pull"),
    "The program's pace": ("speed", "app", "trace", "watch", "break"),
}
"""By the names that the command line has for measurements, in the order of the table."""


def topic(measurement: str) -> str:
    """The head above its rows; empty for one that is not known any more."""
    return next((name for name, members in TOPICS.items() if measurement in members), "")


def place(measurement: str) -> tuple[int, int]:
    """Where its rows stand, to sort by; what is not known any more comes last."""
    for number, members in enumerate(TOPICS.values()):
        if measurement in members:
            return number, members.index(measurement)
    return len(TOPICS), 0
