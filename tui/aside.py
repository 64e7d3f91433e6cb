"""Reads that nobody waits for: who leaves the screen does not wait for a disk, for git or for tmux.

What changes anything (orders, exports, settings) runs in Textual's workers: for those leaving does wait.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextvars import copy_context

from textual.message import Message


def aside(read: Callable[[], object], name: str) -> None:
    """Run it in a thread that ends with the program. It tells what it found by itself; what comes when the
    screen is gone is nobody's any longer."""
    context = copy_context()
    threading.Thread(target=lambda: context.run(_quietly, read), name=name, daemon=True).start()


def tell(post: Callable[[Message], object], message: Message) -> None:
    """Post from a thread, or not at all when there is no loop any longer."""
    with contextlib.suppress(RuntimeError):
        post(message)


def _quietly(read: Callable[[], object]) -> None:
    try:
        read()
    except RuntimeError as error:
        # Textual's words for an app that has ended, and asyncio's for its loop.
        if "not running" not in str(error) and "closed" not in str(error):
            raise
