"""What cannot be seen is unknown: connections, servers and watches taken away, and nobody is acted upon.

The real observer and the real engine over a real tmux. The hands start what is to be started and write down
all else they are asked to do, which must be nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.daemon.engine import Engine
from hhmrs.controller.ports import Identity, Row
from hhmrs.controller.processes.processes import alive, identify
from hhmrs.controller.recovery.perform import Outcome
from hhmrs.controller.terminals.observer import Observer
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import AgentState, Happening, Phase

Eventually = Callable[..., Awaitable[None]]

SCRIPTS = {
    # Talks all the time, each line another: at work. Outlives its terminal.
    "busy": "trap '' HUP; while :; do echo $(od -An -N4 -x /dev/urandom | tr 0-9 g-p); sleep .1; done",
    # Said one thing and never another.
    "quiet": "echo up; exec sleep 600",
}
HEARTBEAT = 0.5
"""Twice this in silence would be a stall; what is taken away stays away for longer."""


class Room:
    """Engine, observer, agents, and what happened to them."""

    def __init__(self, terminals: TmuxTerminals, specs: list[AgentSpec], folder: Path) -> None:
        self.terminals, self.folder = terminals, folder
        self.clock = SteadyClock()
        self.said: list[e.Evidence] = []
        self.acts: list[a.Action] = []
        self.who: dict[str, Identity] = {}
        self.happened: list[Happening] = []
        self.servers_lost = 0
        agents = {spec.id: spec for spec in specs}
        fleet = FleetSpec(fleet="f", path=folder, policy=Policy(), agents=agents, profiles={})
        self.engine = Engine(fleet, self.clock, self, self, lambda _: None)
        for spec in specs:
            self.engine.begin(spec)
        self.engine.evidence_seen.append(self._follow)
        self.observer = Observer(
            terminals,
            self._emit,
            self.clock,
            asyncio.get_running_loop(),
            period=0.1,
            late=0.7,
            on_server_lost=self._count_loss,
        )

    def _emit(self, evidence: e.Evidence) -> None:
        self.said.append(evidence)
        self.engine.emit(evidence)

    def _count_loss(self) -> None:
        self.servers_lost += 1

    async def commit(self, rows: list[Row]) -> None:
        self.happened += [h for row in rows for h in row.happenings]

    def perform(self, action: a.Action, state: AgentState) -> Outcome:
        if not isinstance(action, a.StartAttempt) or action.attempt > 1:
            self.acts.append(action)
            return Outcome(
                [e.StepFinished(action.agent, self.clock.now(), action.key, False, "watched only")]
            )
        words = ["sh", "-c", SCRIPTS[action.agent]]
        view = self.terminals.respawn(action.agent, words, str(self.folder), dict(os.environ), action.attempt)
        who = self.who[action.agent] = identify(view.pid) or Identity(view.pid, 0.0)
        at = self.clock.now()
        return Outcome([e.ProcessStarted(state.id, at, action.attempt, who.pid, who.created, view.pane)])

    def _follow(self, evidence: e.Evidence) -> None:
        if isinstance(evidence, e.ProcessStarted):
            self.observer.watch(evidence.agent, evidence.attempt, self.who[evidence.agent])

    def phases(self) -> set[Phase]:
        return {state.phase for state in self.engine.states.values()}

    def of(self, kind: type[e.Evidence], agent: str) -> list[e.Evidence]:
        return [x for x in self.said if isinstance(x, kind) and x.agent == agent]

    def unharmed(self) -> bool:
        """Nobody was acted upon or is said to have ended; who is silent is not said to have spoken."""
        incidents = [h for h in self.happened if h.type.startswith("hhmrs_") or h.type == "agent_incident"]
        spoke = [
            x for x in self.of(e.OutputSeen, "quiet") if x.at > self.engine.states["quiet"].started + 0.5
        ]
        ended = [x for x in self.said if isinstance(x, e.ProcessExited)]
        return (self.acts, incidents, spoke, ended) == ([], [], [], [])

    async def out_of_sight(self, eventually: Eventually) -> None:
        """Everybody is unknown, and stays so for longer than silence is borne."""
        await eventually(lambda: self.phases() == {Phase.UNKNOWN})
        end = self.clock.now() + 4 * HEARTBEAT
        while self.clock.now() < end:
            assert self.phases() == {Phase.UNKNOWN}
            await asyncio.sleep(0.05)

    async def back(self, eventually: Eventually) -> None:
        """Everybody is where they were, and what is new is seen again."""
        told = len(self.of(e.OutputSeen, "busy"))
        await eventually(lambda: Phase.UNKNOWN not in self.phases())
        await eventually(lambda: len(self.of(e.OutputSeen, "busy")) > told + 3)
        assert self.engine.states["busy"].phase is Phase.WORKING
        for agent in self.engine.states:
            assert len(self.of(e.Unseen, agent)) == len(self.of(e.SeenAgain, agent)) == 1


@pytest.fixture
async def room(
    terminals: TmuxTerminals,
    tmp_path: Path,
    make_spec: Callable[..., AgentSpec],
    eventually: Eventually,
) -> AsyncIterator[Room]:
    policy = {"heartbeat_interval": HEARTBEAT, "testing": True}
    specs = [make_spec("busy", workspace=tmp_path, **policy)]
    specs.append(make_spec("quiet", workspace=tmp_path, liveness=("process",), **policy))
    made = Room(terminals, specs, tmp_path)
    await made.observer.start()
    running = asyncio.create_task(made.engine.run())
    await eventually(lambda: made.engine.states["busy"].phase is Phase.WORKING)
    await eventually(lambda: made.of(e.OutputSeen, "quiet"))
    yield made
    made.engine.stop()
    await asyncio.wait_for(running, 10)
    await made.observer.stop()
    for who in made.who.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(who.pid, signal.SIGKILL)


def server_of(room: Room) -> int:
    pid = room.terminals.server_pid()
    assert pid is not None
    return pid


async def test_a_control_client_that_is_killed_is_replaced_and_nobody_is_touched(
    room: Room, eventually: Eventually
) -> None:
    link = room.observer._link
    assert link is not None
    assert link._transport is not None
    link._transport.kill()
    await eventually(lambda: room.of(e.Unseen, "busy"))
    await room.back(eventually)
    assert room.unharmed()
    assert room.servers_lost == 0


async def test_a_server_that_stands_still_past_the_deadline_hides_everybody_and_no_more(
    room: Room, eventually: Eventually
) -> None:
    server = server_of(room)
    os.kill(server, signal.SIGSTOP)
    try:
        await room.out_of_sight(eventually)
        assert not room.observer.means()[0].full
    finally:
        os.kill(server, signal.SIGCONT)
    await room.back(eventually)
    assert room.unharmed()
    assert room.servers_lost == 0
    assert all(means.full for means in room.observer.means())


async def test_a_server_that_is_killed_makes_unknown_who_lives_and_dead_who_does_not(
    room: Room, eventually: Eventually
) -> None:
    os.kill(server_of(room), signal.SIGKILL)
    await eventually(lambda: room.engine.states["busy"].phase is Phase.UNKNOWN)
    await eventually(lambda: room.of(e.ProcessExited, "quiet"))
    later = room.clock.now() + 4 * HEARTBEAT
    await eventually(lambda: room.clock.now() > later)
    assert alive(room.who["busy"])
    assert not alive(room.who["quiet"])
    assert room.engine.states["busy"].phase is Phase.UNKNOWN, "it lives: nothing else is known of it"
    assert "busy" not in {act.agent for act in room.acts}
    assert room.of(e.ProcessExited, "busy") == []
    assert room.servers_lost == 1
    os.kill(room.who["busy"].pid, signal.SIGKILL)
    await eventually(lambda: room.of(e.ProcessExited, "busy"))


NO_WATCHES = """
import asyncio, json, os, sys
from pathlib import Path
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.terminals.observer import Observer
from hhmrs.controller.processes.processes import identify
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.healing.evidence import OutputSeen, ProcessExited, Unseen

