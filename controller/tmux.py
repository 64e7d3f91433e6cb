"""The hands: the fleet's private tmux server, through libtmux. Blocking; call it from a worker thread.

libtmux starts `tmux` without a deadline and hands every word over as argv (16 KB at most, a trailing `;`
lost, visible in `ps`). `BoundedServer` replaces the one method through which all its objects speak, so that
each call has a deadline and travels on stdin; listing is one call of our own, for libtmux asks 125 fields.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import libtmux
from libtmux.common import tmux_cmd
from libtmux.exc import LibTmuxException

from .ports import PaneView, TerminalsError
from .tmux_conf import MARK, server_environment, write_conf
from .tmux_words import HUB, ROW_FORMAT, Row, check_agent, command_line, encode, read_rows

COLUMNS, LINES = 120, 40
_PLACEHOLDER = ("sleep", "2147483647")
_STRING_LIMIT = 128 * 1024 - 1
"""Linux refuses a longer single argument or variable (MAX_ARG_STRLEN)."""
_OF_THE_TERMINAL = frozenset(
    {"TMUX", "TMUX_PANE", "TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLUMNS", "LINES", "PWD", "STY"}
)
"""Variables that describe the terminal somebody started us in; inside a pane they would be lies."""


class Answer(tmux_cmd):
    """What tmux answered, in the shape libtmux's objects expect."""

    def __init__(self, words: Sequence[str], stdout: str, stderr: str, returncode: int) -> None:
        self.cmd = list(words)
        self.returncode = returncode
        self.stdout = stdout.removesuffix("\n").split("\n") if stdout else []
        self.stderr = [line for line in stderr.split("\n") if line]


class BoundedServer(libtmux.Server):
    """libtmux's Server, each command with a deadline (seconds) and without a limit of length."""

    def __init__(self, socket: str, tmux: str, deadline: float) -> None:
        super().__init__(socket_name=socket, tmux_bin=tmux)
        self.deadline = deadline

    # libtmux's own Server.cmd departs from the mixin's protocol in the same way.
    def cmd(  # type: ignore[override]
        self, cmd: str, *args: Any, target: str | int | None = None
    ) -> Answer:
        aim = () if target is None else ("-t", str(target))
        return self.ask([cmd, *aim, *map(str, args)])

    def ask(self, *commands: Sequence[str]) -> Answer:
        """Run `commands` up to the first that fails. Raises TerminalsError only when tmux does not answer."""
        # -N: a command must never start a server, which would read the user's own configuration.
        return self.spawn(["-N", "source-file", "-"], command_line(*commands), [c[0] for c in commands])

    def spawn(
        self,
        args: Sequence[str],
        stdin: bytes = b"",
        words: Sequence[str] = (),
        env: dict[str, str] | None = None,
    ) -> Answer:
        words = words or args
        argv = [str(self.tmux_bin), "-L", str(self.socket_name), "-u", *args]
        try:
            done = subprocess.run(
                argv, input=stdin, capture_output=True, timeout=self.deadline, env=env, check=False
            )
        except FileNotFoundError:
            raise TerminalsError(f"{self.tmux_bin!r} was not found: install tmux 3.3 or newer") from None
        except subprocess.TimeoutExpired:
            raise TerminalsError(
                f"tmux -L {self.socket_name} did not answer {words[0]} within {self.deadline:g} s; "
                "nothing is known about its agents until it does"
            ) from None
        except OSError as e:
            raise TerminalsError(f"tmux could not be started: {e.strerror}; see `hhmrs doctor`") from None
        out, err = (raw.decode("utf-8", "replace") for raw in (done.stdout, done.stderr))
        return Answer(words, out, err, done.returncode)


