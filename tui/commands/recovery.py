"""What a person orders: written as an operator's letter, then its outcome is waited for and printed."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place, need_agent
from .refusal import NO_DAEMON, UNHEALTHY, Refusal, usage

if TYPE_CHECKING:
    from ...config.fleet import AgentSpec
    from ...controller.ledger.writer import LedgerReader
    from ...controller.letters.orders import Outcome
    from ...controller.ports import Event

START_ALLOWANCE = 60.0
"""Seconds that an agent CLI may take to start; the policy does not bound it."""
ANSWER_ALLOWANCE = 15.0
"""Seconds in which a living daemon answers an order that only changes its mind."""
LOOK_EVERY = 0.5
"""Seconds between two looks whether the daemon that is to answer still lives."""
_ATTEMPTS = frozenset({"resume", "restart", "reassign", "start", "clear", "retry", "decide"})


def nudge(call: Call, screen: Screen) -> int:
    return _order(call, screen, "nudge")


def resume(call: Call, screen: Screen) -> int:
    return _order(call, screen, "resume", said(call))


def restart(call: Call, screen: Screen) -> int:
    return _order(call, screen, "restart", said(call))


def reassign(call: Call, screen: Screen) -> int:
    to = call.get("to")
    return _order(call, screen, "reassign", ({"to": to} if to is not None else {}) | said(call))


def escalate(call: Call, screen: Screen) -> int:
    return _order(call, screen, "escalate")


def pause(call: Call, screen: Screen) -> int:
    return _order(call, screen, "pause")


def unpause(call: Call, screen: Screen) -> int:
    return _order(call, screen, "unpause")


def stop(call: Call, screen: Screen) -> int:
    return _order(call, screen, "stop")


def start(call: Call, screen: Screen) -> int:
    return _order(call, screen, "start", said(call))


def clear(call: Call, screen: Screen) -> int:
    return _order(call, screen, "clear")


def _order(call: Call, screen: Screen, order: str, args: Mapping[str, str] | None = None) -> int:
    place = find_place(call)
    spec = need_agent(place, call.get("agent"))
    if args and "to" in args and spec is not None:
        check_seat(spec, args["to"])
    return give(call, screen, place, order, spec, args or {})


def give(
    call: Call,
    screen: Screen,
    place: Place,
    order: str,
    spec: AgentSpec | None,
    args: Mapping[str, str],
    agent: str | None = None,
) -> int:
    """Send one order to the running daemon and, unless `--no-wait`, report its outcome as an exit code."""
    from ...controller.letters.orders import send_order

    place.need_daemon()
    agent = agent or call.get("agent")
    letter = send_order(place.state, order, agent, args)
    if call.get("no_wait"):
        screen.say(f"{order} {agent}: ordered (letter {letter})")
        return 0
    outcome = await_answer(place, letter, call.get("timeout") or allowance(order, spec))
    word = "done" if outcome.ok else "failed"
    message = f": {inert(outcome.message)}" if outcome.message else ""
    if not outcome.ok:
        raise Refusal(UNHEALTHY, f"{order} {agent}: {word}{message}")
    screen.say(f"{order} {agent}: {word}{message}")
    return 0


def await_answer(place: Place, letter: str, timeout: float) -> Outcome:
    """What became of an order. Raises Refusal when the daemon died (exit 3) or did not answer (exit 1)."""
    from ...controller.letters.orders import await_outcome

    reader = place.reader()
    if reader is None:
        raise Refusal(UNHEALTHY, f"{PROGRAM}: the daemon has no ledger yet; try again in a moment")
    try:
        outcome = await_outcome(_Attended(place, reader), letter, timeout)
    except _Unattended:
        # It may have answered with its last breath.
        outcome = await_outcome(reader, letter, 0.0)
        if outcome is None:
            again = f"start it with `{place.hint('up')}` and look with `{place.hint('status')}`"
            said = "the daemon ended before it answered; the order waits 2 min for the next one"
            raise Refusal(NO_DAEMON, f"{PROGRAM}: {said}: {again}") from None
    if outcome is None:
        follow = f"follow it with `{place.hint('events --follow')}`"
        raise Refusal(UNHEALTHY, f"{PROGRAM}: no outcome within {timeout:g} s; the order stands, {follow}")
    return outcome


class _Unattended(Exception):
    """Nobody writes the book any more."""


@dataclass(slots=True)
class _Attended:
    """The book for as long as a daemon writes it. Raises _Unattended."""

    place: Place
    reader: LedgerReader
    look_again: float = 0.0

    def version(self) -> int:
        if time.monotonic() >= self.look_again:
            self.look_again = time.monotonic() + LOOK_EVERY
            if self.place.holder() is None:
                raise _Unattended
        return self.reader.version()

    def events(
        self, since: int = 0, limit: int | None = None, agent: str | None = None, incident: str | None = None
    ) -> Sequence[Event]:
        return self.reader.events(since, limit, agent, incident)


def allowance(order: str, spec: AgentSpec | None) -> float:
    """Seconds an order may take by the agent's own policy before its outcome must be known."""
    if spec is None:
        return ANSWER_ALLOWANCE + START_ALLOWANCE
    policy = spec.policy
    if order in _ATTEMPTS:
        proof = policy.verify_within * policy.reassign_timeout_factor
        return policy.kill_grace + START_ALLOWANCE + proof + ANSWER_ALLOWANCE
    if order == "stop":
        return policy.kill_grace + ANSWER_ALLOWANCE
    if order == "nudge":
        return policy.verify_within * policy.reassign_timeout_factor + ANSWER_ALLOWANCE
    return ANSWER_ALLOWANCE


def said(call: Call) -> dict[str, str]:
    """The person's own words to the attempt that they order, as args of the letter. Raises Refusal."""
    from ...controller.letters.letterforms import unfit

    args = {name: text for name in ("note",) if (text := call.get(name))}
    if (file := call.get("handoff")) is not None:
        args["handoff"] = _read(file)
        if not args["handoff"].strip():
            raise usage(
                f"{PROGRAM} {call.command.name}: {inert(file)} is empty, the agent would be told nothing"
            )
    if why := unfit(call.command.name, args):
        raise usage(f"{PROGRAM} {call.command.name}: {why}")
    return args


def _read(file: str) -> str:
    """A handoff of a person's own, `-` from standard input. More than can be taken is not read to its end."""
    from ...healing.handoff import MOST_EDITED

    try:
        if file == "-":
            raw = sys.stdin.buffer.read(MOST_EDITED + 1)
        else:
            with Path(file).open("rb") as opened:
                raw = opened.read(MOST_EDITED + 1)
    except OSError as error:
        raise usage(f"{PROGRAM}: {inert(file)} cannot be read: {error.strerror}") from None
    if len(raw) > MOST_EDITED:
        raise usage(f"{PROGRAM}: {inert(file)} has more than {MOST_EDITED} bytes; add a --note instead")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise usage(f"{PROGRAM}: {inert(file)} is not UTF-8") from None


def check_seat(spec: AgentSpec, to: str) -> None:
    """Raises Refusal (exit 2) for a profile nobody knows, or a model that cannot be one."""
    from ...healing.agent import AgentState
    from ...healing.seats import target

    why = target(AgentState(spec.id), spec, to)
    if isinstance(why, str):
        raise usage(f"{PROGRAM}: {spec.id} cannot be reassigned to {inert(to, 80)!r}: {inert(why)}")
