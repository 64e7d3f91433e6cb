"""Nothing that we do ourselves is ever the agent's life or progress, whatever we do and in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hhmrs.healing.judge as judge_module
import hhmrs.healing.nudges as nudges_module
from hhmrs.config.fleet import AgentSpec, Dialog, Profile, Seat, StatusRule
from hhmrs.healing import evidence as e
from hhmrs.healing.actions import Nudge
from hhmrs.healing.agent import AgentState, Incident
from hhmrs.healing.decide import decide, due
from hhmrs.healing.evolve import evolve
from hhmrs.healing.nudges import RESCUE
from hhmrs.healing.transitions import first_state

MakeSpec = Callable[..., AgentSpec]
OLD = Profile(
    name="old",
    status_files=(StatusRule(pattern="status.json", kind="status"),),
    dialogs=(Dialog(name="news", pattern="What is new", keys=("Escape",)),),
)


def at_work(spec: AgentSpec) -> AgentState:
    """An agent that has worked for a while."""
    s = decide(first_state(spec, 0.0).state, spec, 0.0).state
    for evidence in (
        e.ProcessStarted("a1", 0.0, 1, 100, 1.0, "%1"),
        e.BeatReceived("a1", 0.5, "executing"),
        e.FileChanged("a1", 1.0, "x.py"),
        e.OutputSeen("a1", 2.0, ("words of its own",)),
    ):
        s = evolve(s, evidence, spec).state
    return s


class Hands:
    """We, and nobody else: the brain on a clock, its own acts carried out somehow, and what they leave."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec, self.now, self.s = spec, 2.0, at_work(spec)
        self.waiting: list[Nudge] = []
        self.closed: list[str] = []

    def look(self, seconds: float = 0.0) -> None:
        until = self.now + seconds
        for _ in range(100):
            at = due(self.s, self.spec)
            if at is None or at > until:
                break
            self.now = max(self.now, at)
            self._take(decide(self.s, self.spec, self.now))
        self.now = max(self.now, until)

    def tell(self, evidence: e.Evidence) -> None:
        self._take(evolve(self.s, replace(evidence, at=self.now), self.spec))
        self.look()

    def _take(self, change: Any) -> None:
        self.s = change.state
        ended = [h for h in change.happenings if h.type == "agent_incident_closed"]
        self.closed += [str(h.fields["outcome"]) for h in ended]
        self.waiting += [one for one in change.actions if isinstance(one, Nudge)]

    def finish(self, ok: bool, idle: bool) -> None:
        """A step comes to its end; its keys were told of before, and what they wrote is echoed."""
        if not self.waiting:
            return
        step = self.waiting.pop(0)
        if step.types:
            self.tell(e.Typed("a1", 0.0, step.text))
        self.tell(e.StepFinished("a1", 0.0, step.key, ok, "" if ok else "no", idle=idle))

    def echo(self, cut: int, after: float) -> None:
        """The pane shows what we typed, broken somewhere; soon or long after."""
        if RESCUE in self.s.typed:
            self.look(after)
            self.tell(e.OutputSeen("a1", 0.0, (f"> {RESCUE[:cut]}", f"  {RESCUE[cut:]}")))

    def reply(self, text: str) -> None:
        """A program answers our keys at once: nothing of the agent's own doing yet."""
        if self.now <= self.s.typed_at + 1.0:
            self.tell(e.OutputSeen("a1", 0.0, (text,)))


ACTS = st.one_of(
    st.tuples(st.just("look"), st.floats(0.1, 70.0)),
    st.tuples(st.just("finish"), st.booleans(), st.booleans()),
    st.tuples(st.just("echo"), st.integers(1, len(RESCUE) - 1), st.floats(0.0, 30.0)),
    st.tuples(st.just("reply"), st.sampled_from(["bash: You: command not found", "redrawn", "> "])),
    st.tuples(st.just("dialog")),
    st.tuples(st.just("closed")),
    st.tuples(st.just("checkpoint"), st.booleans()),
    st.tuples(st.just("measured")),
    st.tuples(st.just("daemon")),
    st.tuples(st.just("nudge")),
)


def act(hands: Hands, what: tuple[Any, ...]) -> None:
    kind, *how = what
    acts: dict[str, Callable[[], None]] = {
        "look": lambda: hands.look(*how),
        "finish": lambda: hands.finish(*how),
        "echo": lambda: hands.echo(*how),
        "reply": lambda: hands.reply(*how),
        "dialog": lambda: hands.tell(e.ScreenMatched("a1", 0.0, "dialog", "news")),
        "closed": lambda: hands.tell(e.ScreenCleared("a1", 0.0)),
        "checkpoint": lambda: hands.tell(e.CheckpointTaken("a1", 0.0, 1, how[0])),
        "measured": lambda: hands.tell(e.ProcessMeasured("a1", 0.0, False, (), False, 0.0, 1.0, 1)),
        "nudge": lambda: hands.tell(e.Ordered("a1", 0.0, "nudge", f"l{hands.now}", "ann")),
        "daemon": lambda: hands.tell(e.ProcessAdopted("a1", 0.0, 1, 100, 1.0, "%1")),
    }
    acts[kind]()


