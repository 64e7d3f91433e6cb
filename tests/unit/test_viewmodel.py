"""The tree as lines: order, folding, search, what is painted again, where the selection goes."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from hhmrs.config.fleet import NudgeSteps
from hhmrs.controller.ports import Event
from hhmrs.healing.agent import AgentState, Phase
from hhmrs.healing.nudges import NOTHING
from hhmrs.tui.bar_lines import turn
from hhmrs.tui.desk import PATIENCE, Desk, Sent
from hhmrs.tui.document import Agent, Fleet, Trouble, moment, read_fleet
from hhmrs.tui.interventions import tell, timeline
from hhmrs.tui.listing import Listing
from hhmrs.tui.looks import LOOKS, age, clean
from hhmrs.tui.prose import timeline_lines
from hhmrs.tui.recoveries import plan, why_not
from hhmrs.tui.tree import grow
from hhmrs.tui.viewmodel import Lines, changed, next_in_need, place, rows
from hhmrs.tui.widgets.pane import settle, tame

NOW = 1_795_260_000.0


def agent(name: str, parent: str | None = None, phase: Phase = Phase.WORKING, **more: object) -> Agent:
    return Agent(id=name, title=name.title(), parent=parent, phase=phase, since=NOW - 5, **more)  # type: ignore[arg-type]  # a short way to write a test's agent


def fleet(*agents: Agent, up: bool = True, troubles: tuple[Trouble, ...] = ()) -> Fleet:
    return Fleet(name="f", at=NOW, up=up, agents=agents, troubles=troubles)


FAMILY = fleet(
    agent("root"),
    agent("a", "root", Phase.IDLE),
    agent("a1", "a", Phase.ESCALATED),
    agent("a2", "a", Phase.WAITING),
    agent("b", "root"),
)


def names(picture: Fleet, folded: frozenset[str] = frozenset(), needle: str = "") -> list[str]:
    return [row.agent for row in rows(picture, folded, needle)]


def test_children_follow_their_parent_in_file_order() -> None:
    assert names(FAMILY) == ["root", "a", "a1", "a2", "b"]
    assert [row.rails for row in rows(FAMILY)] == [(), (True,), (True, True), (True, False), (False,)]


def test_a_child_listed_before_its_parent_still_stands_below_it() -> None:
    assert names(fleet(agent("kid", "top"), agent("top"))) == ["top", "kid"]


@pytest.mark.parametrize(
    "strange",
    [
        fleet(agent("x", "gone")),
        fleet(agent("x", "x")),
        fleet(agent("x", "y"), agent("y", "x")),
        fleet(agent("x", "y"), agent("y", "z"), agent("z", "y")),
    ],
)
def test_nobody_is_lost_in_a_strange_tree(strange: Fleet) -> None:
    assert sorted(names(strange)) == sorted(a.id for a in strange.agents)


def test_a_folded_parent_shows_the_worst_of_those_below() -> None:
    row = rows(FAMILY, frozenset({"a"}))[1]
    assert (row.agent, row.folded, row.hidden) == ("a", True, 2)
    assert row.below == ((Phase.ESCALATED, 1), (Phase.WAITING, 1))
    deep = rows(FAMILY, frozenset({"root"}))[0]
    assert deep.hidden == 4
    assert deep.below[0] == (Phase.ESCALATED, 1)


def test_a_match_keeps_its_ancestors_and_opens_what_is_folded() -> None:
    assert names(FAMILY, frozenset({"a"}), "a1") == ["root", "a", "a1"]
    assert names(FAMILY, needle="escalated") == ["root", "a", "a1"]
    assert names(FAMILY, needle="!a") == ["root", "b"]
    assert names(FAMILY, needle="nobody") == []


def test_only_an_intervention_is_orange() -> None:
    trouble = Trouble("i1", "a", NOW, "stalled", "stalled", "")
    sick = fleet(
        agent("a", phase=Phase.STALLED), agent("b", phase=Phase.STALLED), agent("c", phase=Phase.RECOVERING)
    )
    marked = {
        row.agent: row.affected
        for row in rows(Fleet("f", NOW, True, agents=sick.agents, troubles=(trouble,)))
    }
    assert marked == {"a": True, "b": False, "c": True}
    escalated = fleet(agent("a", phase=Phase.ESCALATED), troubles=(trouble,))
    assert not rows(escalated)[0].affected


def test_only_lines_that_differ_are_painted_again() -> None:
    before, later = rows(FAMILY), rows(Fleet("f", NOW + 0.3, True, agents=FAMILY.agents))
    assert changed(before, later).lines == ()
    assert not changed(before, later).resized
    moved = (*FAMILY.agents[:4], agent("b", "root", Phase.DONE))
    assert changed(before, rows(fleet(*moved))).lines == (4,)
    assert changed(before, rows(FAMILY, frozenset({"a"}))).resized


def test_the_selection_goes_with_its_agent() -> None:
    lines = rows(FAMILY)
    assert place(lines, "a2", 0) == 3
    assert place(rows(FAMILY, frozenset({"a"})), "b", 4) == 2
    assert place(lines, "gone", 3) == 3
    assert place(lines, "gone", 99) == 4
    assert place((), "gone", 7) == 0


def test_the_worst_comes_first_then_the_next() -> None:
    assert next_in_need(FAMILY, None) == "a1"
    assert next_in_need(FAMILY, "a1") == "a2"
    assert next_in_need(FAMILY, "a2") == "a1"
    assert next_in_need(fleet(agent("x")), None) is None


def test_who_waits_for_a_person_comes_before_who_is_being_healed() -> None:
    four = fleet(
        agent("heals", phase=Phase.RECOVERING), agent("sick", phase=Phase.STALLED),
        agent("asks", phase=Phase.WAITING), agent("lost", phase=Phase.ESCALATED),
    )  # fmt: skip
    order = [next_in_need(four, None)]
    while len(order) < 4:
        order.append(next_in_need(four, order[-1]))
    assert order == ["lost", "asks", "sick", "heals"]


def test_a_very_long_chain_of_agents_is_no_trouble() -> None:
    chain = fleet(agent("n0"), *(agent(f"n{i}", f"n{i - 1}") for i in range(1, 3000)))
    assert len(grow(chain).descendants("n0")) == 2999


# -- reading the document ---------------------------------------------------------------------------


def test_the_status_document_is_read_and_made_inert() -> None:
    seen = read_fleet(
        {
            "fleet": "n", "at": "2026-11-21T10:00:00.000Z", "cascade": None,
            "daemon": {"pid": 1, "uptime_s": 3.5, "mode": "armed"},
            "agents": [{"id": "a", "parent": None, "phase": "working", "since": "2026-11-21T09:59:50.000Z",
                        "message": "\x1b]0;evil\x07ok\x9b31m[red]\u202e",
                        "evidence": {"beat": 3.1, "output": 0.4},
                        "model": None, "profile": "claude", "incident": None}],
            "incidents": [],
        },
        {"a": "The \x07Boss"},
    )  # fmt: skip
    one = seen.agents[0]
    assert seen.up
    assert one.title == "The Boss"
    assert one.message.isprintable()
    assert "[red]" in one.message
    assert one.newest is not None
    assert one.newest[0] == "output"
    assert seen.at - one.newest[1] == pytest.approx(0.4)
    assert seen.at - (one.since or 0) == pytest.approx(10)


def test_a_document_with_unknown_or_missing_values_is_still_read() -> None:
    seen = read_fleet({"agents": [{"id": "a", "phase": "new-phase"}, 7], "daemon": None}, {})
    assert not seen.up
    assert seen.agents[0].phase is Phase.UNKNOWN
    assert moment("yesterday") is None


def test_the_process_being_there_is_not_the_newest_evidence() -> None:
    assert agent("a", trace={"process": 90.0, "output": 40.0}).newest == ("output", 40.0)
    assert agent("a", trace={"process": 90.0, "output": None}).newest == ("process", 90.0)
    working = {"agents": [{"id": "a", "evidence": {"process": 0.1, "output": 46.0, "cpu": 1.9}}]}
    assert read_fleet(working, {}).agents[0].newest == ("cpu", -1.9), "a compiler at work prints nothing"


# -- words and colours ------------------------------------------------------------------------------


def test_every_phase_has_a_look_of_its_own() -> None:
    assert set(LOOKS) == set(Phase)
    assert len({look.glyph for look in LOOKS.values()}) == len(Phase)
    assert len({look.ascii for look in LOOKS.values()}) == len(Phase)
    assert all(look.ascii.isascii() for look in LOOKS.values())


def test_ages_are_short() -> None:
    assert [age(s) for s in (None, -1, 0.4, 119, 120, 7199, 7200, 431_999, 432_000, 1e12)] == [
        "-", "0s", "0s", "119s", "2m", "119m", "2h", "119h", "5d", "999d",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "evil", ["\x1b[2J\x1b[H", "\x1b]52;c;aGk=\x07", "a\rb", "\x1bPq\x1b\\", "\u202egnp.exe", "\x9b2J"]
)
def test_hostile_text_becomes_inert(evil: str) -> None:
    assert all(ch.isprintable() for ch in clean(evil))
    assert len(clean("x" * 10_000, 50)) == 50


# -- the pane ---------------------------------------------------------------------------------------


def test_a_line_keeps_its_colours_and_nothing_else() -> None:
    assert tame("\x1b[31mred\x1b[0m \x1b[2Jgone\x1b]0;title\x07 \x0e\x08x") == "\x1b[31mred\x1b[0m gone x"


def test_colours_carry_on_to_the_next_line() -> None:
    assert settle(["\x1b[31mred", "still", "\x1b[0mplain", "x"]) == [
        "\x1b[31mred",
        "\x1b[31mstill",
        "\x1b[31m\x1b[0mplain",
        "x",
    ]
    assert settle(["text", "   ", "\x1b[0m", ""]) == ["text"]


# -- interventions ----------------------------------------------------------------------------------


def event(
    seq: int, kind: str, ago: float, who: str = "a", incident: str | None = "i1", **data: object
) -> Event:
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW - ago)) + ".000Z"
    return Event(seq, at, kind, who, None, incident, dict(data))


def test_the_timeline_is_newest_first_with_ages_and_reasons() -> None:
    lines = timeline(
        [event(1, "hhmrs_timeout", 7, reason="silent 60 s"), event(2, "agent_started", 2, attempt=2)], NOW
    )
    assert [(m.what, m.seconds, m.why) for m in lines] == [
        ("agent started", 2, "attempt 2"),
        ("timeout", 7, "silent 60 s"),
    ]
    moved = event(
        1, "hhmrs_reassign", 1, old_profile="claude", new_profile="codex", new_model="o", reason="r"
    )
    assert tell(moved) == "claude -> codex:o  r"


def test_checkpoints_in_a_row_do_not_hide_what_happened() -> None:
    kinds = ["agent_started", "checkpoint_stored", "checkpoint_stored", "checkpoint_stored"]
    told = [event(n, kind, 9 - n, **({"by": "agent"} if n else {})) for n, kind in enumerate(kinds)]
    told += [event(4, "checkpoint_stored", 1, by="supervisor")]
    lines = timeline(told, NOW)
    assert [(m.what, m.why, m.seconds) for m in lines] == [
        ("checkpoint stored", "by supervisor", 1),
        ("checkpoint stored", "by agent, the last of 3 in a row", 6),
        ("agent started", "", 9),
    ]


def test_a_reason_is_never_cut_off_by_a_narrow_screen() -> None:
    why = "alive, but no progress for 600 s; cause looping"
    moments = timeline([event(1, "hhmrs_timeout", 7, reason=why)], NOW)
    for width in (120, 78, 54, 44):
        lines = ["".join(part for part, _ in line) for line in timeline_lines(moments, width)]
        assert max(map(len, lines)) <= width
        assert " ".join(" ".join(lines).split()).endswith(why)


@pytest.mark.parametrize(
    ("daemon", "told"), [({"pid": 1}, "start: clearing"), (None, "start at the next `hhmrs up`")]
)
def test_without_a_daemon_nothing_is_under_way(daemon: object, told: str) -> None:
    raw = {"id": "a", "phase": "exited", "stage": "clearing", "next": {"strategy": "start", "at": None}}
    assert rows(read_fleet({"daemon": daemon, "agents": [raw]}, {}))[0].message == told


def test_who_is_asked_to_decide_is_named_with_the_time_that_is_left() -> None:
    asks = {"agent": "boss", "until": "2026-11-21T10:00:20Z"}
    raw = {"id": "worker", "phase": "exited", "asks": asks, "next": None, "stage": None}
    document = {"at": "2026-11-21T10:00:00Z", "daemon": {"pid": 1}, "agents": [raw]}
    assert rows(read_fleet(document, {"boss": "The Boss"}))[0].message == "asks The Boss 20s left"


def test_an_escalated_agent_says_why() -> None:
    lost = agent("a", phase=Phase.ESCALATED, task="build it")
    trouble = Trouble(id="i", agent="a", opened=NOW, symptom="exited", cause="crash", detail="exit 3")
    assert rows(fleet(lost, troubles=(trouble,)))[0].message == "exit 3 - build it"


# -- orders -----------------------------------------------------------------------------------------


def test_an_order_is_off_with_a_plain_reason() -> None:
    one = agent("a", pid=7)
    down = fleet(one, up=False)
    assert "hhmrs up" in (why_not("restart", one, down) or "")
    assert why_not("restart", one, fleet(one)) is None
    assert "no agent" in (why_not("restart", None, fleet()) or "")
    assert "nothing to clear" in (why_not("clear", one, fleet(one)) or "")
    assert "no tasks yet" in (why_not("submit", one, fleet(one)) or "")
    assert plan("heal", one, fleet(one), None, None).heading == "Heal the whole fleet"
    assert "no live process" in (why_not("send", agent("a"), fleet(agent("a"))) or "")


def test_the_daemons_own_rule_gives_the_reason(lone_spec: object) -> None:
    from hhmrs.config.fleet import FleetSpec

    assert isinstance(lone_spec, FleetSpec)
    one = agent("a", pid=7, phase=Phase.PAUSED)
    state = AgentState(id="a", phase=Phase.PAUSED, alive=True)
    spec = lone_spec.agents["a"]
    assert turn("pause", one) == "unpause"
    assert "already paused" in (why_not("pause", one, fleet(one), state, spec) or "")
    assert why_not("reassign", one, fleet(one), state, spec) is None, "any other profile can be typed"
    assert "checkpoint" in (why_not("resume", one, fleet(one), state, spec) or "")


def test_the_plan_tells_what_will_be_sent_and_done(lone_spec: object) -> None:
    from hhmrs.config.fleet import FleetSpec

    assert isinstance(lone_spec, FleetSpec)
    one = agent("a", pid=7, profile="shell", phase=Phase.ESCALATED, attempt=3)
    state = AgentState(id="a", phase=Phase.ESCALATED, alive=True, checkpoint=12, resumable=True)
    told = " ".join(plan("resume", one, fleet(one), state, lone_spec).steps)
    assert "clear its escalation" in told
    assert "pid 7" in told
    assert "attempt 4" in told
    assert "checkpoint 12" in told
    assert plan("nudge", one, fleet(one), state, lone_spec).verbatim
    nudge = plan("nudge", one, fleet(one), state, lone_spec)
    assert "leave the rescue message in its inbox" in nudge.steps[1]
    assert "pid 7" in nudge.steps[-1]
    flags = lone_spec.agents["a"].policy.model_copy(update={"nudge": NudgeSteps(rescue=False)})
    lone = lone_spec.agents["a"].model_copy(update={"policy": flags})
    quiet = plan("nudge", one, fleet(one), state, lone_spec.model_copy(update={"agents": {"a": lone}}))
    assert (quiet.verbatim, quiet.reason) == ("", NOTHING)
    typed = plan("send", agent("a", pid=7, phase=Phase.WAITING), fleet(one), state, lone_spec, "yes")
    assert dict(typed.choices[0].args) == {"text": "yes", "answer": "1"}


def test_the_answer_to_an_order_is_told_once() -> None:
    desk = Desk()
    desk.sent(Sent("l1", "restart", "a", NOW))
    come = [event(9, "operator_outcome", 0, letter="l1", order="restart", ok=False, message="busy")]
    first = desk.answers(come, FAMILY, NOW)
    assert [(a.ok, a.line) for a in first] == [(False, "A: restart failed: busy")]
    assert desk.answers(come, FAMILY, NOW) == []
    desk.sent(Sent("l2", "stop", "a", NOW))
    assert [a.ok for a in desk.answers(come, FAMILY, NOW + PATIENCE + 1)] == [None]
    assert desk.waiting() == 0


def test_a_pass_over_the_fleet_is_answered_with_what_it_found_and_not_with_half_a_page() -> None:
    desk = Desk()
    desk.sent(Sent("l1", "heal", None, NOW))
    whole = fleet(agent("a"), agent("b"), agent("c", phase=Phase.ESCALATED))
    page = "a is working for 3.0 s\nb is working"
    come = [event(9, "operator_outcome", 0, letter="l1", order="heal", ok=True, message=page)]
    (answer,) = desk.answers(come, whole, NOW)
    assert answer.line == "fleet: heal done: looked at all: 2 working, 1 escalated"


def test_seats_of_one_name_are_offered_once_and_the_only_one_is_named(lone_spec: object) -> None:
    from hhmrs.config.fleet import FleetSpec

    assert isinstance(lone_spec, FleetSpec)
    lone = lone_spec.agents["a"]
    other = lone.seats[0].model_copy(update={"command": ("other",)})
    one = agent("a", pid=7, profile="shell")
    for seats in ((*lone.seats, other), (*lone.seats, other, other)):
        more = lone.model_copy(update={"seats": seats})
        made = plan("reassign", one, fleet(one), None, lone_spec.model_copy(update={"agents": {"a": more}}))
        assert [dict(choice.args) for choice in made.choices] == [{"to": "shell"}, {}]
        assert made.choices[-1].open, "any other can be typed"
        assert made.steps[2] == "start attempt 1 with a handoff, on the seat chosen below"


def test_a_clear_says_that_it_starts_who_is_not_running() -> None:
    lost = agent("a", phase=Phase.ESCALATED, pid=None, attempt=4)
    assert "start attempt 5: it is not running" in plan("clear", lost, fleet(lost), None, None).steps
    for phase, pid in ((Phase.ESCALATED, 7), (Phase.STOPPED, None)):
        other = agent("a", phase=phase, pid=pid, attempt=4)
        assert "start attempt" not in " ".join(plan("clear", other, fleet(other), None, None).steps)


@pytest.fixture
def lone_spec() -> object:
    from pathlib import Path

    from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy, Profile, Seat

    one = AgentSpec(id="a", title="A", seats=(Seat(profile=Profile(name="shell"), command=("true",)),),
                    workspace=Path("/tmp"), liveness=("output",), policy=Policy())  # fmt: skip
    return FleetSpec(fleet="f", path=Path("/tmp/hhmrs.yaml"), policy=Policy(), agents={"a": one}, profiles={})


# -- one look after another -------------------------------------------------------------------------


def test_rows_of_whoever_is_as_before_are_not_made_again() -> None:
    lines, before = Lines(), FAMILY
    first = lines.of(before)
    assert first == rows(before)
    assert lines.of(replace(before, at=NOW + 9)) is first, "only the clock has gone on"
    said = tuple(replace(one, message="m") if one.id == "a1" else one for one in before.agents)
    second = lines.of(replace(before, agents=said))
    assert second == rows(replace(before, agents=said))
    assert [old is new for old, new in zip(first, second, strict=True)] == [True, True, False, True, True]
    well = tuple(agent("a1", "a") if one.id == "a1" else one for one in said)
    third = lines.of(replace(before, agents=well))
    assert third == rows(replace(before, agents=well))
    kept = [old is new for old, new in zip(second, third, strict=True)]
    assert kept == [False, False, False, True, True], "those above it tell of it"


def test_rows_follow_everything_that_they_are_made_of() -> None:
    """Against rows that remember nothing, over all that may change between two looks."""
    lines, hurt = Lines(), Trouble("a1-i1", "a1", NOW - 3, "stalled", "stalled", "no life", outcome=None)
    stalled = agent("a1", "a", Phase.STALLED)
    limited = agent("b", "root", Phase.LIMITED, until=NOW + 30)
    moved = agent("a2", "b")
    sick = fleet(*FAMILY.agents[:2], stalled, *FAMILY.agents[3:])
    hurting = replace(sick, troubles=(hurt,))
    looks: list[tuple[Fleet, frozenset[str], str]] = [
        (FAMILY, frozenset(), ""),
        (FAMILY, frozenset({"a"}), ""),
        (sick, frozenset({"a"}), ""),
        (hurting, frozenset({"a"}), ""),
        (hurting, frozenset(), ""),
        (sick, frozenset(), ""),
        (hurting, frozenset(), ""),
        (replace(hurting, up=False), frozenset(), ""),
        (fleet(*FAMILY.agents[:4], limited), frozenset(), ""),
        (replace(fleet(*FAMILY.agents[:4], limited), at=NOW + 12), frozenset(), ""),
        (fleet(*FAMILY.agents[:4], limited, up=False), frozenset(), ""),
        (fleet(*FAMILY.agents[:3], moved, FAMILY.agents[4]), frozenset(), ""),
        (fleet(*FAMILY.agents[:3], moved, FAMILY.agents[4]), frozenset(), "!a2"),
        (fleet(*FAMILY.agents[:2]), frozenset({"root"}), ""),
        (FAMILY, frozenset(), ""),
    ]
    for seen, folded, needle in looks:
        assert lines.of(seen, Listing(folded=folded, needle=needle)) == rows(seen, folded, needle)
