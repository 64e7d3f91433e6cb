"""What a nudge is made of, and how it goes from step to step. Pure.

The steps go from what disturbs least: close a known dialog, then three edits of the status file of an older
system, then a message. Each is handed out alone and stands in the ledger before it is taken. What is written
may be written again by the next daemon, for then there is nothing left to write; what is typed is never typed
twice. After a step that did something the agent has a moment to show that it was enough.

The quick look takes the gentle ones, which change no phase and open no incident; as a strategy a nudge takes
all that the policy allows. Nothing of it is ever evidence.
"""

from __future__ import annotations

from ..config.fleet import AgentSpec
from .actions import Nudge
from .agent import TYPED_KEPT, AgentState, NudgeStep, Nudging, Stage, Strategy
from .evidence import StepFinished
from .replacing import replace
from .seats import seat_of
from .transitions import Change, end_attempt, event

RESCUE = (
    "You seem to have stopped. Look at what is already done, then go on with your task now; "
    "do not answer this message, do the next piece of work."
)
"""Asks for work: agents of the older systems answered such messages instead of working."""
NOTHING = "there is nothing to nudge it with: every step of `nudge:` is off or needs a status file"
GENTLE = (NudgeStep.CLOSE_DIALOG, NudgeStep.FORCE_UPDATE, NudgeStep.CLEAR_STUCK_TASKS)
ON_STATUS_FILES = (NudgeStep.FORCE_UPDATE, NudgeStep.CLEAR_STUCK_TASKS, NudgeStep.AUTO_RESET)
MOMENT = 2.0
"""Seconds from a step that did something to the next, or a sixth of `verify_within` where that is less."""
_NUDGING = Nudging("", ())
WORDS = {
    NudgeStep.FORCE_UPDATE: "refresh its status file, if that is stale",
    NudgeStep.CLEAR_STUCK_TASKS: "clear the tasks that its status file holds",
    NudgeStep.AUTO_RESET: "reset its status file",
    NudgeStep.RESCUE: "leave the rescue message in its inbox and type it into its pane",
}


def steps(s: AgentState, spec: AgentSpec, *, gentle: bool = False) -> tuple[NudgeStep, ...]:
    """The steps of a nudge of this agent as it is now, in their order; perhaps none."""
    flags, profile = spec.policy.nudge, seat_of(s, spec).profile
    plan = [NudgeStep.CLOSE_DIALOG] if dialog_shown(s) else []
    if profile.status_files and any(rule.kind == "status" for rule in profile.status_files):
        plan += [step for step in ON_STATUS_FILES if getattr(flags, step)]
    if flags.rescue:
        plan.append(NudgeStep.RESCUE)
    return tuple([step for step in plan if step in GENTLE] if gentle else plan)


def dialog_shown(s: AgentState) -> str:
    """The name of the dialog of its profile that its screen shows, or empty."""
    kind, _, name = s.screen.partition(" ")
    return name if kind == "dialog" else ""


def in_words(s: AgentState, spec: AgentSpec, *, gentle: bool = False) -> list[str]:
    """Each step for a person."""
    close = f"close the dialog {dialog_shown(s)}"
    return [WORDS.get(step, close) for step in steps(s, spec, gentle=gentle)]


# -- from step to step --------------------------------------------------------------------------


def begun(plan: tuple[NudgeStep, ...], key: str, reason: str, now: float) -> Nudging:
    """The nudge of an attempt that just began; its first step is due."""
    return replace(_NUDGING, key=key, left=plan, reason=reason, due=now)


def begun_gently(s: AgentState, plan: tuple[NudgeStep, ...], reason: str, now: float) -> AgentState:
    """The nudge of a quick look that was just taken."""
    key = f"{s.id}/{s.attempt}/quick/{now:.3f}"
    return replace(s, nudging=Nudging(key, plan, reason, due=now, gentle=True))


