"""Tells the id of a thread that is not its first."""

import threading
import time

threading.Thread(target=time.sleep, args=(600,), daemon=True, name="other").start()
print("thread", next(t.native_id for t in threading.enumerate() if t.name == "other"))
print("ready", flush=True)
time.sleep(600)
