"""The keys of the dialogs: of orders, of those that ask for a line or a place, of the help."""

from __future__ import annotations

from .key import APP, CHANGE, HEAL, MOVE, TALK, VIEW, Key

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
    Key(
        "answer.page_down",
        ("pagedown",),
        "page down",
        "further down its screen",
        MOVE,
        "scroll_by(8)",
        first=True,
    ),
    Key("answer.page_up", ("pageup",), "page up", "further up its screen", MOVE, "scroll_by(-8)", first=True),
    Key("answer.leave", ("escape",), "cancel", "leave; nothing is typed", APP, "leave"),
)
OUTCOMES: tuple[Key, ...] = (
    Key("outcomes.down", ("down", "j"), "down", "scroll down", MOVE, "scroll_by(1)"),
    Key("outcomes.up", ("up", "k"), "up", "scroll up", MOVE, "scroll_by(-1)"),
    Key("outcomes.page_down", ("pagedown", "ctrl+d"), "page down", "a page down", MOVE, "scroll_by(10)"),
    Key("outcomes.page_up", ("pageup", "ctrl+u"), "page up", "a page up", MOVE, "scroll_by(-10)"),
    Key("outcomes.leave", ("escape", "q", "L"), "back", "back to the fleet", VIEW, "leave"),
)
TYPING: tuple[Key, ...] = (
    Key("typing.send", ("enter",), "send", "send the line as it is shown", TALK, "accept"),
    Key("typing.leave", ("escape",), "cancel", "leave; nothing is sent", APP, "leave"),
)
FOLDER: tuple[Key, ...] = (
    Key("folder.take", ("enter",), "bring back", "write the files into that folder", CHANGE, "accept"),
    Key("folder.leave", ("escape",), "cancel", "leave; nothing is written", APP, "leave"),
)
EXPORT: tuple[Key, ...] = (
    Key(
        "export.write",
        ("enter",),
        "write",
        "write the file; once more, over one that is there",
        CHANGE,
        "accept",
    ),
    Key("export.form", ("tab",), "form", "Markdown or SVG: the ending of the name", VIEW, "form"),
    Key("export.leave", ("escape",), "cancel", "leave; nothing is written", APP, "leave"),
)
HELP: tuple[Key, ...] = (
    Key("help.down", ("down", "j"), "down", "scroll down", MOVE, "scroll_by(1)"),
    Key("help.up", ("up", "k"), "up", "scroll up", MOVE, "scroll_by(-1)"),
    Key("help.page_down", ("pagedown", "ctrl+d", "space"), "page", "a page down", MOVE, "scroll_by(10)"),
    Key("help.page_up", ("pageup", "ctrl+u"), "page up", "a page up", MOVE, "scroll_by(-10)"),
    Key("help.first", ("g", "home"), "first", "to the first line", MOVE, "scroll_edge(-1)"),
    Key("help.last", ("G", "end"), "last", "to the last line", MOVE, "scroll_edge(1)"),
    Key(
        "help.leave",
        ("escape", "q", "question_mark", "f1", "enter"),
        "back",
        "back to where one was",
        APP,
        "leave",
    ),
)
SMALL: tuple[Key, ...] = (
    Key("small.quit", ("q",), "leave", "leave; agents and daemon keep running", APP, "app.exit"),
)
