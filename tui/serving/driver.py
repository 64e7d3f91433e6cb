"""The screen's way out of a page's process. Textual's own, but for what happens when the server is gone."""

from __future__ import annotations

from textual.drivers.web_driver import WebDriver
from textual.messages import ExitApp


class PageDriver(WebDriver):
    """Ends the screen when nobody is left to show it to, also where the server was killed."""

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if not self.exit_event.is_set():  # the other end was closed without a word
            _ = self._app.post_message(ExitApp())

    def write(self, data: str) -> None:
        try:
            super().write(data)
        except BrokenPipeError:
            self.exit_event.set()
            _ = self._app.post_message(ExitApp())

    def write_meta(self, data: dict[str, object]) -> None:
        try:
            super().write_meta(data)
        except BrokenPipeError:
            self.exit_event.set()
            _ = self._app.post_message(ExitApp())
