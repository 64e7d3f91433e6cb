"""Every key in one table: bindings, key bar, help, palette and docs/keys.md are all made from it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textual.binding import Binding

MOVE, VIEW, HEAL, TALK, APP = "Move", "Look", "Recover", "Talk", "Program"
GROUPS = (HEAL, TALK, VIEW, MOVE, APP)


@dataclass(frozen=True, slots=True)
class Key:
    """One thing a key does. `keys` are Textual's names, the first is the one shown.

    `order`: the operator's order that it leads to; None when it only changes the view.
    `bar`: place in the key bar, lower is earlier and survives a narrow screen; None keeps it out."""

    id: str
    keys: tuple[str, ...]
    label: str
    about: str
    group: str
    action: str
    order: str | None = None
    bar: int | None = None

    @property
    def shown(self) -> str:
        return spell(self.keys[0])


_SPELLED = {
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "question_mark": "?",
    "slash": "/",
    "space": "space",
    "enter": "enter",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "ctrl+p": "ctrl+p",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
}


def spell(key: str) -> str:
    """A key as a person reads it on the keyboard."""
    return _SPELLED.get(key, key)


def _order(letter: str, order: str, label: str, about: str, bar: int | None, group: str = HEAL) -> Key:
    return Key(f"order.{order}", (letter,), label, about, group, f"order('{order}')", order, bar)


KEYS: tuple[Key, ...] = (
    Key("move.down", ("down", "j"), "down", "next agent, or scroll down", MOVE, "move(1)"),
    Key("move.up", ("up", "k"), "up", "previous agent, or scroll up", MOVE, "move(-1)"),
    Key("move.out", ("left", "h"), "fold", "fold, or go to the parent", MOVE, "outward"),
    Key("move.in", ("right", "l"), "unfold", "unfold, or go to the first child", MOVE, "inward"),
    Key("move.page_down", ("pagedown", "ctrl+d"), "page down", "a page down", MOVE, "page(1)"),
    Key("move.page_up", ("pageup", "ctrl+u"), "page up", "a page up", MOVE, "page(-1)"),
    Key("move.first", ("g", "home"), "first", "to the first line", MOVE, "edge(-1)"),
    Key("move.last", ("G", "end"), "last", "to the last line", MOVE, "edge(1)"),
    Key(
        "move.worst",
        ("w",),
        "worst",
        "to the agent that needs you most, then the next one",
        MOVE,
        "worst",
        bar=13,
    ),
    Key(
        "view.fold", ("space",), "fold", "fold or unfold the selected agent's children", VIEW, "fold", bar=15
    ),
    Key(
        "view.focus",
        ("enter",),
        "focus",
        "give the selected agent the whole screen; esc comes back",
        VIEW,
        "enlarge",
        bar=12,
    ),
    Key("view.panel", ("tab", "shift+tab"), "panel", "switch between the tree and the agent", VIEW, "panel"),
    Key("view.pane", ("1",), "pane", "the agent's live pane", VIEW, "tab('pane')"),
    Key(
        "view.timeline",
        ("2",),
        "timeline",
        "what happened to the agent, newest first, with reasons",
        VIEW,
        "tab('timeline')",
    ),
    Key(
        "view.explain",
        ("3",),
        "explain",
        "why the agent is in its phase, and what comes next",
        VIEW,
        "tab('explain')",
    ),
    Key(
        "view.next_tab",
        ("right_square_bracket",),
        "next tab",
        "next of pane, timeline, explain",
        VIEW,
        "turn(1)",
    ),
    Key("view.last_tab", ("left_square_bracket",), "last tab", "the one before", VIEW, "turn(-1)"),
    Key(
        "view.filter",
        ("slash",),
        "filter",
        "show only agents that match; a leading ! turns it round",
        VIEW,
        "filter",
        bar=11,
    ),
    Key("view.back", ("escape",), "back", "leave what is open: dialog, filter, focus", VIEW, "back"),
    Key(
        "view.dismiss",
        ("x",),
        "dismiss",
        "dismiss the orange bar; a new incident shows it again",
        VIEW,
        "hush",
    ),
    _order("n", "nudge", "nudge", "wake the agent: its dialog, its status file, the rescue message", 3),
    _order("u", "resume", "resume", "end the agent's process tree and resume from its checkpoint", 4),
    _order("r", "restart", "restart", "end the agent's process tree and start it afresh", 5),
    _order("R", "reassign", "reassign", "end it and go on with another profile or model", 6),
    _order("e", "escalate", "escalate", "stop healing it and call a person", 7),
    _order("p", "pause", "pause", "hands off: it runs on, nobody heals it; again to unpause", 8),
    _order("s", "stop", "stop", "end the agent's process tree and leave it ended", 9),
    _order("S", "start", "start", "start a stopped or finished agent", None),
    _order("c", "clear", "clear", "close its escalation, refill its budgets, start it if it has ended", 9),
    _order("H", "heal", "heal now", "one detection and healing pass over the fleet, at once", None),
    Key(
        "talk.attach",
        ("a",),
        "attach",
        "take over its real pane; ctrl+b then d comes back",
        TALK,
        "attach",
        bar=2,
    ),
    _order("t", "send", "type", "type a line into its pane", 10, TALK),
    _order("T", "submit", "task", "queue a task for it", None, TALK),
    Key(
        "app.help", ("question_mark", "f1"), "help", "all keys, and why some are off now", APP, "help", bar=0
    ),
    Key(
        "app.palette",
        ("ctrl+p",),
        "palette",
        "search every command and agent",
        APP,
        "app.command_palette",
        bar=14,
    ),
    Key(
        "app.quit",
        ("q",),
        "quit",
        "leave the screen; agents and daemon keep running",
        APP,
        "quit_screen",
        bar=1,
    ),
)

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


def bindings(keys: Iterable[Key] = KEYS) -> list[Binding]:
    """One Textual binding per key with the table's id, so that a user's keymap can move it."""
    return [
        Binding(",".join(key.keys), key.action, key.label, id=key.id, show=False, tooltip=key.about)
        for key in keys
        if key.id != "app.palette"
    ]


def for_order(order: str) -> Key:
    """The key that leads to an order; unpause shares the key of pause."""
    wanted = "pause" if order == "unpause" else order
    return next(key for key in KEYS if key.order == wanted)


def in_bar(order: str | None = None) -> list[Key]:
    """Keys of the key bar, the most useful first; `order`: what the chosen agent waits for, next to help."""
    keys = sorted((key for key in KEYS if key.bar is not None), key=lambda key: key.bar or 0)
    if order is None:
        return keys
    wanted = for_order(order)
    return [keys[0], wanted, *(key for key in keys[1:] if key is not wanted)]


def grouped() -> Iterator[tuple[str, list[Key]]]:
    for group in GROUPS:
        yield group, [key for key in KEYS if key.group == group]


def markdown() -> str:
    """docs/keys.md."""
    lines = [
        "# Keys",
        "",
        "Made from the table in `tui/keymap.py` by `python -m hhmrs.tui.keymap`; a test keeps both alike.",
        "Every key that acts on an agent first shows what will be done. A key that cannot be used now stays",
        "in sight and says why. The ids in the last column are what a keymap of your own refers to.",
    ]
    for group, keys in grouped():
        lines += ["", f"## {group}", "", "| key | does | id |", "|---|---|---|"]
        for key in keys:
            names = " ".join(f"`{spell(name)}`" for name in key.keys)
            lines.append(f"| {names} | {key.about} | `{key.id}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
