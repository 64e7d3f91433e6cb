"""The daemon: run it, start it, stop it, have it look at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place
from .refusal import NO_DAEMON, UNHEALTHY, Refusal, usage

if TYPE_CHECKING:
    from ...controller.ledger.lock import Holder

DOWN_ALLOWANCE = 60.0
"""Seconds a daemon may take to end by itself, beside what ending its agents takes."""


def daemon(call: Call, _screen: Screen) -> int:
    return _foreground(find_place(call, Place.is_supervised), None, None)


def _foreground(place: Place, quick_look: float | None, interval: float | None) -> int:
    from ...controller.daemon.daemon import run_daemon

    return run_daemon(place.need_spec().path, quick_look=quick_look, interval=interval)


def up(call: Call, screen: Screen) -> int:
    place = find_place(call, Place.is_supervised)
    place.need_spec()
    if (holder := place.holder()) is not None and holder.ready:
        screen.say(f"fleet {place.state.fleet} is already supervised by {inert(holder.describe())}")
        return 0
    screen.say(f"fleet {place.state.fleet} is now supervised by {inert(ensure_up(place).describe())}")
    return 0


def ensure_up(place: Place) -> Holder:
    """The fleet's daemon; started detached, and waited for, if none runs. Raises DaemonError."""
    from ...controller.daemon.daemon import spawn_daemon

    # Asked first: a running one does not read the file anew, which an agent can make unfit for a start.
    if (holder := place.holder()) is not None and holder.ready:
        return holder
    return spawn_daemon(place.need_spec().path)


def down(call: Call, screen: Screen) -> int:
    from ...controller.daemon.daemon import stop_daemon

    place = find_place(call)
    kill = bool(call.get("kill"))
    holder = place.holder()
    if holder is None:
        after = (
            f", then again `{place.hint('down --kill')}`, ends agents that run on without one" if kill else ""
        )
        raise Refusal(NO_DAEMON, place.no_daemon() + after)
    grace = (
        max((a.policy.kill_grace for a in place.spec.agents.values()), default=0.0)
        if place.spec and kill
        else 0.0
    )
    stop_daemon(place.state, kill=kill, timeout=DOWN_ALLOWANCE + 2 * grace)
    rest = "and every agent with it" if kill else "its agents run on, unsupervised"
    screen.say(f"daemon pid {holder.pid} of fleet {place.state.fleet} has ended, {rest}")
    return 0


def heal(call: Call, screen: Screen) -> int:
    starts = bool(call.get("start_daemon"))
    for option, belongs in (
        ("interval", starts),
        ("threshold", starts),
        ("verbose", not starts),
        ("timeout", not starts),
    ):
        if call.get(option) and not belongs:
            wanted = "--start-daemon" if not starts else "--check-now"
            raise usage(f"{PROGRAM} heal: --{option} goes with {wanted}")
    place = find_place(call, Place.is_supervised if starts else Place.is_known)
    if starts:
        return _foreground(place, call.get("threshold"), call.get("interval"))
    return _check_now(call, screen, place)


def _check_now(call: Call, screen: Screen, place: Place) -> int:
    from ...controller.letters.orders import send_order
    from ...controller.reports.pass_report import read_report
    from .recovery import ANSWER_ALLOWANCE, await_answer
    from .status import fleet_document, is_open

    place.need_daemon()
    letter = send_order(place.state, "heal", "", {"verbose": "1"} if call.get("verbose") else {})
    outcome = await_answer(place, letter, call.get("timeout") or ANSWER_ALLOWANCE)
    whole = read_report(place.state.last_pass, letter)
    for line in outcome.message.splitlines() if whole is None else whole:
        screen.say(inert(line))
    return 0 if outcome.ok and not is_open(fleet_document(place)) else UNHEALTHY
