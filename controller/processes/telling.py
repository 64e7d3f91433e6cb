"""When to look at the process trees, and what of a look is worth telling the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...healing.evidence import ProcessMeasured
from .measuring import Measure

SHARE, CALM_SHARE = 0.007, 0.004
"""Of one core, for looking at processes; the second while next to nothing goes on."""
EVERY = 2.0
QUIET_EVERY = 60.0
"""Seconds after which a tree that did nothing is told of again. So much older may `evidence.process` be than
the look it comes from, which is never longer ago than the pace allows."""
AT_REST = 6.0
"""Seconds without growth after which a busy tree is told to be at rest."""
BUSY_RATE = 40.0
"""Measures told in a second, of trees that are known to be at work."""


def pace(cost: float, beat: float, silence: float, *, calm: bool = False) -> float:
    """Seconds until the next look, after one that took `cost` seconds of CPU.

    `beat`: the fleet's shortest heartbeat interval, `silence`: its shortest time after which no life is a
    symptom. A quarter of that is never exceeded, whatever it costs: the look is what saves an agent that
    thinks without printing. `calm`: no agent is being brought back, and few do anything."""
    shortest = first_pace(beat)
    return min(max(shortest, cost / (CALM_SHARE if calm else SHARE)), max(shortest, silence / 4))


def few_at_work(measures: Mapping[str, Measure]) -> bool:
    """Whether less than a tenth of the trees did anything."""
    return 10 * sum(1 for m in measures.values() if m.cpu_grew or m.busy_children) < len(measures)


def first_pace(beat: float) -> float:
    """Seconds between looks that cost nothing."""
    return min(EVERY, max(0.3, beat / 4))


@dataclass(slots=True)
class _Told:
    """What the engine was told last of one tree, at `at` (of growth at `grown_at`), and what grew since then
    and was held back."""

    at: float
    grown_at: float | None
    stopped: bool
    stopped_child: str
    cli: str
    grew: bool = False
    cpu_grew: bool = False
    busy_children: tuple[float, ...] = ()
    busy_kinds: tuple[int, ...] = ()
    since: float = 0.0


class Teller:
    """Chooses: a change at once, and so the first growth after a quiet time; more growth again after a while
    that grows with the number of busy trees; a quiet tree every `QUIET_EVERY` seconds.

    What grew meanwhile is held back, never lost."""

    def __init__(self) -> None:
        self._told: dict[str, _Told] = {}

    def forget(self, agent: str) -> None:
        """The next measure of it is told at once: another process has taken its place."""
        self._told.pop(agent, None)

    def choose(
        self, measures: Mapping[str, Measure], now: float, silence: float, period: float
    ) -> list[ProcessMeasured]:
        """What to tell, the pressing first. `now`: engine time at which the look began; `silence` as in
        `pace`; `period`: seconds to the next look."""
        busy = sum(1 for m in measures.values() if m.cpu_grew or m.busy_children)
        hold = min(busy / BUSY_RATE, silence / 4)
        pressing, quiet = [], []
        for agent, m in measures.items():
            told = self._told.get(agent)
            if told is not None:
                _hold_back(told, m, now)
            if told is None or _worth(told, m, now, hold):
                pressing.append(agent)
            elif now - told.at >= QUIET_EVERY - period / 2:
                quiet.append(agent)
        # Trees that started together would be told of together for ever.
        most = 10 + int(len(measures) * period / QUIET_EVERY)
        quiet = sorted(quiet, key=lambda agent: self._told[agent].at)[:most]
        self._keep_only(measures)
        return [self._tell(agent, measures[agent], now) for agent in (*pressing, *quiet)]

    def _tell(self, agent: str, m: Measure, now: float) -> ProcessMeasured:
        told = self._told.get(agent)
        if told is None:
            told = _Told(now, None, m.stopped, m.stopped_child, m.cli)
            _hold_back(told, m, now)
        since = told.since if told.grew else now - m.window
        evidence = ProcessMeasured(
            agent, now, told.cpu_grew, told.busy_children, m.stopped, m.cpu_pct, m.memory_mb, m.threads,
            since, m.moved, m.stopped_child, m.cli, told.busy_kinds,
        )  # fmt: skip
        grown_at = now if told.grew else told.grown_at
        self._told[agent] = _Told(now, grown_at, m.stopped, m.stopped_child, m.cli)
        return evidence

    def _keep_only(self, agents: Iterable[str]) -> None:
        for agent in self._told.keys() - set(agents):
            del self._told[agent]


def _hold_back(told: _Told, m: Measure, now: float) -> None:
    if not (m.cpu_grew or m.busy_children):
        return
    # One time stands for all that grew. It must hold for the children's work, of which more is concluded.
    if m.busy_children or not told.busy_children:
        told.since = now - m.window
    told.grew = True
    told.cpu_grew = told.cpu_grew or m.cpu_grew
    if m.busy_children:
        told.busy_children, told.busy_kinds = m.busy_children, m.busy_kinds


def _worth(told: _Told, m: Measure, now: float, hold: float) -> bool:
    if (told.stopped, told.stopped_child, told.cli) != (m.stopped, m.stopped_child, m.cli):
        return True
    if told.grew:
        return told.grown_at is None or now - told.grown_at >= hold
    # That it came to rest changes no clock, only the figures that people see.
    return told.at == told.grown_at and now - told.at >= max(hold, AT_REST)
