"""What would stop an agent in the night and can be seen before it: a variable that never reaches it, and
what a pull request needs. Advice only, names and never values; nothing is changed, and no other host is
asked."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...config.environment import missed, passed
from ...config.fleet import AgentSpec, FleetSpec, Seat
from ..git import GitError, git

ASKED = re.compile(r"(?i:\b(?:pull|merge)[ -]requests?\b|\bgh pr create\b)|\bPRs?\b(?!-)")
TOKENS = (
    "GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN",
    "GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "GITEA_TOKEN", "BITBUCKET_TOKEN",
)  # fmt: skip
"""Where the tools that open a pull request look for their token."""
SIGNED_IN = ("gh/hosts.yml", "glab-cli/config.yml", "tea/config.yml")
"""Files below the settings folder in which they keep it themselves."""
USUAL = ("main", "master", "trunk", "develop")
LOOK = 5.0
_REFERENCE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MOST = 8


def foresight(fleet: FleetSpec, environ: Mapping[str, str]) -> list[str]:
    """One sentence each, `AGENT: ...`; a pool is spoken of once."""
    entries = {agent.pool or agent.id: agent for agent in fleet.agents.values()}
    found = [line for name, agent in entries.items() for line in _unpassed(name, agent, fleet, environ)]
    with tempfile.TemporaryDirectory(prefix="hhmrs-check-") as home:
        for name, agent in entries.items():
            if agent.prompt and ASKED.search(agent.prompt):
                found += (f"{name}: {words}" for words in _pull_request(agent, environ, Path(home)))
    return found


def _unpassed(name: str, agent: AgentSpec, fleet: FleetSpec, environ: Mapping[str, str]) -> Iterator[str]:
    seats = [seat for each in fleet.agents.values() for seat in each.seats]
    elsewhere = {variable for seat in seats for variable in _chosen(seat, environ)}
    told: set[str] = set()
    for seat in agent.seats:
        if seat.profile.name in told:
            continue
        told.add(seat.profile.name)
        lost = missed(seat.profile, environ, elsewhere | set(seat.env) | _chosen(seat, environ))
        if lost:
            shown = ", ".join(lost[:_MOST]) + (f" and {len(lost) - _MOST} more" if len(lost) > _MOST else "")
            yield (
                f"{name}: {shown} {'is' if len(lost) == 1 else 'are'} set here and not passed to "
                f"{seat.profile.name}; if it needs one, name it in `pass_env` of the profile, or in `env`"
            )


def _chosen(seat: Seat, environ: Mapping[str, str]) -> set[str]:
    """What this seat was meant to get: a variable that is another agent's needs no word about the others."""
    profile = seat.profile
    values = (*profile.env.values(), *seat.env.values())
    named = {found for value in values for found in _REFERENCE.findall(value)}
    return named if profile.pass_env is None else named | passed(profile, environ).keys()


def _pull_request(agent: AgentSpec, environ: Mapping[str, str], home: Path) -> Iterator[str]:
    ask = "its task asks for a pull request, but"
    folder = agent.workspace
    try:
        if not folder.is_dir() or not _said(folder, home, "rev-parse", "--is-inside-work-tree"):
            yield f"{ask} its workspace is no git repository yet"
        elif not _said(folder, home, "remote"):
            yield f"{ask} its workspace has no git remote to push to"
        elif branch := _default_branch(folder, home):
            yield f"{ask} its workspace stands on {branch}, the default branch; give it a branch of its own"
    except GitError as error:
        yield f"{ask} its workspace could not be asked: {error}"
    yield from _without_token(agent.seats[0], environ, ask)


def _without_token(seat: Seat, environ: Mapping[str, str], ask: str) -> Iterator[str]:
    profile = seat.profile
    given = (
        {name for name, value in passed(profile, environ).items() if value} | set(profile.env) | set(seat.env)
    )
    if given.intersection(TOKENS) or _signed_in(environ):
        return
    here = [name for name in TOKENS if environ.get(name)]
    if here:
        yield f"{ask} {here[0]}, which is set here, is not passed to {profile.name}; name it in `pass_env`"
    else:
        yield f"{ask} no token for it is in the environment ({', '.join(TOKENS[:2])}, {TOKENS[4]}...)"


def _signed_in(environ: Mapping[str, str]) -> bool:
    settings = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    return any((Path(settings) / file).is_file() for file in SIGNED_IN)


def _default_branch(folder: Path, home: Path) -> str:
    """The default branch, if that is the one it stands on; empty otherwise, also where it stands on none."""
    branch = _said(folder, home, "symbolic-ref", "--quiet", "--short", "HEAD")
    known = _said(folder, home, "for-each-ref", "--format=%(symref:lstrip=3)", "refs/remotes/*/HEAD").split()
    return branch if branch in (known or USUAL) else ""


def _said(folder: Path, home: Path, *words: str) -> str:
    """What git answers; empty where it says no."""
    answer = git(words, home=home, cwd=folder, timeout=LOOK, most=65_536, fine=(0, 1, 128))
    return answer.decode("utf-8", "replace").strip()
