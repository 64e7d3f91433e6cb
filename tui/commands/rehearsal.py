"""`rehearse`: this fleet's own policy against simulated faults on a fake clock. Nothing is started."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import find_place
from .refusal import UNHEALTHY

if TYPE_CHECKING:
    from ...config.fleet import AgentSpec, FleetSpec
    from ...healing.simulate import Report

HOURS = 6.0
USUAL_SILENCE = 60.0
"""Seconds of silence at the default policy; a fleet that counts in fewer shows as much in less time."""
SEED = 1


def rehearse(call: Call, screen: Screen) -> int:
    from ...controller.daemon.brain import Brain
    from ...healing.simulate import Simulation

    fleet = find_place(call).need_spec()
    seed = SEED if call.get("seed") is None else call.get("seed")
    hours = call.get("hours") or _hours(fleet)
    report = Simulation(fleet, str(seed), Brain).run(hours)
    again = f"{PROGRAM} rehearse --config {inert(fleet.path, 300)} --seed {seed} --hours {hours:g}"
    if call.json:
        screen.document(_document(fleet, report, seed, hours, again))
    else:
        for line in (*_head(fleet, report, seed, screen), *_agents(fleet, report, screen)):
            screen.say(line)
        for line in _verdict(report, again, screen):
            screen.say(line)
    return UNHEALTHY if report.broken else 0


def _hours(fleet: FleetSpec) -> float:
    least = min((spec.policy.silence for spec in fleet.agents.values()), default=USUAL_SILENCE)
    return round(HOURS * min(1.0, least / USUAL_SILENCE), 4)


def _head(fleet: FleetSpec, report: Report, seed: object, screen: Screen) -> list[str]:
    agents = f"{len(fleet.agents)} agent{'s' if len(fleet.agents) != 1 else ''}"
    what = f"{inert(fleet.path, 300)}: fleet {screen.bold(fleet.fleet)}, {agents}, {fleet.policy.mode}"
    daemons = f"{report.daemons} daemon{'s' if report.daemons != 1 else ''}"
    how = f"{_time(report.seconds)} simulated with seed {seed}: {report.steps} turns of {daemons}"
    return [what, f"{how}; nothing was started and nothing was written", ""]


def _agents(fleet: FleetSpec, report: Report, screen: Screen) -> list[str]:
    rows = [["AGENT", "INCIDENTS", "TRIED", "CAME TO", "BACK AFTER", "CALLED AFTER", "ACTIVE", "BOUND"]]
    for name, spec in fleet.agents.items():
        story = report.stories[name]
        rows.append([
            name,
            _counts(story.causes),
            _counts(story.strategies),
            _counts(story.outcomes),
            _time(story.recovered_after),
            _time(story.escalated_after),
            _time(report.longest[name]),
            _time(_bound(spec)),
        ])  # fmt: skip
    lines = screen.columns(rows)
    notes = (
        "back, called: the longest from an incident's opening to its proof, and to the call for a person",
        "active: what of the longest was not spent waiting for limits, providers, people, a turn or a daemon",
        "bound: what `check` prints",
    )
    return [screen.style(lines[0], "quiet"), *lines[1:], "", *notes]


def _verdict(report: Report, again: str, screen: Screen) -> list[str]:
    from ...healing.promises import CLAUSES

    cascades = report.events.get("hhmrs_cascade", 0)
    struck = f"what struck: {_counts(Counter(report.struck))}"
    shared = f"shared causes: {cascades}; false alarms: {report.false_alarms}"
    if report.broken:
        broken = screen.style(f"a promise is broken: {inert(report.broken, 2000)}", "bad")
        return [struck, shared, broken, f"to see it again: {again}"]
    kept = f"promises: {len(CLAUSES)} clauses, looked at {report.checks} times, none broken"
    return [struck, shared, screen.style(kept, "good"), f"to see it again: {again}"]


def _document(fleet: FleetSpec, report: Report, seed: object, hours: float, again: str) -> dict[str, Any]:
    from ...healing.promises import CLAUSES

    return {
        "ok": report.broken is None,
        "fleet": fleet.fleet,
        "path": str(fleet.path),
        "mode": fleet.policy.mode,
        "seed": seed,
        "hours": hours,
        "seconds": round(report.seconds, 3),
        "turns": report.steps,
        "daemons": report.daemons,
        "promises": {"clauses": list(CLAUSES), "checks": report.checks, "broken": report.broken},
        "replay": again,
        "struck": dict(sorted(report.struck.items())),
        "false_alarms": report.false_alarms,
        "events": dict(sorted(report.events.items())),
        "agents": [_agent(spec, report) for spec in fleet.agents.values()],
    }


def _agent(spec: AgentSpec, report: Report) -> dict[str, Any]:
    story = report.stories[spec.id]
    return {
        "id": spec.id,
        "incidents": dict(sorted(story.causes.items())),
        "strategies": dict(sorted(story.strategies.items())),
        "outcomes": dict(sorted(story.outcomes.items())),
        "recovered_after_s": _rounded(story.recovered_after),
        "escalated_after_s": _rounded(story.escalated_after),
        "active_s": _rounded(report.longest[spec.id]),
        "bound_s": _rounded(_bound(spec)),
    }


def _bound(spec: AgentSpec) -> float:
    from ...healing.bounds import bounds

    return max(bound.seconds for bound in bounds(spec))


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "-"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole % 60:02} s"
