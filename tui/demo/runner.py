"""`hhmrs demo`: play the fleet of scripted agents, and say of each whether it was met as it should be."""

from __future__ import annotations

import json as codec
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...controller.daemon.daemon import DaemonError
from ...controller.ledger.writer import LedgerReader
from ...controller.letters.orders import OrderError, send_order
from ...controller.ports import Event
from ...controller.processes.processes import alive, identify
from .fleet import CAST, Part
from .proof import Findings, Verdict, judge, runaway_child, settled, unexpected
from .room import Room, open_room

DEADLINE = 90.0
LOOK_EVERY = 0.1
ANSWER = "size"
ANSWER_AFTER = 7.0
"""Seconds; the demo's policy calls three without life a stall, and six without progress a loop."""
SAME_PROCESS = 5.0
"""Seconds between a fork and the start time of its pid beyond which the pid belongs to somebody else."""
INTERRUPTED = 130
HEADLESS = {"subtasks": 10, "pace": 0.3}
ON_SCREEN = {"subtasks": 90, "pace": 1.5}

Say = Callable[[str], None]


def run_demo(headless: bool, json: bool, keep: bool = False) -> int:
    """Run the demo. Returns 0 when everything was proved (or the screen was left), 1 when not, 130 on Ctrl-C.

    `json` prints one document and implies headless. `keep` leaves the folder for a look and names it."""
    try:
        return _run_headless(json=json, keep=keep) if headless or json else _run_on_screen(keep=keep)
    except DaemonError as error:
        print(f"hhmrs demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hhmrs demo: interrupted; everything of it was ended and removed", file=sys.stderr)
        return INTERRUPTED


def _run_headless(*, json: bool, keep: bool) -> int:
    say: Say = _silent if json else _aloud
    began = time.monotonic()
    with open_room(subtasks=int(HEADLESS["subtasks"]), pace=HEADLESS["pace"], keep=keep) as room:
        say(f"{room.state.fleet}: {len(CAST)} scripted agents in real tmux, at most {DEADLINE:.0f} s")
        events = _follow(room, say)
        findings = Findings(room.folder, room.subtasks, room.notified, _living(room))
        verdicts = [judge(part, events, findings) for part in CAST]
        strange = unexpected(events)
    seconds = round(time.monotonic() - began, 1)
    faults = [*strange, *room.left]
    ok = not faults and all(v.ok for v in verdicts)
    if json:
        print(codec.dumps(_document(room, verdicts, strange, ok=ok, seconds=seconds, keep=keep), indent=2))
    else:
        _conclude(verdicts, faults, seconds, ok)
        if keep:
            say(f"kept for a look: {room.folder}")
    return 0 if ok else 1


def _follow(room: Room, say: Say) -> list[Event]:
    """Watch the ledger until every agent is settled or the time is up; answer the one that asks."""
    reader = LedgerReader(room.state.ledger)
    answers = Answers(room)
    events: list[Event] = []
    pending = {part.id: part for part in CAST}
    deadline = time.monotonic() + DEADLINE
    while pending and time.monotonic() < deadline:
        fresh = reader.events(since=events[-1].seq if events else 0)
        events += fresh
        answers.look(fresh)
        for part in [p for p in pending.values() if settled(p, events, room.folder, room.notified)]:
            del pending[part.id]
            say(
                line_of(judge(part, events, Findings(room.folder, room.subtasks, room.notified, frozenset())))
            )
        time.sleep(LOOK_EVERY)
    for part in pending.values():
        say(f"  waited in vain for {part.title} ({part.trouble})")
    return events


