"""previews.Hands on this machine: the same code that carries an order out says what it would do."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ...config.fleet import AgentSpec, Seat
from ...config.paths import StateDir
from ...config.profiles import types_prompt
from ...controller.checkpoints.checkpoints import CheckpointStore
from ...controller.checkpoints.snapshots import Snapshots
from ...controller.letters.orders import whoami
from ...controller.ports import Checkpoint, Terminals, TerminalsError
from ...controller.processes.processes import ProcessTable
from ...controller.recovery.papers import Papers
from ...controller.recovery.perform import TAIL, roots_of
from ...controller.recovery.starting import unstartable
from ...healing import actions as a
from ...healing.agent import AgentState, Phase
from ...healing.evidence import Ordered
from ...healing.masking import mask_secrets
from ...healing.obey import obey
from ...healing.seats import seat_of, seated
from ..document import moment
from ..localtime import local
from ..previews import Known, Victim

WORDS = 300
"""Characters of a command line that are read; the way to the program may be most of it."""
ENDING = frozenset({"resume", "restart", "reassign", "stop"})


class MachineHands:
    """`fleet` is the fleet's name. Thread-safe: it keeps nothing between two questions."""

    def __init__(self, fleet: str, state_dir: StateDir, terminals: Terminals) -> None:
        self._fleet = fleet
        self._dir = state_dir
        self._terminals = terminals

    def preview(self, order: str, state: AgentState, spec: AgentSpec, args: Mapping[str, str]) -> Known:
        """Raises OSError and TerminalsError."""
        victims = self._victims(state) if order in ENDING else None
        if order == "stop":
            return Known(victims)
        ordered = Ordered(state.id, time.time(), order, "preview", whoami(), dict(args))
        after = obey(state, ordered, spec).state
        if after.recovery is None or (order in ENDING and after.phase is not Phase.RECOVERING):
            return Known(victims)  # it would be refused; the plan says why
        action = _start(after)
        papers = Papers(CheckpointStore(self._dir), self._snapshots(spec.id))
        best = papers.best(action, after, watching=True)
        seat = seated(spec, action.seat, action.hand)
        text = ""
        if action.strategy != "start" or best is not None or action.briefing:
            text = papers.text(action, after, spec, best, self._tail(spec.id))
        keys = seat_of(state, spec).profile.interrupt_keys
        looping = state.alive and order in ENDING and after.incident is not None
        return Known(
            victims=victims,
            handoff=text,
            told=_told(text, action, bool(after.task or spec.prompt), seat),
            checkpoint=_anchor(best, action, state) if text else "",
            keys=tuple(keys) if looping and after.incident and after.incident.cause == "looping" else (),
            doubt=unstartable(seat, spec.workspace),
        )

    def _victims(self, state: AgentState) -> tuple[Victim, ...]:
        table = ProcessTable()
        roots = roots_of(self._dir, state, table.identify)
        found = table.trees(roots, tag=f"{self._fleet}:{state.id}")
        pids = sorted({who.pid for who in found}, key=lambda pid: (pid not in {r.pid for r in roots}, pid))
        return tuple(Victim(pid, mask_secrets(table.words(pid, WORDS))) for pid in pids)

    def _snapshots(self, agent: str) -> Snapshots | None:
        """None where there are none yet: to ask would make the place for them."""
        there = (self._dir.snapshots / f"{agent}.git" / "info" / "attributes").exists()
        return Snapshots(self._dir.snapshots) if there else None

    def _tail(self, agent: str) -> list[str]:
        try:
            return self._terminals.capture(agent, history=TAIL)[-TAIL:]
        except TerminalsError:
            return []


def _start(after: AgentState) -> a.StartAttempt:
    """The start that would follow, once the ground is clear."""
    recovery = after.recovery
    assert recovery is not None  # who asks has looked
    word = recovery.strategy.value if recovery.strategy else "start"
    if word == "resume" and not (after.resumable or after.session):
        word = "restart"
    why = after.incident.detail if after.incident else "start"
    seat, hand = recovery.seat, recovery.hand
    return a.StartAttempt(after.id, recovery.key, after.attempt + 1, seat, word, why, hand, recovery.briefing)


def _told(text: str, action: a.StartAttempt, asked: bool, seat: Seat) -> str:
    """By which way the handoff comes to the agent. `asked`: there is something it is to do."""
    if not text:
        return "it gets no handoff: nothing was begun that it could go on with"
    file = "as the file that HHMRS_HANDOFF names"
    if not (asked or action.briefing):
        return f"the handoff reaches it {file}; no task is open, so it is not its prompt"
    if types_prompt(seat, resume=action.strategy == "resume"):
        return f"the handoff is typed to it once it is ready, and reaches it {file}"
    if seat.profile.prompt_args or (action.strategy == "resume" and seat.profile.resume_prompt_args):
        return f"the handoff is its first prompt, and reaches it {file}"
    return f"the handoff reaches it {file}; its profile takes no prompt"


def _anchor(best: Checkpoint | None, action: a.StartAttempt, state: AgentState) -> str:
    session = " and its own session" if action.strategy == "resume" and state.session else ""
    if best is None:
        return f"goes on from no checkpoint{session}: none holds anything of its task"
    at = moment(best.created_at)
    when = local(at) if at is not None else "an unknown time"
    done = f"{len(best.completed)} completed, {len(best.files)} files, {len(best.next)} next"
    return f"goes on from checkpoint {best.seq} of {when}{session}: {done}"
