"""Tells where functions of its Python lie, and its thread's state; then waits for a signal."""

import ctypes
import signal

NAMES = (
    "Py_AddPendingCall", "PyErr_CheckSignals", "PyEval_RestoreThread", "PyEval_SaveThread",
    "_PyEval_EvalFrameDefault",
)  # fmt: skip

for name in NAMES:
    print(name, ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value)
ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_void_p
print("state", ctypes.pythonapi.PyThreadState_Get())
signal.signal(signal.SIGUSR1, lambda number, frame: print("handled", flush=True))
print("ready", flush=True)
signal.pause()
print("returned", flush=True)
