"""A scripted fleet behind the screen's own port, so that a test decides what there is to be seen."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, FleetSpec, Policy, Profile, Seat
from hhmrs.config.paths import StateDir
from hhmrs.controller.checkpoints.present import Files
from hhmrs.controller.ports import Event
from hhmrs.healing.agent import AgentState, Phase
from hhmrs.tui.document import read_fleet
from hhmrs.tui.feed import Snapshot
from hhmrs.tui.previews import Known, Victim
from hhmrs.tui.sources.numbers import LedgerNumbers
from hhmrs.tui.sources.settings import FleetFile
from hhmrs.tui.work import Diff, PastTask, Saved, Spent, WorkError


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


TREE: list[tuple[str, str | None, str, str, str]] = [
    ("architect", None, "working", "claude", "planning the next milestone"),
    ("dir-code", "architect", "recovering", "claude", "parser: 14 of 22 grammar rules pass"),
    ("programmer-01", "dir-code", "working", "shell", "tests/test_lexer.py 31 passed"),
    ("programmer-02", "dir-code", "waiting", "shell", "Allow edit of pyproject.toml?"),
    ("programmer-03", "dir-code", "working", "shell", "writing src/tokens.py"),
    ("programmer-04", "dir-code", "done", "shell", "all 12 tests pass"),
    ("dir-docs", "architect", "working", "codex", "chapter 3: error messages"),
    ("writer-01", "dir-docs", "limited", "codex", "usage limit, resets at 11:40"),
    ("writer-02", "dir-docs", "paused", "codex", "held for review"),
    ("dir-test", "architect", "working", "opencode", "fuzzing the lexer, seed 8812"),
    ("tester-01", "dir-test", "escalated", "opencode", "git: unresolved merge conflict"),
    ("tester-02", "dir-test", "starting", "opencode", ""),
]
TITLES = {"dir-code": "Dir-Code", "dir-docs": "Dir-Docs", "dir-test": "Dir-Test", "architect": "Architect"}
PANE = [
    "\x1b[2m$ claude --resume 7f3a\x1b[0m",
    "\x1b[38;5;214m●\x1b[0m Reading \x1b[1mSPEC.md\x1b[0m and the handoff",
    "\x1b[32m✓\x1b[0m rules \x1b[36mexpr term factor\x1b[0m pass  \x1b[2m(14 of 22)\x1b[0m",
    "\x1b[38;2;255;121;198m●\x1b[0m Edit \x1b[4msrc/parser.py\x1b[0m",
    "  \x1b[41;97m-     return Node(tok)\x1b[0m",
    "  \x1b[42;30m+     return Node(tok, span=self.span())\x1b[0m",
    "\x1b[33m▶ pytest -q tests/test_parser.py\x1b[0m",
    "....................... \x1b[32m23 passed\x1b[0m in 0.84s",
    "",
]


def agent_spec(name: str, parent: str | None, *profiles: str) -> AgentSpec:
    seats = tuple(Seat(profile=Profile(name=p), command=("true",)) for p in profiles)
    where: dict[str, Any] = {"workspace": Path("/tmp"), "title": TITLES.get(name, name)}
    return AgentSpec(id=name, parent=parent, seats=seats, liveness=("output",), policy=Policy(), **where)


class ScriptedHands:
    """What a look at the machine would tell; `handoff` is that without a person's words."""

    def __init__(self) -> None:
        self.victims: tuple[Victim, ...] = (Victim(4002, "python3 worker.py"), Victim(4711, "pytest -q"))
        self.handoff = "# Handoff, attempt 2\n\nThe task is yours.\n"
        self.fault = ""
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def preview(self, order: str, state: AgentState, spec: AgentSpec, args: Mapping[str, str]) -> Known:
        self.asked.append((order, spec.id, dict(args)))
        if self.fault:
            raise OSError(self.fault)
        if order == "stop":
            return Known(self.victims)
        note = f"\nthe person says: {args['note']}\n" if args.get("note") else ""
        text = args.get("handoff") or self.handoff
        return Known(
            self.victims, text + note, "the handoff is its first prompt", f"goes on from {state.checkpoint}"
        )


