"""The agent: what runs inside a target.

The launcher reads these modules as source, compiles them for the target's
Python and sends them in as one bundle (`attach/payload.py`); the target never
imports them from disk. Rules: the standard library, the link and siblings
only; imports relative; anything that costs the program time or memory is
loaded by the cell that needs it; every change made to the target is entered
in the ledger, with its inverse, when it is made.
"""
