"""The keys of the settings screen."""

from __future__ import annotations

from .key import APP, CHANGE, MOVE, VIEW, Key

KEYS: tuple[Key, ...] = (
    Key(
        "settings.change", ("enter", "space"), "change", "give the key another value", CHANGE, "change", bar=2
    ),
    Key(
        "settings.reset",
        ("d", "delete"),
        "default",
        "take the key out of the file, so that the default (or the fleet's value) counts",
        CHANGE,
        "reset",
        bar=3,
    ),
    Key(
        "settings.undo",
        ("U",),
        "undo",
        "write the file as it was before the last change",
        CHANGE,
        "undo",
        bar=4,
    ),
    Key(
        "settings.reload",
        ("r",),
        "reload",
        "have the daemon read the fleet file as it is now",
        CHANGE,
        "reload",
        bar=8,
    ),
    Key(
        "settings.scope",
        ("tab",),
        "fleet/agent",
        "turn between the fleet's settings and those of one agent",
        VIEW,
        "scope",
        bar=5,
    ),
    Key(
        "settings.next",
        ("right_square_bracket",),
        "next agent",
        "the next agent's settings",
        VIEW,
        "turn(1)",
        bar=7,
    ),
    Key(
        "settings.last",
        ("left_square_bracket",),
        "agent before",
        "those of the agent before",
        VIEW,
        "turn(-1)",
    ),
    Key(
        "settings.filter",
        ("slash",),
        "filter",
        "only keys with these words in name or meaning",
        VIEW,
        "filter",
        bar=6,
    ),
    Key("settings.down", ("down", "j"), "down", "next key", MOVE, "move(1)"),
    Key("settings.up", ("up", "k"), "up", "previous key", MOVE, "move(-1)"),
    Key("settings.page_down", ("pagedown", "ctrl+d"), "page down", "a page down", MOVE, "page(1)"),
    Key("settings.page_up", ("pageup", "ctrl+u"), "page up", "a page up", MOVE, "page(-1)"),
    Key("settings.first", ("g", "home"), "first", "to the first key", MOVE, "edge(-1)"),
    Key("settings.end", ("G", "end"), "last", "to the last key", MOVE, "edge(1)"),
    Key("settings.help", ("question_mark", "f1"), "help", "all keys of this screen", APP, "help", bar=0),
    Key("settings.back", ("escape", "q"), "back", "leave the filter, then the settings", APP, "back", bar=1),
)

VALUE: tuple[Key, ...] = (
    Key("value.take", ("enter",), "preview", "show what would be written", CHANGE, "accept"),
    Key("value.leave", ("escape",), "cancel", "leave the value as it is", APP, "leave"),
)
PREVIEW: tuple[Key, ...] = (
    Key(
        "preview.write",
        ("enter", "y"),
        "write it",
        "write the file and have the daemon read it",
        CHANGE,
        "accept",
    ),
    Key("preview.down", ("down", "j"), "down", "scroll down", MOVE, "scroll_by(1)"),
    Key("preview.up", ("up", "k"), "up", "scroll up", MOVE, "scroll_by(-1)"),
    Key("preview.leave", ("escape", "q"), "cancel", "leave; nothing is written", APP, "leave"),
)
