"""Is every ending told right, and the last line kept? Our daemon beside tmux alone, same programs, same time.

    .venv/bin/python bench/deaths.py [--endings 310] [--talkers 60]

`endings` programs end within `SPAN` seconds, each in a way of its own: exit codes 0 to 255 first, then one
signal after the other. `talkers` print 14 KB, a last line, and exit with 3 at once. All of them run twice:
under our daemon, which is asked nothing but what it has seen, and in plain tmux servers, with no launcher and
nobody who nudges them, `remain-on-exit` on. A server that missed one death is told by the next one, so those
have `TOGETHER` programs each; `unknown_after_a_second`: seen dead twice, a second apart, without a status.
Prints one JSON document; of ours, `wrong`, `unknown` and `lost` should be 0.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hhmrs.bench.latencies import lines
from hhmrs.bench.rivals import PATIENCE, gone, until
from hhmrs.bench.room import OwnFleet, room
from hhmrs.controller.terminals.sockets import socket_folder
from hhmrs.controller.terminals.tmux_words import command_line

SPAN = 15.0
"""Seconds over which the deaths are spread by chance."""
START = 1.0
"""Seconds allowed for each agent's start."""
TOGETHER = 10
AFTERWARDS = 5.0
"""Seconds after the last death in which it may still be told how it came about."""
NOT_DEADLY = {
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGWINCH",
}
# Opening the pipe waits until somebody has it open for writing; then nothing comes out of it.
WAITS = 'ulimit -c 0; exec 3<"$1"; read -rt "$2" -u 3; '
EXITS = WAITS + 'exit "$3"'
# Not by bash's own `kill`: bash ignores some signals, and this program some others unless it is told not to.
KILL_ME = "import os, signal; n = {}; n == 9 or signal.signal(n, signal.SIG_DFL); os.kill(os.getpid(), n)"
FALLS = WAITS + f'exec {shlex.quote(sys.executable)} -I -S -c "$3"'
TALKS = WAITS + 'for i in {1..140}; do printf "%03d %095d\\n" "$i" 0; done; echo "$3"; exit 3'
LAST = "this was my last word"

Ending = tuple[int | None, int | None]
"""Exit status, signal; one of them None, or both when nobody knows."""


def deadly() -> list[int]:
    named = {int(s) for s in signal.Signals if s.name not in NOT_DEADLY}
    return sorted(named | set(range(signal.SIGRTMIN, signal.SIGRTMAX + 1)))


@dataclass(slots=True)
class Plan:
    """Who ends how. `commands`: name -> argv; `ends`: name -> how it must be told."""

    pipe: Path
    commands: dict[str, list[str]] = field(default_factory=dict)
    ends: dict[str, Ending] = field(default_factory=dict)
    talkers: list[str] = field(default_factory=list)

    def add(self, name: str, script: str, word: str, ending: Ending) -> None:
        pause = f"{random.SystemRandom().uniform(0.1, SPAN):.3f}"
        self.commands[name] = ["bash", "-c", script, name, str(self.pipe), pause, word]
        self.ends[name] = ending


def plan(pipe: Path, endings: int, talkers: int) -> Plan:
    made, signals = Plan(pipe), deadly()
    os.mkfifo(pipe, 0o600)
    for number in range(endings):
        if number < 256:
            made.add(f"exit-{number}", EXITS, str(number), (number, None))
        else:
            deadly_one = signals[(number - 256) % len(signals)]
            made.add(f"fall-{number}", FALLS, KILL_ME.format(deadly_one), (None, deadly_one))
    for number in range(talkers):
        made.add(f"talk-{number}", TALKS, LAST, (3, None))
        made.talkers.append(f"talk-{number}")
    return made


class Plain:
    """tmux servers without us, one session for each program."""

    def __init__(self, place: Path, plan: Plan) -> None:
        self._sockets: dict[str, str] = {}
        self._dead: set[str] = set()
        self.late: set[str] = set()
        """Seen dead, and a second later still without a status."""
        names = list(plan.commands)
        for number in range(0, len(names), TOGETHER):
            socket, script = f"bench-plain-{os.getpid()}-{number}", place / f"plain-{number}"
            group = names[number : number + TOGETHER]
            self._sockets |= dict.fromkeys(group, socket)
            starts = [["new-session", "-d", "-s", name, *plan.commands[name]] for name in group]
            commands = [["set", "-g", "remain-on-exit", "on"], *starts]
            script.write_bytes(b"".join(command_line(words) for words in commands))
            tmux(socket, "-f", "/dev/null", "new-session", "-d", "-s", "keeper", "sleep", "100000")
            tmux(socket, "source-file", str(script))

    def _rows(self, form: str) -> list[list[str]]:
        listed = [tmux(x, "list-panes", "-a", "-F", form).splitlines() for x in set(self._sockets.values())]
        return [line.split(" ") for rows in listed for line in rows if not line.startswith("keeper ")]

    def pids(self) -> dict[str, int]:
        return {name: int(pid) for name, pid in self._rows("#{session_name} #{pane_pid}")}

    def look(self) -> dict[str, Ending]:
        """How those ended that are dead."""
        rows = self._rows("#{session_name} #{pane_dead} s#{pane_dead_status} g#{pane_dead_signal}")
        found = {x: (number(status), number(by)) for x, dead, status, by in rows if dead == "1"}
        silent = {name for name, ending in found.items() if ending == (None, None)}
        self.late |= silent & self._dead
        self._dead = silent
        return found

    def shown(self, name: str) -> str:
        return tmux(self._sockets[name], "capture-pane", "-p", "-S", "-200", "-t", f"={name}:")

    def end(self) -> None:
        for socket in set(self._sockets.values()):
            with suppress(subprocess.CalledProcessError):
                pid = int(tmux(socket, "display-message", "-p", "#{pid}"))
                tmux(socket, "kill-server")
                until(partial(gone, pid), f"the end of tmux server {pid}", PATIENCE)
            (socket_folder() / socket).unlink(missing_ok=True)


