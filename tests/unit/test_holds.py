"""The parts of the fleet's bounds: providers, pauses, holds, and the ladder of an agent that dies at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hhmrs.config.fleet import AgentSpec, Backoff, Policy, Profile, Recoveries, Seat
from hhmrs.controller.ledger.queries import LedgerQueries
from hhmrs.controller.ports import Event
from hhmrs.controller.reports.outages import over, untold
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Attempt, Hold, Incident, Phase, Recovery, Shared, Stage, Strategy
from hhmrs.healing.breaker import Breaker
from hhmrs.healing.cascade_parts import depths
from hhmrs.healing.codec import dump_state, load_state
from hhmrs.healing.decide import decide, due
from hhmrs.healing.evolve import evolve
from hhmrs.healing.explain import explain
from hhmrs.healing.fitting import fitted
from hhmrs.healing.ladder import delay_before, next_rung
from hhmrs.healing.pacing import longest_delay
from hhmrs.healing.providers import provider_of
from hhmrs.healing.slots import most_at_once

MakeSpec = Callable[..., AgentSpec]
NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("profile", "model", "provider"),
    [
        ("claude", None, "anthropic"),
        ("claude", "claude-sonnet-4-5", "anthropic"),
        ("codex", None, "openai"),
        ("opencode", "ollama/llama3.1:8b", "ollama"),
        ("opencode", "anthropic/claude-sonnet-4-5", "anthropic"),
        ("aider", "gpt-5", "openai"),
        ("aider", "Gemini-2.5-pro", "google"),
        ("aider", None, "aider"),
        ("shell", None, "shell"),
        ("mine", "/odd", "mine"),
    ],
)
def test_the_provider_of_a_seat(profile: str, model: str | None, provider: str) -> None:
    assert provider_of(Seat(profile=Profile(name=profile), model=model)) == provider


@given(tries=st.integers(0, 10_000), patient=st.booleans(), factor=st.floats(1, 1000))
def test_pauses_grow_to_an_end(tries: int, patient: bool, factor: float) -> None:
    backoff = Backoff(factor=factor)
    breaker = Breaker(backoff, patient, tries)
    first, here = Breaker(backoff, patient).pause("seed"), breaker.pause("seed")
    assert first / (1 + backoff.jitter) <= here <= longest_delay(backoff)
    assert here == breaker.pause("seed"), "a replay waits just as long"
    breaker.failed(NOW, "seed")
    assert breaker.until - NOW >= here / (1 + backoff.jitter) - 1e-9


def test_how_many_at_once() -> None:
    assert most_at_once(12, Policy()) == 8
    assert most_at_once(1000, Policy()) == 50
    assert most_at_once(12, Policy(recoveries=Recoveries(share=0.5, at_least=1))) == 6


def test_depths_count_ancestors(make_spec: MakeSpec) -> None:
    line = [
        make_spec("a"),
        make_spec("b", parent="a"),
        make_spec("c", parent="b"),
        make_spec("d", parent="gone"),
    ]
    assert depths({s.id: s for s in reversed(line)}) == {"a": 0, "b": 1, "c": 2, "d": 0}


# -- holds ---------------------------------------------------------------------------------------


def fallen(spec: AgentSpec, *attempts: Attempt, **fields: Any) -> AgentState:
    incident = Incident("a1-i1", NOW, "exited", "crash", "exit 2", attempts=attempts)
    state = AgentState(spec.id, Phase.EXITED, NOW, attempt=1, incident=incident, incidents=1)
    return replace(state, **fields)


def held(spec: AgentSpec, *by: str) -> AgentState:
    state = fallen(spec)
    for name in by:
        state = evolve(state, e.HeldBack(spec.id, NOW, name, "for a while"), spec).state
    return state


def test_who_is_held_back_is_let_alone_and_says_why(make_spec: MakeSpec) -> None:
    spec = make_spec("a1")
    state = held(spec, "cascade")
    assert decide(state, spec, NOW + 1).actions == ()
    assert due(state, spec) == NOW + spec.policy.task_deadline
    told = explain(state, spec, NOW + 1).lines()
    assert any("held back by cascade for 1.0 s: for a while; until one of them is at work" in x for x in told)
    assert "when it is let go: for a while" in told[-1]
    free = evolve(state, e.LetGo("a1", NOW + 2, "cascade"), spec)
    assert [h.type for h in free.happenings] == ["agent_let_go"]
    assert decide(free.state, spec, NOW + 2).actions != ()


def test_two_guards_hold_until_both_let_go(make_spec: MakeSpec) -> None:
    spec = make_spec("a1")
    state = held(spec, "cascade", "somebody")
    state = evolve(state, e.LetGo("a1", NOW + 1, "somebody"), spec).state
    assert decide(state, spec, NOW + 1).actions == ()


def test_a_person_waits_for_nobody(make_spec: MakeSpec) -> None:
    """Not even for a guard that does not hear of it."""
    spec = make_spec("a1")
    state = evolve(held(spec, "somebody"), e.Ordered("a1", NOW + 1, "restart", "o1", "me"), spec).state
    assert due(state, spec) == NOW + 1
    assert decide(state, spec, NOW + 1).actions != ()


def test_while_it_waits_for_its_turn_its_backoff_runs(make_spec: MakeSpec) -> None:
    spec = make_spec("a1")
    once = Attempt(1, Strategy.RESUME, NOW - 5, "failure")
    state = fallen(spec, once, restarts=1)
    state = evolve(state, e.HeldBack("a1", NOW, "slots", "its turn comes"), spec).state
    state = decide(state, spec, NOW).state
    assert state.recovery is not None
    assert state.recovery.stage is Stage.BACKOFF
    assert decide(state, spec, NOW + 60).actions == ()
    state = evolve(state, e.LetGo("a1", NOW + 60, "slots"), spec).state
    assert decide(state, spec, NOW + 60).actions != ()


def test_what_no_retry_heals_waits_for_no_slot(make_spec: MakeSpec) -> None:
    spec = make_spec("a1")
    state = fallen(spec)
    assert state.incident is not None
    state = replace(state, incident=replace(state.incident, cause="permission"))
    state = evolve(state, e.HeldBack("a1", NOW, "slots", "its turn comes"), spec).state
    assert decide(state, spec, NOW).state.phase is Phase.ESCALATED


def test_a_deadline_ends_a_hold(make_spec: MakeSpec) -> None:
    spec = make_spec("a1")
    state = held(spec, "cascade")
    assert state.incident is not None
    state = replace(state, incident=replace(state.incident, cause="deadline"))
    assert decide(state, spec, NOW + 1).state.phase is Phase.ESCALATED


def test_a_hold_ends_with_the_incident_and_is_none_of_whoever_has_none(make_spec: MakeSpec) -> None:
    spec = make_spec("a1")
    well = evolve(AgentState("a1", Phase.WORKING), e.HeldBack("a1", NOW, "cascade", "late"), spec)
    assert well.state.held_back == ()
    cleared = evolve(held(spec, "cascade"), e.Ordered("a1", NOW + 1, "clear", "o1", "me"), spec).state
    assert cleared.held_back == ()


def test_holds_and_what_is_shared_outlive_a_daemon_but_no_longer_than_they_may(make_spec: MakeSpec) -> None:
    spec = make_spec("a1")
    shared = Shared("c1", "crash", "cause crash", NOW - 50, 3)
    state = evolve(held(spec, "cascade"), e.CauseShared("a1", NOW, shared), spec).state
    again = load_state(dump_state(state))
    assert again == state
    assert again.incident is not None
    assert again.incident.shared == shared
    earlier = NOW - 10_000  # the clock of the next daemon
    assert fitted(again, spec, earlier).held_back == (Hold("cascade", "for a while", earlier),)
    assert fitted(replace(again, phase=Phase.STOPPED), spec, NOW).held_back == ()


def test_what_was_tried_in_vain_is_given_back_once_and_only_since_the_cascade(make_spec: MakeSpec) -> None:
    spec = make_spec("a1")
    attempts = (
        Attempt(1, Strategy.RESUME, NOW - 500, "failure"),
        Attempt(2, Strategy.RESTART, NOW - 10, "failure"),
        Attempt(3, Strategy.RESTART, NOW - 5, "failure", manual=True),
        Attempt(4, Strategy.REASSIGN, NOW - 1, "failure"),
        Attempt(5, Strategy.RESTART, NOW, "pending"),
    )
    state = fallen(spec, *attempts, restarts=3, reassigns=1)
    shared = Shared("c1", "api_error", "provider acme", NOW)
    own = evolve(state, e.CauseShared("a1", NOW, replace(shared, cause="crash")), spec).state
    assert (own.restarts, own.reassigns) == (3, 1), "who crashes may have itself to blame"
    for _ in range(2):
        change = evolve(state, e.CauseShared("a1", NOW, shared), spec)
        state = change.state
    assert (state.restarts, state.reassigns) == (2, 0)
    assert state.incident is not None
    assert [a.free for a in state.incident.attempts] == [False, True, False, True, False]


def test_after_the_deadline_of_a_task_nothing_is_given_back(make_spec: MakeSpec) -> None:
    spec = make_spec("a1", task_deadline=600.0)
    state = fallen(spec, Attempt(1, Strategy.RESUME, NOW, "failure"), restarts=1)
    old = Shared("c1", "api_error", "provider acme", NOW - 601)
    assert evolve(state, e.CauseShared("a1", NOW, old), spec).state.restarts == 1


# -- the ladder ----------------------------------------------------------------------------------


def quick_deaths(count: int, level: int = 1, lived: float | None = 2.0) -> tuple[Attempt, ...]:
    how = Strategy.RESTART if level == 1 else Strategy.REASSIGN
    return tuple(Attempt(n + 1, how, NOW, "failure", level=level, lived=lived) for n in range(count))


def test_three_deaths_in_a_row_go_up_a_level(make_spec: MakeSpec) -> None:
    spec = make_spec("a1", max_restarts=10, max_llm_retries=10)

    def after(*attempts: Attempt) -> Strategy:
        state = fallen(spec, *attempts)
        assert state.incident is not None
        return next_rung(state, state.incident, spec).strategy

    assert after(*quick_deaths(2)) is Strategy.RESTART
    assert after(*quick_deaths(3)) is Strategy.REASSIGN
    assert after(*quick_deaths(3, lived=31.0)) is Strategy.RESTART
    assert after(*quick_deaths(3, lived=None)) is Strategy.RESTART, "it did not die"
    assert after(*quick_deaths(2), *quick_deaths(1, lived=None)) is Strategy.RESTART
    assert after(*quick_deaths(3), *quick_deaths(2, level=2)) is Strategy.REASSIGN
    assert after(*quick_deaths(3), *quick_deaths(3, level=2)) is Strategy.ESCALATE
    assert after(*(replace(a, free=True) for a in quick_deaths(3))) is Strategy.RESUME


def test_how_long_an_attempt_lived_is_known(make_spec: MakeSpec) -> None:
    spec = make_spec("a1")
    recovery = Recovery(Strategy.RESTART, Stage.VERIFYING, "k", 0, due=NOW + 30, n=1, began=NOW)
    state = fallen(spec, Attempt(1, Strategy.RESTART, NOW), recovery=recovery, alive=True, started=NOW)
    died = evolve(state, e.ProcessExited("a1", NOW + 4, 1, 1, None), spec).state
    assert died.incident is not None
    assert died.incident.attempts[0].lived == 4.0


def test_an_api_that_errs_is_left_in_peace_for_longer(make_spec: MakeSpec) -> None:
    backoff = Backoff(jitter=0)
    crash = Incident("i", NOW, "exited", "crash", "")
    erred = replace(crash, cause="api_error")
    assert delay_before(crash, backoff, "s") == 0
    waits = []
    for made in range(9):
        attempts = tuple(Attempt(n, Strategy.RESTART, NOW, "failure") for n in range(made))
        waits.append(delay_before(replace(erred, attempts=attempts), backoff, "s"))
    assert waits == [8, 16, 32, 64, 128, 256, 512, 512, 512]


# -- what a daemon finds ---------------------------------------------------------------------------


def test_a_cascade_that_no_agent_is_part_of_any_more_is_over(make_spec: MakeSpec) -> None:
    shared = Shared("c1", "crash", "cause crash", NOW)
    part = fallen(make_spec("a1"))
    assert part.incident is not None
    part = replace(part, incident=replace(part.incident, shared=shared))
    rows = [
        {"opened": "x", "cascade": "c1", "cause": "crash", "agents": ["a1"]},
        {"opened": "x", "cascade": "c2", "cause": "oom", "agents": ["a2"]},
    ]
    ended = over(rows, [part, AgentState("a2")], NOW)
    assert [(h.type, h.fields["cascade"], h.fields["over"]) for h in ended] == [("hhmrs_cascade", "c2", True)]


class _Told(LedgerQueries):
    """A book of nothing but these words."""

    def __init__(self, *cascades: str) -> None:
        self._events = [
            Event(1, "x", "operator_notified", None, None, None, {"cascade": c}) for c in cascades
        ]

    def _rows(self, sql: str, bound: Sequence[object] = ()) -> list[Any]:
        raise AssertionError(f"{sql} {bound}")

    def of_types(self, types: Sequence[str]) -> list[Event]:
        assert list(types) == ["operator_notified"]
        return self._events


def test_whoever_was_not_told_is_told_by_the_next_daemon() -> None:
    rows = [{"cascade": c, "reason": "many", "agents": ["a1"]} for c in ("c1", "c2")]
    assert [a.key for a in untold(_Told("c1"), rows, [])] == ["c2"]
    assert untold(_Told("c1"), rows, ["c2"]) == []
