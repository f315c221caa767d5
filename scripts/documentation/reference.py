"""The reference: magics, commands, variables, configuration, errors, the Python API.

Called by Sphinx (docs/conf.py) for each page that has a line such as `<!-- reference: magics -->`,
which its text replaces. Rule: everything is read from the package as it is, so that a command
that is added is on its page, and one that is said to exist does.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from traitlets.config import Configurable

import live_kernel
from live_kernel import cli, errors, handle, server
from live_kernel.launcher import arguments, guards
from live_kernel.launcher.commands import COMMANDS
from live_kernel.launcher.commands.command import Command
from live_kernel.link import limits

from . import sources

_MARK = re.compile(r"^<!-- reference: (\w+) -->$", re.MULTILINE)


def fill(text: str) -> str:
    """A page with its marks replaced. Raises KeyError for one that nothing is known about."""
    return _MARK.sub(lambda mark: PARTS[mark[1]](), text)


# -- magics


def anchor(name: str) -> str:
    """Of a magic: `magic-attach` for `%attach`, `cell-magic-patch` for `%%patch`."""
    kind = "cell-magic" if name.startswith("%%") else "magic"
    return f"{kind}-{name.lstrip('%')}"


def magics() -> str:
    """All of the kernel's magics, by what they are about."""
    lines = ["| | |", "|---|---|"]
    sections: list[str] = []
    by_room = groupby(COMMANDS.values(), lambda command: command.__module__)
    rooms: dict[str, list[type[Command]]] = {}
    for room, found in by_room:
        rooms.setdefault(room, []).extend(found)
    for room, found in rooms.items():
        links = ", ".join(f"[`{c.name()}`](#{anchor(c.name())})" for c in found)
        about = _about(room)
        lines.append(f"| {about} | {links} |")
        sections += [f"## {about}", *map(_magic, found)]
    return "\n".join(lines) + "\n\n" + "\n\n".join(sections)


def _about(room: str) -> str:
    """What the commands of a module are about: its first line, without their names."""
    first = (importlib.import_module(room).__doc__ or "").splitlines()[0]
    text = first.partition(": ")[2] or first
    return text[0].upper() + text[1:].rstrip(".")


def _magic(command: type[Command]) -> str:
    name = command.name()
    text = inspect.cleandoc(command.__doc__ or "")
    parts = [f"({anchor(name)})=", f"### {name}", f"```text\n{command.usage}\n```", prose(text)]
    also = [word for word in command.words if word not in command.usage]
    if also:
        parts.append("Also: " + ", ".join(f"`{word}`" for word in also) + ".")
    facts = [f"It {_REACHES[command.reach.name]}."]
    if command.is_aside:
        facts.append("Alone in a cell it is answered at once, also while another cell runs.")
    return "\n\n".join([*parts, " ".join(facts)])


_REACHES = {
    "KERNEL": "concerns the kernel, not the program",
    "LOOKS": "looks at the program: also in a session that only looks",
    "EVALUATES": "evaluates an expression in the program; where a session only looks, from memory",
    "RUNS": "runs code in the program or changes it: not in a session that only looks",
}


def size_limits() -> str:
    """What `%limits` knows."""
    rows = [
        f"| `{name}` | {limits.MEANINGS[name]} | {limits.written(limit)} |"
        for name, limit in limits.DEFAULTS.items()
    ]
    return "\n".join(["| name | of | as a rule |", "|---|---|---|", *rows])


# -- the command line


def command_line() -> str:
    """All commands of `live-kernel`, with their options."""
    sections = []
    for path, command in every_command(cli.main):
        sections.append(_command(path, command))
    return "\n\n".join(sections)


