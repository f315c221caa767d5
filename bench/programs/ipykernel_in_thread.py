"""ipykernel in a background thread of a running program, which never prepared for it.

Handed to `sys.remote_exec`; the benchmark puts a line above it that assigns
`CONNECTION_FILE`. It starts a thread and returns, as our own bootstrap does, so
that what is compared is ipykernel's work and not the way in.
"""

# mypy: disable-error-code="name-defined,no-untyped-call"
# ruff: noqa: F821


def _serve(connection_file: str) -> None:
    import asyncio

    from ipykernel.kernelapp import IPKernelApp

    class App(IPKernelApp):
        def init_signal(self) -> None:
            """Signal handlers can be set on the main thread alone."""

    asyncio.set_event_loop(asyncio.new_event_loop())
    app = App.instance(connection_file=connection_file, log_level=50)
    app.initialize([])
    app.start()


def _start(connection_file: str) -> None:
    import threading

    threading.Thread(target=_serve, args=(connection_file,), daemon=True).start()


_start(CONNECTION_FILE)
