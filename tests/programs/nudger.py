"""Wakes the main thread of a program again and again, by all techniques in turn.

`nudger.py ROOT PID TIMES`; each time that it found the thread waiting counts. Prints, as JSON, how
often each technique was carried out, and what refusals there were.
"""

import json
import sys
import time
from collections import Counter

sys.path.insert(0, sys.argv[1])

from live_kernel.attach import blocked, levers, tracing, wake, waker
from live_kernel.attach.processes import identify
from live_kernel.attach.techniques import Technique

process, times = identify(int(sys.argv[2])), int(sys.argv[3])
wait = None
while wait is None:
    wait, _ = blocked.system_call(process.pid, process.pid)
found = levers.find(process.pid, wait.stack)
levers.find = lambda pid, stack: found  # these don't change, and the thread soon moves on
done, refused = Counter(), Counter()
while done.total() < times:
    technique = list(Technique)[done.total() % len(Technique)]
    wait, _ = blocked.system_call(process.pid, process.pid)
    if wait is None:
        continue
    seen = blocked.Blocked(process.pid, process.pid, "S", wait=wait)
    if technique is Technique.NUDGE:
        with tracing.Held(process.pid):
            done[technique.name] += 1
    else:
        outcome, why = waker.carry_out(wake.order_for(process, seen, technique))
        done[technique.name] += outcome == waker.DONE
        refused[why] += outcome == waker.REFUSED
    time.sleep(0.002)
print(json.dumps([done, +refused]))
