"""The keys of the dashboards."""

from __future__ import annotations

from .key import APP, MOVE, VIEW, Key

KEYS: tuple[Key, ...] = (
    Key("numbers.down", ("down", "j"), "down", "a line down", MOVE, "scroll_by(1)"),
    Key("numbers.up", ("up", "k"), "up", "a line up", MOVE, "scroll_by(-1)"),
    Key("numbers.page_down", ("pagedown", "ctrl+d", "space"), "page", "a page down", MOVE, "page(1)"),
    Key("numbers.page_up", ("pageup", "ctrl+u"), "page up", "a page up", MOVE, "page(-1)"),
    Key("numbers.first", ("g", "home"), "first", "to the first line", MOVE, "edge(-1)"),
    Key("numbers.last", ("G", "end"), "last", "to the last line", MOVE, "edge(1)"),
    Key("numbers.night", ("n",), "night", "last night: yesterday 18:00 to this morning 9:00", VIEW,
        "span('night')", bar=2),
    Key("numbers.day", ("d",), "day", "the last 24 hours, by the hour", VIEW, "span('day')", bar=3),
    Key("numbers.week", ("w",), "week", "the last 7 days", VIEW, "span('week')", bar=4),
    Key("numbers.all", ("a",), "all", "all that is written down", VIEW, "span('all')", bar=5),
    Key("numbers.next_span", ("right_square_bracket", "right", "l"), "next span", "the next longer span",
        VIEW, "turn(1)"),
    Key("numbers.last_span", ("left_square_bracket", "left", "h"), "last span", "the one before", VIEW,
        "turn(-1)"),
    Key("numbers.incidents", ("i",), "incidents", "the list of incidents", VIEW, "incidents", bar=6),
    Key("numbers.read", ("r",), "read", "read the ledger again now", VIEW, "read", bar=8),
    Key("numbers.export", ("E",), "export", "write this page to a file, as Markdown or SVG", APP, "export",
        bar=7),
    Key("numbers.help", ("question_mark", "f1"), "help", "all keys of this screen", APP, "help", bar=0),
    Key("numbers.leave", ("escape", "q"), "back", "back to the fleet", APP, "leave", bar=1),
)  # fmt: skip
