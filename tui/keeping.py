"""The port through which the screen puts its fleet under supervision again."""

from __future__ import annotations

from typing import Protocol


class Keeper(Protocol):
    """Blocks, is called from a thread, may raise."""

    def start(self) -> str:
        """Start the daemon, or let a stopped one go on; what was done."""
        ...
