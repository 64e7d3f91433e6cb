"""The keys of the dialogs that an order opens."""

from __future__ import annotations

from .key import APP, HEAL, MOVE, TALK, VIEW, Key

CONFIRM: tuple[Key, ...] = (
    Key("confirm.do", ("enter", "y"), "do it", "do what is shown", HEAL, "accept"),
    Key("confirm.note", ("n",), "note", "add words of your own to the handoff", HEAL, "note"),
    Key("confirm.edit", ("e",), "edit", "change the handoff itself", HEAL, "edit"),
    Key("confirm.down", ("down", "j"), "down", "scroll down, or the next choice", MOVE, "scroll_by(1)"),
    Key("confirm.up", ("up", "k"), "up", "scroll up, or the choice before", MOVE, "scroll_by(-1)"),
    Key("confirm.page_down", ("pagedown", "ctrl+d"), "page down", "a page down", MOVE, "scroll_by(10)"),
    Key("confirm.page_up", ("pageup", "ctrl+u"), "page up", "a page up", MOVE, "scroll_by(-10)"),
    Key("confirm.leave", ("escape", "q"), "cancel", "leave; nothing is sent", APP, "leave"),
)
EDIT: tuple[Key, ...] = (
    Key("edit.take", ("ctrl+o", "f2"), "take it", "take the text; nothing is sent yet", HEAL, "accept"),
    Key("edit.leave", ("escape",), "cancel", "leave the text as it was", APP, "leave"),
)
ANSWER: tuple[Key, ...] = (
    Key("answer.give", ("enter",), "answer", "give the answer that is chosen or typed", TALK, "accept"),
    Key("answer.line", ("tab", "shift+tab"), "own words", "between the answers and a line", TALK, "turn"),
    Key("answer.page_down", ("ctrl+d",), "page down", "further down its screen", MOVE, "scroll_by(8)"),
    Key("answer.page_up", ("ctrl+u",), "page up", "further up its screen", MOVE, "scroll_by(-8)"),
    Key("answer.leave", ("escape",), "cancel", "leave; nothing is typed", APP, "leave"),
)
OUTCOMES: tuple[Key, ...] = (
    Key("outcomes.down", ("down", "j"), "down", "scroll down", MOVE, "scroll_by(1)"),
    Key("outcomes.up", ("up", "k"), "up", "scroll up", MOVE, "scroll_by(-1)"),
    Key("outcomes.page_down", ("pagedown", "ctrl+d"), "page down", "a page down", MOVE, "scroll_by(10)"),
    Key("outcomes.page_up", ("pageup", "ctrl+u"), "page up", "a page up", MOVE, "scroll_by(-10)"),
    Key("outcomes.leave", ("escape", "q", "L"), "back", "back to the fleet", VIEW, "leave"),
)
