"""The keys of the fleet's own screen."""

from __future__ import annotations

from .key import APP, HEAL, MOVE, TALK, VIEW, Key


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
