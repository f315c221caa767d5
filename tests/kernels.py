"""Kernels under test: the launcher, started as Jupyter starts it, and what it answers.

Runs in pytest. A `Kernel` is a launcher in a process of its own, made from the
repository's kernelspec, with one front-end; each message that it sends is
checked against Jupyter's schema. Rule: a test waits for messages, never for
time; a launcher that leaves behind a file or a traceback fails its test.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import zmq
from jsonschema import ValidationError
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_kernel_test.msgspec_v5 import schema_fragments, validate_message
from targets import ROOT, eventually
from traitlets import Unicode

Message = dict[str, Any]

PATIENCE = 20.0
"""Seconds after which what a test waits for is not coming."""

_SHOWN = 500
"""Characters of a message that are shown when a test fails."""

_IPYKERNELS_END = re.compile(
    r"ERROR:tornado\.general:Uncaught exception in ZMQStream callback\n"
    r"(?:(?!ERROR:).*\n)*?.*/ipykernel/(?:.*\n)*?zmq\.error\.ZMQError: .*\n"
)
"""What a stock ipykernel, the local one, may say when it is told to end at its work."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def plain(text: str) -> str:
    """Text without terminal colours."""
    return _COLOURS.sub("", text)


class Cell:
    """One execute request, and what has come back for it so far."""

    def __init__(self, kernel: Kernel, request: str) -> None:
        self._kernel = kernel
        self.request = request

    @property
    def messages(self) -> list[Message]:
        """All that belongs to it, in the order of arrival on each channel."""
        mine = self.request
        return [m for m in self._kernel.messages if m["parent_header"].get("msg_id") == mine]

    def contents(self, *kinds: str) -> list[Message]:
        """The contents of its messages of these types."""
        return [m["content"] for m in self.messages if m["msg_type"] in kinds]

    def finish(self, timeout: float = PATIENCE) -> Self:
        """Wait for its reply and its idle."""
        self._kernel.wait(lambda: self.is_done, timeout, "the end of the cell")
        return self

    def wait_for(self, text: str, timeout: float = PATIENCE) -> None:
        """Wait until it has written this, as output or as a display, even after its end.

        What a cell has left running (a trace, a thread) writes when it has something to say.
        """
        self._kernel.wait(lambda: text in self.text, timeout, repr(text))

    @property
    def is_done(self) -> bool:
        states = [content["execution_state"] for content in self.contents("status")]
        return "idle" in states and bool(self.contents("execute_reply"))

    @property
    def reply(self) -> Message:
        (content,) = self.contents("execute_reply")
        return content

    @property
    def status(self) -> str:
        return str(self.reply["status"])

    def stream(self, name: str) -> str:
        return "".join(c["text"] for c in self.contents("stream") if c["name"] == name)

    @property
    def stdout(self) -> str:
        return self.stream("stdout")

    @property
    def stderr(self) -> str:
        return self.stream("stderr")

    @property
    def result(self) -> str | None:
        """The text of its value."""
        values = self.contents("execute_result")
        assert len(values) < 2, values
        return values[0]["data"].get("text/plain") if values else None

    @property
    def displays(self) -> list[Message]:
        """The data of what it displayed, without the kernel's own notes."""
        data = [content["data"] for content in self.contents("display_data")]
        return [each for each in data if not is_note(each)]

    @property
    def notes(self) -> str:
        """What the kernel itself has displayed, such as to what it is attached."""
        texts = [c["data"].get("text/plain", "") for c in self.contents("display_data")]
        return "\n".join(text for text in texts if is_note({"text/plain": text}))

    @property
    def text(self) -> str:
        """Everything that a user could read."""
        shown = self.contents("display_data", "update_display_data", "execute_result")
        bundles = [content["data"].get("text/plain", "") for content in shown]
        return "\n".join([self.stdout, self.stderr, *bundles, self.traceback])

    @property
    def error(self) -> tuple[str, str]:
        """The name and the text of its exception, which reply and iopub agree upon."""
        assert self.status == "error", self
        errors = [(c["ename"], c["evalue"]) for c in self.contents("error")]
        told = (self.reply["ename"], self.reply["evalue"])
        assert errors in ([told], []), errors
        return told

    @property
    def traceback(self) -> str:
        """Its traceback without colours, or nothing."""
        lines = [line for content in self.contents("error") for line in content["traceback"]]
        return plain("\n".join(lines))

    @property
    def payload(self) -> list[Message]:
        payload: list[Message] = self.reply["payload"]
        return payload

    @property
    def expressions(self) -> Message:
        expressions: Message = self.reply["user_expressions"]
        return expressions

    def __repr__(self) -> str:
        lines = [f"{m['msg_type']}: {m['content']}" for m in self.messages]
        return "\n".join(["cell:", *lines, self._kernel.told()])


