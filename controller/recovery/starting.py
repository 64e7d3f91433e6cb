"""Starts an attempt: workspace, session, papers, environment, launcher, pane."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from ...config.fleet import AgentSpec, FleetSpec, Seat
from ...config.paths import StateDir
from ...config.profiles import LaunchError, can_resume, launch_argv, launch_env, types_prompt
from ...config.workspaces import refuse_link
from ...healing import actions as a
from ...healing import evidence as e
from ...healing.agent import AgentState
from ...healing.seats import seated
from ..checkpoints.checkpoints import CheckpointStore
from ..checkpoints.snapshots import Snapshots
from ..ports import Checkpoint, Clock, PaneView, Processes, Terminals
from ..processes.cgroups import make_own
from ..terminals.launching import launcher_words, read_report
from .own_command import with_own_command
from .papers import Papers

LAUNCH_TIMEOUT = 10.0


@dataclass(slots=True)
class Starter:
    """Blocking. Raises OSError, ValueError, LaunchError, TerminalsError with what to do about it."""

    fleet: FleetSpec
    state_dir: StateDir
    terminals: Terminals
    processes: Processes
    checkpoints: CheckpointStore
    clock: Clock
    tails: dict[str, list[str]] = field(default_factory=dict)
    """The last lines of each agent's pane, when it ended or when its ground was cleared, for the handoff."""
    to_type: dict[str, tuple[int, str]] = field(default_factory=dict)
    """agent -> (attempt, prompt) for programs that take no prompt on their command line."""
    snapshots: Snapshots | None = None
    """Where the handoff learns what the last attempt changed; None: it is not told."""

    def token(self, agent: str) -> str:
        """Value of HHMRS_TOKEN: finds processes that left their agent's tree."""
        return f"{self.fleet.fleet}:{agent}"

    def start(self, action: a.StartAttempt, state: AgentState, spec: AgentSpec) -> list[e.Evidence]:
        """Start the attempt, unless a daemon before us got that far; SessionLearned and ProcessStarted."""
        pane = self.terminals.pane_of(spec.id)
        if pane and not pane.dead and pane.attempt == action.attempt:
            return [self._started(action, pane)]
        workspace = self._workspace(spec)
        learned, session = self._session(action, state, spec)
        task = state.task.text if state.task else (spec.prompt or "")
        env = self._environment(action, spec, workspace, task)
        prompt = task or None
        best = self.papers.best(action, state)
        if action.strategy != "start" or best is not None or action.briefing:
            text = self.papers.text(action, state, spec, best, self.tails.pop(spec.id, []))
            env |= self._write(spec.id, action.attempt, text, best)
            prompt = text if task or action.briefing else None
        seat = seated(spec, action.seat, action.hand)
        argv = self._argv(action, seat, prompt, session)
        merged = launch_env(seat, os.environ) | env
        path = merged.get("PATH", os.defpath)
        _check_command(argv[0], path, workspace)
        merged["PATH"] = with_own_command(path, self.state_dir)
        words = launcher_words(self.state_dir, spec.id, action.attempt, self.token(spec.id), argv, merged)
        pane = self.terminals.respawn(spec.id, words, str(workspace), merged, action.attempt)
        return [*learned, self._started(action, pane)]

    @property
    def papers(self) -> Papers:
        return Papers(self.checkpoints, self.snapshots)

    def _argv(self, action: a.StartAttempt, seat: Seat, prompt: str | None, session: str | None) -> list[str]:
        resume = action.strategy == "resume" and can_resume(seat, session)
        if prompt and types_prompt(seat, resume=resume):
            self.to_type[action.agent] = (action.attempt, prompt)
        return launch_argv(seat, prompt=prompt, session=session, resume=resume)

    def _started(self, action: a.StartAttempt, pane: PaneView) -> e.ProcessStarted:
        pid = self._pid_of(action.agent, action.attempt)
        who = self.processes.identify(pid)
        if who:
            make_own(pid, f"{self.fleet.fleet}.{action.agent}")
        created = who.created if who else 0.0
        return e.ProcessStarted(
            action.agent, self.clock.now(), action.attempt, pid, created, pane.pane, pane.socket
        )

    def _pid_of(self, agent: str, attempt: int) -> int:
        """The command's own pid, which its launcher tells within some milliseconds."""
        deadline, pause = time.monotonic() + LAUNCH_TIMEOUT, 0.002
        while time.monotonic() < deadline:
            report = read_report(self.state_dir, agent)
            if report and report.attempt == attempt:
                if report.pid is not None:
                    return report.pid
                if report.over:
                    kind = PermissionError if report.status == 126 else FileNotFoundError
                    raise kind(f"the command could not be run ({report.status}); see `hhmrs logs {agent}`")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.03)
        raise ValueError(
            f"the launcher of {agent} did not report within {LAUNCH_TIMEOUT:g} s; see `hhmrs logs {agent}`"
        )

    def _workspace(self, spec: AgentSpec) -> Path:
        """The workspace, made if missing. A link that was put in its way since loading is refused."""
        refuse_link(spec.workspace)
        spec.workspace.mkdir(parents=True, exist_ok=True)
        return spec.workspace

    def _session(
        self, action: a.StartAttempt, state: AgentState, spec: AgentSpec
    ) -> tuple[list[e.Evidence], str | None]:
        """The native session id to run under: the known one to resume, else a new one of ours."""
        profile = seated(spec, action.seat, action.hand).profile
        if action.strategy == "resume" and state.session:
            return [], state.session
        if not profile.session_args:
            return [], None
        session = str(uuid.uuid4())
        return [e.SessionLearned(spec.id, self.clock.now(), session)], session

    def _environment(
        self, action: a.StartAttempt, spec: AgentSpec, workspace: Path, task: str
    ) -> dict[str, str]:
        return {
            "HHMRS_FLEET": self.fleet.fleet,
            "HHMRS_AGENT": spec.id,
            "HHMRS_PARENT": spec.parent or "",
            "HHMRS_ATTEMPT": str(action.attempt),
            "HHMRS_TASK": task,
            "HHMRS_INBOX": str(self.state_dir.inbox_of(spec.id)),
            "HHMRS_WORKSPACE": str(workspace),
        }

    def _write(self, agent: str, attempt: int, text: str, best: Checkpoint | None) -> dict[str, str]:
        """Write the handoff; the environment that names it and the checkpoint."""
        folder = self.state_dir.handoffs / agent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{attempt}.md"
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        papers = {"HHMRS_HANDOFF": str(path)}
        if best is not None:
            papers["HHMRS_CHECKPOINT"] = str(self.checkpoints.path_of(agent, best.seq))
        return papers


def unstartable(seat: Seat, workspace: Path) -> str:
    """Why no attempt could be started on this seat now; empty when it could."""
    try:
        argv = launch_argv(seat, prompt=None, session=None, resume=False)
        env = launch_env(seat, os.environ)
        _check_command(argv[0], env.get("PATH", os.defpath), workspace)
    except (LaunchError, OSError) as error:
        return f"{seat.label}: {error}"
    return ""


def _check_command(command: str, path: str, workspace: Path) -> None:
    """tmux answers a missing command with a bare exit 1; say what it is instead."""
    place = workspace / command
    if "/" not in command:
        if shutil.which(command, path=path) is None:
            raise FileNotFoundError(f"command not found (127): {command}")
    elif not place.exists():
        raise FileNotFoundError(f"command not found (127): {command}")
    elif place.is_dir() or not os.access(place, os.X_OK):
        raise PermissionError(f"permission denied: not executable (126): {command}")
