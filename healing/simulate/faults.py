"""What may go wrong in a simulated fleet, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ...config.fleet import AgentSpec, FleetSpec
from .chance import Weights

BEHAVIOURS: Weights = (
    ("work", 30),
    ("slow", 4),
    ("crash", 13),
    ("killed", 6),
    ("sigint", 2),
    ("oom", 2),
    ("api_error", 3),
    ("context_exhausted", 2),
    ("auth", 1),
    ("hang", 13),
    ("deaf", 6),
    ("frozen", 5),
    ("loop", 5),
    ("prose", 3),
    ("flap", 3),
    ("ask", 3),
    ("limited", 3),
    ("fail", 2),
    ("stuck", 2),
    ("finish", 6),
    ("bad start", 4),
    ("slow start", 5),
    ("undead", 1),
)
"""What an attempt does in the end, and how often in a hundred or so. `slow` works, with long pauses between
results; `deaf` hangs and cannot be woken; `frozen` is stopped (state T); `loop` prints the same again and
again, `prose` ever new lines, and neither gets anywhere; `flap` shows a dialog that comes and goes; `undead`
leaves a tree that would not die. None of them is a judgement: the supervisor sees only what they show."""
SOUND = frozenset({"work", "slow", "slow start"})
"""Behaviours that need nobody: an alarm about them is a false one."""
AT_ONCE = frozenset({"bad start", "deaf", "frozen", "slow start"})
"""Behaviours that show from the first moment."""

STORMS: Weights = (
    ("outage", 4),
    ("children", 3),
    ("server lost", 2),
    ("blind", 4),
    ("stopped daemon", 3),
    ("suspend", 2),
    ("clock jump", 3),
)
"""What strikes many agents at once: a provider is down; all children of one parent fail together; a tmux
server is gone with every process in it; tmux does not answer for a while; the daemon is stopped (SIGSTOP) for
a while; the machine sleeps, or its wall clock is set: the daemon's own clock does not show either, until the
next daemon begins."""

CAUSES: Mapping[str, int] = MappingProxyType({"api_error": 231, "context_exhausted": 232, "auth": 233})
"""Exit status by which the simulated agents tell their profile that cause; real ones are told by patterns."""
STATUSES: Mapping[str, tuple[int | None, int | None]] = MappingProxyType({
    "crash": (1, None), "bad start": (127, None), "killed": (None, 9), "sigint": (130, None),
    "oom": (137, None), **{cause: (status, None) for cause, status in CAUSES.items()},
})  # fmt: skip
"""Behaviours that end the process: its exit status and signal."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Times are mean seconds between two of a kind, 0: never. `letters`: the share of letters that are lost,
    late or sent twice, each; `cursed`: of the attempts that went wrong, those whose successors all go the
    same way until a person comes; `failing_starts`: of starts, those that fail at once."""

    behaviours: Weights = BEHAVIOURS
    storms: Weights = STORMS
    storm_every: float = 1500.0
    daemon_every: float = 1800.0
    person_every: float = 3600.0
    letters: float = 0.03
    cursed: float = 0.12
    failing_starts: float = 0.02


CALM = Faults((("work", 1),), (), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Nothing goes wrong that is not asked for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault on purpose: `at` seconds after the beginning `what` (a storm, a behaviour, "daemon",
    "person") strikes `whom`, a number that is taken modulo the agents or whatever else there is to choose."""

    at: float
    what: str
    whom: int = 0


def ailing(fleet: FleetSpec) -> FleetSpec:
    """The fleet with profiles that know the simulated exit statuses."""
    agents = {name: _ailing(spec) for name, spec in fleet.agents.items()}
    return fleet.model_copy(update={"agents": agents})


def _ailing(spec: AgentSpec) -> AgentSpec:
    told = {status: cause for cause, status in CAUSES.items()}
    seats = tuple(
        seat.model_copy(
            update={
                "profile": seat.profile.model_copy(update={"exit_codes": {**seat.profile.exit_codes, **told}})
            }
        )
        for seat in spec.seats
    )
    return spec.model_copy(update={"seats": seats})