def tmux(socket: str, *words: str) -> str:
    argv = ["tmux", "-L", socket, *words]
    return subprocess.run(argv, capture_output=True, text=True, errors="replace", check=True).stdout


def number(field: str) -> int | None:
    return int(field[1:]) if field[1:] else None


class Ours:
    """The same programs under our daemon, which takes a note of each death."""

    def __init__(self, place: Path, plan: Plan) -> None:
        agent = {"profile": "shell", "restart": "temporary"}
        agents = {name: agent | {"command": argv} for name, argv in plan.commands.items()}
        self._notes = place / "notes"
        self._fleet = OwnFleet(place, agents, {})
        within = PATIENCE + START * len(agents)
        try:
            self._fleet.up_noting(self._notes, ["nobody else"], within)
            until(lambda: len(self.pids()) == len(agents), "all agents live", within)
        except BaseException:
            self.end()
            raise

    def pids(self) -> dict[str, int]:
        time.sleep(0.3)
        reader = self._fleet.read()
        try:
            return {x: int(s["pid"]) for x, s in reader.states().items() if s.get("alive") and s.get("pid")}
        finally:
            reader.close()

    def endings(self) -> dict[str, Ending]:
        return {note["agent"]: (note["status"], note["signal"]) for note in lines(self._notes)}

    def tails(self) -> dict[str, str]:
        return {note["agent"]: "\n".join(note["tail"]) for note in lines(self._notes)}

    def shown(self, name: str) -> str:
        return self._fleet.run("logs", name).stdout

    def end(self) -> None:
        self._fleet.drop()


def counts(plan: Plan, told: Mapping[str, Ending]) -> dict[str, int]:
    answers = [(ending, told.get(name, (None, None))) for name, ending in plan.ends.items()]
    return {
        "deaths": len(answers),
        "right": sum(said == ending for ending, said in answers),
        "unknown": sum(said == (None, None) for _, said in answers),
        "wrong": sum(said not in (ending, (None, None)) for ending, said in answers),
    }


def lost(names: Sequence[str], shown: Mapping[str, str]) -> int:
    return sum(LAST not in shown.get(name, "") for name in names)


def measure(endings: int, talkers: int) -> dict[str, Any]:
    with room() as place:
        made = plan(place / "end", endings, talkers)
        ours = Ours(place, made)
        try:
            plain = Plain(place, made)
            try:
                pids = [*ours.pids().values(), *plain.pids().values()]
                end = os.open(made.pipe, os.O_WRONLY | os.O_NONBLOCK)
                watch(plain, pids)
                os.close(end)
                return figures(made, ours, plain)
            finally:
                plain.end()
        finally:
            ours.end()


def watch(plain: Plain, pids: Sequence[int]) -> None:
    """Let all end, and a while after that; look at the plain servers every second."""
    begun = time.monotonic()
    ended = 0.0
    while not ended or time.monotonic() < ended + AFTERWARDS:
        if not ended and all(map(over, pids)):
            ended = time.monotonic()
        if time.monotonic() > begun + SPAN + 2 * PATIENCE:
            raise SystemExit("some programs do not end")
        time.sleep(1.0)
        plain.look()


def over(pid: int) -> bool:
    """Whether it has ended; one that waits for its parent to take notice has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def figures(made: Plan, ours: Ours, plain: Plain) -> dict[str, Any]:
    tails = ours.tails()
    unsaid = [name for name in made.talkers if LAST not in tails.get(name, "")]
    return {
        "tmux": subprocess.run(["tmux", "-V"], capture_output=True, text=True, check=True).stdout.strip(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "hhmrs": counts(made, ours.endings()),
        "tmux_alone": counts(made, plain.look()) | {"unknown_after_a_second": len(plain.late)},
        "last_lines": {
            "talkers": len(made.talkers),
            "hhmrs_not_in_the_tail": len(unsaid),
            "hhmrs_lost": lost(unsaid, {name: ours.shown(name) for name in unsaid}),
            "tmux_alone_lost": lost(made.talkers, {name: plain.shown(name) for name in made.talkers}),
        },
    }


def main() -> None:
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("--endings", type=int, default=256 + len(deadly()))
    reader.add_argument("--talkers", type=int, default=60)
    given = reader.parse_args()
    print(json.dumps(measure(given.endings, given.talkers), indent=2))


if __name__ == "__main__":
    main()
