"""Jupyter Server with the extension, asked as front-ends ask it, and its page in a browser.

Runs in pytest. A `Server` has no browser; a `Page` shows `/live-kernel`. Each is a server of
its own, which lists all processes that there are, however many other tests run. Rule: as in
`lab.py`, what a person does is done in the browser; what front-ends ask, over HTTP.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import playwright.sync_api as playwright
from lab import SCREENSHOTS, Lab, expect
from targets import Target, eventually

_PATIENCE = 20.0

_ALL = ("--LiveKernel.max_specs=1000", "--LiveKernel.max_ended=1000")


class Server(Lab):
    """A server alone. `config`: of Jupyter Server, as it stands in a file of JSON; `disabled`:
    extensions of JupyterLab that are switched off.
    """

    application = "jupyter_server"

    def __init__(
        self,
        *,
        config: Mapping[str, object] | None = None,
        disabled: Sequence[str] = (),
        **how: Any,
    ) -> None:
        super().__init__(None, **{"options": _ALL, **how})
        self._config, self._disabled = config or {}, disabled

    def _write_settings(self) -> None:
        super()._write_settings()
        (self.home / "config").mkdir(exist_ok=True)
        file = self.home / "config" / "jupyter_server_config.json"
        file.write_text(json.dumps(self._config))
        (self.home / "config" / "labconfig").mkdir()
        switches = {"disabledExtensions": dict.fromkeys(self._disabled, True)}
        (self.home / "config" / "labconfig" / "page_config.json").write_text(json.dumps(switches))

    def _open_page(self) -> None:
        """There is no browser."""

    def open(self) -> None:
        """Nor a page in it."""

    def stop_server(self) -> None:
        """End it, by force if need be: threads of AnyIO's, of which it makes some to save files,
        keep it for ever at times, once its loop has ended.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            super().stop_server()

    def client(self, token: bool = True, **headers: str) -> httpx.Client:
        """A client of its own; `token`: known to the server by that, in a header."""
        known = {"Authorization": f"token {self.token}"} if token else {}
        return httpx.Client(
            base_url=self.address(""), headers=known | headers, timeout=_PATIENCE, trust_env=False
        )

    def get(self, path: str) -> Any:
        """What a path of the API answers, below `live-kernel/api/`."""
        with self.client() as client:
            return client.get(f"live-kernel/api/{path}").raise_for_status().json()

    def post(self, path: str, content: object) -> httpx.Response:
        with self.client() as client:
            return client.post(path, json=content)

    def process(self, target: Target) -> dict[str, Any]:
        """How a target is listed, by a look that is no older than it."""

        def look() -> dict[str, Any] | None:
            listed = self.get("processes?all=1")["processes"]
            return next((each for each in listed if each["pid"] == target.pid), None)

        found = eventually(look, what=f"pid {target.pid} is listed", every=0.2)
        assert found is not None
        return found

    def specs(self) -> dict[str, Any]:
        """All kernelspecs, as a front-end gets them."""
        with self.client() as client:
            found: dict[str, Any] = client.get("api/kernelspecs").raise_for_status().json()
        return found["kernelspecs"]

    @contextlib.contextmanager
    def session(self, kernelspec: str, path: str = "Untitled.ipynb") -> Iterator[dict[str, Any]]:
        """A kernel that is started as front-ends start it, and shut down in the end."""
        wanted = {"kernel": {"name": kernelspec}, "path": path, "type": "notebook"}
        answer = self.post("api/sessions", wanted)
        answer.raise_for_status()
        try:
            yield answer.json()
        finally:
            self.shut_down_all()

    def shut_down_all(self) -> None:
        """End every kernel."""
        with self.client() as client:
            for session in client.get("api/sessions").json():
                client.delete(f"api/sessions/{session['id']}").raise_for_status()


class Page(Server):
    """JupyterLab's server, of which a browser shows the page of running programs."""

    application = "jupyterlab"

    def __init__(self, browser: playwright.Browser, **how: Any) -> None:
        super().__init__(**how)
        self._browser: playwright.Browser = browser

    def _open_page(self) -> None:
        expect.set_options(timeout=_PATIENCE * 1000)
        context = self._browser.new_context(viewport={"width": 1280, "height": 860})
        self._exits.callback(context.close)
        self.page = context.new_page()
        self.page.set_default_timeout(_PATIENCE * 1000)

    def open(self) -> None:
        """Load the page, by the address that carries the token."""
        self.page.goto(self._url("live-kernel"))
        expect(self.page.get_by_role("columnheader", name="Program")).to_be_visible()

    @property
    def rows(self) -> playwright.Locator:
        return self.page.locator("tbody tr")

    def row(self, target: Target) -> playwright.Locator:
        """The row of a target."""
        return row_in(self.page, target)

    @contextlib.contextmanager
    def opened(
        self, target: Target, button: str = "Open notebook", page: playwright.Page | None = None
    ) -> Iterator[playwright.Page]:
        """What a button of its row opens, in a tab of its own."""
        page = page or self.page
        with page.context.expect_page() as event:
            row_in(page, target).get_by_role("button", name=button).click()
        tab = event.value
        tab.set_default_timeout(_PATIENCE * 1000)
        try:
            yield tab
        except BaseException:
            tab.screenshot(path=SCREENSHOTS / "failed-tab.png")
            print("-- what Jupyter Server wrote:", self.server_log(), sep="\n")
            raise
        finally:
            tab.close()

    def run(self, tab: playwright.Page, code: str) -> playwright.Locator:
        """Run this in the first cell of the notebook that a tab shows; what it puts out."""
        cell = tab.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").first
        editor = cell.locator(".cm-content")
        editor.click()
        editor.press("Control+a")
        tab.keyboard.insert_text(code)
        expect(editor).to_have_text(code)
        # JupyterLab asks for a kernel if a cell is run before it has come to start one itself.
        eventually(lambda: self._is_connected(tab), _PATIENCE, "a kernel is there", every=0.1)
        editor.press("Shift+Enter")
        return cell.locator(".jp-Cell-outputArea")

    def _is_connected(self, tab: playwright.Page) -> bool:
        with self.client() as client:
            sessions = client.get("api/sessions").json()
        kernels = [each["kernel"] for each in sessions if tab.url.endswith("/" + each["path"])]
        return any(each["execution_state"] == "idle" and each["connections"] for each in kernels)


class NotebookSeven(Page):
    """The same with Notebook 7."""

    application = "notebook"


def row_in(page: playwright.Page, target: Target) -> playwright.Locator:
    number = page.get_by_role("cell", name=str(target.pid), exact=True)
    return page.locator("tbody tr").filter(has=number)


def run_in_console(tab: playwright.Page, code: str) -> playwright.Locator:
    """Run this at the prompt of the console that a tab shows; all that is shown above it."""
    content = tab.locator(".jp-CodeConsole-content")
    expect(content).to_contain_text("live-kernel")  # a prompt before that is made anew with it
    tab.locator(".jp-CodeConsole-promptCell .cm-content").click()
    tab.keyboard.insert_text(code)
    tab.keyboard.press("Shift+Enter")
    return content
