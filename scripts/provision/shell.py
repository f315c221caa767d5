"""Other programs, run quietly: what they say goes to a log, shown when they fail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
_TAIL = 15


class SetUpError(Exception):
    """Something that the project needs can't be had; the text says what to do."""

    @property
    def cause(self) -> str:
        """The reason in one line."""
        return str(self)


class CommandFailed(SetUpError):
    """A program ended badly, or did not end in time."""

    def __init__(self, command: Sequence[str], why: str, output: list[str]) -> None:
        shown = "\n".join(f"    {line}" for line in output[-_TAIL:])
        super().__init__(f"{Path(command[0]).name} {why}:\n{shown}\n  all of it: {_log()}")
        self._output = output

    @property
    def cause(self) -> str:
        """The last line that sounds like a reason, without the addresses in it."""
        telling = [line for line in self._output if re.search(r"(?i)error|^E:|cause|fail", line)]
        line = (telling or self._output or ["it said nothing"])[-1].strip()
        line = re.sub(r"(?i)^(?:e|error|cause): *", "", line)
        return re.sub(r"[`'(]*\w+://\S+", "…", line)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    seconds: float = 900,
    watch: Callable[[str], None] | None = None,
) -> list[str]:
    """Run to the end and return the lines that it printed; raise `CommandFailed`."""
    words = [str(word) for word in command]
    lines: list[str] = []
    with (
        _log().open("a") as log,
        subprocess.Popen(
            words,
            cwd=ROOT,
            env=os.environ | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        ) as child,
    ):
        log.write(f"$ {' '.join(words)}\n")
        late = threading.Timer(seconds, _end, [child])
        late.start()
        try:
            assert child.stdout is not None
            for line in child.stdout:
                log.write(line)
                lines.append(line.rstrip())
                if watch:
                    watch(lines[-1])
            status = child.wait()
        except BaseException:
            _end(child)
            raise
        finally:
            late.cancel()
    if status == -signal.SIGKILL:
        raise CommandFailed(words, f"was killed; it may take {seconds:.0f} s", lines)
    if status:
        raise CommandFailed(words, f"ended with status {status}", lines)
    return lines


def _end(child: subprocess.Popen[str]) -> None:
    """It and what it started: it leads a process group of its own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


@cache
def _log() -> Path:
    """One log, of the last set-up that ran anything."""
    TOOLS.mkdir(exist_ok=True)
    path = TOOLS / "set-up.log"
    path.write_text("")
    return path
