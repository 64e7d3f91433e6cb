"""An agent's terminal: read what it shows, type to it, take it over."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .output import Screen, complain, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place, need_agent
from .recovery import give
from .refusal import NO_DAEMON, UNHEALTHY, Refusal, usage

if TYPE_CHECKING:
    from ...controller.terminals.servers import FleetTerminals

LINE_SHOWN = 10_000
"""Characters; a pane's lines are far shorter, but wrapped ones are joined."""


def send(call: Call, screen: Screen) -> int:
    from ...controller.letters.letterforms import unfit
    from .status import fleet_document

    place = find_place(call)
    agent = call.get("agent")
    spec = need_agent(place, agent)
    text = " ".join(call.get("text"))
    if not text.strip():
        raise usage(f"{PROGRAM} send: there is nothing to type")
    place.need_daemon()
    phase = next((a["phase"] for a in fleet_document(place)["agents"] if a["id"] == agent), None)
    if phase == "waiting" and not call.get("answer"):
        raise Refusal(
            UNHEALTHY,
            f"send {agent}: refused, its screen asks for a permission and the text would answer it; "
            "look with `attach` or `logs`, or answer on purpose with --answer",
        )
    args = {"text": text} | {name: "1" for name in ("answer", "key") if call.get(name)}
    if why := unfit("send", args):
        raise usage(f"{PROGRAM} send: {why}")
    return give(call, screen, place, "send", spec, args)


def logs(call: Call, screen: Screen) -> int:
    from ...controller.ports import TerminalsError
    from ..looks import clean

    place = find_place(call)
    agent = call.get("agent")
    need_agent(place, agent)
    try:
        lines = terminals_of(place).capture(agent, history=call.get("lines"), escapes=bool(call.get("color")))
    except TerminalsError as error:
        lines = []
        complain(f"{PROGRAM} logs {agent}: nothing is captured: {inert(error)}")
    if not call.get("color"):
        lines = [clean(line, LINE_SHOWN, keep_indent=True) for line in lines]
    while lines and not lines[-1].strip():
        lines.pop()
    if call.json:
        screen.document({"fleet": place.state.fleet, "agent": agent, "lines": lines})
        return 0
    for line in lines:
        screen.say(line)
    return 0


def attach(call: Call, screen: Screen) -> int:
    place = find_place(call)
    agent = call.get("agent")
    need_agent(place, agent)
    argv = ["tmux", "-L", *_target_of(place, agent)]
    by_hand = sys.stdin.isatty() and sys.stdout.isatty()
    if place.holder() is None:
        complain(place.no_daemon())
        if not by_hand:
            raise Refusal(NO_DAEMON, f"its pane may still be there: {' '.join(argv)}")
    if not by_hand:
        instead = f"read the pane with `{place.hint('logs ' + agent)}`"
        raise Refusal(UNHEALTHY, f"{PROGRAM} attach: this is no terminal; {instead}")
    # Another server than the one we may be in: nesting is what was asked for.
    environ = {name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE")}
    screen.flush()
    try:
        os.execvpe(argv[0], argv, environ)  # noqa: S606 - becoming tmux is what attach means; names are checked
    except OSError as error:
        why = f"tmux cannot be run: {error.strerror}; see `{PROGRAM} doctor`"
        raise Refusal(UNHEALTHY, f"{PROGRAM} attach: {why}") from None


def terminals_of(place: Place) -> FleetTerminals:
    """The fleet's private tmux servers; nothing is started or written by making this."""
    from ...controller.terminals.servers import FleetTerminals

    return FleetTerminals(place.state.fleet, place.state.tmux_conf)


def _target_of(place: Place, agent: str) -> list[str]:
    """What tmux is told after `-L`; the agent's name on the fleet's first server if tmux is silent."""
    from ...controller.ports import TerminalsError

    terminals = terminals_of(place)
    try:
        socket, pane = terminals.socket_of(agent), terminals.pane_of(agent)
        # The pane that bears our label: a person may have renamed the agent's session.
        return [socket, "attach-session", "-t", pane.pane if pane is not None else f"={agent}"]
    except TerminalsError as error:
        complain(f"{PROGRAM} attach {agent}: {inert(error)}")
        return [terminals.socket, "attach-session", "-t", f"={agent}"]
