"""Notebooks whose program has gone, in JupyterLab: who is named, and what one key chooses."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

import pytest
from lab import SESSIONS, Lab, Notebook, Route, expect
from lab_panel import Bar, Panel, choose, ready, run_command
from targets import Target

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("fresh"),
]


def saved(lab: Lab, name: str, pid: int, title: str) -> None:
    """A notebook that was saved with the kernel of this process."""
    kernel = {"name": f"live-attach-{pid}", "display_name": f"{title} · pid {pid}"}
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel | {"language": "python"}},
        "cells": [],
    }
    (lab.notebooks / name).write_text(json.dumps(content))


def test_a_saved_notebook_offers_the_same_program_again(lab: Lab) -> None:
    with Target("idle", args=["--shop", "one"]) as program:
        notebook = Panel(lab).open_notebook(program)
        notebook.run("total()").wait_until_done()
        notebook.save()
        name = notebook.panel.get_attribute("aria-label") or "Untitled.ipynb"
        notebook.close_and_shut_down()
    with Target("aio_idle"), Target("idle", args=["--shop", "one"]) as again, Target("idle"):
        expect(Panel(lab).row(again)).to_be_visible()
        Panel(lab).toggle()
        lab.page.locator(".jp-SideBar [data-id='filebrowser']").click()
        lab.open_file(name if name.endswith(".ipynb") else "Untitled.ipynb")
        dialog = lab.page.get_by_role("dialog")
        expect(dialog).to_contain_text("The program has ended")
        expect(dialog).to_contain_text(f"idle (pid {program.pid})")
        choose(lab.page, "", picture="gone-1-chosen-again", lab=lab)
        notebook = ready(lab, again)
        assert notebook.run("total()").text().endswith("42")
        notebook.close_and_shut_down()


def test_a_notebook_from_elsewhere_offers_by_name(lab: Lab) -> None:
    """Neither this server nor this machine has ever known that process."""
    saved(lab, "elsewhere.ipynb", 4_000_000, "idle")
    with Target("idle") as program, Target("aio_idle"):
        expect(Panel(lab).row(program)).to_be_visible()
        lab.page.locator(".jp-SideBar [data-id='filebrowser']").click()
        lab.open_file("elsewhere.ipynb")
        dialog = lab.page.get_by_role("dialog")
        expect(dialog).to_contain_text("idle (pid 4000000)")
        expect(dialog).to_have_count(1)
        choose(lab.page, f"pid {program.pid}")
        ready(lab, program).close_and_shut_down()


@contextlib.contextmanager
def held(lab: Lab, path: str | re.Pattern[str], method: str = "GET") -> Iterator[list[Route]]:
    """The page's requests of this kind, which do not get to the server before the block ends."""
    routes: list[Route] = []
    is_held = True

    def on_request(route: Route) -> None:
        if is_held and route.request.method == method:
            routes.append(route)
        else:
            route.continue_()

    lab.page.route(path, on_request)
    yield routes
    is_held = False
    while routes:
        routes.pop(0).continue_()
    lab.page.unroute(path, on_request)


def test_two_notebooks_go_into_one_program(lab: Lab) -> None:
    """The second while the first is on its way, for the server is slow to start its kernel."""
    with Target("idle") as program:
        with held(lab, SESSIONS, "POST"):
            for name in ("one.ipynb", "other.ipynb"):
                saved(lab, name, 4_000_002, "idle")
                lab.open_file(name)
                choose(lab.page, f"pid {program.pid}")
        ready(lab, program)
        lab.page.get_by_role("tab", name="one.ipynb").click()
        ready(lab, program)


def test_says_why_there_is_nothing_to_choose_from(lab: Lab) -> None:
    """Which is not that nothing has the words, as long as there are none."""
    path = "**/live-kernel/api/processes*"
    none = '{"processes": [], "hidden": 0}'
    dialog = lab.page.locator(".lk-picker")
    with held(lab, path) as looks:
        run_command(lab.page, "Attach to Process")
        dialog.get_by_role("combobox").fill("orders")
        expect(dialog).to_contain_text("Looking …")
        while looks:
            looks.pop().fulfill(body=none, content_type="application/json")
    expect(dialog).to_contain_text("No Python program runs here that could be attached to.")
    lab.page.keyboard.press("Escape")

    lab.page.route(path, lambda route: route.abort())
    run_command(lab.page, "Attach to Process")
    expect(dialog).to_contain_text("The server can't be reached.")
    lab.page.keyboard.press("Escape")
    lab.page.unroute(path)


def test_no_answer_leaves_it_without_a_kernel(lab: Lab) -> None:
    saved(lab, "left.ipynb", 4_000_001, "idle")
    lab.open_file("left.ipynb")
    expect(lab.page.get_by_role("dialog")).to_contain_text("idle (pid 4000001)")
    lab.page.keyboard.press("Escape")
    expect(lab.page.get_by_role("dialog")).to_have_count(0)
    expect(Notebook(lab).panel).to_be_visible()


def test_an_end_in_the_middle_is_told_beside_the_work(lab: Lab) -> None:
    with Target("idle", args=["--until", "now"]) as program:
        notebook = Panel(lab).open_notebook(program)
        notebook.run("total()").wait_until_done()
        notebook.type("total()")
        program.process.kill()
        expect(Bar(lab.page).target).to_contain_text("has ended")
    toast = lab.page.locator(".Toastify__toast", has_text="pid")
    expect(toast).to_contain_text("Choose again")
    expect(toast).to_be_in_viewport(ratio=1)
    expect(notebook.editors.last).to_be_focused()
    lab.screenshot("gone-2-ended")
    with Target("aio_idle"), Target("idle", args=["--until", "now"]) as again:
        expect(Panel(lab).row(again)).to_be_visible()
        toast.get_by_role("button", name="Choose again").click()
        choose(lab.page, "")
        ready(lab, again)
        notebook.close_and_shut_down()