class TmuxTerminals:
    """ports.Terminals on the tmux socket `socket`; its configuration is written to `conf_path`.

    `deadline` bounds every call to tmux, `settle` is the pause between a paste and Enter; both seconds."""

    def __init__(
        self, socket: str, conf_path: Path, *, tmux: str = "tmux", deadline: float = 10.0, settle: float = 0.3
    ) -> None:
        self.socket = socket
        self.tmux = tmux
        self._conf = conf_path
        self._settle = settle
        self._server = BoundedServer(socket, tmux, deadline)
        self._pastes = 0

    def ensure(self) -> None:
        """Start the server if none answers. Raises TerminalsError, also when the server is not ours."""
        self.survey()

    def survey(self) -> list[PaneView]:
        """`ensure`, then `panes`: one process where the server is there. Raises TerminalsError."""
        seen = self._server.ask(
            ["display-message", "-p", f"#{{{MARK}}} #{{pid}}"],
            ["has-session", "-t", f"={HUB}"],
            ["list-panes", "-a", "-F", ROW_FORMAT],
        )
        if not seen.stdout:
            self._start()
            return self.panes()
        if not seen.stdout[0].startswith("ours "):
            raise TerminalsError(
                f"a tmux server that hhmrs did not start is on the socket {self.socket}; "
                f"end it (`tmux -L {self.socket} kill-server`) or rename the fleet"
            )
        if seen.returncode:
            self._say(["new-session", "-d", "-s", HUB, *self._size(), "--", *_PLACEHOLDER])
            return self.panes()
        return [row.view for row in read_rows(seen.stdout[1:])]

    def _start(self) -> None:
        write_conf(self._conf)
        started = self._server.spawn(
            ["-f", str(self._conf), "new-session", "-d", "-s", HUB, *self._size(), "--", *_PLACEHOLDER],
            env=server_environment(),
        )
        # Two starters may meet; the loser's new-session finds the hub made.
        if started.returncode and not self._server.has_session(HUB):
            raise self._refused(started)

    def respawn(
        self, agent: str, argv: Sequence[str], cwd: str, env: dict[str, str], attempt: int
    ) -> PaneView:
        """Run `argv` as the agent's pane, whatever ran there before. Raises TerminalsError."""
        words = _launch_words(argv, env)
        if not Path(cwd).is_dir():
            raise TerminalsError(f"the folder {cwd!r} of agent {agent} is missing; make it first")
        pane = self._find(agent) or self._make(agent)
        said = self._say(
            ["set-option", "-p", "-t", pane, "@hhmrs_agent", agent],
            ["set-option", "-p", "-t", pane, "@hhmrs_attempt", str(attempt)],
            # Lines of the attempt before would be taken for this one's.
            ["clear-history", "-t", pane],
            ["respawn-pane", "-k", "-t", pane, "-c", cwd.replace("#", "##"), *words],
            ["display-message", "-p", "-t", pane, ROW_FORMAT],
        )
        rows = read_rows(said)
        if not rows:
            raise TerminalsError(f"tmux answered nonsense after starting {agent}: {said[:1]!r}")
        return rows[0].view

    def panes(self) -> list[PaneView]:
        """Every pane of ours, from one list-panes. Panes that people made themselves are left out."""
        return [row.view for row in self._rows("-a")]

    def capture(self, agent: str, *, history: int = 0, escapes: bool = False) -> list[str]:
        pane = libtmux.Pane(server=self._server, pane_id=self._pane(agent))
        lines = pane.capture_pane(start=-history if history > 0 else None, escape_sequences=escapes)
        if not lines:
            raise TerminalsError(f"the pane of {agent} could not be read; look at `tmux -L {self.socket} ls`")
        return lines

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
            self._say(["kill-session", "-t", f"={agent}"])

    def server_pid(self) -> int | None:
        """Pid of our tmux server; None when none answers or the one that answers is not ours."""
        seen = self._server.ask(["display-message", "-p", f"#{{{MARK}}} #{{pid}}"])
        mark, _, pid = (seen.stdout or [""])[0].partition(" ")
        return int(pid) if seen.returncode == 0 and mark == "ours" and pid.isdecimal() else None

    def kill_server(self) -> None:
        """End our server and remove its socket. Agents in it get SIGHUP: end their trees first."""
        if self.server_pid() is None:
            return
        path = Path(self._say(["display-message", "-p", "#{socket_path}"])[0])
        try:
            self._server.kill()
        except LibTmuxException as e:
            raise TerminalsError(f"tmux -L {self.socket} would not end: {e}") from None
        if not _until(lambda: self.server_pid() is None, self._server.deadline):
            raise TerminalsError(f"tmux -L {self.socket} still answers after kill-server")
        if path.is_socket():
            path.unlink(missing_ok=True)

    def _pane(self, agent: str) -> str:
        pane = self._find(agent)
        if pane is None:
            raise TerminalsError(f"agent {agent} has no pane on the socket {self.socket}; start it first")
        return pane

    def _find(self, agent: str) -> str | None:
        # Asked anew each time: after a server's restart the same pane id may be another agent's.
        check_agent(agent)
        return next((row.view.pane for row in self._rows("-a") if row.view.agent == agent), None)

    def _make(self, agent: str) -> str:
        """A pane with nothing in it yet, in a window of its own where a person's split outlived ours."""
        where = (
            ["new-window", "-d", "-t", f"={agent}:"]
            if self._server.has_session(agent)
            else ["new-session", "-d", "-s", agent, *self._size()]
        )
        return self._say([*where, "-P", "-F", "#{pane_id}", "--", *_PLACEHOLDER])[0]

    def _rows(self, *scope: str) -> list[Row]:
        return read_rows(self._say(["list-panes", *scope, "-F", ROW_FORMAT]))

    def _leave_copy_mode(self, pane: str) -> None:
        self._say(["if-shell", "-F", "-t", pane, "#{pane_in_mode}", f"send-keys -X -t {pane} cancel"])

    def _say(self, *commands: Sequence[str]) -> list[str]:
        answer = self._server.ask(*commands)
        if answer.returncode:
            raise self._refused(answer)
        return answer.stdout

    def _refused(self, answer: Answer) -> TerminalsError:
        why = "; ".join([*answer.stderr, *answer.stdout])[:300] or "no reason given"
        return TerminalsError(f"tmux -L {self.socket} refused {', '.join(answer.cmd)[:80]}: {why}")

    @staticmethod
    def _size() -> list[str]:
        return ["-x", str(COLUMNS), "-y", str(LINES)]


