"""What `scripts/demo.py` is made of: the stage on which live-kernel is shown.

`stage` starts and ends the service and its customers, `customers` is their
program, `witness` says what the service looks like from outside and from
inside, `tour` runs the notebook, `report` puts everything on paper.
"""
