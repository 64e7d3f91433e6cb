"""Frozen states that are cheaply replaced behave as those that the standard function replaces."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hhmrs.healing.agent import AgentState, Incident, Recovery, Stage, Strategy
from hhmrs.healing.replacing import replace


@pytest.mark.parametrize("changes", [{}, {"seat": 2}, {"id": "b", "typed": ("x",), "recovery": None}])
def test_a_state_is_replaced_as_the_standard_function_does(changes: dict[str, Any]) -> None:
    state = AgentState("a", recovery=Recovery(Strategy.NUDGE, Stage.BACKOFF, "k", 0))
    before = dataclasses.asdict(state)
    changed = replace(state, **changes)
    assert changed == dataclasses.replace(state, **changes)
    assert hash(changed) == hash(dataclasses.replace(state, **changes))
    assert replace(changed, seat=1) == dataclasses.replace(state, **changes | {"seat": 1})
    assert dataclasses.asdict(state) == before, "the one it was made of is as it was"


def test_nobody_changes_one() -> None:
    made = replace(Incident("i", 0.0, "stalled", "stalled", ""), level=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, "level", 3)  # noqa: B010 - to say it plainly is what the type checkers forbid
    assert made.level == 2


def test_what_is_no_field_is_a_type_error() -> None:
    unknown: dict[str, Any] = {"colour": "red"}
    with pytest.raises(TypeError, match="Incident has no field colour"):
        replace(Incident("i", 0.0, "stalled", "stalled", ""), **unknown)
