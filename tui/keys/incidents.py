"""The keys of the list of incidents, and those of one incident's post-mortem."""

from __future__ import annotations

from .key import APP, MOVE, VIEW, Key

KEYS: tuple[Key, ...] = (
    Key("incidents.down", ("down", "j"), "down", "the next incident", MOVE, "move(1)"),
    Key("incidents.up", ("up", "k"), "up", "the one before", MOVE, "move(-1)"),
    Key("incidents.page_down", ("pagedown", "ctrl+d"), "page", "a page down", MOVE, "page(1)"),
    Key("incidents.page_up", ("pageup", "ctrl+u"), "page up", "a page up", MOVE, "page(-1)"),
    Key("incidents.first", ("g", "home"), "first", "to the first line", MOVE, "edge(-1)"),
    Key("incidents.last", ("G", "end"), "last", "to the last line", MOVE, "edge(1)"),
    Key("incidents.open", ("enter",), "post-mortem", "the incident's post-mortem", VIEW, "open", bar=2),
    Key("incidents.agent", ("w",), "go to agent", "to the incident's agent, in the fleet", VIEW, "agent",
        bar=3),
    Key("incidents.filter", ("slash",), "filter",
        "only incidents that hold every word: an agent, a cause, an outcome; !word for those without", VIEW,
        "filter", bar=4),
    Key("incidents.same_cause", ("c",), "this cause", "only those of the same cause; again for all", VIEW,
        "only('cause')", bar=5),
    Key("incidents.same_agent", ("a",), "this agent", "only those of the same agent; again for all", VIEW,
        "only('agent')", bar=6),
    Key("incidents.numbers", ("d",), "numbers", "the dashboards", VIEW, "numbers", bar=7),
    Key("incidents.read", ("r",), "read", "read the ledger again now", VIEW, "read"),
    Key("incidents.export", ("E",), "export", "write the selected post-mortem to a file", APP, "export",
        bar=8),
    Key("incidents.help", ("question_mark", "f1"), "help", "all keys of this screen", APP, "help", bar=0),
    Key("incidents.leave", ("escape", "q"), "back", "end the filter, or back to the fleet", APP, "leave",
        bar=1),
)  # fmt: skip

REPORT_KEYS: tuple[Key, ...] = (
    Key("report.down", ("down", "j"), "down", "a line down", MOVE, "scroll_by(1)"),
    Key("report.up", ("up", "k"), "up", "a line up", MOVE, "scroll_by(-1)"),
    Key("report.page_down", ("pagedown", "ctrl+d", "space"), "page", "a page down", MOVE, "page(1)", bar=4),
    Key("report.page_up", ("pageup", "ctrl+u"), "page up", "a page up", MOVE, "page(-1)"),
    Key("report.first", ("g", "home"), "first", "to the first line", MOVE, "edge(-1)"),
    Key("report.last", ("G", "end"), "last", "to the last line", MOVE, "edge(1)"),
    Key("report.agent", ("w",), "go to agent", "to the incident's agent, in the fleet", VIEW, "agent", bar=2),
    Key("report.read", ("r",), "read", "read the ledger again now", VIEW, "read"),
    Key("report.export", ("E",), "export", "write this page to a file, as Markdown or SVG", APP, "export",
        bar=3),
    Key("report.help", ("question_mark", "f1"), "help", "all keys of this screen", APP, "help", bar=0),
    Key("report.leave", ("escape", "q"), "back", "back to the list", APP, "leave", bar=1),
)  # fmt: skip
