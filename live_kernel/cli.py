"""The command line `live-kernel`.

Runs in the user's shell. Rule: results go to stdout, everything else to
stderr; each kind of failure has an exit status of its own (`errors.py`), and
`exec` has that of its cell: 0, or 1 where it raised.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.exceptions import NoArgsIsHelpError

from . import __version__
from .attach import families, processes
from .attach.processes import Process
from .errors import LiveKernelError
from .launcher import durations, guards
from .launcher.choosing import named
from .launcher.guards import Guards
from .launcher.rails import Rails
from .plain import on_one_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from .launcher.past import News, Wanted

type Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

if "_LIVE_KERNEL_COMPLETE" in os.environ:
    from . import completing  # noqa: F401 - click is to know our part for bash

EXIT_CELL_FAILED = 1
EXIT_NONE_CHOSEN = 130
"""As where a command is interrupted."""

_LOOK_EVERY = 0.2
"""Seconds between looks at a journal that is followed."""


def _explained[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """End with the error's message, remedy and exit status instead of a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except LiveKernelError as error:
            click.secho(f"live-kernel: {error}", fg="red", err=True)
            if error.remedy:
                click.echo(error.remedy, err=True)
            sys.exit(error.exit_code)

    return run


def _completed(what: str) -> Completer:
    """What completes a word in the user's shell; loaded only when it is asked."""

    def complete(
        context: click.Context, parameter: click.Parameter, begun: str
    ) -> list[CompletionItem]:
        from . import completing

        with suppress(OSError, LiveKernelError):
            found: list[CompletionItem] = getattr(completing, what)(context, parameter, begun)
            return found
        return []

    return complete


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, prog_name="live-kernel")
@click.pass_context
def main(context: click.Context) -> None:
    """Run Jupyter cells inside a live Python process.

    Without a command, on a terminal: choose a program from the list of those that run, and open
    a console in it.
    """
    if context.invoked_subcommand is not None:
        return
    if not _is_on_terminal():
        raise NoArgsIsHelpError(context)
    context.invoke(attach)


def _is_on_terminal() -> bool:
    """Can the user be shown a screen, and choose?"""
    is_screen = os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    return is_screen and all(each.isatty() for each in (sys.stdin, sys.stdout) if each)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@click.option("--all", "everything", is_flag=True, help="Every process, not just Python's.")
@click.option("--tree", is_flag=True, help="Each process below the one that it comes from.")
@_explained
def ps(as_json: bool, everything: bool, tree: bool) -> None:
    """List the processes that can be attached to, and why others can't."""
    members = families.all_of_them(everything) if tree else []
    found = [m.candidate for m in members] if tree else processes.candidates(all=everything)
    guarded = _guards()
    rails = [guarded.of(candidate.process) for candidate in found]
    if as_json:
        both = zip(found, rails, strict=True)
        rows = [candidate.as_json() | {"guard": each._asdict()} for candidate, each in both]
        click.echo(json.dumps(rows, indent=2))
        return
    from .launcher.showing.families import branches
    from .terminal import print_candidates

    print_candidates(found, rails, branches(members))


def _guards() -> Guards:
    """What is configured; nothing, and a word on stderr, where that is not understood."""
    found, error = guards.understood()
    if error is not None:
        click.secho(f"live-kernel: {error}\n{error.remedy}", fg="red", err=True)
    return found


def _named(target: str) -> Process:
    """The process that is meant; that it can't be attached to becomes of record."""
    from .launcher import recording

    with recording.of_failure(target):
        return named(target)


_wake = click.option(
    "--wake", is_flag=True, help="If it is blocked, wake it from its wait, which then goes on."
)


