"""What the screen remembers of a person from one time to the next: the theme."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path

from ..config.paths import state_root

NAME = "screen.json"
MOST = 4096
"""Bytes of it that are read."""


class Memory:
    """A small file beside the fleets' folders. What is damaged there counts as forgotten."""

    def __init__(self, root: Path | None = None) -> None:
        self.path = (root or state_root()) / NAME

    def theme(self) -> str | None:
        try:
            # a FIFO would block an ordinary open
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(fd, "rb") as file:
                raw = file.read(MOST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
            theme = json.loads(raw).get("theme")
        except (OSError, ValueError, AttributeError, RecursionError):
            return None
        return theme if isinstance(theme, str) else None

    def keep_theme(self, name: str) -> None:
        """Whole or not at all. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_name(f".{NAME}.{os.urandom(6).hex()}")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump({"theme": name}, file)
            draft.replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
