"""The hands: one private tmux server of the fleet, through libtmux. Blocking; call it from a worker thread.

libtmux's objects speak through one method, `Server.cmd`; ours hands each command to an engine (tmux_engine)
with a deadline and no limit of length. Listing is one call of our own, for libtmux asks for 125 fields.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import libtmux
from libtmux.common import tmux_cmd
from libtmux.exc import LibTmuxException

from ..ports import PaneMissing, PaneView, TerminalsError
from .tmux_conf import server_environment, write_conf
from .tmux_engine import Answer, SpawnEngine, TmuxEngine
from .tmux_words import (
    HUB,
    ROW_FORMAT,
    WHOSE_FORMAT,
    Owner,
    check_agent,
    launch_words,
    panes_of,
    read_owner,
    read_rows,
)

COLUMNS, LINES = 120, 40
_PLACEHOLDER = ("sleep", "2147483647")
_SIZE = ("-x", str(COLUMNS), "-y", str(LINES))
_READS_CONF_WITHIN = 2.0
"""Seconds after its start by which a server has read its configuration."""
_WHOSE = ("display-message", "-p", WHOSE_FORMAT)
_HUB_THERE = ("has-session", "-t", f"={HUB}")
_EVERY_PANE = ("list-panes", "-a", "-F", ROW_FORMAT)


class _Told(tmux_cmd):
    """An engine's answer in the shape libtmux's objects expect."""

    def __init__(self, answer: Answer) -> None:
        self.cmd = list(answer.words)
        self.stdout, self.stderr, self.returncode = answer.stdout, answer.stderr, answer.returncode


class EngineServer(libtmux.Server):
    """libtmux's Server, speaking through an engine."""

    def __init__(self, socket: str, tmux: str, engine: TmuxEngine) -> None:
        super().__init__(socket_name=socket, tmux_bin=tmux)
        self._engine = engine

    # libtmux's own Server.cmd departs from the mixin's protocol in the same way.
    def cmd(  # type: ignore[override]
        self, cmd: str, *args: Any, target: str | int | None = None
    ) -> _Told:
        aim = () if target is None else ("-t", str(target))
        return _Told(self._engine.run([cmd, *aim, *map(str, args)]))


class ForeignServer(TerminalsError):
    """The server on our socket is not this fleet's."""