class ScriptedWork:
    """What a test says of an agent's work. `asked`: every call, with the agent."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.found = Files("/work/nightly", (), 0)
        self.shelf: tuple[Saved, ...] = ()
        self.difference: Diff | None = None
        self.past: tuple[PastTask, ...] = ()
        self.spending: Spent | None = None
        self.restored: list[tuple[str, int, Path]] = []

    def files(self, agent: str) -> Files:
        self.asked.append(("files", agent))
        return self.found

    def saved(self, agent: str) -> tuple[Saved, ...]:
        self.asked.append(("saved", agent))
        return self.shelf

    def diff(self, agent: str, seq: int | None) -> Diff:
        self.asked.append(("diff", agent))
        if self.difference is None:
            raise WorkError("no snapshot of its workspace was taken yet")
        return replace(self.difference, seq=seq or self.difference.seq)

    def tasks(self, agent: str) -> tuple[PastTask, ...]:
        self.asked.append(("tasks", agent))
        return self.past

    def spent(self, agent: str) -> Spent | None:
        self.asked.append(("spent", agent))
        return self.spending

    def restore(self, agent: str, seq: int, to: Path) -> str:
        self.restored.append((agent, seq, to))
        return f"3 files are in {to}"


class ScriptedSource:
    """A fleet that a test writes. `orders` is what the screen sent; `answer` lets the daemon answer."""

    def __init__(self, agents: list[tuple[str, str | None, str, str, str]] | None = None) -> None:
        self.agents = list(TREE if agents is None else agents)
        self.name = "nightly"
        self.up = True
        self.frozen = False
        self.mode = "armed"
        self.events: list[Event] = []
        self.lines = list(PANE)
        self.orders: list[tuple[str, str | None, dict[str, str]]] = []
        self.fault: str = ""
        self.panes_read: list[str] = []
        self.looks = 0
        self.flaws: tuple[str, ...] = ()
        self.locked = ""
        self.keeper = self
        self.refused = ""
        self.hands = ScriptedHands()
        self.numbers = LedgerNumbers(StateDir(Path("/nonexistent"), "nightly"), self.spec)
        self.work = ScriptedWork()
        self.settings = FleetFile(StateDir(Path("/nowhere"), "nightly"), Path("/nowhere/hhmrs.yaml"))

    # -- the port ---------------------------------------------------------------------------------
    def pulse(self) -> object:
        """A new one each time: a test may change anything at any time."""
        return object()

    def snapshot(self, focus: str | None) -> Snapshot:
        self.looks += 1
        if self.fault:
            raise OSError(self.fault)
        now = time.time()
        return Snapshot(
            fleet=read_fleet(self.document(now), TITLES),
            spec=self.spec(),
            events=tuple(self.events),
            focus=focus,
            timeline=tuple(e for e in self.events if e.agent == focus),
            explain=(f"{focus} is working", "  output   0.4 s ago  from tmux", "next: nothing"),
            states={a[0]: self._state(a[0], Phase(a[2])) for a in self.agents},
            flaws=self.flaws,
            locked=self.locked,
        )

    @staticmethod
    def _state(name: str, phase: Phase) -> AgentState:
        alive = phase not in (Phase.DONE, Phase.STOPPED, Phase.EXITED)
        return AgentState(id=name, phase=phase, alive=alive, resumable=True, checkpoint=7)

    def pane(self, agent: str) -> list[str]:
        self.panes_read.append(agent)
        return [f"\x1b[1m{agent}\x1b[0m", *self.lines]

    def order(self, order: str, agent: str | None, args: Mapping[str, str]) -> str:
        self.orders.append((order, agent, dict(args)))
        return f"letter-{len(self.orders)}"

    def attach_argv(self, agent: str, *, watch: bool = False) -> list[str]:
        only = ["-r"] if watch else []
        return ["tmux", "-L", "hhmrs-test-none", "attach", *only, "-t", f"={agent}"]

    def start(self) -> str:
        """keeping.Keeper: the daemon comes up, unless the test `refused` it."""
        if self.refused:
            raise OSError(self.refused)
        self.up, self.frozen = True, False
        return "the daemon runs, pid 1"

    # -- the script -------------------------------------------------------------------------------
    def happen(
        self, kind: str, agent: str | None, *, ago: float = 0.0, incident: str | None = None, **data: Any
    ) -> None:
        self.events.append(
            Event(len(self.events) + 1, stamp(time.time() - ago), kind, agent, None, incident, data)
        )

    def answer(self, ok: bool, message: str) -> None:
        letter = f"letter-{len(self.orders)}"
        self.happen(
            "operator_outcome",
            self.orders[-1][1],
            letter=letter,
            order=self.orders[-1][0],
            ok=ok,
            message=message,
        )

    def spec(self) -> FleetSpec:
        agents = {a[0]: agent_spec(a[0], a[1], a[3], "opencode", "codex") for a in self.agents}
        return FleetSpec(
            fleet="nightly", path=Path("/tmp/hhmrs.yaml"), policy=Policy(), agents=agents, profiles={}
        )

    def document(self, now: float) -> dict[str, Any]:
        agents = [self._agent(i, a, now) for i, a in enumerate(self.agents)]
        troubles: list[dict[str, Any]] = [
            {
                "id": f"{a[0]}-1",
                "agent": a[0],
                "opened": stamp(now - 8),
                "symptom": "stalled",
                "cause": "stalled",
                "detail": "silent 60 s",
                "attempts": [],
                "outcome": None,
            }
            for a in self.agents
            if a[2] in ("recovering", "stalled", "looping", "exited")
        ]
        daemon = {"pid": 1, "uptime_s": 8000.0, "mode": self.mode, "version": "0"} if self.up else None
        if daemon is not None and self.frozen:
            daemon["stopped"] = True
        return {"fleet": "nightly", "at": stamp(now), "host": "h", "daemon": daemon, "cascade": None,
                "agents": agents, "incidents": troubles}  # fmt: skip

    def _agent(self, i: int, a: tuple[str, str | None, str, str, str], now: float) -> dict[str, Any]:
        ended = a[2] in ("done", "stopped", "exited")
        return {
            "id": a[0], "parent": a[1], "profile": a[3], "model": "sonnet" if a[3] == "claude" else None,
            "phase": a[2], "since": stamp(now - 40 * i), "attempt": 2 if i == 1 else 1,
            "restarts": {1: 2, 10: 3}.get(i, 0), "reassigns": {10: 3}.get(i, 0),
            "pid": None if ended else 4000 + i, "pane": "%1", "task": None,
            "progress": [0.4, 0.64, None, 0.8, 0.2, 1.0][i % 6], "message": a[4],
            "cpu_pct": 1.5 * i, "memory_mb": 80.0 + i,
            "evidence": {"beat": None if i % 3 else 3.0, "output": 0.4 + 7 * i, "file": 12.0,
                         "transcript": 2.2, "process": 0.5},
            "incident": None,
        }  # fmt: skip


@pytest.fixture
def scripted() -> ScriptedSource:
    return ScriptedSource()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and a state folder of the test's own, no tmux around it, and one clock everywhere."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HHMRS_STATE_DIR", str(tmp_path / "state"))
    for name in ("TMUX", "TMUX_PANE", "NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def tmux_socket() -> str:
    """A name for `tmux -L` that nobody else has; who starts a server on it ends it."""
    return f"hhmrs-test-{secrets.token_hex(6)}"
