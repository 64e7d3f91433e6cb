"""On which seat an agent runs, and how long it may take there.

A seat of the file is a number. One that a person named and the file does not list (`reassign --to`) is the
name of a profile and a model, kept in the state, so that it outlives daemons and a changed file; its number
is then the one from which the round of alternates goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.fleet import MODEL_NAME, AgentSpec, Policy, Seat
from ..config.problems import closest, inert
from .agent import AgentState, HandSeat

MOST_FITTED = 16_384
_FITTED: dict[tuple[int, int, HandSeat | None], tuple[AgentSpec, AgentSpec]] = {}
"""What `in_force` has worked out: it is asked for every piece of evidence. Holds each spec, so that no other
can take its identity."""
NAMED = 20
"""Profiles that are named when a name is like none of them."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a reassign leads: the file's seat `number`, or `hand` in its place."""

    number: int
    hand: HandSeat | None = None


def seat_of(s: AgentState, spec: AgentSpec) -> Seat:
    """The seat it runs on, or ran on last."""
    return seated(spec, s.seat, s.hand)


def seated(spec: AgentSpec, number: int, hand: HandSeat | None) -> Seat:
    """What these two mean: `hand` while its profile is known, else the file's seat `number`. Total."""
    made = _by_hand(spec, hand) if hand is not None else None
    return made or spec.seats[number if number < len(spec.seats) else 0]


def seats_in_use(s: AgentState | None, spec: AgentSpec) -> tuple[Seat, ...]:
    """The file's seats, and those by hand that it runs on or is just going to."""
    if s is None:
        return spec.seats
    hands = dict.fromkeys(hand for hand in (s.hand, s.recovery.hand if s.recovery else None) if hand)
    return (*spec.seats, *(seat for hand in hands if (seat := _by_hand(spec, hand)) is not None))


def known(hand: HandSeat | None, spec: AgentSpec) -> HandSeat | None:
    """`hand`, or None when the file has its profile no more."""
    return hand if hand is not None and _by_hand(spec, hand) is not None else None


def target(s: AgentState, spec: AgentSpec, to: str | None) -> Target | str:
    """Where `to` (PROFILE or PROFILE:MODEL; None: the next alternate) leads, or why it leads nowhere."""
    if not to:
        if len(spec.seats) > 1:
            return Target((s.seat + 1) % len(spec.seats))
        return Target(s.seat) if s.hand else "it has no alternates; name a profile (--to PROFILE[:MODEL])"
    # Seats that differ only in command or environment have one name: it means the next of them.
    alike = [number for number, seat in enumerate(spec.seats) if to == seat.label]
    if len(alike) > 1:
        return Target(next((number for number in alike if number > s.seat), alike[0]))
    for number, seat in enumerate(spec.seats):
        if to in (seat.label, seat.profile.name):
            return Target(number)
    return _named(s, spec, to)


def _named(s: AgentState, spec: AgentSpec, to: str) -> Target | str:
    name, colon, model = to.partition(":")
    profiles = _profiles(spec)
    if name not in profiles:
        return f"unknown profile '{inert(name)}'{closest(name, profiles)} (there are {_listed(profiles)})"
    if colon and not MODEL_NAME.fullmatch(model):
        return f"'{inert(model)}' is no model's name, expected one such as claude-sonnet-4-5"
    hand = HandSeat(name, model or None)
    seat = _by_hand(spec, hand)
    if seat is None or not (seat.command or seat.profile.command):
        return f"profile {name} has no command; give one in the fleet file"
    if model and not seat.profile.model_args:
        return f"profile {name} has no `model` arguments, so no model can be chosen for it"
    return Target(s.seat, hand)


def _by_hand(spec: AgentSpec, hand: HandSeat) -> Seat | None:
    """As one of the agent's own seats on that profile if it has one, else as an alternate would be."""
    own = next((seat for seat in spec.seats if seat.profile.name == hand.profile), None)
    if own is not None:
        return own.model_copy(update={"model": hand.model})
    profile = spec.profiles.get(hand.profile)
    return Seat(profile=profile, model=hand.model, env=dict(spec.seats[0].env)) if profile else None


def _profiles(spec: AgentSpec) -> list[str]:
    return list(dict.fromkeys([*(seat.profile.name for seat in spec.seats), *spec.profiles]))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


# -- how long it may take there -----------------------------------------------------------------


def in_force(s: AgentState, spec: AgentSpec) -> AgentSpec:
    """The agent with what holds on its seat: another than its first may be given more time, and another CLI
    shows in its own way that it is up and alive, unless the agent itself says how. Twice is as once."""
    if s.seat == 0 and s.hand is None:
        return spec
    key = (id(spec), s.seat, s.hand)
    known = _FITTED.get(key)
    if known is None or known[0] is not spec:
        if len(_FITTED) >= MOST_FITTED:
            _FITTED.clear()
        known = _FITTED[key] = (spec, _fitted(spec, seat_of(s, spec)))
    return known[1]


def _fitted(spec: AgentSpec, seat: Seat) -> AgentSpec:
    changes: dict[str, object] = {}
    own, here = spec.seats[0].profile, seat.profile
    if here.name != own.name:
        if spec.ready == own.ready:
            changes["ready"] = here.ready
        if spec.liveness == own.liveness:
            changes["liveness"] = here.liveness
    if spec.policy.reassign_timeout_factor != 1.0:
        changes["policy"] = raised(spec.policy)
    return spec.model_copy(update=changes) if changes else spec


def raised(policy: Policy) -> Policy:
    """The policy of another seat. What it gives holds there as it is: raised once, it is not raised again."""
    factor = policy.reassign_timeout_factor
    longer = {
        "heartbeat_interval": policy.heartbeat_interval * factor,
        "progress_timeout": policy.progress_timeout * factor,
        "tool_timeout": policy.tool_timeout * factor,
        "verify_within": policy.verify_within * factor,
    }
    return policy.model_copy(update={**longer, "reassign_timeout_factor": 1.0})


def timeouts(policy: Policy) -> dict[str, float]:
    """The times that the factor is about, s; what a `timeout_increase` changed."""
    return {
        "silence": policy.silence,
        "progress_timeout": policy.progress_timeout,
        "tool_timeout": policy.tool_timeout,
        "verify_within": policy.verify_within,
    }
