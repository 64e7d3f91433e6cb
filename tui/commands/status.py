"""`status`: the fleet now, as a tree for people or the document of contract section 5 for scripts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .output import Screen, complain, inert
from .parsing import Call
from .place import Place, find_place
from .refusal import NO_DAEMON, UNHEALTHY

HELD_SHOWN = 5
"""Agents held for a budget that are told one by one: when the fleet's is spent, all of them are."""
CLOSED_SHOWN = 3
"""Incidents that are over and still told to people; `--json` and `events` have more."""


def status(call: Call, screen: Screen) -> int:
    place = find_place(call)
    document = fleet_document(place)
    if call.json:
        screen.document(document)
    else:
        for line in fleet_lines(document, titles_of(place), screen):
            screen.say(line)
    if document["daemon"] is None:
        screen.flush()
        complain(place.no_daemon())
        return NO_DAEMON
    if document["daemon"].get("stopped"):
        screen.flush()
        complain(place.stopped_daemon(document["daemon"]["pid"]))
        return NO_DAEMON
    return UNHEALTHY if is_open(document) else 0


def fleet_document(place: Place) -> dict[str, Any]:
    """The status document of contract section 5."""
    from ...controller.reports.views import fleet_view

    return fleet_view(place.state, place.spec, time.time()).as_json()


def titles_of(place: Place) -> dict[str, str]:
    """What stands in the tree for each agent: the id, which commands take, and its title if it has one."""
    agents = place.spec.agents.values() if place.spec else ()
    return {a.id: a.id if a.title == a.id else f"{a.id} ({a.title})" for a in agents}


def is_open(document: Mapping[str, Any]) -> bool:
    """Is an incident open? An escalated one is, until somebody clears it."""
    return any(incident["outcome"] is None for incident in document["incidents"])


def fleet_lines(document: Mapping[str, Any], titles: Mapping[str, str], screen: Screen) -> list[str]:
    from ..document import read_fleet
    from ..looks import LOOKS, Glyphs, age
    from ..viewmodel import rows

    fleet = read_fleet(document, titles)
    glyphs = Glyphs(plain=screen.plain)
    shown = rows(fleet)
    by_id = {agent.id: agent for agent in fleet.agents}
    quiet = {
        raw["id"]: f"no progress for {age(raw['quick_look_s'])}; "
        for raw in document["agents"]
        if raw.get("quick_look_s") is not None and raw["phase"] in ("starting", "working")
    }
    cells = [["AGENT", "PHASE", "FOR", "TRY", "SEEN", "CPU", "MB", ""]]
    for row in shown:
        agent = by_id[row.agent]
        seen = f"{row.kind} {age(fleet.at - row.seen)}" if row.seen is not None else "-"
        since = None if row.since is None else fleet.at - row.since
        percent = f"{row.percent}% " if row.percent is not None else ""
        name = screen.rails(row.rails) + inert(row.title, 60)
        word = f"{glyphs.phase(row.phase)} {row.phase}"
        load = [f"{agent.cpu_pct:.0f}", f"{agent.memory_mb:.0f}"]
        told = inert(percent + quiet.get(row.agent, "") + row.message, 60)
        cells.append([name, word, age(since), str(agent.attempt), seen, *load, told])
    lines = screen.columns(cells)
    painted = [screen.style(lines[0], "quiet")]
    for row, line in zip(shown, lines[1:], strict=True):
        word = f"{glyphs.phase(row.phase)} {row.phase}"
        tone = "tron" if row.affected else LOOKS[row.phase].tone.value
        painted.append(line.replace(word, screen.style(word, tone), 1))
    return [*_head(document, screen), *painted, *_budget_lines(document), *_incident_lines(document, screen)]


def _budget_lines(document: Mapping[str, Any]) -> list[str]:
    """Whoever is held for a budget, why, and what ends that."""
    held = {str(agent["id"]): str(agent["budget"]) for agent in document["agents"] if agent.get("budget")}
    lines = [f"held: {inert(name, 80)}: {inert(why, 300)}" for name, why in list(held.items())[:HELD_SHOWN]]
    if len(held) > HELD_SHOWN:
        lines.append(f"held: {len(held) - HELD_SHOWN} more")
    return ["", *lines] if lines else []


def _head(document: Mapping[str, Any], screen: Screen) -> list[str]:
    from ..looks import age

    daemon = document["daemon"]
    name = screen.bold(inert(document["fleet"], 40))
    if daemon is None:
        begun = any(agent["attempt"] for agent in document["agents"])
        known = "this is the last known state" if begun else "none of its agents was ever started"
        head = [f"{name}  {screen.style('no daemon', 'bad')}: {known}"]
    else:
        up = f"up {age(daemon['uptime_s'])}, version {inert(daemon['version'], 20)}"
        head = [f"{name}  {daemon['mode']}, daemon pid {daemon['pid']}, {up}"]
        if daemon.get("stopped"):
            head = [f"{name}  {screen.style('daemon stopped', 'bad')}: this is the last known state"]
    if document.get("cascade"):
        head.append(screen.style(f"shared cause: {_cascade(document['cascade'])}", "bad"))
    return [*head, ""]


def _cascade(cascade: Mapping[str, Any]) -> str:
    words = [str(cascade.get(name) or "") for name in ("cause", "scope")]
    words += [f"{len(cascade.get('agents') or ())} agents", f"since {cascade.get('opened')}"]
    return inert(", ".join(word for word in words if word), 200)


def _incident_lines(document: Mapping[str, Any], screen: Screen) -> list[str]:
    lines: list[str] = []
    closed = [i for i in document["incidents"] if i["outcome"] is not None]
    for incident in [i for i in document["incidents"] if i["outcome"] is None] + closed[:CLOSED_SHOWN]:
        ended = f" [{incident['outcome']}]" if incident["outcome"] else ""
        who = f"incident {inert(incident['id'], 80)}: {inert(incident['agent'], 80)}"
        what = inert(incident["detail"], 160)
        if incident["symptom"] != "ordered":  # by a person, who needs no cause
            what = f"{incident['symptom']}, cause {incident['cause']}: {what}"
        head = f"{who} {what}{ended}, since {incident['opened']}"
        lines += ["", screen.style(head, "quiet" if incident["outcome"] == "recovered" else "sick")]
        for attempt in incident["attempts"]:
            why = f": {inert(attempt['why'], 160)}" if attempt["why"] else ""
            lines.append(f"  {attempt['n']}. {attempt['strategy']} {attempt['outcome']}{why}")
    return lines
