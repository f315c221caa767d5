"""A front-end in a process of its own: it starts a kernel, sends cells, and tells what comes.

`front_end.py JSON`, an object: `arguments` and `env` of the kernel, `cells`. Each but the last is
run to its end. Tells lines of JSON: the `place` of its files and the pid of the `launcher` first,
then each `text` that a user would see, and each `prompt`.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from kernels import Kernel


def tell(**what):
    print(json.dumps(what), flush=True)


order = json.loads(sys.argv[1])
kernel = Kernel(*order["arguments"], env=order["env"])
kernel.start()
tell(place=str(kernel.place), launcher=kernel.launcher_pid)
*before, last = order["cells"]
for code in before:
    kernel.run(code)
kernel.begin(last, allow_stdin=True)
while True:
    while kernel.messages:
        message = kernel.messages.pop(0)
        content = message["content"]
        if message["msg_type"] == "stream":
            tell(text=content["text"][-100:])
        elif message["msg_type"] == "input_request":
            tell(prompt=content["prompt"])
    kernel.take_in(0.25)
