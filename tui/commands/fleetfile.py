"""The fleet file: write a first one, and check one."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import Screen, complain, inert
from .parsing import PROGRAM, Call
from .place import find_place
from .refusal import USAGE, usage

if TYPE_CHECKING:
    from ...config.fleet import AgentSpec, FleetSpec

NAME = "hhmrs.yaml"


def init(call: Call, screen: Screen) -> int:
    from ...config.profiles import builtin_profiles
    from ...config.template import default_fleet_name, init_text

    if call.get("fleet") is not None:
        raise usage(
            f"{PROGRAM} init: a new fleet is named after its folder; change `fleet:` in the file instead"
        )
    target = Path(call.get("config") or NAME).expanduser().absolute()
    found = [name for name, profile in builtin_profiles().items()
             if profile.command and shutil.which(profile.command[0])]  # fmt: skip
    older = call.get("from")
    policy, note, told = _taken_over(Path(older).expanduser()) if older is not None else ("", "", "")
    text = init_text(default_fleet_name(target.parent), found, policy, note)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise usage(f"{PROGRAM} init: {inert(target, 300)} is already there and is left as it is; "
                    f"see `{PROGRAM} check`") from None  # fmt: skip
    screen.say(f"wrote {inert(target, 300)}")
    screen.say(
        "agent CLIs found: " + (", ".join(found) if found else "none; the file begins with a plain program")
    )
    if told:
        screen.say(told)
    screen.say(f"next: edit it, then `{PROGRAM} check` and `{PROGRAM} up`")
    return 0


def _taken_over(path: Path) -> tuple[str, str, str]:
    """What the older system's settings become: lines of the policy, a comment, and a word of both."""
    from ...config.older import left_lines, policy_lines, take_over
    from ...config.problems import ConfigError

    try:
        taken = take_over(path)
    except ConfigError as error:
        raise usage(*(inert(problem, 1000) for problem in error.problems)) from None
    told = f"from {inert(path, 300)}: {len(taken.policy)} policy keys taken over"
    rest = f", {len(taken.left)} older keys not; the file says why" if taken.left else ""
    return policy_lines(taken), left_lines(taken, path.name), told + rest


def check(call: Call, screen: Screen) -> int:
    from ...config.problems import ConfigError

    try:
        fleet = find_place(call, lambda _: False).need_spec()
    except ConfigError as error:
        if call.json:
            screen.document({"ok": False, "problems": [_problem(p) for p in error.problems]})
            screen.flush()
        complain(*(inert(problem, 1000) for problem in error.problems))
        return USAGE
    if call.json:
        screen.document(_checked(fleet))
        return 0
    for line in (*_tree_lines(fleet, screen), *_advice_lines(fleet, screen), *_bound_lines(fleet, screen)):
        screen.say(line)
    return 0


def _problem(problem: Any) -> dict[str, object]:
    return {"path": str(problem.path), "line": problem.line, "col": problem.col, "message": problem.message}


def _checked(fleet: FleetSpec) -> dict[str, object]:
    from ...healing.bounds import bounds

    return {
        "ok": True, "fleet": fleet.fleet, "path": str(fleet.path), "mode": fleet.policy.mode,
        "advice": _advice(fleet),
        "agents": [
            {
                "id": a.id,
                "parent": a.parent,
                "title": a.title,
                "seats": [seat.label for seat in a.seats],
                "workspace": str(a.workspace),
                "worst_case": [asdict(bound) for bound in bounds(a)],
            }
            for a in fleet.agents.values()
        ],
    }  # fmt: skip


def _tree_lines(fleet: FleetSpec, screen: Screen) -> list[str]:
    rows = [["AGENT", "PROFILE", "ALTERNATES", "WORKSPACE"]]
    for rails, agent in _walk(fleet):
        title = "" if agent.title == agent.id else f" ({inert(agent.title, 60)})"
        alternates = ", ".join(inert(seat.label, 60) for seat in agent.seats[1:]) or "-"
        rows.append([screen.rails(rails) + agent.id + title, inert(agent.seats[0].label, 60), alternates,
                     inert(_near(agent.workspace, fleet.path.parent), 120)])  # fmt: skip
    count = f"{len(fleet.agents)} agent{'s' if len(fleet.agents) != 1 else ''}"
    head = f"{inert(fleet.path, 300)}: fleet {screen.bold(fleet.fleet)}, {count}, {fleet.policy.mode}"
    lines = screen.columns(rows)
    return [head, "", screen.style(lines[0], "quiet"), *lines[1:]]


def _near(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder) if path.is_relative_to(folder) else str(path)


def _walk(fleet: FleetSpec) -> list[tuple[tuple[bool, ...], AgentSpec]]:
    """Every agent under its parent, with, per level below the top, whether more siblings follow."""
    found: list[tuple[tuple[bool, ...], AgentSpec]] = []
    pending: list[tuple[tuple[bool, ...], str]] = [((), name) for name in reversed(fleet.children(None))]
    while pending:
        rails, name = pending.pop()
        found.append((rails, fleet.agents[name]))
        below = fleet.children(name)
        pending += [((*rails, child != below[-1]), child) for child in reversed(below)]
    return found


def _advice(fleet: FleetSpec) -> list[str]:
    from ...config.advice import advice
    from ...controller.reports.foresight import foresight

    return [*advice(fleet), *foresight(fleet, os.environ)]


def _advice_lines(fleet: FleetSpec, screen: Screen) -> list[str]:
    groups: dict[str, list[str]] = {}
    for line in _advice(fleet):
        name, _, words = line.partition(": ")
        groups.setdefault(words, []).append(name)
    said = [f"advice: {_names(names)}: {words}" for words, names in groups.items()]
    return ["", *(screen.style(inert(line), "limit") for line in said)] if said else []


def _bound_lines(fleet: FleetSpec, screen: Screen) -> list[str]:
    """Agents of one policy share their sums; each group is explained once."""
    from ...healing.bounds import bounds

    groups: dict[Any, list[str]] = {}
    for agent in fleet.agents.values():
        groups.setdefault(bounds(agent), []).append(agent.id)
    lines = ["", screen.bold("worst case from the first symptom to permanent failure, starts aside")]
    for found, agents in groups.items():
        lines.append(_names(agents))
        for bound in found:
            lines.append(f"  {bound.cause}: {_minutes(bound.seconds)}")
            lines += [f"  {line}" for line in bound.lines]
    return lines


def _names(agents: list[str], most: int = 8) -> str:
    rest = f" and {len(agents) - most} more" if len(agents) > most else ""
    return ", ".join(agents[:most]) + rest


def _minutes(seconds: float) -> str:
    whole, rest = divmod(seconds, 60)
    return f"{whole:.0f} min {rest:.1f} s" if whole else f"{rest:.1f} s"
