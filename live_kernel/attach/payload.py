"""What is sent into a target: the agent and the link, compiled, and the script that starts them.

Runs in the launcher, on the thread that attaches. Rule: the agent is read as
files and never imported here; it is compiled by the same Python version that
will run it, because a bytecode of another one would crash the target, and in
advance, because `compile` holds the interpreter lock for its whole length.
"""

from __future__ import annotations

import binascii
import marshal
import os
from collections.abc import Iterable
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source
from itertools import chain
from pathlib import Path
from types import CodeType

HERE = Path(__file__).resolve().parent.parent

_HEAD = 16
"""Bytes before the code in a cached module: magic number, flags, date and size of its source."""

MODULES = (
    "link",
    "link.frames",
    "link.limits",
    "link.messages",
    "link.parcels",
    "agent",
    "agent.native",
    "agent.ledger",
    "agent.streams",
    "agent.forks",
    "agent.peers",
    "agent.output",
    "agent.frames",
    "agent.interrupt",
    "agent.lanes",
    "agent.names",
    "agent.namespace",
    "agent.asking",
    "agent.lookup",
    "agent.results",
    "agent.signatures",
    "agent.pretty",
    "agent.shared",
    "agent.backend_inline",
    "agent.figures",
    "agent.limits",
    "agent.display",
    "agent.tracebacks",
    "agent.places",
    "agent.comms",
    "agent.lent",
    "agent.parents",
    "agent.prompting",
    "agent.stepping",
    "agent.debugger",
    "agent.libraries",
    "agent.errands",
    "agent.capture",
    "agent.expansion",
    "agent.interface",
    "agent.shell",
    "agent.helping",
    "agent.cell",
    "agent.compiling",
    "agent.actions",
    "agent.additions",
    "agent.in_loops",
    "agent.cells",
    "agent.stdin",
    "agent.channel",
    "agent.moving",
    "agent.answers",
    "agent.session",
)
"""All that is loaded by the first attach and stays in the target, each after what it imports."""

LATE = (
    (
        "agent.cursor",
        "agent.arrays",
        "agent.expressions",
        "agent.assigned",
        "agent.importable",
        "agent.completion",
        "agent.search",
        "agent.inspection",
    ),
    ("agent.capi",),
    (
        "agent.attendance",
        "agent.slots",
        "agent.dispositions",
        "agent.rousing",
        "agent.loops",
        "agent.putting_off",
        "agent.strays",
        "agent.scripts",
        "agent.visits",
        "agent.held",
    ),
    ("agent.threads",),
    (
        "agent.chains",
        "agent.tasks",
        "agent.bindings",
        "agent.seeking",
        "agent.rebinding",
        "agent.looks",
    ),
    (
        "agent.brief",
        "agent.evaluation",
        "agent.conditions",
        "agent.code_objects",
        "agent.functions",
        "agent.monitoring",
    ),
    (
        "agent.line_events",
        "agent.locations",
        "agent.telling",
        "agent.stops",
        "agent.entered",
        "agent.entering",
        "agent.breakpoints",
        "agent.debugging",
    ),
    ("agent.observing",),
    ("agent.side_effects", "agent.magics", "agent.quiet", "agent.ipython"),
    (
        "agent.beats",
        "agent.background",
        "agent.plots",
        "agent.readings",
        "agent.showing",
        "agent.watching",
        "agent.call_events",
        "agent.calls",
        "agent.tracing",
        "agent.references",
        "agent.replacements",
        "agent.patching",
    ),
)
"""Groups of modules that wait in the target, as bytes, until one of the group is asked for."""

WITH_ENTRY = (*MODULES, *chain.from_iterable(LATE), "agent.entry")


