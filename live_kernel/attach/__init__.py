"""Finding a process and entering it.

Runs in the launcher and the command line, never in a target.

Finding, which only reads:

    proc         what /proc tells about a process
    runtime      the CPython inside it, seen from outside
    realm        whose files it sees, whose numbers it counts
    permission   whether the system lets us look into it, and why not
    verdicts     the checks that decide whether it can be attached to
    processes    one process, all candidates, the one that fits a text
    doctor       the same checks, and those of our own side, told one by one
    interpreter  running the target's own Python beside it
    blocked      what its main thread waits for (awaited: in words; caller: whose code it is that
                 waits)
    mapped, elf  functions of its Python in its memory, and in its files

    supervised   programs under `live-kernel run`, by name (orders: what their supervisors can be
                 asked, to open their memory for us among it)

Entering:

    payload      the agent as one bundle of code
    landing      the private directory in which launcher and agent meet
    grounds      where that can be, if the target sees other files than we
    acting       making it as the target's user
    slot         the target's one place for a script
    injector     scheduling the bootstrap
    wake         nudging a main thread that idles; waking one that is blocked, when told to
    techniques   how that is done, by what it waits in, and what the program sees
    levers       by what in its memory that is done

Waking, in a short-lived process of its own:

    waker        carries out one order
    tracing      one thread held by ptrace(2)
    registers    what each machine's registers mean
    sigframes    frames through which a thread finds its way back by itself

Leaving:

    ending       whether and how the target has ended
"""
