"""A fleet to simulate: a tree of agents of every kind, on the models of several providers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hhmrs.config.fleet import AgentSpec, Policy, Profile, Seat

Hierarchy = Callable[[int], list[AgentSpec]]
PROVIDERS = ("alpha", "beta", "gamma")
DEADLINES = (7200.0, 28_800.0, 1800.0)
RESTARTS = ("transient", "transient", "transient", "permanent", "temporary")


@pytest.fixture
def hierarchy() -> Hierarchy:
    """`hierarchy(20)`: one at the top, an eighth of the rest its directors, the others theirs. None to two
    alternates each; three deadlines; every kind of `restart`; some ask their parent, some have no task."""

    def make(count: int) -> list[AgentSpec]:
        directors = max(1, count // 8)
        parents = [None, *["top"] * directors, *(f"a{1 + n % directors}" for n in range(count))]
        names = ["top", *(f"a{n}" for n in range(1, count))]
        return [_agent(name, parents[n], n) for n, name in enumerate(names)]

    return make


def _agent(name: str, parent: str | None, number: int) -> AgentSpec:
    seats = tuple(_seat(PROVIDERS[(number + n) % 3]) for n in range(1 + number % 3))
    return AgentSpec.model_validate({
        "id": name,
        "parent": parent,
        "title": name,
        "seats": seats,
        "workspace": Path("/nowhere"),
        "liveness": seats[0].profile.liveness,
        "prompt": "do the work" if number % 7 != 6 else None,
        "decider": "parent" if number % 4 == 3 else "policy",
        "restart": RESTARTS[number % 5],
        "policy": Policy(task_deadline=DEADLINES[number % 3]),
    })  # fmt: skip


def _seat(provider: str) -> Seat:
    return Seat(profile=Profile(name=provider))
