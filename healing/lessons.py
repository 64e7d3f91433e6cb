"""What an incident teaches, by rules over its figures: what worked, what did not, and which setting would
have seen it earlier or left it alone. Arithmetic only; a rule that has nothing to say says nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..config.durations import format_duration
from ..config.fleet import Policy
from .markdown import line
from .patience import MARGIN
from .postmortem import Case, Try

YOUNG = 30.0
"""Seconds within which an attempt that ended died young."""
OFTEN = 3
"""Attempts from which on a strategy's record says something."""
LEAST_INTERVAL = 10.0


def lessons(case: Case) -> list[str]:
    """One sentence each, the most important first."""
    found = [*_what_worked(case), *_what_it_cost(case)]
    if case.policy is not None:
        found += [*_seen_earlier(case, case.policy), *_left_alone(case, case.policy),
                  *_ladder(case, case.policy), *_proof(case, case.policy)]  # fmt: skip
    return [*found, *_young_deaths(case)]


def _what_worked(case: Case) -> Iterator[str]:
    won = next((t for t in case.tries if t.outcome == "success"), None)
    lost = [t for t in case.tries if t.outcome == "failure"]
    if won is not None:
        seat = f" on {line(won.seat)}" if won.strategy == "reassign" and won.seat else ""
        took = f", {won.ended - won.at:.1f} s after it began" if won.ended is not None else ""
        yield f"What worked: {line(won.strategy)}{seat} (attempt {won.n}){took}."
    if lost:
        spent = sum(t.ended - t.at for t in lost if t.ended is not None)
        yield f"What did not: {_counted(lost)}; {spent:.1f} s went by with it."
    if case.escalated is not None and not case.tries:
        yield f"Nothing was tried: cause {line(case.cause)} went straight to a person."


def _counted(tries: list[Try]) -> str:
    times = Counter(line(t.strategy) for t in tries)
    return ", ".join(f"{name} ({count} x)" if count > 1 else name for name, count in times.items())


def _what_it_cost(case: Case) -> Iterator[str]:
    until = case.recovered if case.recovered is not None else case.escalated
    if until is not None and case.unnoticed is not None:
        found = f"{case.unnoticed:.1f} s unnoticed"
        yield f"It was out of work for {case.unnoticed + until:.1f} s: {found}, {until:.1f} s afterwards."


def _seen_earlier(case: Case, policy: Policy) -> Iterator[str]:
    """For a real failure that a clock found: the shortest clock that would still have been right."""
    if case.unnoticed is None or case.outcome == "self" or case.observed:
        return
    if case.symptom == "stalled":
        key, value, silence = _shorter_silence(policy)
        if silence < min(policy.silence, case.unnoticed):
            earlier = case.unnoticed - silence
            yield f"`{key}: {value}` would have noticed it {earlier:.1f} s earlier."
    elif case.symptom == "looping":
        safe = MARGIN * case.pauses
        if 0 < safe < min(policy.progress_timeout, case.unnoticed):
            value = format_duration(float(int(safe) + 1))
            yield (
                f"`progress_timeout: {value}` would have noticed it {case.unnoticed - safe:.1f} s earlier "
                f"(its own pauses are up to {case.pauses:g} s)."
            )
        elif safe == 0 and policy.quick_look < case.unnoticed:
            yield (
                f"`quick_look` had noticed it {case.unnoticed - policy.quick_look:.1f} s earlier; "
                "the agent's own pauses are not known well enough to shorten `progress_timeout` safely."
            )


def _shorter_silence(policy: Policy) -> tuple[str, str, float]:
    if policy.missed_heartbeats > 1:
        less = policy.missed_heartbeats - 1
        return "missed_heartbeats", str(less), policy.heartbeat_interval * less
    least = LEAST_INTERVAL * policy.missed_heartbeats
    return "heartbeat_interval", format_duration(LEAST_INTERVAL), least


def _left_alone(case: Case, policy: Policy) -> Iterator[str]:
    """For one that came back by itself: the clock that would have let it."""
    if case.outcome != "self" or case.unnoticed is None or case.lasted is None:
        return
    clocks = {
        "stalled": ("heartbeat_interval", policy.silence),
        "looping": ("progress_timeout", policy.progress_timeout),
    }
    if case.symptom in clocks:
        key, limit = clocks[case.symptom]
        whole = case.unnoticed + case.lasted
        acted = "before anything was done" if not case.tries else "not by what was tried"
        yield (
            f"A false alarm: it came back by itself {case.lasted:.1f} s later, {acted}. It rested "
            f"{whole:.1f} s; the limit is {limit:g} s. A longer `{key}` would have left it alone."
        )


def _ladder(case: Case, policy: Policy) -> Iterator[str]:
    ladder, cause = policy.recovery.get(case.cause, ()), line(case.cause)
    if case.escalated is not None and "reassign" in ladder and not case.alternates:
        yield "It has no `alternates`, so reassign was skipped: give it another profile or model to go to."
    if case.escalated is not None and case.cause == "deadline":
        limit = f"`task_deadline` of {policy.task_deadline:g} s"
        yield f"Its task used up its {limit}; split the task, or raise it."
    for name in ladder:
        proved, ended = case.record.get(name, (0, 0))
        if ended >= OFTEN and proved == 0:
            rest = ", ".join(step for step in ladder if step != name)
            yield (
                f"`{name}` was proved in none of {ended} tries for cause {cause}: "
                f"`recovery: {{{cause}: [{rest}]}}` would save its time."
            )
    best = _best(case, ladder)
    if best is not None and ladder and best != ladder[0]:
        proved, ended = case.record[best]
        yield f"`{best}` was proved in {proved} of {ended} tries for cause {cause}: put it first."


def _best(case: Case, ladder: tuple[str, ...]) -> str | None:
    """The strategy that is proved four times out of five, where the first of the ladder is not even half."""
    known = {name: case.record.get(name, (0, 0)) for name in ladder}
    rates = {name: proved / ended for name, (proved, ended) in known.items() if ended >= OFTEN}
    first = rates.get(ladder[0], 1.0) if ladder else 1.0
    good = [name for name, rate in rates.items() if rate >= 0.8 and first < 0.5]
    return max(good, key=lambda name: rates[name], default=None)


def _proof(case: Case, policy: Policy) -> Iterator[str]:
    won = next((t for t in case.tries if t.outcome == "success"), None)
    if won is not None and won.ended is not None and won.ended - won.at > 0.8 * policy.verify_within:
        yield (
            f"The proof came {won.ended - won.at:.1f} s after the attempt began, and `verify_within` is "
            f"{policy.verify_within:g} s: a little slower, and it would have counted as failed."
        )


def _young_deaths(case: Case) -> Iterator[str]:
    young = [t for t in case.tries if t.outcome == "failure" and t.strategy != "nudge" and _died_young(t)]
    if len(young) >= OFTEN:
        yield (
            f"{len(young)} attempts died within {YOUNG:g} s each: look at its command and at "
            f"`hhmrs logs {line(case.agent)}`; more attempts do not help."
        )


def _died_young(t: Try) -> bool:
    return t.ended is not None and t.ended - t.at < YOUNG and t.why.startswith("exited")
