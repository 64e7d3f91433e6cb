"""Whom the screen calls: by rule, once for an incident, never again for what has been told."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from hhmrs.config.fleet import Alerts, FleetSpec, Policy
from hhmrs.controller.ports import Event
from hhmrs.healing.agent import Phase
from hhmrs.tests.conftest import MakeSpec
from hhmrs.tui.alarms import BUDGETS, REST, Alarms, Call
from hhmrs.tui.document import Agent, Fleet
from hhmrs.tui.feed import Snapshot
from hhmrs.tui.interventions import ICONS
from hhmrs.tui.ringing import sequence

NOW = 1_795_260_000.0
KINDS = sorted(kind.removeprefix("hhmrs_") for kind in ICONS)


def event(seq: int, kind: str, who: str | None = "a", incident: str | None = "i1", **data: object) -> Event:
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(NOW))
    return Event(seq, at, f"hhmrs_{kind}", who, None, incident, dict(data))


def look(*events: Event, at: float = 0.0, spec: FleetSpec | None = None, fault: str = "") -> Snapshot:
    agents = tuple(Agent(id=n, title=f"Dir-{n.upper()}", phase=Phase.WORKING) for n in "abcdef")
    return Snapshot(Fleet("nightly", NOW + at, up=True, agents=agents), spec, events, fault=fault)


def opened(*events: Event, spec: FleetSpec | None = None) -> Alarms:
    alarms = Alarms()
    assert alarms.take(look(*events, spec=spec)) is None, "what is old does not call"
    return alarms


@pytest.mark.parametrize("kind", KINDS)
def test_by_default_timeout_escalation_and_failure_call_and_nothing_else(kind: str) -> None:
    call = opened().take(look(event(1, kind)))
    assert (call is not None) == (kind in ("timeout", "escalation", "failure"))


def test_a_call_rings_and_says_who_and_why() -> None:
    assert opened().take(look(event(1, "timeout", reason="silent for 60 s"))) == Call(
        True, "hhmrs nightly: Dir-A timeout: silent for 60 s"
    )


def test_the_rule_is_that_of_the_agent_and_bell_and_notice_are_told_apart(make_spec: MakeSpec) -> None:
    quiet = Policy(alerts=Alerts(bell=(), desktop=("restart",)))
    agents = {"a": make_spec("a", policy=quiet), "b": make_spec("b")}
    spec = FleetSpec(fleet="nightly", path=Path("/f"), policy=quiet, agents=agents, profiles={})
    alarms = opened(spec=spec)
    assert alarms.take(look(event(1, "timeout"), spec=spec)) is None
    call = alarms.take(look(event(2, "restart", incident="i2"), at=9, spec=spec))
    assert call == Call(False, "hhmrs nightly: Dir-A restart")
    again = alarms.take(look(event(3, "timeout", "b", "i3"), at=20, spec=spec))
    assert again is not None
    assert again.bell


def test_one_alert_per_incident_and_one_more_when_it_fails_for_good() -> None:
    alarms = opened()
    assert alarms.take(look(first := event(1, "timeout"))) is not None
    assert alarms.take(look(first, event(2, "escalation"), at=60)) is None
    assert alarms.take(look(first, event(3, "timeout"), at=120)) is None
    assert alarms.take(look(first, event(4, "failure"), at=180)) is not None
    assert alarms.take(look(first, event(5, "failure"), event(6, "timeout"), at=240)) is None
    assert alarms.take(look(first, event(7, "timeout", incident="i2"), at=300)) is not None


def test_a_screen_that_is_opened_again_does_not_repeat_it() -> None:
    known = [event(1, "timeout"), event(2, "restart", "b", "i2")]
    alarms = opened(*known)
    assert alarms.take(look(*known, at=5)) is None
    assert alarms.take(look(*known, event(3, "escalation"), at=9)) is None, "its incident has called before"
    assert alarms.take(look(*known, event(4, "failure"), at=20)) is not None


def test_a_feed_that_was_gone_repeats_nothing_and_forgets_nothing() -> None:
    alarms = opened(first := event(1, "timeout"))
    assert alarms.take(look(fault="disk on fire")) is None
    assert alarms.take(look(first, at=2)) is None
    assert alarms.take(look(first, event(2, "timeout", "b", "i2"), at=4)) is not None


def test_a_fault_before_the_first_look_is_not_the_first_look() -> None:
    alarms = Alarms()
    assert alarms.take(Snapshot(Fleet("", NOW, up=False), fault="locked")) is None
    assert alarms.take(look(event(7, "timeout"))) is None


def test_a_ledger_that_began_anew_does_not_call_for_its_past() -> None:
    alarms = opened(event(500, "timeout"))
    assert alarms.take(look(event(3, "failure", incident="n1"), at=1)) is None
    assert (
        alarms.take(look(event(3, "failure", incident="n1"), event(4, "timeout", "b", "n2"), at=9))
        is not None
    )


def test_a_storm_is_one_ring_and_nobody_in_it_is_lost() -> None:
    alarms = opened()
    assert alarms.take(look(event(1, "timeout"), at=10)) is not None
    storm = [event(n, "timeout", who, f"s{n}") for n, who in enumerate("bcdef", 2)]
    assert alarms.take(look(*storm[:3], at=10.3)) is None
    assert alarms.take(look(*storm, at=10.6)) is None
    call = alarms.take(look(*storm, at=10.1 + REST))
    assert call == Call(True, "hhmrs nightly: Dir-B timeout, Dir-C timeout, Dir-D timeout and 2 more")
    assert alarms.take(look(*storm, at=20)) is None


def test_a_shared_cause_calls_once_but_whoever_is_given_up_still_calls() -> None:
    alarms = opened()

    def down(*events: Event, at: float) -> Call | None:
        seen = look(*events, at=at)
        return alarms.take(replace(seen, fleet=replace(seen.fleet, cascade="api_error (3 agents)")))

    assert down(event(1, "timeout"), at=10) is not None
    assert down(event(2, "timeout", "b", "i2"), at=20) is None
    assert down(event(3, "failure", "b", "i2"), at=30) is not None
    assert alarms.take(look(event(3, "failure", "b", "i2"), at=35)) is None
    assert alarms.take(look(event(4, "timeout", "c", "i3"), at=40)) is not None, "it is over"


# -- what the terminal gets ---------------------------------------------------------------------------


XTERM = {"TERM": "xterm-256color"}
CALL = Call(True, "hhmrs nightly: Dir-A timeout")


def test_the_bell_and_osc_9() -> None:
    assert sequence(CALL, XTERM) == "\x07\x1b]9;hhmrs nightly: Dir-A timeout\x1b\\"
    assert sequence(Call(False, "x"), XTERM) == "\x1b]9;x\x1b\\"
    assert sequence(Call(True, ""), XTERM) == "\x07"


@pytest.mark.parametrize("environ", [{"TERM": "foot"}, {"TERM": "xterm-256color", "VTE_VERSION": "7200"}])
def test_osc_777_where_that_is_read(environ: dict[str, str]) -> None:
    assert sequence(CALL, environ) == "\x07\x1b]777;notify;hhmrs;hhmrs nightly: Dir-A timeout\x1b\\"


def test_tmux_gets_it_to_hand_on() -> None:
    wrapped = "\x07\x1bPtmux;\x1b\x1b]9;hhmrs nightly: Dir-A timeout\x1b\x1b\\\x1b\\"
    assert sequence(CALL, {"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0"}) == wrapped


@pytest.mark.parametrize("term", ["", "dumb", "linux", "screen", "screen-256color"])
def test_a_terminal_that_would_print_it_only_gets_the_bell(term: str) -> None:
    assert sequence(CALL, {"TERM": term}) == "\x07"


@pytest.mark.parametrize(
    "evil", ["\x1b\\\x1b[2J", "\x07\x1b]52;c;aGk=\x07", "\x9c", "a;b", "\\", "\n\r\u202e"]
)
@pytest.mark.parametrize("more", [{}, {"VTE_VERSION": "1"}, {"TMUX": "t"}])
def test_nothing_in_a_title_or_a_reason_ends_the_sequence(evil: str, more: dict[str, str]) -> None:
    calls = opened().take(look(event(1, "failure", f"who{evil}", reason=f"why{evil}")))
    assert calls is not None
    plain = sequence(Call(True, "X"), XTERM | more)
    told = sequence(calls, XTERM | more)
    head, tail = plain.split("X")
    assert told.startswith(head)
    assert told.endswith(tail)
    inner = told[len(head) : len(told) - len(tail)]
    assert inner.isprintable()
    assert not set(inner) & {";", "\\"}
    assert "who" in inner


@pytest.mark.parametrize(("kind", "words"), BUDGETS.items())
def test_a_budget_calls_though_it_is_no_intervention(kind: str, words: str) -> None:
    def told(seq: int, incident: str | None) -> Event:
        return replace(event(seq, "", incident=incident, reason="its budget is spent"), type=kind)

    alarms = opened()
    assert alarms.take(look(told(1, "i1"))) == Call(
        True, f"hhmrs nightly: Dir-A {words}: its budget is spent"
    )
    assert alarms.take(look(event(2, "timeout"), at=9)) is not None, "an incident calls for itself"
    assert alarms.take(look(told(3, "i1"), at=18)) is not None
    quiet = Policy(alerts=Alerts(bell=(), desktop=("failure",)))
    spec = FleetSpec(fleet="nightly", path=Path("/f"), policy=quiet, agents={}, profiles={})
    assert opened(spec=spec).take(look(told(1, None), spec=spec)) is None
