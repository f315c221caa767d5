"""A program under supervision: `live-kernel run`.

Runs as a process of its own, which is the program's parent: between the shell, whose job both
are, and the program.

    main      the command line, and the signals that reach us
    program   the program: started, ended, started again
    terminal  the terminal, if we have one
    shortage  whether the system has killed it for want of memory
    desk      the socket by which others ask for it
    errands   what is done for those who may not enter the program themselves
"""