def source_file(module: str) -> Path:
    """Where the source of one of `MODULES` is."""
    path = HERE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def package_name() -> str:
    """The name under which the agent lives in targets: another one for any other source.

    So launchers of different versions can share a target, and a target that has
    live_kernel itself loaded is not confused.
    """
    checksum = size = 0
    for module in WITH_ENTRY:
        source = source_file(module).read_bytes()
        checksum, size = binascii.crc32(source, checksum), size + len(source)
    return f"_live_kernel_{checksum:08x}{size & 0xFFFF:04x}"


@cache
def bundle() -> bytes:
    """The bundle for a target of this Python's own version: six milliseconds, as a rule.

    In front, behind its size in four bytes, what every attach needs: the code of `agent.entry` and
    its constants. The rest is read by the first attach in a process (see `agent/entry.py`). Done
    likewise by the target's own interpreter: see `foreign.py`.
    """
    *modules, entry = WITH_ENTRY
    parts = [(module, str(source_file(module)), _marshalled(module)) for module in modules]
    top = compile("", "<live-kernel>", "exec")
    return _assembled(package_name(), MAGIC_NUMBER, top, parts, _code(entry))


def groups() -> dict[str, int]:
    """The late modules, each with the number of its group, from 1 on."""
    return {module: number for number, group in enumerate(LATE, 1) for module in group}


@cache
def source_bundle() -> bytes:
    """The bundle for a target of another version that must compile it itself.

    That takes the interpreter lock for 5 ms at a time, 0.1 s in all; it is for targets beside
    which their own interpreter can't be run. Marshalled text is the same to all versions.
    """
    *modules, (_, _, entry) = sources()  # `exec` takes text, too
    parts = [(module, file, marshal.dumps((text, file))) for module, file, text in modules]
    return _assembled(package_name(), None, ("", "<live-kernel>"), parts, entry)


def _assembled(
    package: str,
    magic: bytes | None,
    top: CodeType | tuple[str, str],
    parts: Iterable[tuple[str, str, bytes]],
    entry: CodeType | str,
) -> bytes:
    """`parts`: each module's name, file, and code (or text and file), marshalled."""
    late = groups()
    modules = [(package, True, 0, marshal.dumps(top))]
    for module, file, data in parts:
        is_package = file.endswith("__init__.py")
        modules.append((f"{package}.{module}", is_package, late.get(module, 0), data))
    first = marshal.dumps(({"PACKAGE": package, "MAGIC": magic}, entry))
    return len(first).to_bytes(4) + first + marshal.dumps(modules)


def sources() -> list[tuple[str, str, str]]:
    """Each module's name, file and source, for an interpreter of another version to compile."""
    files = [(module, source_file(module)) for module in WITH_ENTRY]
    return [(module, str(file), file.read_text()) for module, file in files]


def _marshalled(module: str) -> bytes:
    """A module's code, as Python's own cache of compiled modules has it, or else compiled now."""
    cached = _cached(str(source_file(module)))
    return marshal.dumps(_code(module)) if cached is None else cached


def _cached(source: str) -> bytes | None:
    """What is cached of a source file that is still the same and lies where it did (PEP 552).

    It is neither unmarshalled nor marshalled again, which took most of the time.
    """
    try:
        status = os.stat(source)
        with open(cache_from_source(source), "rb") as file:
            head, data = file.read(_HEAD), file.read()
    except (OSError, NotImplementedError):
        return None
    dated = (int(status.st_mtime), status.st_size)
    now = MAGIC_NUMBER + bytes(4) + b"".join((n & 0xFFFFFFFF).to_bytes(4, "little") for n in dated)
    return data if head == now and os.fsencode(source) in data else None


def _code(module: str) -> CodeType:
    name = f"live_kernel.{module}"
    code = SourceFileLoader(name, str(source_file(module))).get_code(name)
    if code is None:
        raise ImportError(f"no source for {name}")
    return code


def script(place: str, token: str, pid: int) -> str:
    """The text of the bootstrap for one attachment; `pid` is what the target calls itself."""
    text = source_file("agent.bootstrap").read_text()
    return f"PLACE, TOKEN, PID = {place!r}, {token!r}, {pid}\n{text}"
