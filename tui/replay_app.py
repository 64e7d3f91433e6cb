"""The program of a replay: wiring only. It starts nothing, and writes nothing."""

from __future__ import annotations

import os

from textual.app import App

from .app import fitting_glyphs
from .looks import Glyphs
from .screens.replay import ReplayScreen
from .sources.replay import ReplaySource
from .themes import EXTRA_VARIABLES, HHMRS_DARK, THEMES


class ReplayApp(App[int]):
    TITLE = "hhmrs replay"
    CSS_PATH = "hhmrs.tcss"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: ReplaySource, glyphs: Glyphs, theme: str | None = None) -> None:
        super().__init__()
        for one in THEMES:
            self.register_theme(one)
        self.replay_screen = ReplayScreen(source, glyphs)
        self.theme = theme or os.environ.get("TEXTUAL_THEME") or HHMRS_DARK.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return EXTRA_VARIABLES

    def on_mount(self) -> None:
        _ = self.push_screen(self.replay_screen)


def run_replay(source: ReplaySource) -> int:
    """Run the screen until it is left; the exit code."""
    app = ReplayApp(source, fitting_glyphs())
    code = app.run()
    source.close()
    return code if isinstance(code, int) else app.return_code or 0