class TmuxTerminals:
    """ports.Terminals on the tmux socket `socket`; its configuration is written to `conf_path`.

    `fleet`: whose server it must be, by default the fleet whose first socket that is. `deadline` bounds
    every call to tmux, `settle` is the pause between a paste and Enter; both seconds. `engine` carries the
    commands."""

    def __init__(
        self,
        socket: str,
        conf_path: Path,
        *,
        fleet: str | None = None,
        tmux: str = "tmux",
        deadline: float = 10.0,
        settle: float = 0.3,
        engine: TmuxEngine | None = None,
    ) -> None:
        self.socket = socket
        self.fleet = fleet if fleet is not None else socket.removeprefix("hhmrs-")
        self.tmux = tmux
        self._conf = conf_path
        self._deadline = deadline
        self._settle = settle
        self._starter = SpawnEngine(socket, tmux, deadline)
        self._engine: TmuxEngine = engine or self._starter
        self._server = EngineServer(socket, tmux, self._engine)
        self._pastes = 0
        self._captured: dict[str, str] = {}
        """The pane of each agent that was captured last."""
        self.still = threading.Lock()
        """Held while sessions come or go, and while a control client attaches. tmux (seen in 3.3a) tells such
        news to clients that have only half attached too, and dies of it, and all agents in it."""

    # -- the server -----------------------------------------------------------------------------

    def ensure(self) -> None:
        """Start the server if none answers. Raises TerminalsError, also when the server is not ours."""
        self._taken(self._awake(_WHOSE)[0])

    def survey(self) -> list[PaneView]:
        """`ensure`, then `panes`: one process where the server is there. Raises TerminalsError."""
        return self._views(self._taken(self._awake(_EVERY_PANE)[0]))

    def owner(self) -> Owner | None:
        """Whose server answers on the socket; None when none does."""
        return self._greet()[0]

    def server_pid(self) -> int | None:
        """Pid of our tmux server; None when none answers or the one that answers is not ours."""
        owner = self.owner()
        return owner.pid if owner and owner.fleet == self.fleet else None

    def kill_server(self) -> None:
        """End our server and remove its socket. Agents in it get SIGHUP: end their trees first."""
        if self.server_pid() is None:
            return
        path = Path(self._say(["display-message", "-p", "#{socket_path}"])[0])
        try:
            self._server.kill()
        except LibTmuxException as e:
            raise TerminalsError(f"tmux -L {self.socket} would not end: {e}") from None
        if not _until(lambda: self.server_pid() is None, self._deadline):
            raise TerminalsError(f"tmux -L {self.socket} still answers after kill-server")
        if path.is_socket():
            path.unlink(missing_ok=True)

    def check_owner(self, owner: Owner) -> None:
        """Raises ForeignServer when the server of `owner` is not this fleet's."""
        if owner.fleet is None:
            raise ForeignServer(
                f"a tmux server that hhmrs did not start is on the socket {self.socket}; "
                f"end it (`tmux -L {self.socket} kill-server`) or rename the fleet"
            )
        if owner.fleet != self.fleet:
            raise ForeignServer(
                f"the tmux server on the socket {self.socket} is the fleet {owner.fleet}'s, and the fleet "
                f"{self.fleet} needs that socket for its own agents; rename one of the two fleets, or end "
                f"that one first (`hhmrs down --kill --fleet {owner.fleet}`)"
            )

    def _awake(self, *commands: Sequence[str]) -> list[Answer]:
        """Answers of our server, started if it was not there, up to the first refusal."""
        owner, said = self._greet(_HUB_THERE, *commands)
        for _ in range(2):
            if owner is None:
                self._start()
            elif len(said) == 2:
                self.check_owner(owner)
                self._make_hub()
            else:
                break
            owner, said = self._greet(_HUB_THERE, *commands)
        if owner is None or len(said) == 2:
            raise self._refused(said[-1])
        self.check_owner(owner)
        return said[2:]

    def _make_hub(self) -> None:
        with self.still:
            made = self._engine.run(["new-session", "-d", "-s", HUB, *_SIZE, "--", *_PLACEHOLDER])
        if made.returncode and not self._server.has_session(HUB):
            raise self._refused(made)

    def _start(self) -> None:
        write_conf(self._conf, self.fleet)
        words = ["new-session", "-d", "-s", HUB, *_SIZE, "--", *_PLACEHOLDER]
        # Two starters may meet; the loser's new-session finds the hub made. And now and then a fresh server
        # ends at once, when a client that was waiting for one gives up just then.
        for pause in (0.05, 0.1, 0.2, 0.0):
            with self.still:
                started = self._starter.start(self._conf, words, server_environment())
            if not started.returncode or self._server.has_session(HUB):
                return
            time.sleep(pause)
        raise self._refused(started)

    # -- panes ----------------------------------------------------------------------------------

    def respawn(
        self, agent: str, argv: Sequence[str], cwd: str, env: dict[str, str], attempt: int
    ) -> PaneView:
        """Run `argv` as the agent's pane, whatever ran there before. Raises TerminalsError."""
        words = launch_words(argv, env)
        if not Path(cwd).is_dir():
            raise TerminalsError(f"the folder {cwd!r} of agent {agent} is missing; make it first")
        pane, making = self._room_for(agent)
        if making:
            with self.still:
                self._say(*making)
        said = self._say(
            ["set-option", "-p", "-t", pane, "@hhmrs_agent", agent],
            ["set-option", "-p", "-t", pane, "@hhmrs_attempt", str(attempt)],
            # Lines of the attempt before would be taken for this one's.
            ["clear-history", "-t", pane],
            ["respawn-pane", "-k", "-t", pane, "-c", cwd.replace("#", "##"), *words],
            ["display-message", "-p", "-t", pane, ROW_FORMAT],
        )
        views = self._views(said)
        if not views:
            raise TerminalsError(f"tmux answered nonsense after starting {agent}: {said[:1]!r}")
        return views[0]

    def panes(self) -> list[PaneView]:
        """Every pane of ours, from one list-panes. Panes that people made themselves are left out."""
        return self._views(self._ours(_EVERY_PANE))

    def pane_of(self, agent: str) -> PaneView | None:
        """The agent's pane, None where it has none. Raises TerminalsError, also when no server answers."""
        # Asked anew each time: after a server's restart the same pane id may be another agent's.
        return next(iter(self._views(self._ours(panes_of(agent)))), None)

    def socket_of(self, agent: str) -> str:
        check_agent(agent)
        return self.socket

    def capture(self, agent: str, *, history: int = 0, escapes: bool = False) -> list[str]:
        # What was printed, and not how it looks: a line that the pane has wrapped is one line, or half of a
        # secret would stand alone, where nobody knows it for one.
        joined = history > 0 and not escapes
        start = ["-S", str(-history)] if history > 0 else []
        flags = [flag for flag, wanted in (("-e", escapes), ("-J", joined)) if wanted]
        words = ["capture-pane", "-p", *start, *flags, "-t"]
        lines = self._captured_again(agent, words)
        if lines is None:
            self._captured[agent] = pane = self._pane(agent)
            lines = self._engine.run([*words, pane]).stdout
        if not lines:
            raise TerminalsError(f"the pane of {agent} could not be read; look at `tmux -L {self.socket} ls`")
        return [line.rstrip() for line in lines] if joined else lines

    def _captured_again(self, agent: str, words: Sequence[str]) -> list[str] | None:
        """The pane that was the agent's the last time, in one call that also asks whether it still is and
        whose server that is; None: no such pane any more."""
        pane = self._captured.pop(agent, None)
        if pane is None:
            return None
        owner, said = self._greet(["display-message", "-p", "-t", pane, ROW_FORMAT], [*words, pane])
        if owner is None or owner.fleet != self.fleet or len(said) != 3 or said[-1].returncode:
            return None
        if [view.agent for view in self._views(said[1].stdout)] != [agent]:
            return None
        self._captured[agent] = pane
        return said[2].stdout

    def paste(self, agent: str, text: str, *, enter: bool = True) -> None:
        """Type `text` without its control characters (newline and tab stay), then Enter on its own."""
        pane = self._pane(agent)
        clean = printable(text)
        self._leave_copy_mode(pane)
        if clean:
            self._pastes += 1
            name = f"hhmrs-{os.getpid()}-{id(self):x}-{self._pastes}"
            # set-buffer on stdin is as long and as exact as load-buffer, and one call for both commands.
            self._say(
                ["set-buffer", "-b", name, "--", clean],
                ["paste-buffer", "-p", "-r", "-d", "-b", name, "-t", pane],
            )
        if enter:
            if clean:
                # An Enter that comes with the paste is swallowed as part of it by some programs.
                time.sleep(self._settle)
            self._say(["send-keys", "-t", pane, "Enter"])

    def keys(self, agent: str, names: Sequence[str]) -> None:
        """Press keys by tmux's names (`Enter`, `C-c`, `1`)."""
        if not names:
            return
        pane = self._pane(agent)
        self._leave_copy_mode(pane)
        self._say(["send-keys", "-t", pane, "--", *names])

    def close(self, agent: str) -> None:
        """Remove the agent's session; nothing to do when there is none."""
        check_agent(agent)
        if self.server_pid() is not None and self._server.has_session(agent):
            with self.still:
                self._say(["kill-session", "-t", f"={agent}"])

    def _pane(self, agent: str) -> str:
        found = self.pane_of(agent)
        if found is None:
            raise PaneMissing(f"agent {agent} has no pane on the socket {self.socket}; start it first")
        return found.pane

    def _room_for(self, agent: str) -> tuple[str, list[list[str]]]:
        """The agent's pane as tmux's target, and the commands that make it, with nothing in it yet."""
        seen = self._awake(panes_of(agent), ["has-session", "-t", f"={agent}"])
        if views := self._views(self._taken(seen[0])):
            return views[0].pane, []
        if seen[-1].returncode:
            return f"={agent}:", [["new-session", "-d", "-s", agent, *_SIZE, "--", *_PLACEHOLDER]]
        # A window of its own, for a person's split outlived our pane.
        window = ["new-window", "-d", "-t", f"={agent}:", "-P", "-F", "#{pane_id}", "--", *_PLACEHOLDER]
        return self._say(window)[0], []

    def _leave_copy_mode(self, pane: str) -> None:
        with self.still:
            self._say(["if-shell", "-F", "-t", pane, "#{pane_in_mode}", f"send-keys -X -t {pane} cancel"])

    # -- words and answers ----------------------------------------------------------------------

    def _ours(self, command: Sequence[str]) -> list[str]:
        """What our server answers. Raises PaneMissing where none is, ForeignServer, TerminalsError."""
        owner, said = self._greet(command)
        if owner is None:
            raise PaneMissing(str(self._refused(said[0])))
        self.check_owner(owner)
        return self._taken(said[-1])

    def _say(self, *commands: Sequence[str]) -> list[str]:
        answers = self._engine.run_batch(commands)
        self._taken(answers[-1])
        return [line for answer in answers for line in answer.stdout]

    def _greet(self, *commands: Sequence[str]) -> tuple[Owner | None, list[Answer]]:
        """Whose server answers (None: none does), and its answers: the first is about itself. `commands`
        only look; they may be asked several times."""
        end = time.monotonic() + _READS_CONF_WITHIN
        while True:
            said = self._engine.run_batch([_WHOSE, *commands])
            if not said[0].stdout:
                return None, said
            owner = read_owner(said[0].stdout[0], self.socket)
            if owner is None:
                raise TerminalsError(f"tmux -L {self.socket} answered nonsense: {said[0].stdout[0][:80]!r}")
            # While the client that starts a server introduces itself, others are answered before the
            # configuration is read, and with it the mark.
            young = owner.fleet is None and time.time() - owner.since < _READS_CONF_WITHIN
            if not young or time.monotonic() > end:
                return owner, said
            time.sleep(0.01)

    def _taken(self, answer: Answer) -> list[str]:
        if answer.returncode:
            raise self._refused(answer)
        return answer.stdout

    def _refused(self, answer: Answer) -> TerminalsError:
        why = "; ".join([*answer.stderr, *answer.stdout])[:300] or "no reason given"
        return TerminalsError(f"tmux -L {self.socket} refused {answer.words[0]}: {why}")

    def _views(self, lines: Sequence[str]) -> list[PaneView]:
        return [replace(row.view, socket=self.socket) for row in read_rows(lines)]


def printable(text: str) -> str:
    """`text` without control characters but newline and tab: an ESC could end the bracketed paste."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return "".join(c for c in unified if c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f"))


def _until(holds: Callable[[], bool], within: float) -> bool:
    """Whether `holds()` became true before `within` seconds were over."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
