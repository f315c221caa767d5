"""Has Jupyter's console, in tests, wait for the end of a cell also where the machine is busy."""

from jupyter_console import app, ptshell

from live_kernel.console import PatientShell

if app.ZMQTerminalInteractiveShell is ptshell.ZMQTerminalInteractiveShell:
    app.ZMQTerminalInteractiveShell = PatientShell
