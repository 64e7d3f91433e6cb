"""The program of a replay: wiring only. It starts nothing, and writes nothing."""

from __future__ import annotations

from .early import fitting_glyphs
from .face import Face
from .looks import Glyphs
from .screens.replay import ReplayScreen
from .sources.replay import ReplaySource


class ReplayApp(Face):
    TITLE = "hhmrs: a replay"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: ReplaySource, glyphs: Glyphs, theme: str | None = None) -> None:
        super().__init__(glyphs, theme)
        self.replay_screen = ReplayScreen(source, glyphs)

    def on_mount(self) -> None:
        _ = self.push_screen(self.replay_screen)


def run_replay(source: ReplaySource) -> int:
    """Run the screen until it is left; the exit code."""
    app = ReplayApp(source, fitting_glyphs())
    code = app.run()
    source.close()
    return code if isinstance(code, int) else app.return_code or 0
