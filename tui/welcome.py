"""The program that stands before the fleet's screen: wiring only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .early import fitting_glyphs
from .face import Face
from .introducing import Began
from .looks import Glyphs
from .screens.welcome import BrokenScreen, WelcomeScreen


class FrontApp(Face):
    def __init__(self, front: WelcomeScreen | BrokenScreen, glyphs: Glyphs, theme: str | None = None) -> None:
        super().__init__(glyphs, theme)
        self.front = front

    def on_mount(self) -> None:
        _ = self.push_screen(self.front)


def run_welcome(folder: Path, begin: Callable[[], Began]) -> str:
    """Show the first run until it is left; what the person wants next: `open`, `demo`, or nothing."""
    glyphs = fitting_glyphs()
    return _run(WelcomeScreen(glyphs, folder, begin), glyphs)


def run_broken(problems: Sequence[str], read: Callable[[bool], Sequence[str] | None]) -> str:
    """Show what is wrong with the fleet file; `open` once it is mended, else nothing."""
    glyphs = fitting_glyphs()
    return _run(BrokenScreen(glyphs, problems, read), glyphs)


def _run(front: WelcomeScreen | BrokenScreen, glyphs: Glyphs) -> str:
    FrontApp(front, glyphs).run()
    return front.wish
