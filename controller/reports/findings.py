"""What the doctor looks at, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...config.fleet import FleetSpec, Profile

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` is one sentence; `mend` what to do about it, empty when all is well."""

    level: Level
    topic: str
    what: str
    mend: str = ""

    def as_json(self) -> dict[str, str]:
        return {"level": self.level, "topic": self.topic, "what": self.what, "mend": self.mend}


@dataclass(frozen=True, slots=True)
class Machine:
    """What is examined: the environment, where state is kept, and the fleet that is to run, if any."""

    environ: Mapping[str, str]
    state_root: Path
    fleet: FleetSpec | None
    profiles: Mapping[str, Profile]
    """The built-in ones, looked for when there is no fleet."""
    proc: Path = Path("/proc")