def _span(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str:
    try:
        return text if text is None else f"{durations.parse(text)}s"  # type: ignore[return-value]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@main.command()
@click.argument(
    "target", metavar="[PID|TEXT]", required=False, shell_complete=_completed("program")
)
@_wake
@click.option("--observe", is_flag=True, help="Only look at it: run no cells in it.")
@click.option("--confirm", is_flag=True, help="Ask before each cell.")
@click.option(
    "--idle", callback=_span, metavar="SPAN", help="Detach after so long without use: 30m, say."
)
@click.option(
    "--follow", is_flag=True, help="When it is reloaded or restarted, go on in its successor."
)
@_explained
def attach(
    target: str | None = None,
    wake: bool = False,
    observe: bool = False,
    confirm: bool = False,
    idle: str | None = None,
    follow: bool = False,
) -> None:
    """Open a Jupyter console in a running program.

    Without a PID, a name of `runs`, or TEXT of a command line, it is chosen from a list.
    """
    flags = {"--wake": wake, "--observe": observe, "--confirm": confirm, "--follow": follow}
    process = _picked(flags) if target is None else _named(target)
    _open_console(process, flags, idle)


def _picked(flags: dict[str, bool]) -> Process:
    """The process that the user picks, who may add to the flags. Leaves where he picks none."""
    if not _is_on_terminal():
        raise click.UsageError("Missing argument 'PID|TEXT'.")
    from .picker.screen import pick

    chosen = pick(" ".join(name for name, is_set in flags.items() if is_set))
    if chosen is None:
        sys.exit(EXIT_NONE_CHOSEN)
    for name in ("wake", "observe", "confirm"):
        flags[f"--{name}"] |= getattr(chosen, name)
    process = _named(str(chosen.process.pid))
    processes.still(chosen.process)
    return process


def _open_console(process: Process, flags: dict[str, bool], idle: str | None) -> None:
    """Become a console in it."""
    from .kernelspec import NAME, is_installed

    rails = guards.of(process)
    if not is_installed():
        raise LiveKernelError(
            f"Jupyter does not know the kernel {NAME}.", "Run `live-kernel install`."
        )
    chosen = ["--pid", str(process.pid), *(name for name, is_set in flags.items() if is_set)]
    chosen += ["--idle", idle] if idle else []
    words = [*_console(rails, process, flags["--observe"]), "--kernel", NAME, "--", *chosen]
    os.execv(sys.executable, [sys.executable, "-P", "-m", *words])


def _console(rails: Rails, process: Process, observe: bool) -> list[str]:
    """The console's module and options; for a guarded program, or to look, with a prompt that
    says so.
    """
    observe |= bool(rails.observe)
    if not (rails.banner or rails.colour or observe):
        return ["live_kernel", "console"]
    name = on_one_line(rails.banner) or f"pid {process.pid}"
    looks = " (only looks)" * observe
    shell = "--GuardedShell"
    return [
        *("live_kernel", "console"),
        f"{shell}.guarded={name}{looks}",
        f"{shell}.colour={rails.colour}",
    ]


@main.command("exec")
@click.argument("target", metavar="PID|TEXT", shell_complete=_completed("program"))
@click.argument("code", metavar="CODE|-")
@click.option("--json", "as_json", is_flag=True, help="Outputs and outcome as a JSON object.")
@click.option(
    "--timeout",
    type=float,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a target that is blocked.",
)
@_wake
@click.option("--yes", is_flag=True, help="Run it also where a guard wants to be asked.")
@_explained
def execute(target: str, code: str, as_json: bool, timeout: float, wake: bool, yes: bool) -> None:
    """Run CODE (or stdin, for -) once in a running program, and print what it shows."""
    from .handle import attach as attach_to
    from .printing import Printer

    source = sys.stdin.read() if code == "-" else code
    printer = Printer(as_json)
    process = _named(target)
    confirm = _confirm(yes, is_piped=code == "-")
    how = {"timeout": timeout, "on_waiting": printer.waiting, "wake": wake, "confirm": confirm}
    with attach_to(process.pid, **how) as handle:  # type: ignore[arg-type]
        printer.strip(handle.rails, process)
        outcome = handle.run(source, printer.show)
    printer.finish(process, outcome)
    sys.exit(0 if outcome["status"] == "ok" else EXIT_CELL_FAILED)


def _confirm(yes: bool, is_piped: bool) -> Callable[[str], bool] | None:
    """Who says whether the code may run: the user has, or is asked where there is a terminal."""
    if yes:
        return lambda _question: True
    if is_piped or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return lambda question: click.confirm(f"{question}\n", err=True)


@main.command()
@click.option(
    "--pid",
    type=int,
    metavar="PID",
    shell_complete=_completed("pid"),
    help="What was done in this process.",
)
@click.option("--match", metavar="TEXT", default="", help="TEXT in the code, or the command line.")
@click.option("--user", metavar="NAME", default="", help="What this user did.")
@click.option("--since", metavar="TIME", help="From then on: 30min, 2h, 3d ago, or an ISO date.")
@click.option(
    "-n", "count", type=click.IntRange(0), default=20, show_default=True, help="So many; 0: all."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="The lines as they are in the journal.")
@click.option(
    "--file",
    "file",
    metavar="FILE",
    shell_complete=_completed("file"),
    help="Another journal than one's own.",
)
@_explained
def log(
    pid: int | None,
    match: str,
    user: str,
    since: str | None,
    count: int,
    follow: bool,
    as_json: bool,
    file: str | None,
) -> None:
    """Show the journal: every attach and every cell, by whom, when, where, and how it went."""
    from .launcher import past

    path = _journal(file)
    wanted = past.Wanted(pid, match, user, None if since is None else past.since(since))
    news = past.News(path) if follow else None
    _print_log(path, wanted, count, as_json)
    if news is not None:
        _print_news(news, wanted, as_json)


def _journal(file: str | None) -> Path:
    """The journal that is meant. Raises LiveKernelError where none is kept."""
    from .launcher import journal

    path = journal.place(os.environ) if file is None else Path(file)
    if path is None:
        raise LiveKernelError(f"No journal is kept: {journal.VARIABLE}=off.", "Name a --file.")
    return path


def _print_log(path: Path, wanted: Wanted, count: int, as_json: bool) -> None:
    from .following import print_entries
    from .launcher.past import Past
    from .launcher.showing import records

    past = Past(path)
    entries = past.latest(wanted, count)
    if as_json:
        click.echo(records.as_json(entries), nl=bool(entries))
    else:
        print_entries(entries)
    if past.damaged:
        click.secho(f"{past.damaged} damaged lines were skipped.", fg="yellow", err=True)
    if not entries:
        click.echo(f"Nothing is on record in {path} that fits.", err=True)


def _print_news(news: News, wanted: Wanted, as_json: bool) -> None:
    from .following import Log

    shown = Log(wanted, as_json)
    with suppress(KeyboardInterrupt):
        while True:
            for record in news.take():
                shown.show(record)
            time.sleep(_LOOK_EVERY)


@main.command("follow")
@click.argument("kernel", metavar="[KERNEL]", default="", shell_complete=_completed("kernel"))
@click.option("--json", "as_json", is_flag=True, help="Events as they come, one JSON a line.")
@_explained
def follow_kernel(kernel: str, as_json: bool) -> None:
    """Show what goes on in another kernel, as it happens; nothing can be run there.

    KERNEL is its pid, that of its program, text of that one's command line, its connection file
    or id, or its notebook. Without it, the kernels that run are listed.
    """
    from .launcher import sessions

    if not kernel:
        _list_kernels(as_json)
        return
    from .following import Viewer

    viewer = Viewer()
    with sessions.named(kernel) as session, suppress(KeyboardInterrupt):
        if not as_json:
            click.echo(on_one_line(f"Following {session}."))
        for event in session.events():
            if as_json:
                click.echo(json.dumps(event))
            else:
                viewer.show(event)


def _list_kernels(as_json: bool) -> None:
    from .launcher import sessions

    found = sessions.all_of_them()
    if as_json:
        whole = [{**each.about, "kernel": each.pid, "uid": each.uid} for each in found]
        click.echo(json.dumps(whole, indent=2))
    elif found:
        click.echo(sessions.table(found).as_text())
    else:
        click.echo("No kernel of live-kernel runs here that you may follow.")


@main.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kernel(arguments: tuple[str, ...]) -> None:
    """Run the kernel itself; Jupyter does this."""
    from .launcher.arguments import run_kernel

    sys.exit(run_kernel(list(arguments)))


@main.command()
@click.option("--user", "where", flag_value="user", help="For this user (the default).")
@click.option("--sys-prefix", "where", flag_value="sys-prefix", help="For this environment.")
@click.option("--prefix", metavar="DIR", help="Below DIR/share/jupyter/kernels.")
@_explained
def install(where: str | None, prefix: str | None) -> None:
    """Install the kernelspec live-attach, so that Jupyter offers "Attach to PID".

    A Jupyter Server that has live-kernel in its own environment lists running programs, too.
    """
    if where and prefix:
        raise click.UsageError("--prefix can't be combined with --user or --sys-prefix.")
    from . import extension
    from .kernelspec import install as install_spec

    chosen = sys.prefix if where == "sys-prefix" else prefix
    click.echo(f"Installed the kernelspec live-attach in {install_spec(chosen)}")
    if told := extension.enable(chosen):
        click.echo(told)


@main.command(
    "run",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option("--name", default="", help="What it is called (its script's or module's name).")
@click.option(
    "--restart",
    type=click.Choice(["never", "on-failure", "always"]),
    default="never",
    show_default=True,
    help="When it is started again after it has ended by itself.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr of how it has ended.")
@click.argument(
    "command",
    metavar="[--] PROGRAM [ARGS]...",
    nargs=-1,
    type=click.UNPROCESSED,
    shell_complete=_completed("command"),
)
@_explained
def run_program(name: str, restart: str, quiet: bool, command: tuple[str, ...]) -> None:
    """Start a program under supervision, in this terminal.

    It has the terminal, its signals and its streams to itself; the exit status is its own, or
    128 + N where signal N has killed it. It is listed by `runs`, can be started again and ended
    by `restart` and `stop`, and attached to by its name, also where the system lets only the
    ancestors of a process look into it (kernel.yama.ptrace_scope=1).
    """
    if not command:
        raise click.UsageError("Which PROGRAM?")
    from .supervising import become_supervisor

    become_supervisor(name, restart, quiet, command)


@main.command("runs")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@_explained
def list_runs(as_json: bool) -> None:
    """List the programs that run under supervision."""
    from . import supervising

    supervising.show(supervising.rows(), as_json)


_kill = click.option("--kill", is_flag=True, help="By SIGKILL, which no program can put off.")
_within = click.option(
    "--within",
    type=click.FloatRange(0, 3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for it.",
)


@main.command()
@click.argument("name", shell_complete=_completed("supervised_name"))
@_kill
@_within
@_explained
def restart(name: str, kill: bool, within: float) -> None:
    """Have a supervised program end, and start it again."""
    from . import supervising

    now = supervising.end(name, "restart", kill, within)
    if now.get("pid") is None:
        raise LiveKernelError(f"{name} has ended, and {now.get('last')}")
    click.echo(f"{name} runs as pid {now.get('pid')} now.")


@main.command()
@click.argument("name", shell_complete=_completed("supervised_name"))
@_kill
@_within
@_explained
def stop(name: str, kill: bool, within: float) -> None:
    """Have a supervised program end, by SIGTERM."""
    from . import supervising

    click.echo(f"{name}: {supervising.end(name, 'stop', kill, within).get('last')}")


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--install", "is_installed", is_flag=True, help="Put it where the shell looks.")
@_explained
def completion(shell: str, is_installed: bool) -> None:
    """Print what completes pids, names and options in your shell, or install it.

    For this shell alone: eval "$(live-kernel completion bash)"
    """
    from . import completing

    text = completing.script(shell, main)
    if not is_installed:
        click.echo(text)
        return
    path, then = completing.install(shell, text)
    click.echo(f"Installed in {path}\n{then}")


@main.command()
@click.argument("pid", type=int, required=False, shell_complete=_completed("pid"))
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
@_explained
def doctor(pid: int | None, as_json: bool) -> None:
    """Look at everything that could stand in the way, in general or for one process."""
    from .attach import doctor as diagnosis

    findings = diagnosis.doctor(pid)
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        from .terminal import print_findings

        print_findings(findings)
    sys.exit(0 if all(finding.ok is not False for finding in findings) else EXIT_CELL_FAILED)
