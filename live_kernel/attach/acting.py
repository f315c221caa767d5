"""Making files and sockets as another user, on one thread.

Runs in the launcher, where that is root or has root's capabilities. What is made so
belongs to the other user from its first moment, also where root itself has no number
(a user namespace); and no trick with links makes us touch what that user could not have
touched: groups and capabilities of ours don't count meanwhile.
Rule: nothing but files and sockets within, and nothing that waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def acting_as(owner: tuple[int, int] | None) -> Iterator[None]:
    """Within, this thread is that user with that group; None: it stays what it is.

    Raises PermissionError without CAP_SETUID and CAP_SETGID.
    """
    if owner is None:
        yield
        return
    from . import credentials  # slow to import, and only root needs it

    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    dumpable, before = credentials.dumpable(), credentials.capabilities()
    # A user namespace may forbid that; what is done within is not made possible by groups.
    with suppress(PermissionError):
        credentials.set_groups([])
    try:
        credentials.set_group(owner[1])
        credentials.set_user(owner[0])
        _, *rest = credentials.capabilities()
        credentials.set_capabilities((0, rest[0], rest[1]))  # root's are gone with its number
        yield
    finally:
        credentials.set_capabilities(before)
        credentials.set_user(uid)
        credentials.set_group(gid)
        with suppress(PermissionError):
            credentials.set_groups(groups)
        if dumpable == 1:  # a change of user takes it away, from the whole process
            credentials.set_dumpable()
