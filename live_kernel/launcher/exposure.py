"""What a connection file lets others do: whom its channels are open to.

Runs in the launcher, when it starts. The file is obeyed, for Jupyter or a person has written
it to say where the channels are. Rule: what is surely a mistake is refused; what could be meant
is done, and said in the kernel's log.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def check(connection: dict[str, Any], file: Path) -> Iterator[str]:
    """What the user should know. Raises ValueError for what is not done."""
    is_encrypted = bool(connection.get("curve_publickey"))
    if is_encrypted != bool(connection.get("curve_secretkey")):
        raise ValueError("it has one of the two keys for CURVE only: that would encrypt nothing")
    address, is_signed = connection["ip"], bool(connection["key"])
    is_local = connection["transport"] != "tcp" or _is_loopback(address)
    if not (is_signed or is_encrypted or is_local):
        raise ValueError(
            f"its key is empty, and its address {address}: anybody on the network could run code"
        )
    if not is_signed and not is_encrypted:
        yield "the connection file has no key: who reaches the channels can run code"
    if not (is_encrypted or is_local):
        yield (
            f"the channels are on {address}, as the connection file says, and not encrypted: "
            "who reaches them there can read what cells show"
        )
    if file.stat().st_mode & (stat.S_IROTH | stat.S_IRGRP):
        yield f"{file} can be read by others: who reads it can run code (chmod 600)"


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address in ("localhost", "::1", "[::1]")


def welcome(file: Path) -> set[int]:
    """Users who may connect: our own, root, and who has written the connection file."""
    return {0, os.getuid(), os.geteuid(), file.stat().st_uid}
