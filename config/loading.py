"""A fleet file -> a FleetSpec, or every problem of the file at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .entries import DEFAULT_PROFILE, Entry, build_seats, check_seats, read_entry
from .family import Member, check_parents, expand, parents_first
from .files import as_text, read_bytes
from .fleet import AgentSpec, FleetSpec, Policy, Profile
from .nodes import Mapping as MappingNode
from .nodes import Node, Scalar, read_nodes
from .paths import find_fleet_file
from .policies import Merged, check_bounds, defaults, policy_hint, read_patch
from .problems import ConfigError, Problem, inert
from .profile_fields import PROFILE_NAME, as_profile, merged, read_profile
from .profiles import builtin_values
from .shapes import Record, Report, Shape, listing, record, table, text
from .workspaces import WorkspaceError, WorkspaceMoved, resolve_workspace

__all__ = ["ConfigError", "Problem", "find_fleet_file", "load_fleet", "read_fleet"]

FLEET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def load_fleet(path: Path, *, moved: list[Problem] | None = None) -> FleetSpec:
    """The fleet that the file at `path` describes. Raises ConfigError with all its problems, nothing else.

    What stands in a workspace's place is a fact of the moment and the agent's doing, not the file's: with
    `moved`, what is wrong there is put into that list, and the fleet is given all the same."""
    return read_fleet(path, as_text(path, read_bytes(path)), moved=moved)


def read_fleet(path: Path, text: str, *, moved: list[Problem] | None = None) -> FleetSpec:
    """As `load_fleet`, of a `text` that may not stand at `path` yet."""
    root, flaws = read_nodes(text)
    report = Report([(flaw.line, flaw.col, flaw.message) for flaw in flaws])
    if root is None and not flaws:
        expected = "`fleet:` and `agents:`; `hhmrs init` writes a start"
        report.found.append((1, 1, f"the file is empty, expected {expected}"))
    draft = _read_draft(root, report) if root is not None else None
    real = path.resolve()
    late = Report([]) if moved is not None else report
    members, places = _check(draft, real.parent, report, late) if draft else ([], {})
    if report.found or draft is None:
        raise ConfigError(Problem(path, *found) for found in report.found)
    if moved is not None:
        moved += [Problem(path, *found) for found in late.found]
    return _build(draft, real, members, places)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What could be read of the file: its top level, its agents as they stand, its profiles merged."""

    top: Record
    entries: list[Entry]
    profiles: dict[str, Profile]
    policy: Merged


def _read_draft(root: Node, report: Report) -> _Draft | None:
    top = _top(root, report)
    if top is None:
        return None
    for key in ("fleet", "agents"):
        if key not in top.given:
            report.add(root, f"{key}: missing, expected it at the top level")
    profiles = _profiles(top.values.get("profiles", {}), report)
    return _Draft(top, top.values.get("agents", []), profiles, defaults().over(top.values.get("policy")))


def _agents(node: Node, report: Report) -> list[Entry] | None:
    if not isinstance(node, MappingNode):
        report.mismatch(node, "a mapping of ids to agents")
        return None
    if not node.entries:
        report.add(node, "found no agent, expected at least one")
    entries = [read_entry(key, body, report) for key, body in node.entries.values()]
    return [entry for entry in entries if entry is not None]


def _profile_name(key: Scalar, report: Report) -> bool:
    if not PROFILE_NAME.fullmatch(key.raw):
        report.add(key, "unsafe profile name, expected letters, digits, _ . and -, at most 32")
        return False
    return True


_fleet_name = text("a name of a-z, 0-9 and -, at most 32, not beginning with -", pattern=FLEET_NAME)
_url = text("a URL such as discord://...", pattern=re.compile(r"\S+"), references=True)
TOP_SHAPES: dict[str, Shape[Any]] = {
    "fleet": _fleet_name,
    "policy": read_patch,
    "notify": listing(_url, "a list of URLs"),
    "agents": _agents,
    "profiles": table(_profile_name, read_profile, "a mapping of names to profiles"),
}
_top = record(TOP_SHAPES, "a mapping with the keys of a fleet file", hint=policy_hint)


