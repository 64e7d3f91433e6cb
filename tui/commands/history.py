"""What was written down: the event log, why an agent is where it is, and the figures of all recoveries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .output import Screen, complain, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place, need_agent
from .refusal import usage

if TYPE_CHECKING:
    from ...controller.ledger.writer import LedgerReader
    from ...controller.ports import Event
    from ...healing.explain import Explanation

EVERY = 0.1
"""Seconds between two looks whether the book has grown; a look reads one number."""
PAGE = 1000
"""Events read at once, so that a long log is not held in memory."""


def events(call: Call, screen: Screen) -> int:
    place = find_place(call)
    since: int = call.get("since")
    reader = place.reader()
    if reader is None and not call.get("follow"):
        complain(f"{PROGRAM}: fleet {place.state.fleet} has no ledger yet; its first daemon begins one")
        return 0
    while reader is None:
        time.sleep(EVERY)
        reader = place.reader()
    since = _print_new(reader, since, call, screen)
    while call.get("follow"):
        seen = reader.version()
        # Looked at once more after the version was taken: nothing falls between the two.
        since = _print_new(reader, since, call, screen)
        screen.flush()
        while reader.version() == seen:
            time.sleep(EVERY)
    return 0


def _print_new(reader: LedgerReader, since: int, call: Call, screen: Screen) -> int:
    """Print every event after `since`; the number of the last one printed."""
    while True:
        page = reader.events(since=since, limit=PAGE)
        for event in page:
            if call.json:
                screen.json_line(event.as_json())
            else:
                screen.say(event_line(event, screen))
            since = event.seq
        if len(page) < PAGE:
            return since


def event_line(event: Event, screen: Screen) -> str:
    from ..interventions import tell

    kind = f"{inert(event.type, 40):<22}"
    if event.type.startswith("hhmrs_"):
        kind = screen.style(kind, "tron")
    who = f"{inert(event.agent or '-', 64):<16}"
    return f"{event.seq:>6}  {inert(event.at, 30)}  {kind}  {who}  {tell(event)}".rstrip()


def explain(call: Call, screen: Screen) -> int:
    place = find_place(call)
    agent = call.get("agent")
    need_agent(place, agent)
    place.need_spec()
    explanation = explain_agent(place, agent)
    if explanation is None:
        words = (
            "never started by a daemon"
            if agent in place.need_spec().agents
            else "no longer in the fleet file"
        )
        if call.json:
            screen.document({"agent": agent, "phase": None, "rule": words})
        else:
            screen.say(f"{agent}: {words}")
        return 0
    if (holder := place.holder()) is None:
        complain(f"{place.no_daemon()}; this is the last known state")
    elif holder.is_stopped():
        complain(f"{place.stopped_daemon(holder.pid)}; this is the last known state")
    if call.json:
        screen.document(explanation.as_json())
        return 0
    for number, line in enumerate(explanation.lines()):
        screen.say(screen.bold(inert(line)) if number == 0 else inert(line))
    return 0


def explain_agent(place: Place, agent: str) -> Explanation | None:
    """Why the agent is in its phase; None when it was never started or is no longer in the file."""
    from ...controller.looks import Looks
    from ...controller.reports.known import state_now
    from ...healing.explain import explain as explain_state

    holder, spec = place.holder(), None
    if place.spec is not None:
        spec = Looks(holder.quick_look if holder else None).applied(place.spec).agents.get(agent)
    reader = place.reader()
    state = state_now(reader, agent) if spec is not None and reader is not None else None
    now = holder.now() if holder else time.time()
    return None if spec is None or state is None else explain_state(state, spec, now)


def stats(call: Call, screen: Screen) -> int:
    from ...controller.reports.stats import stats_document, stats_text

    place, span = find_place(call), call.get("span")
    holder = place.holder()
    try:
        document = stats_document(place.reader(), span, holder.now() if holder else None)
    except ValueError as error:
        raise usage(f"{PROGRAM} stats: --span {inert(span, 60)!r}: {error}") from None
    if call.get("export") is not None:
        from ..dashboard_page import dashboard_page
        from .writing import write_out

        return write_out(dashboard_page(document, place.state.fleet), call, screen)
    if call.json:
        screen.document(document)
        return 0
    for line in stats_text(document).splitlines():
        screen.say(inert(line))
    return 0