def is_note(data: Message) -> bool:
    """Is it the kernel that speaks, rather than the cell?"""
    beginnings = ("Attached to ", "Waiting: ", "Detached ", "The kernel ", "Could not be undone")
    beginnings += ("Breakpoint ", "Followed ", "The journal ")
    text = str(data.get("text/plain", ""))
    return text.startswith(beginnings) or "has returned; cells now" in text


class _Specs(KernelSpecManager):
    """Knows the kernelspec of the repository, and no other."""

    python = Unicode(sys.executable)

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        assert kernel_name == "live-attach"
        spec = KernelSpec.from_resource_dir(str(ROOT / "kernelspec"))
        spec.argv[0] = self.python
        return spec


class Kernel:
    """A launcher and its front-end; use it in a `with` block.

    `arguments`: what a user adds after `--`. `env`: variables to add. `python`:
    the launcher's interpreter. `notebook`: the path that Jupyter Server would
    tell it. `encryption`: "required" for CURVE. `answers`: what the user types
    when asked, one after the other; a callable gets the prompt. `log`: where it writes its log.
    """

    def __init__(
        self,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
        notebook: Path | None = None,
        transport: str = "tcp",
        encryption: str = "disabled",
        answers: Sequence[str] = (),
        log: Path | None = None,
    ) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="lk-", dir="/tmp"))
        self.messages: list[Message] = []
        self.prompts: list[Message] = []
        self.listens_to = ("iopub", "shell", "stdin", "control")
        """The channels that are read."""
        self.at_once = 100
        """Messages that are taken in from one channel before the others have their turn."""
        self.answers = deque(answers)
        self.log_file = self.place / "launcher.log"
        # Open to the end: a restart writes to it, too.
        self._log = (log or self.log_file).open("ab")
        self._arguments = [str(argument) for argument in arguments]
        self._env = _environment(self.place, notebook) | dict(env or {})
        options = (
            {"transport": transport, "ip": str(self.place / "k")} if transport == "ipc" else {}
        )
        self.manager = KernelManager(
            kernel_name="live-attach",
            kernel_spec_manager=_Specs(python=python),
            connection_file=str(self.place / "kernel.json"),
            transport_encryption=encryption,
            **options,
        )
        self.client: BlockingKernelClient

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is None:
            self.check_leavings()
        shutil.rmtree(self.place)

    # -- its life -----------------------------------------------------------------------

    def start(self) -> None:
        """Start the launcher, and a front-end that misses nothing of what it says.

        Ports are chosen before it binds them; where one has been taken since, it gets others.
        """
        self.manager.start_kernel(
            env=self._env, extra_arguments=self._arguments, stdout=self._log, stderr=self._log
        )
        self.connect()
        if not self.is_running() and "Address already in use" in self.log():
            self.client.stop_channels()
            self.manager.restart_kernel(now=True, newports=True)
            self.connect()

    def connect(self) -> None:
        """Open the front-end's channels, and wait for the welcome on iopub."""
        self.client = self.manager.client()
        # Of the manager's session, which counts alike, messages would bear the ids of its requests.
        self.client.session.session = uuid.uuid4().hex
        self.client.start_channels(hb=False)
        self._await_welcome(len(self.messages))

    def _await_welcome(self, count: int) -> None:
        def is_welcome() -> bool:
            return any(m["msg_type"] == "iopub_welcome" for m in self.messages[count:])

        self.wait(lambda: is_welcome() or not self.is_running(), what="iopub_welcome")

    @property
    def launcher_pid(self) -> int:
        provisioner = self.manager.provisioner
        assert provisioner is not None
        return int(provisioner.pid)  # type: ignore[attr-defined]

    def is_running(self) -> bool:
        """Has the launcher not ended? (It is collected if it has.)"""
        return self.manager.has_kernel and bool(self.manager.is_alive())

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the launcher a signal, and wait for its end."""
        os.kill(self.launcher_pid, number)
        eventually(lambda: not self.is_running(), what="the end of the launcher")

    def kill_for_good(self) -> None:
        """Kill the launcher, and forget what it would know after a restart."""
        self.kill()
        self.forget()

    def forget(self) -> None:
        """Remove what a launcher leaves that was not asked to end."""
        (self.place / "kernel.live-kernel").unlink(missing_ok=True)

    def restart(self, now: bool = False) -> None:
        """Restart the launcher, as a front-end does; its channels are the same ones."""
        self.take_in()
        count = len(self.messages)
        self.manager.restart_kernel(now=now)
        self._await_welcome(count)

    def shutdown(self) -> float:
        """Ask the launcher to leave. Returns the seconds that it took."""
        begin = time.monotonic()
        self.client.session.send(
            self.client.control_channel.socket, "shutdown_request", {"restart": False}
        )
        eventually(lambda: not self.is_running(), every=0.002, what="the end of the launcher")
        return time.monotonic() - begin

    def close(self) -> None:
        """Shut the launcher down if it runs, kill it if it does not go."""
        try:
            if hasattr(self, "client") and self.is_running():
                self.shutdown()
        finally:
            if self.manager.has_kernel:
                self.manager.shutdown_kernel(now=True)
            if hasattr(self, "client"):
                self.client.stop_channels()
                del self.client
            self.manager.context.destroy(linger=0)
            self._log.close()

    def check_leavings(self) -> None:
        """The launcher has left nothing behind, in files or in words."""
        log = _IPYKERNELS_END.sub("", self.log())
        assert "Traceback" not in log, log
        left = {path.name for path in self.place.iterdir()} - {"launcher.log"}
        assert not left, left

    def log(self) -> str:
        """What the launcher has written to its own stderr."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def told(self) -> str:
        """For messages of failed tests."""
        return f"-- launcher's log:\n{self.log()}"

    # -- messages -----------------------------------------------------------------------

    def wait(
        self, condition: Callable[[], object], timeout: float = PATIENCE, what: str = ""
    ) -> None:
        """Take in messages until the condition holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            rest = deadline - time.monotonic()
            if rest <= 0:
                seen = [(m["channel"], m["msg_type"], m["content"]) for m in self.messages[-20:]]
                raise AssertionError(
                    f"not within {timeout} s: {what}\nlast messages:\n"
                    + "\n".join(str(each)[:_SHOWN] for each in seen)
                    + f"\n{self.told()}"
                )
            self.take_in(min(rest, 0.25))

    def take_in(self, patience: float = 0) -> None:
        """Take in what has arrived, or what comes first within `patience` seconds."""
        channels = {name: getattr(self.client, f"{name}_channel") for name in self.listens_to}
        poller = zmq.Poller()
        for channel in channels.values():
            poller.register(channel.socket, zmq.POLLIN)
        ready = dict(poller.poll(int(patience * 1000)))
        for name, channel in channels.items():
            for _ in range(self.at_once if channel.socket in ready else 0):  # a flood has no end
                if channel.socket.poll(0):
                    self._take(name, channel.get_msg(timeout=0))

    def _take(self, channel: str, message: Message) -> None:
        _validate(message)
        message["channel"] = channel
        self.messages.append(message)
        if message["msg_type"] == "input_request":
            self.prompts.append(message["content"])
            if self.answers:
                self.client.input(self.answers.popleft())

    def ask(self, kind: str, channel: str = "shell", **content: Any) -> Message:
        """Send any request, and wait for its reply. Returns the reply's content."""
        message = self.client.session.msg(kind, content)
        getattr(self.client, f"{channel}_channel").send(message)
        request = message["header"]["msg_id"]
        return self.reply_to(request)

    def reply_to(self, request: str) -> Message:
        """The content of the reply to a request that was sent, once it is there."""

        def replies() -> list[Message]:
            return [
                m["content"]
                for m in self.messages
                if m["channel"] in ("shell", "control") and m["parent_header"]["msg_id"] == request
            ]

        self.wait(replies, what="the reply")
        return replies()[0]

    # -- cells --------------------------------------------------------------------------

    def begin(self, code: str, subshell: str | None = None, **options: Any) -> Cell:
        """Send a cell, maybe to a subshell. `options`: the fields of the request."""
        content = {"code": code, "allow_stdin": False, **options}
        return Cell(self, self.send("execute_request", content, subshell))

    def send(
        self,
        kind: str,
        content: Message,
        subshell: str | None = None,
        buffers: Sequence[bytes] = (),
        metadata: Message | None = None,
    ) -> str:
        """Send anything on the shell channel. Returns its id."""
        message = self.client.session.msg(kind, content, metadata=metadata)
        message["header"]["subshell_id"] = subshell
        socket = self.client.shell_channel.socket
        self.client.session.send(socket, message, buffers=list(buffers))
        return str(message["header"]["msg_id"])

    def run(self, code: str, timeout: float = PATIENCE, **options: Any) -> Cell:
        """Send a cell and wait for its end."""
        return self.begin(code, **options).finish(timeout)

    def value(self, code: str) -> Any:
        """The value of an expression, by way of its text."""
        cell = self.run(code)
        assert cell.status == "ok", cell
        return eval(cell.result or "None")

    def wait_until_still(self, counter: str) -> None:
        """Wait until the program no longer changes a global of its own, and so waits itself."""
        self.run(
            "import time\n"
            "def is_still():\n"
            f"    before = {counter}; time.sleep(0.1); return before == {counter}\n"
            "while not is_still(): pass"
        )

    def interrupt(self) -> None:
        """Interrupt the kernel as its kernelspec wants it: by a message."""
        assert self.ask("interrupt_request", "control")["status"] == "ok"

    def complete(self, code: str) -> list[str]:
        reply = self.ask("complete_request", code=code, cursor_pos=len(code))
        matches: list[str] = reply["matches"]
        return matches


def _validate(message: Message) -> None:
    """Raise where a message is not as Jupyter has it."""
    if message["msg_type"] not in schema_fragments or message["content"].get("status") == "aborted":
        return  # newer than the schema: iopub_welcome; and "aborted", which it calls "abort"
    checked = dict(message)
    if message["msg_type"] == "input_request":  # where the schema wants a number, Jupyter a bool
        password = message["content"]["password"]
        assert isinstance(password, bool), message["content"]
        checked["content"] = message["content"] | {"password": int(password)}
    try:
        validate_message(checked)
    except ValidationError as error:
        raise AssertionError(f"{message['msg_type']}: {error.message}") from error


def _environment(place: Path, notebook: Path | None) -> dict[str, str]:
    """Ours, without what would steer the kernel; its temporary files go where we look."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LIVE_KERNEL", "JPY_", "COVERAGE")) and name != "XDG_RUNTIME_DIR"
    }
    kept |= {"TMPDIR": str(place), "PYTHONWARNINGS": "default"}
    if notebook is not None:
        kept["JPY_SESSION_NAME"] = str(notebook)
    return kept
