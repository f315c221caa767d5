"""The second rung: the target's own interpreter compiles the agent and makes the call.

This text runs in a short-lived process of the target's interpreter
(`/proc/PID/exe -I -S -c`), as the target's user and never with more than that
user's rights. It reads a JSON object from stdin: `pid`, `script` (the file to
be executed) and, unless null, `bundle` (the file to be written), `package` and
`sources` (module, file, source). Rule: this file stands alone; it is sent as
text, so that the interpreter need not be able to read our files.
"""

import json
import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER


def _bundle(package: str, sources: list[tuple[str, str, str]]) -> bytes:
    """As `payload.assemble`, from sources."""
    codes = [(m, f, compile(s, f, "exec", dont_inherit=True)) for m, f, s in sources]
    modules = [(package, True, marshal.dumps(compile("", "<live-kernel>", "exec")))]
    for module, file, code in codes[:-1]:
        is_package = file.endswith("__init__.py")
        modules.append((f"{package}.{module}", is_package, marshal.dumps(code)))
    first = marshal.dumps(({"PACKAGE": package, "MAGIC": MAGIC_NUMBER}, codes[-1][2]))
    return len(first).to_bytes(4) + first + marshal.dumps(modules)


def _main() -> None:
    order = json.load(sys.stdin)
    if order["bundle"]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(order["bundle"], flags, 0o600), "wb") as file:
            file.write(_bundle(order["package"], order["sources"]))
    sys.remote_exec(order["pid"], order["script"])


if __name__ == "__main__":
    _main()
