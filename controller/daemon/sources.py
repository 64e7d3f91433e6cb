"""What a fleet is seen by: one table of sources. Another one is a class (ports.Source) and a line here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...config.fleet import AgentSpec
from ...healing.evidence import FileChanged
from ..means import Means
from ..ports import Clock, Emit, Running, Source
from ..terminals.watchers import Watchers
from ..workspaces.status_patterns import plain_place, says_nothing
from ..workspaces.statusfiles import StatusFiles
from ..workspaces.transcripts import Transcripts
from ..workspaces.workspaces import Workspaces
from ..workspaces.writers import Trees

log = logging.getLogger(__name__)

OLDEST = 60.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What sources are made of. `watchers` is started, and stopped, by whoever made it; `trees` tells whose
    process one is; `ours` are folders that supervisors write."""

    emit: Emit
    clock: Clock
    watchers: Watchers
    trees: Trees
    ours: tuple[Path, ...] = ()


class Panes(Source):
    """What the tmux servers and the kernel say of each agent's pane and process."""

    def __init__(self, watchers: Watchers) -> None:
        self._watchers = watchers

    def follow(self, running: Running) -> None:
        self._watchers.watch(
            running.spec.id,
            running.attempt,
            running.who,
            screens=running.seat.profile.looked_for,
            exits=running.seat.profile.exits,
            primed=running.adopted,
            socket=running.socket,
        )

    def rest(self, agent: str) -> None:
        self._watchers.rest(agent)

    def forget(self, agent: str) -> None:
        self._watchers.unwatch(agent)

    def means(self) -> tuple[Means, ...]:
        return self._watchers.means()


class Folders(Source):
    """Changed files of the workspaces, from before an attempt begins to after it is over: what a start or an
    end left there is told by its time."""

    def __init__(self, ground: Ground) -> None:
        self._emit = ground.emit
        self._clock = ground.clock
        self._specs: dict[str, AgentSpec] = {}
        self._workspaces = Workspaces(self._changed, trees=ground.trees, counts=self._is_work)
        self._workspaces.ours(*ground.ours)

    def enrol(self, spec: AgentSpec) -> None:
        self._specs = {**self._specs, spec.id: spec}
        self._workspaces.ours(*_no_work(spec))
        try:
            self._workspaces.watch(spec.id, spec.workspace)
        except OSError as error:
            log.error("agent %s: what changes in its workspace is not seen: %s", spec.id, error)

    def forget(self, agent: str) -> None:
        self._specs = {name: spec for name, spec in self._specs.items() if name != agent}
        self._workspaces.unwatch(agent)

    def wrote(self, path: Path, content: bytes) -> None:  # noqa: ARG002 - whatever it is, it is ours
        self._workspaces.ours(path)

    def close(self) -> None:
        self._workspaces.stop()

    def means(self) -> tuple[Means, ...]:
        return self._workspaces.means()

    def _changed(self, agent: str, path: str, when: float) -> None:
        """Told a moment after the change: a file of the attempt before must not speak for the present one."""
        age = min(max(0.0, time.time() - when), OLDEST)
        self._emit(FileChanged(agent, self._clock.now() - age, path))

    def _is_work(self, agent: str, path: str) -> bool:
        spec = self._specs.get(agent)
        return spec is not None and not says_nothing(spec, path)


SOURCES: tuple[Callable[[Ground], Source], ...] = (
    lambda ground: Panes(ground.watchers),
    Folders,
    lambda ground: Transcripts(ground.emit, ground.clock),
    lambda ground: StatusFiles(ground.emit, ground.clock),
)


def open_sources(ground: Ground) -> tuple[Source, ...]:
    """All of the table, at work."""
    sources = tuple(make(ground) for make in SOURCES)
    for source in sources:
        source.open()
    return sources


def _no_work(spec: AgentSpec) -> list[Path]:
    """Where a change is nobody's work: what a CLI notes down of what it was told, what it says of itself, and
    what others write to it."""
    places: list[Path] = []
    for profile in {seat.profile.name: seat.profile for seat in spec.seats}.values():
        places += [spec.workspace / path for path in profile.bookkeeping]
        for rule in profile.status_files:
            place = plain_place(spec.workspace, rule, spec.id)
            if rule.kind != "devlog" and place is not None:
                places.append(place)
    return places
