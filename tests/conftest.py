"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy, Profile, Seat
from hhmrs.controller.daemon.brain import Brain
from hhmrs.healing.simulate import Simulation

# A shell that starts us in the background has SIGINT ignored, and so would every program the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

MakeSpec = Callable[..., AgentSpec]
Simulate = Callable[..., Simulation]


@pytest.fixture
def make_spec() -> MakeSpec:
    """Build a resolved agent: `make_spec("a1", alternates=2, prompt="do it", max_restarts=1, ...)`.

    Keywords that are no field of AgentSpec go into its policy."""

    def make(id: str = "a1", *, alternates: int = 1, **fields: Any) -> AgentSpec:
        profile = Profile(name="shell")
        own = {k: fields.pop(k) for k in list(fields) if k in AgentSpec.model_fields}
        given: dict[str, Any] = {
            "id": id,
            "title": id.upper(),
            "seats": (Seat(profile=profile),) * (1 + alternates),
            "workspace": Path("/nowhere"),
            "liveness": profile.liveness,
            "prompt": "do the work",
            "policy": Policy(**fields),
        }
        return AgentSpec(**(given | own))

    return make


@pytest.fixture
def simulate() -> Simulate:
    """A fleet of these agents under the daemon's own brain: `simulate([spec, ...], "seed", faults=CALM)`."""

    def make(
        specs: Sequence[AgentSpec], seed: str, *, policy: Policy | None = None, **options: Any
    ) -> Simulation:
        agents = {spec.id: spec for spec in specs}
        fleet = FleetSpec(fleet="sim", path=Path("/f"), policy=policy or Policy(), agents=agents, profiles={})
        return Simulation(fleet, seed, Brain, **options)

    return make