def _profiles(given: Mapping[str, Record], report: Report) -> dict[str, Profile]:
    """The built-in profiles with the file's own laid over them, field by field. One that is `like` a built-in
    one is laid over that, with what the file itself changed there."""
    built_in = builtin_values()
    values = dict(built_in)
    for name, own in sorted(given.items(), key=lambda pair: "like" in pair[1].values):
        rest = {key: value for key, value in own.values.items() if key != "like"}
        values[name] = merged(values.get(_model(name, own, built_in, report), {}), rest)
    return {name: as_profile(name, each) for name, each in values.items()}


def _model(name: str, own: Record, built_in: Mapping[str, object], report: Report) -> str:
    """The profile that `name` is laid over."""
    like: str = own.values.get("like", name)
    at = f"profiles.{name}.like"
    if like not in built_in and "like" in own.values:
        known = f"expected one of {', '.join(built_in)}"
        near = report.suggest(like, list(built_in))
        report.add(own.place("like"), f"{inert(like)!r} is no built-in profile, {known}{near}", at=at)
    elif like != name and name in built_in:
        report.add(own.place("like"), f"{name} is built in and like itself, expected a new name", at=at)
    return like if like in built_in else name


def _check(draft: _Draft, folder: Path, report: Report, late: Report) -> tuple[list[Member], dict[str, Path]]:
    """Report what is wrong between the parts, to `late` what is wrong only now; the agents in file order, and
    where each entry's workspace is: looked at once, for it may change while we read."""
    places: dict[str, Path] = {}
    check_bounds(draft.policy, draft.top.values.get("policy"), report, "policy")
    for entry in draft.entries:
        patch = entry.get("policy")
        check_bounds(draft.policy.over(patch), patch, report, f"{entry.at}.policy")
        check_seats(entry, draft.profiles, report)
        try:
            places[entry.id] = _workspace(entry, folder)
        except WorkspaceError as error:
            to = late if isinstance(error, WorkspaceMoved) else report
            to.add(entry.body.place("workspace"), str(error), at=f"{entry.at}.workspace")
            places[entry.id] = error.place if isinstance(error, WorkspaceMoved) else folder
    members = expand(draft.entries, report)
    check_parents(members, report)
    return members, places


def _workspace(entry: Entry, folder: Path) -> Path:
    return resolve_workspace(entry.get("workspace"), folder, allow_outside=bool(entry.get("allow_outside")))


def _build(draft: _Draft, real: Path, members: list[Member], places: Mapping[str, Path]) -> FleetSpec:
    """The models of a file without problems."""
    policy = draft.policy.policy()
    specs: dict[str, AgentSpec] = {}
    agents: dict[str, AgentSpec] = {}
    for member in parents_first(members):
        entry = member.entry
        if entry.id not in specs:
            patch = entry.get("policy")
            own = draft.policy.over(patch).policy() if patch else policy
            specs[entry.id] = _agent(entry, own, draft.profiles, places[entry.id])
        title = f"{entry.get('title')}{member.suffix}" if entry.get("title") else member.id
        own_fields = {"id": member.id, "pool": member.pool, "title": title}
        agents[member.id] = specs[entry.id].model_copy(update=own_fields)
    values = draft.top.values
    return FleetSpec(
        fleet=values["fleet"], path=real, policy=policy, notify=values.get("notify", ()),
        agents=agents, profiles=draft.profiles,
    )  # fmt: skip


def _agent(entry: Entry, policy: Policy, profiles: Mapping[str, Profile], workspace: Path) -> AgentSpec:
    profile = profiles[entry.get("profile") or DEFAULT_PROFILE]
    optional = {key: entry.get(key) for key in ("decider", "restart", "prompt") if entry.get(key) is not None}
    return AgentSpec(
        id=entry.id,
        parent=entry.get("parent"),
        title=entry.id,
        seats=build_seats(entry, profiles),
        workspace=workspace,
        ready=entry.get("ready") or profile.ready,
        liveness=entry.get("liveness") or profile.liveness,
        policy=policy,
        profiles=dict(profiles),
        **optional,
    )
