"""live-kernel: Jupyter cells that run inside a live Python process.

import live_kernel

with live_kernel.attach(4242) as program:
    program.run("print(len(orders))", show=print)
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .handle import Handle, attach

__version__ = "0.1.0"
__all__ = ["Handle", "__version__", "attach"]


def __getattr__(name: str) -> object:
    """Load the API when it is asked for: the kernel starts without it."""
    if name in ("Handle", "attach"):
        from . import handle

        return getattr(handle, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
