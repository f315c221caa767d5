"""What a command of the kernel is: a magic that the launcher understands itself.

Runs on the launcher's reactor. Rule: one class a command; its name, its help and its
place in the table come from the class, and its arguments are checked before anything
is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ...errors import CommandMisused, LiveKernelError
from ...records import NamedTuple
from .. import durations
from ..execution import Done, Execution
from ..guarding import Reach
from ..in_target import InTarget
from ..keeping import Keeping
from ..local import Local
from ..recording import Recorder
from ..target import Target
from ..wire import Content


class Means(NamedTuple):
    """By what commands do what they do; who follows the kernel; what it writes down, and keeps in
    mind of what they set up.
    """

    target: Target
    local: Local
    in_target: InTarget
    followed_by: Callable[[], list[str]]
    recorder: Recorder
    keeping: Keeping


class Command:
    """A command; the docstring is its help, the first line its summary.

    `run` calls `done` once.
    """

    usage: ClassVar[str]
    reach: ClassVar[Reach]
    """How far it reaches into the program: whether guard rails hold it up. Each command says it."""
    words: ClassVar[tuple[str, ...]] = ()
    """What may stand behind it, for completion."""
    takes_code: ClassVar[bool] = False
    """May names of the program stand behind it?"""
    is_aside: ClassVar[bool] = False
    """A cell of nothing but such commands is run at once, also while another cell runs."""

    completes: ClassVar[str] = ""
    """Of which the agent has names to offer behind it (see `agent/looks.py`)."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._target, self._local, self._in_target = means.target, means.local, means.in_target

    @classmethod
    def name(cls) -> str:
        """By which it is called, with its `%`."""
        return cls.usage.split()[0]

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        raise NotImplementedError

    def reach_of(self, argument: str) -> Reach:
        """How far it reaches with this argument."""
        return self.reach

    def span(self, text: str, of: str = "") -> float:
        """A span of time in an argument, in seconds; `of`: what is said before an error.

        Raises CommandMisused.
        """
        try:
            return durations.parse(text)
        except ValueError as error:
            raise self.misused(f"{of}{error}.") from None

    def misused(self, what: str) -> CommandMisused:
        """The error to raise for an argument that makes no sense; `what` is a sentence."""
        return CommandMisused(what, f"Usage: {self.usage}")


class Action(Command):
    """A command that is carried out in the target, by the agent (see `agent/actions.py`).

    `action` is its name there. What it shows and raises is the cell's; it can be interrupted
    and can ask for input, as any cell.
    """

    action: ClassVar[str]

    def options(self, argument: str) -> dict[str, Any]:
        """The fields that the agent is given. Raises CommandMisused."""
        raise NotImplementedError

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        action = {"name": self.action, **self.options(argument.strip())}
        self.act(action, argument, execution, done)

    def act(self, action: dict[str, Any], argument: str, execution: Execution, done: Done) -> None:
        """Have the agent do it."""
        reach = self.reach_of(argument)
        self._in_target.run("", execution, done, reach, self.name(), action=action)


class Ending(Action):
    """An action that ends what another has begun: one of these, as the agent finds it, or all."""

    words = ("all",)

    def options(self, argument: str) -> dict[str, Any]:
        return {"which": argument}


class Question(Command):
    """A command that asks the agent something, also while cells run, and shows the answer.

    `about` is the question's name (see `agent/answers.py`).
    """

    about: ClassVar[str]

    def options(self, argument: str) -> dict[str, Any]:
        """The fields that the agent is given. Raises CommandMisused."""
        return {}

    def run(self, argument: str, execution: Execution, done: Done) -> None:
        options = self.options(argument.strip())

        def attached() -> None:
            attachment = self._target.attachment
            assert attachment is not None
            attachment.ask(self.about, answered, **options)

        def answered(answer: Content) -> None:
            try:
                self.show(answer, argument, execution)
            except LiveKernelError as error:
                done(error)
            else:
                done(None)

        self._in_target.when_attached(execution, attached, done)

    def show(self, answer: Content, argument: str, execution: Execution) -> None:
        """Show the answer, which is empty where none has come. Raises LiveKernelError."""
        raise NotImplementedError
