"""live-kernel: Jupyter cells that run inside a live Python process.

import live_kernel

with live_kernel.attach(4242) as program:
    program.run("print(len(orders))", show=print)
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .handle import Handle

__version__ = "0.1.0"
__all__ = ["Handle", "__version__", "attach"]


class _Package(ModuleType):
    """This package: its API is loaded when it is asked for, since the kernel starts without.

    Properties, because the import of the subpackage `attach` would otherwise put
    the subpackage where the function belongs.
    """

    @property
    def attach(self) -> Callable[..., Handle]:
        from .handle import attach

        return attach

    @attach.setter
    def attach(self, subpackage: ModuleType) -> None:
        """What the import system does with a subpackage; it is found in `sys.modules` as well."""

    @property
    def Handle(self) -> type[Handle]:  # noqa: N802 - a class's name
        from .handle import Handle

        return Handle


sys.modules[__name__].__class__ = _Package
