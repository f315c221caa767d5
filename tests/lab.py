"""JupyterLab as a person uses it: a server of our own, and a page of headless Chromium.

Runs in pytest. A `Lab` keeps its configuration, its connection files and the
notebooks in a directory of its own, and fetches nothing from any network.
Rule: helpers do what a person does (click, type, choose from a menu) and wait
for what a person would see; only who is running where is asked of the system.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import psutil
import pytest
from groups import free_port
from targets import ROOT, eventually, found

pytest.importorskip("jupyterlab", reason="no JupyterLab here")
pytest.importorskip("playwright.sync_api", reason="no playwright here")
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

SCREENSHOTS = ROOT / ".artefacts" / "lab"

_CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
"""Nothing is fetched, and nobody is asked whether it should be."""

SESSIONS = re.compile(r"/api/sessions(\?|$)")

_PATIENCE = 20_000.0
"""Milliseconds for what takes a moment; on a busy machine, a long one."""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; skips the test where there is none. One at a time."""
    executable = found("chromium") or pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_CHROMIUM_FLAGS)
        with contextlib.closing(browser):
            yield browser


class Lab:
    """A running JupyterLab, shown by one page of `browser`; use it in a `with` block.

    `application`: the module that is started. `base_url`: the path at which it serves.
    `options`: more words for its command line. `environment`: more variables for it.
    """

    application = "jupyterlab"

    def __init__(
        self,
        browser: Browser | None,
        *,
        base_url: str = "/",
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._browser = browser
        self.base_url, self._options = base_url, options
        self._more_environment = dict(environment or {})

    def __enter__(self) -> Self:
        self._exits = contextlib.ExitStack()
        try:
            self.home = Path(self._exits.enter_context(_private_directory()))
            self.notebooks = self.home / "notebooks"
            self._write_settings()
            self._port, self.token = free_port(), secrets.token_hex(8)
            self._exits.callback(self.stop_server)
            self.start_server()
            self._open_page()
            self.open()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    # -- the server ---------------------------------------------------------------------

    def start_server(self) -> None:
        """Start it, or start it again where it was; wait until it serves."""
        self._log = self.home / "server.log"
        with self._log.open("a") as log:
            self.server = subprocess.Popen(
                [
                    sys.executable, "-m", self.application, "--no-browser", "--allow-root",
                    "--ServerApp.ip=127.0.0.1",
                    f"--ServerApp.base_url={self.base_url}",
                    f"--ServerApp.port={self._port}",
                    "--ServerApp.port_retries=0",
                    f"--ServerApp.root_dir={self.notebooks}",
                    f"--IdentityProvider.token={self.token}",
                    "--LabApp.extension_manager=readonly",
                    *self._options,
                ],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        eventually(self._serves, timeout=60, what=f"{self.application} serves", every=0.1)

    def _write_settings(self) -> None:
        self.notebooks.mkdir()
        for name, settings in _SETTINGS.items():
            file = self.home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings))

    def _environment(self) -> dict[str, str]:
        ours = ("JUPYTER", "IPYTHON", "JPY_", "PYTHON", "LIVE_KERNEL", "COVERAGE", "PYTEST")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        home = str(self.home)
        return (
            inherited
            | {
                "HOME": home,
                "JUPYTER_CONFIG_DIR": home + "/config",
                "JUPYTER_DATA_DIR": home + "/data",
                "JUPYTER_RUNTIME_DIR": home + "/runtime",
                "JUPYTERLAB_SETTINGS_DIR": home + "/settings",
                "JUPYTERLAB_WORKSPACES_DIR": home + "/workspaces",
                "IPYTHONDIR": home + "/ipython",
            }
            | self._more_environment
        )

    def address(self, path: str) -> str:
        """Of this path at the server."""
        return f"http://127.0.0.1:{self._port}{self.base_url}{path}"

    def _url(self, path: str, more: str = "") -> str:
        return f"{self.address(path)}{'&' if '?' in path else '?'}token={self.token}{more}"

    def _ask(self, method: str, path: str) -> IO[bytes]:
        """Ask the server itself. Raises OSError."""
        request = urllib.request.Request(self._url(path), method=method)
        answer: IO[bytes] = urllib.request.urlopen(request, timeout=10)
        return answer

    def _serves(self) -> bool:
        if self.server.poll() is not None:
            pytest.fail(f"{self.application} has ended:\n{self.server_log()}")
        try:
            self._ask("GET", "api/status").close()
        except OSError:
            return False
        return True

    def server_log(self) -> str:
        """What the server and the launchers have written."""
        return self._log.read_text()

    def launchers(self) -> list[int]:
        """The launchers that run on this server's behalf, the oldest first, by pid."""
        found = []
        for process in psutil.process_iter(["cmdline", "create_time"]):
            words = " ".join(process.info["cmdline"] or ())
            if str(self.home) in words and "live_kernel" in words:
                found.append((process.info["create_time"], process.pid))
        return [pid for _, pid in sorted(found)]

    def stop_server(self) -> None:
        """End the server as its service manager would. May be called twice."""
        if not hasattr(self, "server"):
            return
        if self.server.poll() is None:
            self.server.terminate()
        try:
            self.server.wait(15)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
            raise

    # -- the page -----------------------------------------------------------------------

    def _open_page(self) -> None:
        expect.set_options(timeout=_PATIENCE)
        assert self._browser is not None
        self.page = self._browser.new_page(viewport={"width": 1280, "height": 860})
        self.page.set_default_timeout(_PATIENCE)
        self._exits.callback(self.page.close)

    def open(self) -> None:
        """Load JupyterLab with an empty workspace."""
        self.page.goto(self._url("lab", "&reset"))
        expect(self.card("Attach to PID")).to_be_visible(timeout=3 * _PATIENCE)

    def another_page(self) -> Page:
        """JupyterLab in a second tab, with a workspace of its own; to be closed."""
        page = self._browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(_PATIENCE)
        page.goto(self._url("lab/workspaces/another", "&reset"))
        expect(page.locator("#jp-MainMenu")).to_be_visible(timeout=3 * _PATIENCE)
        return page

    def card(self, kernel: str) -> Locator:
        """A kernel's card in the launcher."""
        return self.page.locator(
            ".jp-Launcher:visible .jp-LauncherCard[data-category='Notebook']", has_text=kernel
        )

    def open_launcher(self) -> None:
        """Show the page on which a kernel is picked, if it is not shown."""
        if not self.card("Attach to PID").is_visible():
            self.choose("File", "New Launcher")
        expect(self.card("Attach to PID")).to_be_visible()

    @contextlib.contextmanager
    def notebook(self, kernel: str = "Attach to PID", wait: bool = True) -> Iterator[Notebook]:
        """A new notebook from the launcher. Unless told, wait until its kernel is idle."""
        self.open_launcher()
        self.card(kernel).click()
        yield from self._shown(wait)

    @contextlib.contextmanager
    def file(
        self, name: str, cells: Sequence[str], *, wait: bool = True, **metadata: object
    ) -> Iterator[Notebook]:
        """A notebook that is there already, with these cells, opened from the file browser."""
        (self.notebooks / name).write_text(json.dumps(_notebook(cells, metadata)))
        self.open_file(name)
        yield from self._shown(wait)

    def open_file(self, name: str) -> None:
        """Open what is there under this name from the file browser."""
        self.page.get_by_role("button", name="Refresh the file browser").click()
        self.page.locator(".jp-DirListing-item", has_text=name).dblclick()

    def _shown(self, wait: bool) -> Iterator[Notebook]:
        """The notebook in front; its block ends with its kernel shut down, however that went."""
        notebook = Notebook(self)
        try:
            expect(notebook.editors.first).to_be_visible()
            if wait:
                notebook.wait_until_idle()
            yield notebook
        except BaseException:
            self.screenshot(f"failed-{os.environ.get('PYTEST_CURRENT_TEST', '')}")
            print("-- what Jupyter Server wrote:", self.server_log(), sep="\n")
            self.start_over()
            raise
        notebook.close_and_shut_down()

    def sessions(self) -> list[dict[str, Any]]:
        """The sessions of the server: which notebook has which kernel."""
        with self._ask("GET", "api/sessions") as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def start_over(self) -> None:
        """Leave nothing to the next test of one that has failed."""
        with contextlib.suppress(OSError):
            for session in self.sessions():
                self._ask("DELETE", f"api/sessions/{session['id']}").close()
            self.open()

    @contextlib.contextmanager
    def slow_to_tell_sessions(self) -> Iterator[None]:
        """The server is slow to tell the page which sessions there are.

        A cell that is run in the meantime makes the page ask for a session; once
        it knows that there was none, it asks for another, and gives up the first.
        """
        unanswered: list[Route] = []
        asked: list[Route] = []

        def on_request(route: Route) -> None:
            if route.request.method == "POST" and len(asked) < 2:
                asked.append(route)
                let_go(unanswered if len(asked) == 1 else asked)
            elif asked:
                route.continue_()
            else:
                unanswered.append(route)

        def let_go(held: list[Route]) -> None:
            for route in held:
                route.continue_()

        self.page.route(SESSIONS, on_request)
        yield
        self.page.unroute(SESSIONS, on_request)
        assert len(asked) == 2, "the page has asked for one session only"

    def choose(self, menu: str, item: str) -> None:
        """Choose from a menu of the menu bar."""
        self.page.locator("#jp-MainMenu .lm-MenuBar-item").get_by_text(menu, exact=True).click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()

    def confirm(self, button: str) -> None:
        """Press a button of the dialog that is open."""
        self.page.locator(".jp-Dialog button", has_text=button).click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)

    def screenshot(self, name: str) -> None:
        """Keep what the page looks like, to be looked at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}.png")


class Notebook:
    """The notebook that is in front."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.page = lab.page
        self.panel = lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.cells = self.panel.locator(".jp-Notebook .jp-CodeCell")
        self.editors = self.cells.locator(".jp-InputArea .cm-content")
        self.first = Cell(self, 0)

    def wait_until_idle(self) -> None:
        """Wait for the status bar to say that the kernel is there and idle."""
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle")

    # -- writing and running ------------------------------------------------------------

    def type(self, code: str) -> Cell:
        """Write into the last cell, as if pasted; into a new one if something stands there."""
        if (self.editors.last.text_content() or "").strip():
            self.panel.locator(".jp-Notebook-footer").click()
        self.editors.last.click()
        self.page.keyboard.insert_text(code)
        return Cell(self, self.cells.count() - 1)

    def run(self, code: str) -> Cell:
        """Write into the last cell and run it, which makes a new one below."""
        cell = self.type(code)
        self.page.keyboard.press("Shift+Enter")
        expect(self.cells).to_have_count(cell.index + 2)
        return cell

    def run_all(self) -> list[Cell]:
        """Run all cells."""
        self.lab.choose("Run", "Run All Cells")
        return [Cell(self, index) for index in range(self.cells.count())]

    def complete(self, typed: str) -> list[str]:
        """Type into the last cell and press Tab. The names that are offered."""
        self.editors.last.click()
        self.page.keyboard.type(typed)
        self.page.keyboard.press("Tab")
        offered = self.page.locator(".jp-Completer:not(.lm-mod-hidden) .jp-Completer-match")
        expect(offered.first).to_be_visible()
        return offered.all_inner_texts()

    # -- the kernel ---------------------------------------------------------------------

    def interrupt(self) -> None:
        """Interrupt the kernel, by the button with the square."""
        self.panel.locator(".jp-Toolbar [data-jp-item-name='interrupt']").click()

    def restart(self) -> None:
        """Restart the kernel through its menu, and confirm."""
        before = self.lab.launchers()
        self.lab.choose("Kernel", "Restart Kernel…")
        self.lab.confirm("Restart")
        eventually(lambda: set(self.lab.launchers()) - set(before), what="a new launcher")
        self.wait_until_idle()

    def save(self) -> None:
        """Save it, and wait until it is."""
        with self.page.expect_response(lambda answer: answer.request.method == "PUT"):
            self.lab.choose("File", "Save Notebook")

    def close_and_shut_down(self) -> None:
        """Close the notebook and shut its kernel down, without saving it."""
        self.lab.choose("File", "Close and Shut Down Notebook…")
        self.lab.confirm("OK")
        discard = self.page.locator(".jp-Dialog button", has_text="Discard")
        expect(discard.or_(self.page.locator(".jp-Launcher:visible")).first).to_be_visible()
        if discard.is_visible():
            discard.click()
        expect(self.panel).to_have_count(0)


