"""What is sent into a target: the agent and the link, compiled, and the script that starts them.

Runs in the launcher, on the thread that attaches. Rule: the agent is read as
files and never imported here; it is compiled by the same Python version that
will run it, because a bytecode of another one would crash the target, and in
advance, because `compile` holds the interpreter lock for its whole length.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Sequence
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER
from itertools import chain
from pathlib import Path
from types import CodeType

HERE = Path(__file__).resolve().parent.parent

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
    digest = hashlib.sha256()
    for module in WITH_ENTRY:
        digest.update(source_file(module).read_bytes())
    return f"_live_kernel_{digest.hexdigest()[:12]}"


@cache
def bundle() -> bytes:
    """The bundle for a target of this Python's own version: two milliseconds, as a rule.

    The code comes from Python's own cache of compiled modules.
    """
    return assemble(package_name(), [(module, _code(module)) for module in WITH_ENTRY])


def groups() -> dict[str, int]:
    """The late modules, each with the number of its group, from 1 on."""
    return {module: number for number, group in enumerate(LATE, 1) for module in group}


def assemble(package: str, codes: list[tuple[str, CodeType]]) -> bytes:
    """Compiled modules as marshalled data; `agent.entry` is the last of them.

    In front, behind its size in four bytes, what every attach needs: the code of the entry and
    its constants. The modules are read by the first in a process (see `agent/entry.py`). Done
    likewise by the target's own interpreter: see `foreign.py`.
    """
    files = [(module, code.co_filename, code) for module, code in codes]
    return _assembled(package, MAGIC_NUMBER, compile("", "<live-kernel>", "exec"), files)


@cache
def source_bundle() -> bytes:
    """The bundle for a target of another version that must compile it itself.

    That takes the interpreter lock for 5 ms at a time, 0.1 s in all; it is for targets beside
    which their own interpreter can't be run. Marshalled text is the same to all versions.
    """
    files: list[_Part] = [(module, file, (text, file)) for module, file, text in sources()]
    module, file, entry = sources()[-1]
    files[-1] = module, file, entry  # `exec` takes text, too
    return _assembled(package_name(), None, ("", "<live-kernel>"), files)


type _Body = CodeType | str | tuple[str, str]
type _Part = tuple[str, str, _Body]
"""A module, its file, and its code, or its text with the name of its file."""


def _assembled(package: str, magic: bytes | None, top: _Body, parts: Sequence[_Part]) -> bytes:
    late = groups()
    modules = [(package, True, 0, marshal.dumps(top))]
    for module, file, body in parts[:-1]:
        is_package, group = file.endswith("__init__.py"), late.get(module, 0)
        modules.append((f"{package}.{module}", is_package, group, marshal.dumps(body)))
    first = marshal.dumps(({"PACKAGE": package, "MAGIC": magic}, parts[-1][2]))
    return len(first).to_bytes(4) + first + marshal.dumps(modules)


def sources() -> list[tuple[str, str, str]]:
    """Each module's name, file and source, for an interpreter of another version to compile."""
    files = [(module, source_file(module)) for module in WITH_ENTRY]
    return [(module, str(file), file.read_text()) for module, file in files]


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
