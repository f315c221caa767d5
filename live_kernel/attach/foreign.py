"""The second rung: the target's own interpreter compiles the agent and makes the call.

This text runs in a short-lived process of the target's interpreter
(`/proc/PID/exe -I -S -c`), as the target's user and never with more than that
user's rights. It reads a JSON object from stdin: `pid`, `script` (the file to
be executed) and, unless null, `bundle` (the file to be written), `package`,
`sources` (module, file, source) and `groups` (of the modules that are loaded late).
Rule: this file stands alone; it is sent as text, so that the interpreter need not
be able to read our files.
"""

import json
import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER


def _bundle(package: str, sources: list[tuple[str, str, str]], groups: dict[str, int]) -> bytes:
    """As `payload.bundle`, from sources."""
    codes = [(m, f, compile(s, f, "exec", dont_inherit=True)) for m, f, s in sources]
    modules = [(package, True, 0, marshal.dumps(compile("", "<live-kernel>", "exec")))]
    for module, file, code in codes[:-1]:
        is_package, group = file.endswith("__init__.py"), groups.get(module, 0)
        modules.append((f"{package}.{module}", is_package, group, marshal.dumps(code)))
    first = marshal.dumps(({"PACKAGE": package, "MAGIC": MAGIC_NUMBER}, codes[-1][2]))
    return len(first).to_bytes(4) + first + marshal.dumps(modules)


def _main() -> None:
    order = json.load(sys.stdin)
    if order["bundle"]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(order["bundle"], flags, 0o600), "wb") as file:
            file.write(_bundle(order["package"], order["sources"], order["groups"]))
    sys.remote_exec(order["pid"], order["script"])


if __name__ == "__main__":
    _main()
