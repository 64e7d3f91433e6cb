"""Whatever goes wrong, whenever, under whatever policy: no promise is broken. What is found is made small."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hhmrs.healing.decide as decide_module
from hhmrs.config.fleet import AgentSpec, Policy
from hhmrs.healing.agent import AgentState, Stage
from hhmrs.healing.replacing import replace
from hhmrs.healing.simulate import BEHAVIOURS, CALM, STORMS, Fault, Report, Simulation
from hhmrs.healing.transitions import Change

MakeSpec = Callable[..., AgentSpec]
Simulate = Callable[..., Simulation]
KINDS = sorted({name for name, _ in (*BEHAVIOURS, *STORMS)} | {"daemon", "person"})
FAULT = st.builds(Fault, st.floats(0, 5000), st.sampled_from(KINDS), st.integers(0, 60))
POLICY = st.fixed_dictionaries({
    "heartbeat_interval": st.sampled_from((10.0, 30.0, 120.0)),
    "missed_heartbeats": st.integers(1, 3),
    "progress_timeout": st.sampled_from((120.0, 600.0, 1500.0)),
    "tool_timeout": st.sampled_from((60.0, 1200.0)),
    "task_deadline": st.sampled_from((900.0, 7200.0)),
    "max_restarts": st.integers(0, 4),
    "max_llm_retries": st.integers(0, 3),
    "kill_grace": st.sampled_from((0.1, 5.0, 30.0)),
    "verify_within": st.sampled_from((5.0, 30.0, 90.0)),
    "stable_after": st.sampled_from((10.0, 600.0)),
    "mode": st.sampled_from(("armed", "armed", "armed", "observe")),
})  # fmt: skip
AGENT = st.fixed_dictionaries({
    "alternates": st.integers(0, 2),
    "restart": st.sampled_from(("transient", "permanent", "temporary")),
    "decider": st.sampled_from(("policy", "parent")),
    "prompt": st.sampled_from(("do the work", None)),
    "liveness": st.sampled_from((("beat", "output", "file", "transcript", "cpu"), ("process",))),
})  # fmt: skip
EASY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def run(
    make_spec: MakeSpec,
    simulate: Simulate,
    policy: dict[str, Any],
    kinds: list[dict[str, Any]],
    schedule: list[Fault],
    seed: int,
) -> Report:
    specs = [
        make_spec(f"a{n}", parent=f"a{n - 1}" if n else None, **kind, **policy)
        for n, kind in enumerate(kinds)
    ]
    found = simulate(specs, f"{seed}", policy=Policy(**policy), faults=CALM, schedule=schedule)
    return found.run(2)


@EASY
@given(
    policy=POLICY,
    kinds=st.lists(AGENT, min_size=1, max_size=4),
    schedule=st.lists(FAULT, max_size=12),
    seed=st.integers(0, 1000),
)
def test_no_schedule_of_faults_breaks_a_promise(
    make_spec: MakeSpec,
    simulate: Simulate,
    policy: dict[str, Any],
    kinds: list[dict[str, Any]],
    schedule: list[Fault],
    seed: int,
) -> None:
    assert run(make_spec, simulate, policy, kinds, schedule, seed).broken is None


def test_a_broken_rule_is_found_and_made_small(
    make_spec: MakeSpec, simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hasty(s: AgentState, recovery: Any) -> Change:
        stage = replace(recovery, stage=Stage.STARTING, issued=False)
        return Change(replace(s, attempt=s.attempt + 1, recovery=stage))

    monkeypatch.setattr(decide_module, "_clear", hasty)
    monkeypatch.setattr(logging, "raiseExceptions", False)
    smallest: list[list[Fault]] = []

    @settings(EASY, max_examples=100, database=None, derandomize=True)
    @given(schedule=st.lists(FAULT, min_size=1, max_size=12))
    def fails(schedule: list[Fault]) -> None:
        report = run(make_spec, simulate, {}, [{}, {}], schedule, 1)
        if report.broken:
            smallest.append(schedule)
        assert report.broken is None

    with pytest.raises(AssertionError, match=r"3 one|4 ground"):
        fails()
    assert len(smallest[-1]) == 1, "one fault is enough to show it"
