"""The keys of the screens that stand before the fleet's: the first run, and a fleet file with problems."""

from __future__ import annotations

from .key import APP, MOVE, VIEW, Key

KEYS: tuple[Key, ...] = (
    Key("welcome.init", ("i",), "init", "write a first hhmrs.yaml into this folder", APP, "init", bar=2),
    Key("welcome.demo", ("d",), "demo", "play a fleet that fails and is healed", APP, "demo", bar=3),
    Key("welcome.open", ("enter",), "open", "start the daemon and open the fleet", APP, "open", bar=4),
    Key("welcome.help", ("question_mark", "f1"), "help", "these keys", APP, "help", bar=0),
    Key("welcome.quit", ("q", "escape"), "quit", "leave; nothing was started", APP, "leave", bar=1),
)  # fmt: skip
BROKEN: tuple[Key, ...] = (
    Key("broken.again", ("r",), "read again", "read the file again; it is also read when it is saved", VIEW,
        "again", bar=2),
    Key("broken.down", ("down", "j"), "down", "scroll down", MOVE, "scroll(1)"),
    Key("broken.up", ("up", "k"), "up", "scroll up", MOVE, "scroll(-1)"),
    Key("broken.page_down", ("pagedown", "space"), "page down", "a page down", MOVE, "scroll(10)"),
    Key("broken.page_up", ("pageup",), "page up", "a page up", MOVE, "scroll(-10)"),
    Key("broken.help", ("question_mark", "f1"), "help", "these keys", APP, "help", bar=0),
    Key("broken.quit", ("q", "escape"), "quit", "leave; nothing was started", APP, "leave", bar=1),
)  # fmt: skip
