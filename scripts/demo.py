#!/usr/bin/env python3
"""Show live-kernel at work on a web service that was never prepared for it.

    demo.py            run notebooks/tour.ipynb in the service while it serves its
                       customers, then see whether it came to any harm
    demo.py lab        JupyterLab beside the service
    demo.py console    a Jupyter console in the service

Leaves nothing running. The exit status is 0 only if all went well.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

from demonstration import report, stage, witness
from demonstration.tour import KERNEL, Tour
from jupyter_client.kernelspec import NoSuchKernel
from rich.console import Console
from rich.markup import escape
from rich.rule import Rule

NOTEBOOKS = stage.ROOT / "notebooks"
RATE = 120.0
LEISURELY = 10.0
BREATHER = 1.0

console = Console(highlight=False)


def main(arguments: list[str]) -> int:
    acts = {"": show, "lab": lab, "console": open_console}
    if len(arguments) > 1 or "".join(arguments) not in acts:
        print(__doc__, file=sys.stderr)
        return 2
    stage.unwind_on_signals()
    try:
        return acts["".join(arguments)]()
    except (stage.StageError, NoSuchKernel) as error:
        console.print(f"[bold red]The demo failed:[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted; nothing is left running.")
        return 128 + signal.SIGINT


def show() -> int:
    """The demo itself."""
    began = time.monotonic()
    with stage.service() as service, stage.customers(service.url, RATE) as customers:
        _introduce(service, RATE)
        time.sleep(BREATHER)
        before = witness.look(service.pid)

        _head("A notebook runs in it")
        customers.phase("notebook inside")
        tour = Tour(NOTEBOOKS / "tour.ipynb", service.pid, console)
        tour.run()

        customers.phase("afterwards")
        time.sleep(BREATHER)
        is_up = service.is_up
        after = witness.look(service.pid) if is_up else before
        phases = customers.leave()

    console.print()
    _head("Did the service come to any harm?")
    phases[0]["name"] = "before"
    all_answered = report.customers(console, phases)
    is_unharmed = is_up and report.harm(console, before, after, witness.compare(before, after))
    return _conclude(tour, all_answered, is_unharmed, time.monotonic() - began)


def _conclude(tour: Tour, all_answered: bool, is_unharmed: bool, seconds: float) -> int:
    findings = {
        f"{tour.cells} cells ran in the service, the first result came after "
        f"{tour.first_result:.2f} s": tour.is_complete,
        "every request was answered, and rightly": all_answered,
        "the service is as it was": is_unharmed,
    }
    for finding, is_so in findings.items():
        console.print(f"[green]✓[/] {finding}" if is_so else f"[bold red]✗ not so:[/] {finding}")
    console.print(f"\n[dim]{seconds:.1f} s. Your turn: [/]make lab[dim], or [/]make console")
    return 0 if all(findings.values()) else 1


def lab() -> int:
    """JupyterLab, until Ctrl-C."""
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={NOTEBOOKS}"]
    words.append("--Application.log_level=ERROR")  # the address is told all the same
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        words.append("--no-browser")
    if os.geteuid() == 0:
        words.append("--allow-root")
    environment = {k: v for k, v in os.environ.items() if k != "LIVE_KERNEL_TARGET"}
    with stage.service() as service, stage.customers(service.url, LEISURELY):
        _introduce(service, LEISURELY)
        console.print(
            f"In JupyterLab, pick [bold]Attach to PID[/] and name pid [bold]{service.pid}[/] when "
            "asked, or open [bold]tour.ipynb[/],\nwhich finds the service by itself. The other "
            "notebooks say in their first cell which program to start.\n"
            "Ctrl-C here ends everything.\n"
        )
        with stage.running(words, env=environment, stdin=subprocess.DEVNULL) as server:
            try:
                return server.wait()
            except KeyboardInterrupt:
                return 0


def open_console() -> int:
    """The console, until the user leaves it."""
    words = [sys.executable, "-m", "jupyter_console", "--kernel", KERNEL]
    with stage.service() as service, stage.customers(service.url, LEISURELY):
        _introduce(service, LEISURELY)
        console.print(
            "Try [bold]len(orders)[/], [bold]discount = 50[/], [bold]await rate('JPY')[/] "
            "or [bold]%status[/]. Ctrl-D leaves, and ends the service.\n"
        )
        # The terminal's Ctrl-C is for the console, where it interrupts the cell.
        signal.signal(signal.SIGINT, lambda *_: None)
        words += ["--", "--pid", str(service.pid)]
        with stage.running(words, start_new_session=False) as process:
            return process.wait()


def _introduce(service: stage.Service, rate: float) -> None:
    _head("A web service is at work")
    version = platform.python_version()
    console.print(
        f"[bold]{Path('scripts/demo_service.py')}[/]: pid [bold]{service.pid}[/], "
        f"CPython {version}, uvicorn and Starlette, {service.url}\n"
        f"Customers send it {rate:.0f} requests a second and check every reply."
    )
    if stage.only_ancestors_may_attach():
        console.print(
            "[dim]This system lets only ancestors attach (kernel.yama.ptrace_scope=1): the demo "
            "started the service\nwith an exception, prctl(PR_SET_PTRACER, ANY).[/]"
        )
    console.print()


def _head(text: str) -> None:
    console.print(Rule(f"[bold]{text}[/]", align="left", style="green", characters="━"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
