"""The launcher: the kernel that Jupyter starts.

One process per notebook, one thread that runs everything (`reactor.py`) and
short-lived ones for work that may wait. It never imports the agent.
"""
