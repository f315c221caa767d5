"""A launcher's look at one process, from under the conditions that it was started in.

Prints the verdict as JSON. Options: --yama FILE to read ptrace_scope from,
--confine seccomp|landlock to be put under that first.
"""

import argparse
import ctypes
import json
import platform
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from live_kernel.attach import permission, processes
from live_kernel.attach.doctor import doctor
from live_kernel.errors import NotAttachable

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
LANDLOCK_CREATE, LANDLOCK_RESTRICT = 444, 446


def seccomp():
    """EPERM for process_vm_readv and process_vm_writev, as some container run-times have it."""
    first = {"x86_64": 310, "aarch64": 270}[platform.machine()]
    code = [
        (0x20, 0, 0, 0),  # load the number
        (0x35, 0, 2, first),  # below: allow
        (0x25, 1, 0, first + 1),  # above: allow
        (0x06, 0, 0, 0x00050001),  # EPERM
        (0x06, 0, 0, 0x7FFF0000),  # allow
    ]
    text = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in code))
    program = ctypes.create_string_buffer(
        struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(text))
    )
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    assert LIBC.prctl(PR_SET_SECCOMP, 2, program, 0, 0) == 0, ctypes.get_errno()


def landlock():
    """A domain of our own: no look outside, whatever our privileges."""
    handled = ctypes.create_string_buffer(struct.pack("<Q", 1 << 12))  # MAKE_SYM: any will do
    rules = LIBC.syscall(LANDLOCK_CREATE, handled, ctypes.c_size_t(8), 0)
    if rules < 0:
        sys.exit("no Landlock")
    LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    assert LIBC.syscall(LANDLOCK_RESTRICT, rules, 0) == 0, ctypes.get_errno()


options = argparse.ArgumentParser()
options.add_argument("pid", type=int)
options.add_argument("--yama", type=Path, default=permission.YAMA)
options.add_argument("--confine", choices=["seccomp", "landlock"])
given = options.parse_args()
if given.confine:
    globals()[given.confine]()
try:
    told = {"process": processes.identify(given.pid, yama=given.yama).as_json()}
except NotAttachable as error:
    told = {"class": type(error).__name__, "message": str(error), "remedy": error.remedy}
told["findings"] = [each.as_json() for each in doctor(given.pid, yama=given.yama)]
told["listed"] = [each.as_json() for each in processes.candidates()]
print(json.dumps(told))
