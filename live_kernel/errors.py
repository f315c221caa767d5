"""Everything that can go wrong, as one tree.

Used by the launcher, the command line and the public API; never in a target.
Rule: an error says what happened and to which process (`str(error)`), and what
to do about it (`error.remedy`); the command line leaves with `exit_code`. What a process
calls itself can do nothing in there: a message is plain text (`plain.py`).
"""

from __future__ import annotations

from typing import ClassVar

from .plain import plain


class LiveKernelError(Exception):
    """Base of all errors that a user may meet.

    `remedy` is a sentence or a few lines in the imperative; empty where there
    is nothing to be done. `kind` is a short stable word for tables and JSON.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "error"
    remedy: str = ""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(plain(message))
        if remedy is not None:
            self.remedy = plain(remedy)

    def explain(self) -> str:
        """What happened and, on the lines below it, the remedy."""
        return f"{self}\n{self.remedy}" if self.remedy else str(self)


class NoTarget(LiveKernelError):
    """No process was named, or the text given fits none or several."""

    exit_code = 2
    kind = "no target"


class CommandMisused(LiveKernelError):
    """A command of the kernel was given arguments that make no sense."""

    exit_code = 2
    kind = "usage"


class NoKernel(LiveKernelError):
    """No kernel that runs was named, or the text given fits none or several."""

    exit_code = 2
    kind = "no kernel"


class FollowingEnded(LiveKernelError):
    """A kernel that was followed has let go of its follower, or has ended without a word."""

    exit_code = 21
    kind = "not followed"


class JournalUnread(LiveKernelError):
    """There is a journal, but it can't be read."""

    exit_code = 22
    kind = "journal"


class LimitUnknown(LiveKernelError):
    """`%limits` was given a name or a size that is none."""

    exit_code = 2
    kind = "no limit"


class ConfigBroken(LiveKernelError):
    """What is configured can't be understood. Nothing is attached: a guard may stand there."""

    exit_code = 21
    kind = "configuration"


class Guarded(LiveKernelError):
    """A guard rail is in the way."""

    exit_code = 22
    kind = "guarded"


class OnlyLooks(Guarded):
    """This attach is there to look at the program: it runs no code in it."""

    kind = "only looks"


class NotConfirmed(Guarded):
    """The user, who is asked before each cell, has not said yes, or could not be asked."""

    kind = "not confirmed"


class IdleTooLong(Guarded):
    """The kernel has detached, since nothing was asked of it for as long as was set."""

    kind = "idle"


class TargetError(LiveKernelError):
    """Something about one process; `pid` names it."""

    def __init__(self, pid: int, message: str, remedy: str | None = None) -> None:
        super().__init__(message, remedy)
        self.pid = pid


class NotAttachable(TargetError):
    """The process is there (or was), but can't be attached to as it is."""


class TargetNotFound(NotAttachable):
    """No process with this pid, any more or ever; or another one by now."""

    exit_code = 10
    kind = "gone"


class NotPython(NotAttachable):
    """The process does not run CPython."""

    exit_code = 11
    kind = "not python"


class PythonMismatch(NotAttachable):
    """The target's Python is too old, or of a kind that can't be served from here."""

    exit_code = 12
    kind = "python version"


class DebuggingDisabled(NotAttachable):
    """The target was started with remote debugging switched off."""

    exit_code = 13
    kind = "switched off"


class AttachNotPermitted(NotAttachable):
    """The system does not let this user look into that process."""

    exit_code = 14
    kind = "not permitted"


class OtherNamespace(NotAttachable):
    """The target sees other files than the launcher, and no place where the two could meet."""

    exit_code = 15
    kind = "other namespace"


class TargetStopped(NotAttachable):
    """The target is stopped by a signal or a debugger, so that nothing in it runs."""

    exit_code = 16
    kind = "stopped"


class TargetZombie(NotAttachable):
    """The process has ended and waits for its parent to notice."""

    exit_code = 17
    kind = "zombie"


class TargetBlocked(TargetError):
    """The main thread waits outside Python, so that the bootstrap does not start.

    `waking`: what would be done to wake it if the user says so, and what the program would see
    of that; empty where nothing can be done, or is being done already.
    """

    exit_code = 18
    kind = "blocked"

    def __init__(self, pid: int, message: str, remedy: str | None = None, waking: str = "") -> None:
        super().__init__(pid, message, remedy)
        self.waking = plain(waking)


class AgentFailed(TargetError):
    """The bootstrap ran in the target but could not start the agent."""

    exit_code = 19
    kind = "agent failed"


class AgentLost(TargetError):
    """The attachment ended from the target's side: it exited, was killed, or broke the link."""

    exit_code = 20
    kind = "lost"


class TargetReplaced(AgentLost):
    """The target has ended, and another process of the same program has taken its place."""

    kind = "replaced"


class LocalKernelLost(LiveKernelError):
    """The kernel that runs `%%local` cells has ended, or did not start."""

    kind = "local kernel"


class NotMoved(LiveKernelError):
    """A value could not be moved between target and local kernel; nothing was changed."""

    kind = "not moved"


class NotTrusted(NotMoved):
    """To unpickle what this target says would let another user run code with our rights."""

    kind = "not trusted"
