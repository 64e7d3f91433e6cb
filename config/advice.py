"""What is legal in a fleet file and yet will surprise somebody; `check` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .fleet import AgentSpec, FleetSpec, Seat


def advice(spec: FleetSpec) -> list[str]:
    """One sentence per surprise, in file order; a pool is spoken of once."""
    entries = {agent.pool or agent.id: agent for agent in spec.agents.values()}
    found = [line for name, agent in entries.items() for line in _about(name, agent)]
    return [*found, *_shared_workspaces(spec.agents.values())]


def _about(name: str, agent: AgentSpec) -> Iterator[str]:
    for seat in agent.seats:
        yield from _about_seat(name, seat)
    if agent.ready is None and (typed := agent.seats[0].profile).type_prompt != "never":
        yield (
            f"{name}: what it is told must be typed once it is ready, and nothing is known of how "
            f"{typed.name} shows that; give it a `ready` probe"
        )
    if agent.prompt is None and agent.ready is None and agent.liveness != ("process",):
        yield (
            f"{name}: has no prompt, no `ready` probe and no `liveness: [process]`, "
            "so only new work of its own can prove a recovery"
        )
    if "process" in agent.liveness and len(agent.liveness) > 1:
        yield f"{name}: `liveness` names process, which is always there; the other kinds add nothing"
    if len(agent.seats) == 1 and agent.restart != "temporary" and _reassigned(agent):
        yield f"{name}: has no alternates, so `reassign` is skipped and it is escalated after the restarts"
    if agent.decider == "parent" and agent.parent is None:
        yield f"{name}: `decider: parent`, but it has no parent, so the policy decides"
    if agent.policy.testing:
        yield f"{name}: `testing: true` lifts the lower bounds; leave it out for work"


def _about_seat(name: str, seat: Seat) -> Iterator[str]:
    profile, argv = seat.profile, seat.command or seat.profile.command
    if profile.autonomy_args and not any(_holds(argv, flag) for flag in profile.autonomy_args):
        flag = profile.autonomy_args[0]
        yield f"{name}: {profile.name} will stop and ask before it acts; to let it, start it with {flag}"
    for flag in profile.needed_args:
        if not _holds(argv, flag):
            yield f"{name}: its command lacks {flag}, without which {profile.name} cannot be supervised"
    if seat.model and not profile.model_args and not any(seat.model in word for word in argv):
        yield f"{name}: profile {profile.name} has no `model` arguments, so {seat.model} is only a label"


def _reassigned(agent: AgentSpec) -> bool:
    policy = agent.policy
    return policy.max_llm_retries > 0 and any("reassign" in ladder for ladder in policy.recovery.values())


def _holds(argv: Iterable[str], flag: str) -> bool:
    return any(word == flag or word.startswith(f"{flag}=") for word in argv)


def _shared_workspaces(agents: Iterable[AgentSpec]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for agent in agents:
        groups.setdefault(str(agent.workspace), []).append(agent.id)
    for workspace, ids in groups.items():
        if len(ids) > 1:
            shown = ", ".join(ids if len(ids) <= 5 else [*ids[:4], f"{len(ids) - 4} more"])
            yield f"{shown} share the workspace {workspace}: changes there prove nothing about any of them"
