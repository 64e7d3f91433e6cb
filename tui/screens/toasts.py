"""What was told at the screen's edge is put away when something opens over it."""

from __future__ import annotations

from textual.screen import Screen


def put_away(screen: Screen[None]) -> None:
    """Of the app and of `screen`, which is no longer the one in front but still shows them behind a dialog.

    What came of orders is not lost: `L` lists it."""
    screen.app.clear_notifications()
    _ = screen.query("ToastHolder").remove()
