"""One table: nothing twice, nothing a terminal cannot send, everything in the docs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from hhmrs.tui.keymap import AVOID, KEYS, PLACES, bindings, for_order, in_bar, markdown
from hhmrs.tui.keys.key import GROUPS

ORDERS = {
    "nudge",
    "resume",
    "restart",
    "reassign",
    "escalate",
    "pause",
    "stop",
    "start",
    "clear",
    "send",
    "answer",
    "submit",
    "heal",
}


def test_no_key_and_no_id_is_used_twice() -> None:
    for _, keys in PLACES.values():
        assert not [k for k, n in Counter(name for key in keys for name in key.keys).items() if n > 1]
    assert len({key.id for key in KEYS}) == len(KEYS)


def test_no_key_that_tmux_or_a_terminal_keeps_for_itself() -> None:
    assert not {name for key in KEYS for name in key.keys} & AVOID
    assert not [name for key in KEYS for name in key.keys if name.startswith(("alt+", "ctrl+shift"))]


def test_every_manual_recovery_has_a_key() -> None:
    assert {key.order for key in KEYS if key.order} == ORDERS  # an answer is sent as `send --answer`
    assert for_order("unpause") is for_order("pause")


def test_a_function_key_is_never_the_only_way() -> None:
    assert not [key.id for key in KEYS if re.fullmatch(r"f\d+", key.keys[0])]


def test_every_binding_has_an_id_and_a_tooltip() -> None:
    assert all(binding.id and binding.tooltip for place in PLACES for binding in bindings(place))


def test_the_bar_begins_with_help_and_every_group_is_shown() -> None:
    assert in_bar()[0].id == "app.help"
    assert {key.group for key in KEYS} == set(GROUPS)


def test_the_document_is_made_from_the_table() -> None:
    document = Path(__file__).parents[2] / "docs" / "keys.md"
    assert document.read_text(encoding="utf-8") == markdown(), (
        "run `python -m hhmrs.tui.keymap > docs/keys.md`"
    )


def test_what_the_selected_agent_waits_for_comes_next_to_help_and_nothing_is_lost() -> None:
    plain = in_bar()
    assert [key.id for key in in_bar("send")][:2] == ["app.help", "order.send"]
    assert sorted(key.id for key in in_bar("send")) == sorted(key.id for key in plain)
    assert [key.id for key in in_bar("start")] == ["app.help", "order.start", *(k.id for k in plain[1:])]
    assert in_bar("unpause")[1] is for_order("pause")


def test_how_to_leave_is_said_on_the_narrowest_screen() -> None:
    assert [key.id for key in in_bar()][:2] == ["app.help", "app.quit"]
