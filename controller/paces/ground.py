"""Where a CLI is tried: a temporary HOME and workspace, a private tmux server, the scripted model."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from ...config.fleet import AgentSpec, LocalModel, Policy, Profile, Seat
from ...config.paths import StateDir
from ...config.profiles import launch_argv, launch_env
from ...healing.evidence import ErrorShown, Evidence, SessionLearned
from ..clock import SteadyClock
from ..git import GitError, git
from ..ports import Identity, Running, TerminalsError
from ..processes.processes import ProcessTable
from ..scripted_model.server import ScriptedModel
from ..terminals.launching import launcher_words, read_report
from ..terminals.screens import ScreenReader
from ..terminals.tmux import TmuxTerminals
from ..workspaces.transcripts import Transcripts

AGENT = "paces"
LOOK_EVERY = 0.15
LAUNCH_WITHIN = 15.0
GONE_WITHIN = 5.0
T = TypeVar("T")
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR")


class Trouble(Exception):
    """A pace could not be gone through; the message says what was seen."""


class Ground:
    """`with Ground(profile, environ) as ground:`; all that it made is gone afterwards, processes first.

    Raises OSError, TerminalsError and StateDirError when it cannot be made."""

    def __init__(self, profile: Profile, local: LocalModel, environ: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hhmrs-paces-")).resolve()
        self.home, self.workspace = self.folder / "home", self.folder / "work"
        fleet = f"paces-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.state = StateDir(self.folder / "state", fleet)
        self.token = f"{fleet}:{AGENT}"
        self.model = ScriptedModel()
        self.terminals = TmuxTerminals(f"hhmrs-{fleet}", self.folder / "tmux.conf")
        self.processes = ProcessTable()
        self.base = {name: environ[name] for name in _PASSED_ON if name in environ}
        self.seat = self._seat(profile, local)
        self.session: str | None = None
        self.attempt = 0
        self.who: Identity | None = None
        self.refused: list[ErrorShown] = []
        self._transcripts = Transcripts(self._learn, SteadyClock(), environ=self.base)

    def _seat(self, profile: Profile, local: LocalModel) -> Seat:
        """The profile pointed at the scripted model, at home in our folder, and never asking."""
        address = self.model.address
        self.local = local.filled(address=address, home=str(self.home), workspace=str(self.workspace))
        places = {
            "HOME": self.home,
            "XDG_CONFIG_HOME": self.home / ".config",
            "XDG_DATA_HOME": self.home / ".local/share",
            "XDG_STATE_HOME": self.home / ".local/state",
            "XDG_CACHE_HOME": self.home / ".cache",
        }
        env = {name: str(path) for name, path in places.items()} | self.local.env
        command = (*profile.command, *profile.autonomy_args[:1], *self.local.args)
        return Seat(profile=profile, model=self.local.model, command=command, env=env)

    def __enter__(self) -> Self:
        try:
            for folder in (self.home, self.workspace):
                folder.mkdir()
            for path, text in self.local.files.items():
                place = self.home / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            self._make_repository()
            self.state.create()
            self.model.start()
            self.terminals.ensure()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def _clear(self) -> None:
        self._transcripts.close()
        try:
            self.kill()
            self.terminals.kill_server()
        except (TerminalsError, OSError, Trouble):
            pass  # told already, where it was met; the folder goes all the same
        self.model.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_repository(self) -> None:
        """Some work in repositories only. Where git is missing they will say so themselves."""
        with contextlib.suppress(GitError):
            git(["init", "-q", str(self.workspace)], home=self.home)

    # -- starting and ending --------------------------------------------------------------------

    def start(self, prompt: str | None = None, *, resume: bool = False) -> None:
        """Start the CLI in its pane. Raises Trouble, TerminalsError, LaunchError."""
        if not resume and self.seat.profile.session_args:
            self.session = str(uuid.uuid4())
        self.attempt += 1
        argv = launch_argv(self.seat, prompt=prompt, session=self.session, resume=resume)
        env = launch_env(self.seat, self.base) | {"HHMRS_TOKEN": self.token}
        words = launcher_words(self.state, AGENT, self.attempt, self.token, argv, env)
        self.terminals.respawn(AGENT, words, str(self.workspace), env, self.attempt)
        self.reader = ScreenReader(self.seat.profile.looked_for)
        self.who = self._started()
        running = Running(self._spec(), self.seat, self.attempt, self.who, self.session)
        self._transcripts.follow(running)

    def _started(self) -> Identity:
        def pid() -> int | None:
            report = read_report(self.state, AGENT)
            if report and report.attempt == self.attempt and report.over:
                raise Trouble(f"it ended at once (status {report.status}): {self.bottom()}")
            return report.pid if report and report.attempt == self.attempt else None

        found = self.until(pid, LAUNCH_WITHIN)
        who = self.processes.identify(found) if found else None
        if who is None:
            raise Trouble(f"it did not start, or ended at once: {self.bottom()}")
        return who

    def kill(self) -> int:
        """SIGKILL to every process of its tree, the strays too; how many there were. Raises Trouble when one
        survived."""
        if self.who is None:
            return 0
        victims = self.processes.tree(self.who, tag=self.token)
        for victim in victims:
            if self.processes.alive(victim):
                try:
                    os.kill(victim.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        late = self.processes.end_tagged(self.token, grace=0.0)
        gone = self.until(lambda: not any(map(self.processes.alive, victims)), GONE_WITHIN)
        if not gone or late:
            raise Trouble(f"processes survived SIGKILL: {[who.pid for who in [*victims, *late]]}")
        self.who = None
        return len(victims)

    def _spec(self) -> AgentSpec:
        return AgentSpec(
            id=AGENT,
            title=AGENT,
            seats=(self.seat,),
            workspace=self.workspace,
            liveness=self.seat.profile.liveness,
            policy=Policy(),
        )

    def _learn(self, evidence: Evidence) -> None:
        if isinstance(evidence, SessionLearned):
            self.session = evidence.session
        elif isinstance(evidence, ErrorShown):
            self.refused.append(evidence)

    # -- looking and typing ---------------------------------------------------------------------

    def type(self, text: str) -> None:
        self.terminals.paste(AGENT, text)

    def screen(self) -> list[str]:
        """The visible lines without the empty ones at the end."""
        lines = [line.rstrip() for line in self.terminals.capture(AGENT)]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def bottom(self) -> str:
        """The last words on its screen, in one line."""
        try:
            told = " ".join(line.strip() for line in self.screen()[-12:] if line.strip())
        except TerminalsError as error:
            told = str(error)
        return told[-300:] or "an empty screen"

    def until(self, look: Callable[[], T | None], within: float) -> T | None:
        """What `look` found, asked again and again for at most `within` seconds."""
        ends = time.monotonic() + within
        while True:
            found = look()
            if found or time.monotonic() > ends:
                return found
            time.sleep(LOOK_EVERY)
