"""The picker: `live-kernel` alone, on a terminal, to choose a running program.

Runs in the user's shell, before the console takes over.

    entries   what is known of each program; the list, its filter and its selection
    watcher   a thread that looks anew each second
    drawing   what stands on the screen, as fragments of text
    screen    the keys, and the terminal
"""