class Cell:
    """One code cell of a notebook, by its place."""

    def __init__(self, notebook: Notebook, index: int) -> None:
        self._notebook = notebook
        self.index = index
        self.box = notebook.cells.nth(index)
        self.outputs = self.box.locator(".jp-OutputArea-output:not(.jp-Stdin)")
        self.question = self.box.locator(".jp-Stdin-input")
        """The line in which it asks for input."""
        self.alarms = self.box.locator("[data-mime-type='application/vnd.jupyter.stderr']")
        """What is shown on red: what went to stderr, and errors."""

    @property
    def prompt(self) -> Locator:
        """`[1]:`, with a star while it waits or runs, with a blank where it did not run."""
        return self.box.locator(".jp-InputArea-prompt")

    def wait_until_done(self) -> Self:
        """Wait for its number."""
        expect(self.prompt).to_have_text(re.compile(r"\[\d+\]:"))
        return self

    def run(self) -> None:
        """Run it (again)."""
        self.box.locator(".cm-content").click()
        self._notebook.page.keyboard.press("Shift+Enter")

    def text(self) -> str:
        """All that it has put out, once it is done."""
        self.wait_until_done()
        return "\n".join(self.outputs.all_inner_texts())

    def expect(self, text: str) -> None:
        """Wait for this in its output."""
        expect(self.box.locator(".jp-Cell-outputArea")).to_contain_text(text)

    def answer(self, text: str) -> None:
        """Answer what it asks."""
        expect(self.question).to_be_focused()
        self.question.fill(text)
        self.question.press("Enter")


def _notebook(cells: Sequence[str], metadata: dict[str, object]) -> dict[str, object]:
    kernel = {"name": "live-attach", "display_name": "Attach to PID", "language": "python"}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel, **metadata},
        "cells": [
            {
                "id": f"cell-{number}",
                "cell_type": "code",
                "source": code,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for number, code in enumerate(cells)
        ],
    }


def _private_directory() -> tempfile.TemporaryDirectory[str]:
    # The server writes while it ends; what it leaves then is no reason to fail.
    return tempfile.TemporaryDirectory(prefix="live-kernel-lab-", ignore_cleanup_errors=True)
