"""The link between launcher and agent: its frames and its messages.

Both sides run this code, the agent's copy inside the target. Rule: no socket,
no thread, nothing beyond the standard library; pure, but for the files of
memory in `parcels.py`, which carry values past the link.

The link is two Unix stream sockets, both connected by the agent to a socket in
the launcher's private directory: `cells` carries cells and what they produce,
`control` carries everything that must get through while a cell runs. A frame
is one message; each side reads with one `recv` and writes with one `send`
where the frame is small, because in a busy target each of them may cost a
whole switch interval of the interpreter lock.
"""
