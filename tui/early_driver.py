"""Textual's driver for a terminal on which the early frame stands already.

Textual paints empty screens before it has any agents, and keys that come before the fleet's screen is there
would be nobody's. The ones are left out and the others wait, until the fleet can take the frame's place.
"""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from textual import events
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from .early import EarlyScreen

_OPENS = "\x1b[?1049h"
_PRESSED = (events.Key, events.Paste, events.MouseEvent)


class EarlyDriver(LinuxDriver):
    early: ClassVar[EarlyScreen | None] = None
    """The frame that stands there; set before the app is made."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._guard = threading.RLock()
        self._waits = self.early is not None and self.early.shown
        self._turning = False
        """The terminal is told how to behave: that is no picture, and must reach it."""
        self._pressed: list[Message] = []

    def start_application_mode(self) -> None:
        early = self.early if self._waits else None
        if early is not None:
            early.hand_over()
        self._turning = True
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual left it so
        self._turning = False
        if early is not None:
            self.attrs_before = early.before  # what it found is ours
            early.shown = False

    def stop_application_mode(self) -> None:
        self._waits = False  # an app that failed has no screen to paint
        super().stop_application_mode()

    def write(self, data: str) -> None:
        with self._guard:
            # Open it is, and a second time would clear it in some terminals.
            if not self._waits or (self._turning and data != _OPENS):
                super().write(data)

    def send_message(self, message: Message) -> None:
        with self._guard:
            if self._waits and isinstance(message, _PRESSED):
                self._pressed.append(message)
                return
        super().send_message(message)

    def release(self) -> None:
        """Paint the whole screen as it is now, and let the keys in."""
        with self._guard:
            if not self._waits:
                return
            self._waits = False
            pressed, self._pressed = self._pressed, []
        screen = self._app.screen
        # Textual has no public way to have all of a screen painted.
        whole = screen._compositor.render_update(full=True)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._app._display(screen, whole)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        for message in pressed:
            super().send_message(message)
