"""What the screen keeps from look to look is what a look that remembers nothing would see."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy, Profile, Seat
from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row, Terminals
from hhmrs.healing.agent import AgentState, Incident, Phase
from hhmrs.tui.daemon_source import DaemonSource
from hhmrs.tui.document import Fleet

NAMES = ("top", "a", "b", "c")
T0 = 1_795_255_200.0


def spec() -> FleetSpec:
    seat = Seat(profile=Profile(name="shell"))
    agents = {
        name: AgentSpec(
            id=name, parent=None if name == "top" else "top", title=name.title(), seats=(seat,),
            workspace=Path("/w"), policy=Policy(), liveness=seat.profile.liveness,
        )
        for name in NAMES
    }  # fmt: skip
    return FleetSpec(fleet="nightly", path=Path("/f.yaml"), policy=Policy(), agents=agents, profiles={})


def timeless(fleet: Fleet) -> Fleet:
    return replace(fleet, at=0.0)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_is_what_a_fresh_look_sees(tmp_path: Path, seed: int) -> None:
    folder, chance, whole = StateDir(tmp_path / "state", "nightly"), random.Random(seed), spec()
    folder.create()
    nobody = cast("Terminals", None)  # no pane is looked at
    book, kept = SqliteLedger(folder.ledger), DaemonSource(folder, whole, nobody)
    try:
        for number in range(25):
            name = chance.choice(NAMES)
            state = AgentState(
                name, chance.choice(list(Phase)), T0 + number, number, message=f"step {number}"
            )
            if chance.random() < 0.4:
                state = replace(
                    state, incident=Incident(f"{name}-i{number}", T0, "stalled", "stalled", "quiet")
                )
            if chance.random() < 0.8:
                book.append([Row(name, state)])
            fresh = DaemonSource(folder, whole, nobody)
            assert timeless(kept.snapshot("a").fleet) == timeless(fresh.snapshot("a").fleet)
            fresh.close()
    finally:
        kept.close()
        book.close()