def go_on(s: AgentState, spec: AgentSpec, now: float, *, resting: bool) -> Change:
    """Hand out the next step when its time has come. `resting`: hands are off, so it waits."""
    nudging = s.nudging
    if nudging is None or nudging.issued:
        return Change(s)
    if not _wanted(s, nudging, spec):
        return Change(replace(s, nudging=None))
    if now < nudging.due or (resting and not _ordered(s)):
        return Change(s)
    step = nudging.left[0]
    text = RESCUE if step is NudgeStep.RESCUE and not nudging.again else ""
    stale = spec.policy.heartbeat_interval
    action = Nudge(s.id, _key(nudging), s.attempt, text, step, nudging.reason, stale, nudging.again)
    out = replace(nudging, issued=True)
    if not text:
        return Change(replace(s, nudging=out), (), (action,))
    # In the ledger before it is typed: whoever hears the echo may be another daemon.
    typed = (*s.typed, text)[-TYPED_KEPT:]
    return Change(replace(s, nudging=out, typed=typed, typed_at=now), (), (action,))


def due(s: AgentState, spec: AgentSpec, *, resting: bool) -> float | None:
    """When `go_on` next has something to do; None: not before new evidence."""
    nudging = s.nudging
    if nudging is None or nudging.issued:
        return None
    if not _wanted(s, nudging, spec):
        return 0.0
    return None if resting and not _ordered(s) else nudging.due


def is_step(s: AgentState, ev: StepFinished) -> bool:
    """Whether that is the step that was handed out."""
    return s.nudging is not None and s.nudging.issued and ev.key == _key(s.nudging)


def stepped(s: AgentState, ev: StepFinished, spec: AgentSpec) -> Change:
    """The step came to its end. A nudge of which nothing could be done has failed at once."""
    nudging = s.nudging
    assert nudging is not None
    step, left = nudging.left[0], nudging.left[1:]
    note = event(s, "agent_nudge_step", ev.at, step=step.value, ok=ev.ok, why=ev.why, gentle=nudging.gentle)
    did = ev.ok and not ev.idle
    if did and step not in ON_STATUS_FILES:
        # Typing takes its time; what comes in reply to the keys comes after the last of them.
        s = replace(s, typed_at=max(s.typed_at, ev.at))
    if left:
        due = ev.at + (min(MOMENT, spec.policy.verify_within / 6) if did else 0.0)
        more = replace(nudging, left=left, due=due, issued=False, again=False, taken=nudging.taken + did)
        return Change(replace(s, nudging=more), (note,))
    change = Change(replace(s, nudging=None), (note,))
    if did or nudging.taken or nudging.gentle or not _belongs(s, nudging):
        return change
    why = ev.why or "nothing of the nudge could be done"
    return change.then(end_attempt(change.state, ev.at, ok=False, why=why))


def found_again(s: AgentState, at: float) -> AgentState:
    """By another daemon: it hands out the step that was under way once more, as one that may be done."""
    nudging = s.nudging
    if nudging is None:
        return s
    return replace(s, nudging=replace(nudging, issued=False, again=nudging.again or nudging.issued, due=at))


def _key(nudging: Nudging) -> str:
    """The key of the first step that is left; a nudge of one step is known by its own."""
    return f"{nudging.key}/{nudging.left[0]}"


def _wanted(s: AgentState, nudging: Nudging, spec: AgentSpec) -> bool:
    """Its ground still holds: the spell without progress, or the attempt."""
    if not s.alive or not nudging.left:
        return False
    if nudging.gentle:
        return s.quick_looked is not None and s.incident is None and spec.policy.mode == "armed"
    return _belongs(s, nudging) and (spec.policy.mode == "armed" or _ordered(s))


def _belongs(s: AgentState, nudging: Nudging) -> bool:
    """To the attempt under way."""
    recovery = s.recovery
    return (
        recovery is not None
        and recovery.strategy is Strategy.NUDGE
        and recovery.stage is Stage.VERIFYING
        and recovery.key == nudging.key
    )


def _ordered(s: AgentState) -> bool:
    return s.recovery is not None and s.recovery.order is not None
