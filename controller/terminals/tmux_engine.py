"""How commands reach a tmux server: two methods, so that another way of travelling can take their place.

libtmux starts `tmux` without a deadline and hands every word over as argv (16 KB at most, a trailing `;`
lost, visible in `ps`). `SpawnEngine` starts one too, but each call has a deadline and travels on stdin.
"""

from __future__ import annotations

import secrets
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..ports import TerminalsError
from ..processes.open_files import with_given_limit
from .tmux_words import command_line


@dataclass(frozen=True, slots=True)
class Answer:
    """What tmux said to one command: `words` as asked, lines without their ends, 0 where it was done."""

    words: tuple[str, ...]
    stdout: list[str]
    stderr: list[str]
    returncode: int


class TmuxEngine(Protocol):
    """Carries commands to one server and never starts it. Raises TerminalsError only when nobody answers in
    time; what tmux refuses, also because there is no server, is an Answer."""

    def run(self, words: Sequence[str]) -> Answer: ...

    def run_batch(self, commands: Sequence[Sequence[str]]) -> list[Answer]:
        """Run the commands in order, up to the first that fails: its answer is then the last of the list."""
        ...


_LOOKING = frozenset({"capture-pane", "display-message", "has-session", "list-panes"})
"""Commands that change nothing, however late they come."""
_PATIENCE = 0.1
"""Seconds that a call waits for a late client before it gives up."""


class SpawnEngine:
    """One `tmux` process per call, on the socket named `socket`. `deadline`: seconds for each call.

    While a server does not answer, a client that only looks is left waiting, and no other is sent after it:
    tmux 3.3a that was stopped and finds several of its clients killed when it goes on ends, and so do the
    agents in it."""

    def __init__(self, socket: str, tmux: str, deadline: float) -> None:
        self.socket = socket
        self.tmux = tmux
        self.deadline = deadline
        self._late: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def run(self, words: Sequence[str]) -> Answer:
        return self.run_batch([words])[0]

    def run_batch(self, commands: Sequence[Sequence[str]]) -> list[Answer]:
        self._refuse_while_late(commands[0])
        # tmux prints all answers in a row; a word that nobody can foresee, printed in between, parts them.
        edge = f"hhmrs-{secrets.token_hex(12)}"
        line = [part for words in commands for part in (["display-message", "-p", edge], words)][1:]
        # -N: a command must never start a server, which would read the user's own configuration.
        looks = all(words[0] in _LOOKING for words in commands)
        done = self._call(["-N", "source-file", "-"], commands[0], stdin=command_line(*line), looks=looks)
        parts: list[list[str]] = [[]]
        for text in done.stdout:
            if text == edge and len(parts) < len(commands):
                parts.append([])
            else:
                parts[-1].append(text)
        answers = [Answer(tuple(w), said, [], 0) for w, said in zip(commands, parts, strict=False)]
        last = answers[-1]
        answers[-1] = Answer(last.words, last.stdout, done.stderr, done.returncode)
        return answers

    def start(self, conf: Path, words: Sequence[str], environment: dict[str, str]) -> Answer:
        """Start the server with this configuration and run the command `words` in it."""
        return self._call(["-f", str(conf), *words], words, environment=environment)

    def _call(
        self,
        args: Sequence[str],
        words: Sequence[str],
        *,
        stdin: bytes = b"",
        environment: dict[str, str] | None = None,
        looks: bool = False,
    ) -> Answer:
        argv = [self.tmux, "-L", self.socket, "-u", *args]
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                argv if environment is None else with_given_limit(argv),
                stdin=pipe, stdout=pipe, stderr=pipe, env=environment,
            )  # fmt: skip
        except FileNotFoundError:
            raise TerminalsError(f"{self.tmux!r} was not found: install tmux 3.3 or newer") from None
        except OSError as e:
            raise TerminalsError(f"tmux could not be started: {e.strerror}; see `hhmrs doctor`") from None
        try:
            told = process.communicate(stdin, timeout=self.deadline)
        except subprocess.TimeoutExpired:
            self._leave_or_kill(process, looks=looks)
            raise self._unanswered(words) from None
        out, err = (raw.decode("utf-8", "replace") for raw in told)
        lines = out.removesuffix("\n").split("\n") if out else []
        return Answer(tuple(words), lines, [line for line in err.split("\n") if line], process.returncode)

    def _leave_or_kill(self, process: subprocess.Popen[bytes], *, looks: bool) -> None:
        if looks:
            with self._lock:
                self._late.append(process)
            return
        # What was given up must not be done after all, whenever the server goes on.
        process.kill()
        process.communicate()

    def _refuse_while_late(self, words: Sequence[str]) -> None:
        with self._lock:
            self._late = [process for process in self._late if not _over(process)]
            if self._late:
                raise self._unanswered(words)

    def _unanswered(self, words: Sequence[str]) -> TerminalsError:
        return TerminalsError(
            f"tmux -L {self.socket} did not answer {words[0]} within {self.deadline:g} s; "
            "nothing is known about its agents until it does"
        )


def _over(process: subprocess.Popen[bytes]) -> bool:
    """Whether a client that was left waiting has had its answer after all."""
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    return True
