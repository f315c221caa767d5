"""Jupyter's console, with a prompt that says in which program one is, where that is guarded.

Runs in the user's shell, in the place of `jupyter console`. Rule: nothing but the prompt is
another, and that a cell ends with its own end.
"""

from __future__ import annotations

from typing import Any

from jupyter_console import app, ptshell
from pygments.token import Token
from traitlets import Unicode

_COLOURS = {
    "red": "bg:#b71c1c #ffffff bold",
    "green": "bg:#1b5e20 #ffffff bold",
    "yellow": "bg:#f9a825 #000000 bold",
    "blue": "bg:#0d47a1 #ffffff bold",
    "magenta": "bg:#6a1b9a #ffffff bold",
    "cyan": "bg:#006064 #ffffff bold",
}

_NAME, _NUMBER = Token.Prompt.Guarded, Token.PromptNum


class PatientShell(ptshell.ZMQTerminalInteractiveShell):  # type: ignore[misc]
    """The console's shell, which takes no other request's end for that of its cell, and says
    of `exit` what it says of Ctrl-D.

    The console asks whether a cell is complete before it sends it. Where a kernel on a busy machine
    takes longer than 50 ms to begin the cell, the end of that request is seen first, and
    jupyter_console (6.6.3) takes it for the cell's: it then shows nothing before the cell has
    ended, and never asks what the cell asks.
    """

    _awaited = ""

    def handle_iopub(self, msg_id: str = "") -> None:
        """As the console does it; `msg_id` is the request of the cell that runs, if one does."""
        self._awaited = msg_id
        super().handle_iopub(msg_id)

    def include_output(self, msg: dict[str, Any]) -> bool:
        """Is it to be heard? The state that belongs to a request other than the cell's is not."""
        request = msg["parent_header"].get("msg_id", "")
        is_anothers = bool(self._awaited and request) and request != self._awaited
        if is_anothers and msg["msg_type"] == "status":
            return False
        return bool(super().include_output(msg))

    def ask_exit(self) -> None:
        """Leave. A kernel of the console's own goes with it; the one who has typed `exit` is not to
        read "owning kernel, cannot keep it alive", since the program does live on.
        """
        if self.own_kernel:
            self.keepkernel = False
        super().ask_exit()


class GuardedShell(PatientShell):
    """With the program's name in front of its prompt, in the colour, where that is set."""

    highlighting_style_overrides: Any
    guarded = Unicode("", help="What stands in front of the prompt").tag(config=True)
    colour = Unicode("red", help="In which colour").tag(config=True)

    def init_prompt_toolkit_cli(self) -> None:
        """As the console does it, with a style for what stands in front."""
        if not self.guarded:
            super().init_prompt_toolkit_cli()
            return
        style = _COLOURS.get(self.colour, "bold")
        plain = {Token.Prompt: "#b71c1c", _NUMBER: "bold #b71c1c"} if self.colour == "red" else {}
        chosen: dict[Any, str] = self.highlighting_style_overrides
        self.highlighting_style_overrides = {**plain, **chosen, _NAME: style}
        super().init_prompt_toolkit_cli()

    def get_prompt_tokens(self, ec: int | None = None) -> list[tuple[Any, str]]:
        """The name, and the console's own prompt."""
        own: list[tuple[Any, str]] = super().get_prompt_tokens(ec)
        if not self.guarded:
            return own
        return [(_NAME, f" {self.guarded} "), (Token.Text, " "), *own]

    def get_continuation_tokens(self, width: int) -> list[tuple[Any, str]]:
        """As wide as the prompt."""
        return [(Token.Prompt, " " * (width - 5) + "...: ")]


class GuardedConsole(app.ZMQTerminalIPythonApp):  # type: ignore[misc]
    """The console with that shell."""

    classes = [GuardedShell, *app.ZMQTerminalIPythonApp.classes]  # noqa: RUF012 - a trait's default


def run(words: list[str]) -> None:
    """Run a console on these words, which are those of `jupyter console`."""
    app.ZMQTerminalInteractiveShell = GuardedShell  # the class by which the console makes its own
    GuardedConsole.launch_instance(words)
