"""live-kernel: Jupyter cells that run inside a live Python process."""

__version__ = "0.1.0"