def never_counts(make_spec: MakeSpec, acts: list[tuple[Any, ...]]) -> None:
    spec = make_spec(seats=(Seat(profile=OLD),) * 2, restart="temporary")
    hands = Hands(spec)
    hands.look(61.0)
    assert isinstance(hands.s.incident, Incident)
    before = hands.s
    for what in acts:
        act(hands, what)
        s = hands.s
        assert set(hands.closed) <= {"cleared"}, "a person may clear it; nobody recovered"
        seen, known = (
            replace(s.trace, process=None, output=None),
            replace(before.trace, process=None, output=None),
        )
        assert (seen, s.progress_kind) == (known, before.progress_kind), what
        if what[0] == "daemon":
            before = s  # its clocks begin anew with each daemon, which is no life of its own
        assert (s.last_progress, s.last_solid) == (before.last_progress, before.last_solid), what
        late = hands.now >= s.typed_at + judge_module.REPLY
        # A program that draws our words again much later lives, and no more.
        assert s.last_life == before.last_life or (what[0] == "echo" and late), what
        before = replace(before, last_life=s.last_life)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, max_size=25))
def test_no_act_of_ours_is_progress(make_spec: MakeSpec, acts: list[tuple[Any, ...]]) -> None:
    never_counts(make_spec, acts)


THE_STEPS = [("finish", True, False), ("look", 5.0)] * 4
"""Every step of the nudge is taken, the message last."""


def test_red_a_step_that_counts_as_progress(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    real = nudges_module.stepped

    def believing(s: AgentState, ev: e.StepFinished, spec: AgentSpec) -> Any:
        change = real(s, ev, spec)
        return judge_module.progress(change.state, ev.at, "file", "we did something", spec)

    monkeypatch.setattr(nudges_module, "stepped", believing)
    with pytest.raises(AssertionError):
        never_counts(make_spec, THE_STEPS)


def test_red_an_echo_that_nobody_knows(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    acts = [*THE_STEPS, ("echo", 50, 10.0)]
    never_counts(make_spec, acts)
    monkeypatch.setattr(judge_module, "without_echo", lambda lines, _typed: lines)
    with pytest.raises(AssertionError):
        never_counts(make_spec, acts)


# -- a process that stands still ---------------------------------------------------------------------

OTHERS = st.sampled_from(["file", "transcript", "status"])


def by_others(kind: str) -> e.Evidence:
    """What somebody else writes can look like this."""
    made: dict[str, e.Evidence] = {
        "file": e.FileChanged("a1", 0.0, "status.json"),
        "transcript": e.TranscriptGrew("a1", 0.0),
        "status": e.BeatReceived("a1", 0.0, "executing", by_file=True),
    }
    return made[kind]


def frozen(hands: Hands, *, stopped: bool = True) -> None:
    hands.tell(e.ProcessMeasured("a1", 0.0, False, (), stopped, 0.0, 1.0, 1))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(OTHERS, min_size=1, max_size=200), every=st.floats(0.1, 20.0))
def test_a_frozen_agent_is_found_in_time_whoever_writes_to_its_files(
    make_spec: MakeSpec, kinds: list[str], every: float
) -> None:
    hands = Hands(make_spec(seats=(Seat(profile=OLD),)))
    frozen(hands)
    life = hands.s.last_life
    for number in range(int(120 / every)):
        hands.look(every)
        hands.tell(by_others(kinds[number % len(kinds)]))
        if hands.s.incident:
            break
    assert hands.s.incident is not None
    assert (hands.s.incident.symptom, hands.s.last_life) == ("stalled", life)
    assert hands.s.incident.opened <= life + hands.spec.policy.silence + 0.001


def test_who_runs_again_is_believed_again(make_spec: MakeSpec) -> None:
    hands = Hands(make_spec(seats=(Seat(profile=OLD),)))
    frozen(hands)
    frozen(hands, stopped=False)
    hands.look(10.0)
    hands.tell(by_others("file"))
    assert hands.s.last_progress == hands.now


def test_a_letter_of_a_frozen_agents_child_is_still_a_beat(make_spec: MakeSpec) -> None:
    hands = Hands(make_spec(seats=(Seat(profile=OLD),)))
    frozen(hands)
    hands.look(10.0)
    hands.tell(e.BeatReceived("a1", 0.0, "executing"))
    assert hands.s.last_life == hands.now
    assert hands.s.last_progress < hands.now