def allow(watches):
    Path("/proc/sys/user/max_inotify_watches").write_text(str(watches))

async def until(holds):
    while not holds():
        await asyncio.sleep(0.01)

async def main():
    allow(2)
    terminals, said = TmuxTerminals(sys.argv[1], Path("tmux.conf")), []
    loop = asyncio.get_running_loop()
    observer = Observer(terminals, said.append, SteadyClock(), loop, period=0.1, sweep=60.0)
    def seen(agent):
        return "".join(x for e in said if isinstance(e, OutputSeen) and e.agent == agent for x in e.lines)
    await observer.start()
    for n in range(4):
        view = terminals.respawn(f"a{n}", ["sh", "-c", "echo one; read x; echo two; read x"], ".", {}, 1)
        observer.watch(f"a{n}", 1, identify(view.pid))
    await until(lambda: all("one" in seen(f"a{n}") for n in range(4)))
    scarce = observer.means()[0]
    for n in range(4):
        terminals.keys(f"a{n}", ["Enter"])
    await until(lambda: all("two" in seen(f"a{n}") for n in range(4)))
    allow(1000)
    await until(lambda: observer.means()[0].full)
    told = [type(e).__name__ for e in said if isinstance(e, (Unseen, ProcessExited))]
    await observer.stop()
    print(json.dumps([scarce.full, scarce.how, scarce.why, told]))

asyncio.run(asyncio.wait_for(main(), 20))
"""


def test_terminals_that_cannot_be_listened_to_are_asked_for_until_they_can(
    terminals: TmuxTerminals, own_limits: list[str], tmp_path: Path
) -> None:
    words = [*own_limits, sys.executable, "-c", NO_WATCHES, terminals.socket]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    full, how, why, told = json.loads(done.stdout)
    assert not full
    assert "every 0.1 s" in how
    assert "max_user_watches" in why
    assert told == [], "a slower means is no loss of sight"