def printable(text: str) -> str:
    """`text` without control characters but newline and tab: an ESC could end the bracketed paste."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return "".join(c for c in unified if c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f"))


def _launch_words(argv: Sequence[str], env: dict[str, str]) -> list[str]:
    """`-e` words and the command, as separate words so that no shell reads them.

    tmux gives a lone word to a shell, and ends mutely with 1 where a command is missing: `env` becomes the
    command (the pid is its own) or says why not, with 127 or 126 as a shell would."""
    if not argv or not argv[0]:
        raise TerminalsError("the command is empty; give the agent a `command`")
    if "=" in argv[0]:
        raise TerminalsError(f"the command's name {argv[0][:80]!r} holds a `=`; give it another name or path")
    kept = {k: v for k, v in env.items() if k not in _OF_THE_TERMINAL}
    for name in kept:
        if not name or "=" in name:
            raise TerminalsError(f"{name[:80]!r} cannot name an environment variable")
    pairs = [f"{k}={v}" for k, v in kept.items()]
    strings = [encode(word) for word in (*pairs, *argv)]
    for raw in strings:
        if len(raw) > _STRING_LIMIT:
            raise TerminalsError(f"{raw[:40]!r}... has {len(raw)} bytes; the system takes {_STRING_LIMIT}")
    if sum(len(raw) + 9 for raw in strings) > os.sysconf("SC_ARG_MAX") - 8192:
        raise TerminalsError("command and environment together are too long for the system; shorten them")
    flags = [word for pair in pairs for word in ("-e", pair)]
    return [*flags, "--", shutil.which("env") or "/usr/bin/env", "--", *argv]


def _until(holds: Callable[[], bool], within: float) -> bool:
    """Whether `holds()` became true before `within` seconds were over."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
