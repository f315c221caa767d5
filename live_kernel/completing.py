"""Completion in the user's shell: of programs, of supervised names, of kernels.

Runs in a process of its own each time that a tab key is pressed, so that little is loaded; the
shells' own parts are click's, but for bash, which is shown explanations as well. Rule: what is
offered stands in the user's command line as it is. So nothing of a process is offered but its
pid, and words that no shell takes for anything but words.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
)

from .attach import processes, supervised
from .attach.processes import Candidate
from .errors import LiveKernelError
from .plain import on_one_line

_PLAIN_WORD = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_./:@%+,][A-Za-z0-9_./:@%+,=-]*", re.ASCII)
_SHORTEST, _LONGEST_HELP, _MOST = 3, 70, 200

_BASH = r"""
%(complete_func)s() {
    local IFS=$'\n' response completion type value help
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
        %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    local -a values=() helps=()
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                help=
                [[ $value == *$'\t'* ]] && help=${value#*$'\t'} value=${value%%%%$'\t'*}
                values+=("$value") helps+=("$help") ;;
        esac
    done
    # Where bash lists them, each has its explanation; it inserts what they begin with alike.
    local i
    for i in "${!values[@]}"; do
        if [[ ${#values[@]} -gt 1 && -n ${helps[i]} && $COMP_TYPE =~ ^(63|33|64)$ ]]; then
            COMPREPLY+=("${values[i]}  (${helps[i]})")
        else
            COMPREPLY+=("${values[i]}")
        fi
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class ExplainingBash(BashComplete):
    """bash, with what is known of each choice where it lists them."""

    source_template = _BASH

    def format_completion(self, item: CompletionItem) -> str:
        """One line for each: type, value, and behind a tab its explanation."""
        return super().format_completion(item) + (f"\t{item.help}" if item.help else "")


add_completion_class(ExplainingBash)


def program(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """For PID|TEXT: pids, the names of supervised programs, and words that stand in one command
    line alone.
    """
    listed = [each for each in processes.candidates() if each.attachable]
    found = [*_pids(listed, begun)]
    if begun and not begun.isdecimal():
        found += [*_names(begun), *_words(listed, begun)]
    elif not begun:
        found += _names(begun)
    return found[:_MOST]


def pid(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """For PID alone: also of what can't be attached to."""
    del context, parameter
    return [*_pids(processes.candidates(), begun)][:_MOST]


def supervised_name(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """For NAME: of programs under supervision."""
    return [*_names(begun)]


def kernel(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """For KERNEL: the pids of those that can be followed."""
    from .launcher import sessions

    found = sessions.all_of_them()
    return [_item(str(each.pid), str(each)) for each in found if str(each.pid).startswith(begun)]


def command(
    _context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """For PROGRAM ARGS: programs on PATH for the first word, files for the others."""
    is_first = not _context.params.get(parameter.name or "")
    if not is_first or "/" in begun or not begun:
        return [CompletionItem(begun, type="file")]
    return [CompletionItem(name) for name in sorted(set(_programs(begun)))[:_MOST]]


def _programs(begun: str) -> Iterator[str]:
    for directory in os.get_exec_path():
        with suppress(OSError):
            for path in Path(directory).iterdir():
                if path.name.startswith(begun) and os.access(path, os.X_OK):
                    yield path.name


def _pids(listed: Iterable[Candidate], begun: str) -> Iterator[CompletionItem]:
    for each in listed:
        if str(each.process.pid).startswith(begun):
            yield _item(str(each.process.pid), each.process.title)


def _names(begun: str) -> Iterator[CompletionItem]:
    for each in supervised.supervisors():
        if each.name.startswith(begun) and supervised.NAME.fullmatch(each.name):
            yield _item(each.name, "supervised by live-kernel run")


def _words(listed: list[Candidate], begun: str) -> Iterator[CompletionItem]:
    """What is in one command line alone, as TEXT must be, and begins so."""
    lines = [" ".join(each.process.cmdline) for each in listed]
    words = [_of(each) for each in listed]
    counted = Counter(word for those in words for word in those if word.startswith(begun))
    for each, those in zip(listed, words, strict=True):
        for word in sorted(those):
            if counted[word] == 1 and sum(word in line for line in lines) == 1:
                yield _item(word, f"pid {each.process.pid}: {each.process.title}")


def _of(candidate: Candidate) -> set[str]:
    """The words of a command line that name it, its paths by their last parts too."""
    words = {word for part in candidate.process.cmdline for word in (part, Path(part).name)}
    return {word for word in words if len(word) >= _SHORTEST and _PLAIN_WORD.fullmatch(word)}


def _item(value: str, explanation: str) -> CompletionItem:
    text = on_one_line(explanation)
    return CompletionItem(value, help=text if len(text) <= _LONGEST_HELP else f"{text[:69]}…")


def file(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """For FILE: the shell's own completion."""
    return [CompletionItem(begun, type="file")]


# -- the shells


def script(shell: str, root: click.Command) -> str:
    """What the shell is to read, so that it asks us."""
    found = get_completion_class(shell)
    assert found is not None
    return found(root, {}, "live-kernel", "_LIVE_KERNEL_COMPLETE").source()


def install(shell: str, text: str) -> tuple[Path, str]:
    """Put it where the shell looks. Returns the file, and what else is to be done.

    Raises LiveKernelError.
    """
    home = Path("~").expanduser()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    path, then = {
        "bash": (
            data / "bash-completion/completions/live-kernel",
            "A new shell has it, where the package bash-completion is set up; where not, put this "
            f"into ~/.bashrc: source {data / 'bash-completion/completions/live-kernel'}",
        ),
        "zsh": (
            data / "zsh/site-functions/_live-kernel",
            "Have this stand in ~/.zshrc before `compinit`: "
            f"fpath=({data / 'zsh/site-functions'} $fpath)",
        ),
        "fish": (config / "fish/completions/live-kernel.fish", "A new shell has it."),
    }[shell]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise LiveKernelError(f"The completion could not be installed: {error}") from error
    return path, then
