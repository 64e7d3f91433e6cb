"""What the system and a dead agent's last lines say of its end, beside its exit status: whether the kernel
killed it for want of memory, how short of memory the host was, and when a limit that it names ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...config.fleet import ExitRule
from ...healing.attribute import last_lines
from ..clock import local_now
from ..means import Means
from ..ports import Clock, Identity
from ..processes import cgroups
from ..processes.kernel_log import KernelLog
from .reset_times import read_end

_PRESSURE = Path("/proc/pressure/memory")
_SOME = re.compile(r"^some avg10=(\d+(?:\.\d+)?)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Findings:
    """As the fields of evidence.ProcessExited."""

    oom: str = ""
    pressure: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """One attempt. `group`: its own cgroup or "", in which the kernel had killed so many `kills` by then."""

    who: Identity
    exits: tuple[ExitRule, ...]
    group: str
    kills: int


class Inquests:
    """Remembers what can be asked only while a process lives. Blocking for a millisecond or two."""

    def __init__(self, clock: Clock, log: KernelLog | None = None, pressure: Path = _PRESSURE) -> None:
        self._clock = clock
        self._log = log or KernelLog()
        self._pressure = pressure
        self._cases: dict[str, _Case] = {}

    def begin(self, agent: str, who: Identity, exits: Sequence[ExitRule] = ()) -> None:
        """This process of the agent lives; in place of the one before."""
        group = cgroups.own_group(who.pid)
        self._cases[agent] = _Case(who, tuple(exits), group, cgroups.oom_kills(group) or 0)

    def end(self, agent: str, status: int | None, signal: int | None, tail: Sequence[str]) -> Findings:
        """What is found now that it ended so; nothing where it ended well."""
        case = self._cases.pop(agent, None)
        if case is None or (status == 0 and signal is None):
            return Findings()
        until = limit_ends(tail, case.exits, self._clock)
        return Findings(self._oom(case), self._short_of_memory(), until)

    def close(self) -> None:
        self._cases.clear()
        self._log.close()

    def means(self) -> Means:
        return self._log.means()

    def forget(self, agent: str) -> None:
        self._cases.pop(agent, None)

    def _oom(self, case: _Case) -> str:
        line = self._log.killed(case.who.pid)
        if line:
            return f"the kernel says: {line}"
        kills = cgroups.oom_kills(case.group)
        if kills is not None and kills > case.kills:
            return f"the kernel killed {kills - case.kills} of its processes for want of memory (oom_kill)"
        return ""

    def _short_of_memory(self) -> float | None:
        """Per cent of the last ten seconds in which somebody waited for memory; None: nobody says."""
        try:
            found = _SOME.search(self._pressure.read_text(encoding="ascii", errors="replace"))
        except OSError:
            return None
        return float(found[1]) if found else None


def limit_ends(tail: Sequence[str], exits: Sequence[ExitRule], clock: Clock) -> float | None:
    """Engine time at which the limit ends that the last lines name, by the first rule that can read it."""
    text = ""
    for rule in exits:
        if rule.resets is None:
            continue
        text = text or "\n".join(last_lines(tail))
        seconds = read_end(re.compile(rule.resets, re.MULTILINE), text, local_now())
        if seconds is not None:
            return clock.now() + seconds
    return None
