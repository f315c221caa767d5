"""The benchmark: what live-kernel costs, beside what the alternatives cost.

    python -m bench [--quick] [--record] [ROW…]

Runs in a process of its own, which is the Jupyter client of everything that it
measures. Rule: ours and its peer are driven by the same code, in turns, in one
run; nothing that is started here outlives it.

    machine    what it ran on, and how quiet that was
    samples    taking turns; medians, spreads, rows
    estimates  between what a ratio lies
    wire       a client that speaks to kernels without a client library's own costs
    peers      the kernels: live-kernel, ipykernel as a process and in a thread, an echo
    by_pid     the other tools that enter a program by its pid: pdb, debugpy, memray
    dap        a client of the Debug Adapter Protocol, which debugpy speaks
    beside     ours beside several peers, of which some may not be there
    targets    the programs that are attached to
    serving    one of them under load, and how it fares
    footprint  what a process takes of the machine's memory
    rows       one module for each thing that is measured
    topics     what these are about
    runs       one measurement after the other
    report     the table and latest.json
    history    what is on record: history.jsonl
    check      is anything clearly slower than that?
    profiles   where the time goes; flames: how that is shown
"""
