"""Every key in one table: bindings, key bar, help, palette and docs/keys.md are all made from it.

Each screen's rows stand in a file of `keys/`; `PLACES` lists the screens.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .keys import dialogs, fleet, incidents, numbers, replay, settings, welcome
from .keys.key import GROUPS, Key, spell

if TYPE_CHECKING:
    from textual.binding import Binding

PLACES: dict[str, tuple[str, tuple[Key, ...]]] = {
    "fleet": ("The fleet", fleet.KEYS),
    "welcome": ("The first run", welcome.KEYS),
    "broken": ("A fleet file with problems", welcome.BROKEN),
    "numbers": ("The dashboards", numbers.KEYS),
    "incidents": ("The incidents", incidents.KEYS),
    "report": ("A post-mortem", incidents.REPORT_KEYS),
    "settings": ("The settings", settings.KEYS),
    "value": ("A new value", settings.VALUE),
    "preview": ("Before the fleet file is written", settings.PREVIEW),
    "replay": ("A replay", replay.KEYS),
    "confirm": ("Before an order is sent", dialogs.CONFIRM),
    "edit": ("Writing a note or a handoff", dialogs.EDIT),
    "answer": ("Answering a question", dialogs.ANSWER),
    "outcomes": ("What came of the orders", dialogs.OUTCOMES),
    "typing": ("A line of your own", dialogs.TYPING),
    "folder": ("Where a checkpoint's files go", dialogs.FOLDER),
    "export": ("Where a page is written", dialogs.EXPORT),
    "help": ("The help", dialogs.HELP),
    "small": ("A terminal without room", dialogs.SMALL),
}
"""Name of a screen -> how it is called for a person, and its rows."""
KEYS: tuple[Key, ...] = tuple(key for _, keys in PLACES.values() for key in keys)

AVOID = frozenset(
    {
        "ctrl+b",
        "ctrl+a",
        "ctrl+s",
        "ctrl+q",
        "ctrl+m",
        "ctrl+i",
        "ctrl+h",
        "ctrl+j",
        "ctrl+left_square_bracket",
        "ctrl+z",
        "ctrl+c",
    }
)
"""Prefix keys of tmux and screen, flow control, and keys that a terminal cannot tell from others."""


def bindings(place: str = "fleet") -> list[Binding]:
    """One Textual binding per key of that screen with the table's id, so that a user's keymap can move it."""
    from textual.binding import Binding  # the table itself is read before Textual is loaded

    return [
        Binding(
            ",".join(key.keys),
            key.action,
            key.label,
            id=key.id,
            show=False,
            tooltip=key.about,
            priority=key.first,
        )
        for key in PLACES[place][1]
        if key.id != "app.palette"
    ]


def for_order(order: str) -> Key:
    """The key that leads to an order; unpause shares the key of pause."""
    wanted = "pause" if order == "unpause" else order
    return next(key for key in KEYS if key.order == wanted)


def in_bar(order: str | None = None, place: str = "fleet") -> list[Key]:
    """Keys of the key bar, the most useful first; `order`: what the chosen agent waits for, next to help."""
    keys = sorted((key for key in PLACES[place][1] if key.bar is not None), key=lambda key: key.bar or 0)
    if order is None:
        return keys
    wanted = for_order(order)
    return [keys[0], wanted, *(key for key in keys[1:] if key is not wanted)]


def grouped(place: str = "fleet") -> Iterator[tuple[str, list[Key]]]:
    """The groups of a screen that have keys, in the table's order."""
    for group in GROUPS:
        if keys := [key for key in PLACES[place][1] if key.group == group]:
            yield group, keys


def markdown() -> str:
    """docs/keys.md."""
    lines = [
        "# Keys",
        "",
        "Made from the table in `tui/keymap.py` by `python -m hhmrs.tui.keymap`; a test keeps both alike.",
        "Every key that acts on an agent first shows what will be done. A key that cannot be used now stays",
        "in sight and says why. The ids in the last column are what a keymap of your own refers to.",
    ]
    for place, (title, _) in PLACES.items():
        lines += ["", f"## {title}"]
        for group, keys in grouped(place):
            lines += ["", f"### {group}", "", "| key | does | id |", "|---|---|---|"]
            for key in keys:
                names = " ".join(f"`{spell(name)}`" for name in key.keys)
                lines.append(f"| {names} | {key.about} | `{key.id}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
