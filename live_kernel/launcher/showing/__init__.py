"""What a look has found, for people: text and HTML of threads, stacks, tasks, the bound place.

Runs in the launcher, on a thread: source files are read. Rule: what comes from the program
is taken for text, whatever it is; names that it gives its own are shown escaped
(`plain.py` does that).
"""
