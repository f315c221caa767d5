"""What only C knows of a process: its signals' dispositions, and the hooks of each thread.

Runs in the programs of the tests, on the witness's thread; by itself it prints where this build
of Python keeps these hooks in a thread's state. Rule: `_ctypes` is loaded for the witness alone,
so that it is seen when the agent makes the program load it; and the interpreter lock is kept in
every call.
"""

import _imp
import _signal
import _thread
import sys
from _frozen_importlib_external import PathFinder

HOOKS = ("thread", "trace", "profile", "asyncgen firstiter", "asyncgen finalizer", "origins")
"""What is read of a thread's state, in the order of a layout."""

_SIZE = 1024
"""Bytes of a thread's state that are looked at; it is several kilobytes long."""

_SIGACTION = 152
"""Bytes of a `struct sigaction` on 64-bit Linux: the handler, a mask of 128 bytes, flags."""


_SA_RESTORER = 0x04000000
"""Set by the C library, whoever calls sigaction."""

DEFAULT = "0x0, flags 0x0, blocks 0000000000000000"


class Native:
    """Functions and memory of this interpreter. Raises ImportError where there is no `_ctypes`."""

    def __init__(self):
        spec = PathFinder.find_spec("_ctypes")
        if spec is None:
            raise ImportError("no _ctypes")
        self._c = _imp.create_dynamic(spec)
        _imp.exec_dynamic(self._c)
        simple = self._c._SimpleCData
        self.Word = type("Word", (simple,), {"_type_": "L"})
        self.Byte = type("Byte", (simple,), {"_type_": "c"})
        flags = self._c.FUNCFLAG_CDECL | self._c.FUNCFLAG_PYTHONAPI
        call = {"_flags_": flags, "_restype_": self.Word}
        self._Call = type("Call", (self._c.CFuncPtr,), call)

    def function(self, name):
        return self._Call(self._c.dlsym(self._c.dlopen(None, 0), name))

    def array(self, size):
        return type("Bytes", (self._c.Array,), {"_type_": self.Byte, "_length_": size})

    def at(self, address, size):
        return bytes(self.array(size).from_address(address))

    def dispositions(self):
        """What the system does at each signal for which that is not the default."""
        action, found = self.function("sigaction"), self.array(_SIGACTION)()
        dispositions = {}
        for number in _signal.valid_signals():
            address = self.Word(self._c.addressof(found))
            if not action(self.Word(number), None, address):
                dispositions[number] = described(bytes(found))
        return {number: text for number, text in dispositions.items() if text != DEFAULT}

    def wakeup(self):
        """The descriptor to which the number of each signal is written, or -1."""
        set_it = self.function("PySignal_SetWakeupFd")
        found = set_it(self.Word(2**64 - 1)) & 0xFFFFFFFF
        set_it(self.Word(found))
        return -1 if found == 0xFFFFFFFF else found

    def thread_states(self):
        """The memory of each thread's state."""
        present = self.function("PyInterpreterState_Get")()
        address = self.function("PyInterpreterState_ThreadHead")(self.Word(present))
        following = self.function("PyThreadState_Next")
        while address:
            yield self.at(address, _SIZE)
            address = following(self.Word(address))

    def hooks(self, layout):
        """Of each thread: what is called for it, as addresses."""
        hooks = {}
        for state in self.thread_states():
            thread, *rest = (int.from_bytes(state[o : o + 8], sys.byteorder) for o in layout)
            rest[-1] &= 0xFFFFFFFF
            hooks[thread] = dict(zip(HOOKS[1:], rest, strict=True))
        return hooks

    def layout(self):
        """Where what is read stands in a thread's state; for that it is set in this process."""

        def mark(*_):
            return None

        def offset(value, size=8):
            state = self.at(self.function("PyThreadState_Get")(), _SIZE)
            return state.index(value.to_bytes(size, sys.byteorder))

        sys.settrace(mark)
        trace = offset(id(mark))
        sys.settrace(None)
        sys.setprofile(mark)
        profile = offset(id(mark))
        sys.setprofile(None)
        sys.set_asyncgen_hooks(first := lambda _: None, final := lambda _: None)
        sys.set_coroutine_origin_tracking_depth(0x5EED1234)
        places = offset(id(first)), offset(id(final)), offset(0x5EED1234, 4)
        return offset(_thread.get_ident()), trace, profile, *places


def described(disposition):
    handler = int.from_bytes(disposition[:8], sys.byteorder)
    flags = int.from_bytes(disposition[136:140], sys.byteorder) & ~_SA_RESTORER
    return f"{handler:#x}, flags {flags:#x}, blocks {disposition[8:16].hex()}"


if __name__ == "__main__":
    print(*Native().layout())
