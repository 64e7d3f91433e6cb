"""What one row of the key table says, and how a key is spelled for a person."""

from __future__ import annotations

from dataclasses import dataclass

MOVE, VIEW, HEAL, TALK, APP = "Move", "Look", "Recover", "Talk", "Program"
PLAY = "Replay"
CHANGE = "Change"
GROUPS = (PLAY, CHANGE, HEAL, TALK, VIEW, MOVE, APP)


@dataclass(frozen=True, slots=True)
class Key:
    """One thing a key does. `keys` are Textual's names, the first is the one shown.

    `order`: the operator's order that it leads to; None when it only changes the view.
    `bar`: place in the key bar, lower is earlier and survives a narrow screen; None keeps it out.
    `first`: goes before what the part with the focus does with that key."""

    id: str
    keys: tuple[str, ...]
    label: str
    about: str
    group: str
    action: str
    order: str | None = None
    bar: int | None = None
    first: bool = False

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
    "comma": ",",
    "full_stop": ".",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "plus": "+",
    "minus": "-",
}


def spell(key: str) -> str:
    """A key as a person reads it on the keyboard."""
    return _SPELLED.get(key, key)