def every_command(
    group: click.Command, path: tuple[str, ...] = ("live-kernel",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The command and all below it, each with the words that call it; hidden ones left out."""
    yield path, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None and not command.hidden:
                yield from every_command(command, (*path, name))


def _command(path: tuple[str, ...], command: click.Command) -> str:
    words = " ".join(path)
    context = click.Context(command, info_name=words)
    usage = " ".join(command.collect_usage_pieces(context))
    text = inspect.cleandoc((command.help or command.short_help or "").replace("\b\n", "\n"))
    parts = [
        f"(command-{'-'.join(path)})=",
        f"## {words}",
        f"```text\n{words} {usage}\n```",
        prose(text),
    ]
    rows = [_option(each, context) for each in command.params if isinstance(each, click.Option)]
    shown = [row for row in rows if row]
    if shown:
        parts.append("\n".join(["| option | |", "|---|---|", *shown]))
    if words == "live-kernel kernel":
        parts.append(f"```text\n{arguments.USAGE}\n```")
    return "\n\n".join(parts)


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    if record is None:
        return ""
    names, text = record
    names = names.replace("|", "\\|")
    return f"| `{names}` | {escaped(text)} |"


# -- variables and configuration


def variables() -> str:
    """Those of our own, as the code names and explains them."""
    rows = [f"| `{name}` | {escaped(text)} |" for name, text in sorted(sources.variables().items())]
    return "\n".join(["| variable | |", "|---|---|", *rows])


def other_variables() -> str:
    """Those of others that are read, and by which part of the package."""
    rows = [
        f"| `{name}` | {', '.join(f'`{place}`' for place in places)} |"
        for name, places in sorted(sources.variables_of_others().items())
    ]
    return "\n".join(["| variable | read in `live_kernel/` by |", "|---|---|", *rows])


def configuration() -> str:
    """The keys of a guard."""
    rows = []
    for name, key in guards.KEYS.items():
        kind = "true or false" if key.kind is bool else "text"
        more = f": one of {', '.join(guards.COLOURS)}" if name == "colour" else ""
        rows.append(f"| `{name}` | {kind} | {key.meaning}{more} |")
    return "\n".join(["| key | value | |", "|---|---|---|", *rows])


def server_settings() -> str:
    """What can be set of the extension of Jupyter Server."""
    rows = []
    for owner in configurables():
        for name, trait in sorted(owner.class_own_traits(config=True).items()):
            setting, default = f"c.{owner.__name__}.{name}", trait.default_value_repr()
            rows.append(f"| `{setting}` | `{default}` | {escaped(trait.help)} |")
    return "\n".join(["| setting | default | |", "|---|---|---|", *rows])


def configurables() -> list[type[Configurable]]:
    """The classes of the extension of Jupyter Server that have settings of their own."""
    found: dict[str, type[Configurable]] = {}
    for module in pkgutil.iter_modules(server.__path__, f"{server.__name__}."):
        for each in vars(importlib.import_module(module.name)).values():
            is_ours = inspect.isclass(each) and each.__module__ == module.name
            if is_ours and issubclass(each, Configurable) and each.class_own_traits(config=True):
                found[each.__name__] = each
    return [*found.values()]


def panel_settings() -> str:
    """What can be set of the extension of JupyterLab, in its settings editor."""
    rows = [
        f"| `{name}` | `{json.dumps(each['default'])}` | {escaped(each['description'])} |"
        for name, each in panel_schema()["properties"].items()
    ]
    return "\n".join(["| setting | default | |", "|---|---|---|", *rows])


def panel_schema() -> dict[str, Any]:
    """The schema of those settings."""
    place = Path(live_kernel.__file__).parent / "labextension/schemas/live-kernel/plugin.json"
    schema: dict[str, Any] = json.loads(place.read_text())
    return schema


# -- errors


def error_classes() -> list[type[errors.LiveKernelError]]:
    """All of them, in the order of the code."""
    found = [each for each in vars(errors).values() if inspect.isclass(each)]
    return [each for each in found if issubclass(each, errors.LiveKernelError)]


def error_list() -> str:
    """Each error with its exit status, what it means, and what is said to do about it."""
    places = {e.__name__: 2 if issubclass(e, errors.TargetError) else 1 for e in error_classes()}
    remedies = sources.remedies(places)
    return "\n\n".join(_error(each, remedies.get(each.__name__, [])) for each in error_classes())


def _error(error: type[errors.LiveKernelError], remedies: list[str]) -> str:
    name = error.__name__
    bases = [base for base in error.__bases__ if base in error_classes()]
    kin = f"; a kind of {_link(bases[0])}" if bases else ""
    facts = f"Exit status {error.exit_code}; in tables and JSON: `{error.kind}`{kin}."
    parts = [f"(error-{name.lower()})=", f"### {name}", prose(inspect.getdoc(error) or ""), facts]
    if remedies:
        parts.append("What is said to do about it:")
        parts += [
            f"```text\n{text}\n```" if "\n" in text else f"- {escaped(text)}" for text in remedies
        ]
    return "\n\n".join(parts)


def exit_statuses() -> str:
    """The exit statuses in their order, with the errors that have them."""
    rows = [
        f"| {each.exit_code} | {_link(each)} | {_meaning(each)} |"
        for each in sorted(error_classes(), key=lambda each: each.exit_code)
        if "exit_code" in vars(each) or each.exit_code == 1
    ]
    return "\n".join(["| status | error | |", "|---|---|---|", *rows])


def _link(error: type[errors.LiveKernelError]) -> str:
    return f"[`{error.__name__}`](#error-{error.__name__.lower()})"


def _meaning(error: type[errors.LiveKernelError]) -> str:
    return escaped((inspect.getdoc(error) or "").partition("\n\n")[0])


# -- the API


def python_api() -> str:
    """`attach` and the handle that it gives."""
    parts = [_function("live_kernel.attach", handle.attach)]
    for name, member in vars(handle.Handle).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            parts.append(f"## Handle.{name}\n\n{prose(inspect.getdoc(member) or '')}")
        elif inspect.isfunction(member):
            parts.append(_function(f"Handle.{name}", member))
    return "\n\n".join(parts)


def _function(name: str, function: Callable[..., object]) -> str:
    signature = str(inspect.signature(function)).replace("'", "")
    signature = re.sub(r"<function [^>]*<lambda>[^>]*>", "…", signature)
    text = prose(inspect.getdoc(function) or "")
    return f"## {name}\n\n```text\n{name}{signature}\n```\n\n{text}"


# -- prose as Markdown

_CODE = re.compile(r"(`+[^`]+`+)")
_NAME = re.compile(r"(?<![\w`%-])(--[a-z][\w-]*|%{1,2}[a-z]\w*\??)")
"""An option or a magic, which is shown as code."""
_MARKUP = re.compile(r"([\\*_<>\[\]{}$#|])")


def escaped(text: str) -> str:
    """Text in which nothing but backquotes is markup, on one line; options and magics are code."""
    marked = _replaced(" ".join(text.split()), lambda part: _NAME.sub(r"`\1`", part))
    return _replaced(marked, lambda part: _MARKUP.sub(r"\\\1", part))


def _replaced(text: str, change: Callable[[str], str]) -> str:
    """With what stands outside of backquotes changed."""
    parts = _CODE.split(text)
    return "".join(part if part.startswith("`") else change(part) for part in parts)


def prose(text: str) -> str:
    """Paragraphs of a docstring; what is indented in it is code."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    return "\n\n".join(
        "```text\n" + inspect.cleandoc(block) + "\n```"
        if block.startswith("    ")
        else escaped(block)
        for block in blocks
    )


PARTS: dict[str, Callable[[], str]] = {
    "magics": magics,
    "limits": size_limits,
    "commands": command_line,
    "variables": variables,
    "others": other_variables,
    "configuration": configuration,
    "server": server_settings,
    "panel": panel_settings,
    "statuses": exit_statuses,
    "errors": error_list,
    "api": python_api,
}