class Answers:
    """Types the answer to each question, as `hhmrs send AGENT size --answer` does, but lets it wait first:
    longer than any silence may last, so that a waiting agent which is not left alone is found out."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._due: dict[str, float] = {}

    def look(self, fresh: Sequence[Event]) -> None:
        now = time.monotonic()
        self._due |= {e.agent: now + ANSWER_AFTER for e in fresh if e.type == "agent_asked" and e.agent}
        for agent in [agent for agent, due in self._due.items() if now >= due]:
            del self._due[agent]
            try:
                send_order(self._room.state, "send", agent, {"text": ANSWER, "answer": "1"})
            except OrderError as error:
                print(f"hhmrs demo: {error}", file=sys.stderr)


def _living(room: Room) -> frozenset[str]:
    """Agents whose runaway child lives."""
    return frozenset(part.id for part in CAST if part.trouble == "runaway" and _child_lives(part, room))


def _child_lives(part: Part, room: Room) -> bool:
    child = runaway_child(part.workspace(room.folder))
    who = identify(child[0]) if child else None
    return bool(child and who and alive(who) and abs(who.created - child[1]) < SAME_PROCESS)


def line_of(verdict: Verdict) -> str:
    """One line: what went wrong on purpose, what brought it back, how long it took, and what proves it."""
    head = f"{'proved' if verdict.ok else 'FAILED':<7} {verdict.title:<12} {verdict.trouble:<9}"
    if verdict.strategy:
        took = f"{verdict.seconds:.1f} s" if verdict.seconds is not None else "-"
        head += f" {verdict.cause or 'unknown':<9} {verdict.strategy:<9} {took:>7}  "
    else:
        head += " " * 31
    text = "; ".join(part for part in (verdict.proof, verdict.outside) if part)
    return head + (text if verdict.ok else "; ".join(verdict.faults))


def _conclude(verdicts: Sequence[Verdict], faults: Sequence[str], seconds: float, ok: bool) -> None:
    for verdict in verdicts:
        if not verdict.ok:
            print(line_of(verdict))
    for fault in faults:
        print(f"FAILED  {fault}")
    troubled = [v for v in verdicts if v.strategy]
    proved = sum(v.ok for v in troubled)
    quiet = [v for v in verdicts if not v.strategy]
    alone = sum(v.ok for v in quiet)
    print(
        f"{'all proved' if ok else 'NOT all proved'}: {proved} of {len(troubled)} troubles met, "
        f"{alone} of {len(quiet)} agents rightly left alone, "
        f"{'nothing' if ok else f'{len(faults)} things'} unexpected, {seconds:.1f} s"
    )


def _document(
    room: Room, verdicts: Sequence[Verdict], strange: Sequence[str], *, ok: bool, seconds: float, keep: bool
) -> dict[str, Any]:
    return {
        "fleet": room.state.fleet,
        "ok": ok,
        "seconds": seconds,
        "agents": [v.as_json() for v in verdicts],
        "unexpected": list(strange),
        "left_behind": list(room.left),
        "folder": str(room.folder) if keep else None,
    }


def _run_on_screen(*, keep: bool) -> int:
    _aloud(f"preparing {len(CAST)} scripted agents in real tmux ...")
    with open_room(subtasks=int(ON_SCREEN["subtasks"]), pace=ON_SCREEN["pace"], keep=keep) as room:
        code = show(room)
    for fault in room.left:
        print(f"hhmrs demo: {fault}", file=sys.stderr)
    print(f"The demo has ended; {f'its folder is {room.folder}' if keep else 'nothing of it is left'}.")
    return code or (1 if room.left else 0)


def show(room: Room) -> int:
    """The TUI on the demo's fleet until it is left. The agent that asks waits for whoever sits there."""
    # Textual is a large import that a headless demo does without.
    from ...config.loading import load_fleet
    from ...controller.terminals.servers import FleetTerminals
    from ..app import HhmrsApp
    from ..daemon_source import DaemonSource
    from ..early import fitting_glyphs

    terminals = FleetTerminals(room.state.fleet, room.state.tmux_conf)
    source = DaemonSource(room.state, load_fleet(room.config), terminals)
    try:
        app = HhmrsApp(source, fitting_glyphs())
        code = app.run()
        return code if isinstance(code, int) else app.return_code or 0
    finally:
        source.close()


def _silent(_: str) -> None:
    pass


def _aloud(line: str) -> None:
    print(line, flush=True)
