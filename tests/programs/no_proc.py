"""Takes /proc away from itself once it has begun, as programs that change their root do."""

import ctypes
import time

if ctypes.CDLL(None).umount2(b"/proc", 2) != 0:  # MNT_DETACH
    raise OSError("/proc stays")
print("ready", flush=True)
while True:
    time.sleep(0.005)
