"""A person at the real screen, with a real daemon and real tmux behind it."""

from __future__ import annotations

import contextlib
import os
import pty
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import TextArea

from hhmrs.config.loading import load_fleet
from hhmrs.controller.terminals.servers import FleetTerminals
from hhmrs.controller.terminals.sockets import socket_folder
from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui.daemon_source import DaemonSource
from hhmrs.tui.screens.answer import AnswerScreen
from hhmrs.tui.screens.confirm import ConfirmScreen
from hhmrs.tui.screens.editing import EditScreen

WIDE = (110, 40)
MAKER = (
    "import itertools, os, pathlib, sys, time\n"
    "for n in itertools.count():\n"
    " pathlib.Path(f'{sys.argv[1]}-{n % 50}').write_text(str(n))\n"
    " time.sleep(0.1)\n"
)


@asynccontextmanager
async def at_the_screen(fleet: Any) -> AsyncGenerator[Hands]:
    terminals = FleetTerminals(fleet.name, fleet.state.tmux_conf)
    source = DaemonSource(fleet.state, load_fleet(fleet.config), terminals)
    async with hands(source, WIDE) as h:
        yield h


async def turned_up(h: Hands, kind: type) -> Any:
    await h.until(lambda: isinstance(h.app.screen, kind))
    return h.app.screen


async def test_a_letter_is_answered_from_the_screen_and_the_agent_goes_on(
    make_fleet: Any, script: Callable[..., list[str]]
) -> None:
    asker = {"profile": "shell", "command": script("asker"), "workspace": "asker"}
    fleet = make_fleet({"asker": asker}, policy={"heartbeat_interval": "20s"})
    fleet.up()
    fleet.wait(lambda: fleet.phase("asker") == "waiting", what="it asks")
    async with at_the_screen(fleet) as h:
        await h.until(lambda: h.screen.selected is not None and h.screen.selected.phase.value == "waiting")
        await h.until(lambda: h.screen.seen.focus == "asker")
        await h.press("y")
        await turned_up(h, AnswerScreen)
        await h.until(lambda: "May I go on?" in h.shown() and "enter types 'yes', then Enter" in h.shown())
        await h.press("down")
        await h.until(lambda: "enter types 'no', then Enter" in h.shown())
        await h.press("enter")
        answers = fleet.workspace("asker") / "answers.txt"
        await h.until(lambda: answers.exists() and answers.read_text().strip() == "no")
        await h.until(lambda: "asker: send done: typed 2 characters" in h.toasts() + h.shown())
        await h.until(lambda: any("took the answer" in o.line for o in h.screen.ordering.desk.outcomes))


async def test_a_menu_is_answered_by_the_key_alone(make_fleet: Any, script: Callable[..., list[str]]) -> None:
    shown = {"ask": {"phase": "waiting", "pattern": "Do you want to proceed", "lines": 10}}
    profiles = {"menu": {"command": script("menu"), "screens": shown}}
    one = {"profile": "menu", "workspace": "menu"}
    fleet = make_fleet({"menu": one}, policy={"heartbeat_interval": "20s"}, profiles=profiles)
    fleet.up()
    fleet.wait(lambda: fleet.phase("menu") == "waiting", what="its screen asks")
    refused = fleet.run("send", "menu", "2", "--key")
    assert refused.returncode == 1, "a key is an answer too"
    async with at_the_screen(fleet) as h:
        await h.until(lambda: h.screen.selected is not None and h.screen.selected.phase.value == "waiting")
        await h.press("y")
        await h.until(lambda: "2. Yes, always" in h.shown() and "rm -rf build" in h.shown())
        await h.press("down", "enter")
        taken = fleet.workspace("menu") / "taken.txt"
        await h.until(lambda: taken.exists() and taken.read_text() == "2")
        await h.until(lambda: any("pressed 2" in o.line for o in h.screen.ordering.desk.outcomes))


async def test_one_is_reassigned_from_the_screen_with_a_note_and_gets_what_was_shown(make_fleet: Any) -> None:
    profiles = {name: {"command": [sys.executable, "-c", MAKER, name]} for name in ("one", "two", "three")}
    worker = {
        "profile": "one", "alternates": [{"profile": "two"}], "workspace": "w", "prompt": "build the parser",
    }  # fmt: skip
    fleet = make_fleet({"w": worker}, policy={"heartbeat_interval": "20s"}, profiles=profiles)
    fleet.up()
    fleet.wait(lambda: list(fleet.workspace("w").glob("one-*")), what="it works")
    old = fleet.pid("w")
    async with at_the_screen(fleet) as h:
        await h.until(lambda: h.screen.selected is not None and h.screen.selected.pid == old)
        await h.press("R")
        await h.until(lambda: f"ends 1 process: {old} python" in h.shown())
        asking = await turned_up(h, ConfirmScreen)
        offered = [choice.label for choice in asking.plan.choices]
        assert offered[:2] == ["two  (next in turn)", "three  (not among its alternates)"]
        assert "build the parser" in h.shown() or "Handoff, attempt 2" in h.shown()
        await h.press("n")
        editing = await turned_up(h, EditScreen)
        editing.query_one(TextArea).insert("The grammar is in SPEC.md.")
        await h.press("ctrl+o")
        confirm = await turned_up(h, ConfirmScreen)
        await h.until(lambda: confirm.known is not None and "The grammar is" in confirm.known.handoff)
        shown = confirm.known.handoff
        await h.press("down", "enter")
        await h.until(lambda: bool(fleet.events("hhmrs_recovered", agent="w")))
        await h.until(lambda: any("w: reassign done" in o.line for o in h.screen.ordering.desk.outcomes))
        await h.press("U")
        await h.until(lambda: "a reassign cannot be undone. Checkpoint " in h.toasts())
        saved = h.screen.ordering.desk.outcomes[-1].line.partition("Checkpoint ")[2].split()[0]
    assert fleet.agent("w")["profile"] == "three"
    told = (fleet.state.handoffs / "w" / "2.md").read_text(encoding="utf-8")
    said = "## What the person in charge says\n"
    assert said in told
    assert "The grammar is in SPEC.md." in told
    same = [
        line for line in shown.splitlines() if line.startswith(("#", "You take over", "build the parser"))
    ]
    assert [line for line in same if line not in told.splitlines()] == []
    listed = fleet.run("checkpoints", "w", "--json").stdout
    assert f'"seq": {saved},' in listed, "what undo names is there"


async def test_an_edited_handoff_of_the_command_line_is_what_the_agent_gets(make_fleet: Any) -> None:
    profiles = {"one": {"command": [sys.executable, "-c", MAKER, "one"]}}
    fleet = make_fleet(
        {"w": {"profile": "one", "workspace": "w", "prompt": "build it"}},
        policy={"heartbeat_interval": "20s"}, profiles=profiles,
    )  # fmt: skip
    fleet.up()
    fleet.wait(lambda: list(fleet.workspace("w").glob("one-*")), what="it works")
    words = fleet.folder / "words.md"
    words.write_text("# Handoff, attempt 9\n\nOnly mend the tests.\n", encoding="utf-8")
    done = fleet.run("restart", "w", "--handoff", str(words), "--note", "hurry")
    assert done.returncode == 0, done.stderr
    told = (fleet.state.handoffs / "w" / "2.md").read_text(encoding="utf-8")
    assert told.startswith("# Handoff, attempt 2\n")
    assert "the person in charge, edited what follows." in told
    assert told.endswith("Only mend the tests.\n")
    assert "hurry" in told
    assert "build it" not in told
    (order,) = fleet.events("operator_order", agent="w")
    assert (order.data["note"], order.data["handoff"]) == ("hurry", "edited")
    long = fleet.run("restart", "w", "--note", "x" * 5000)
    assert (long.returncode, "at most 4000" in long.stderr) == (2, True)
    assert fleet.run("restart", "w", "--handoff", str(fleet.folder / "none")).returncode == 2


async def test_marked_agents_are_told_and_paused_together(make_fleet: Any) -> None:
    reader = [
        sys.executable,
        "-u",
        "-c",
        "import pathlib, sys\nprint('up')\nfor x in sys.stdin: pathlib.Path('heard').write_text(x)",
    ]
    one = {"profile": "shell", "command": reader, "workspace": "a"}
    fleet = make_fleet(
        {"a": one, "b": one | {"workspace": "b", "parent": "a"}, "c": one | {"workspace": "c"}},
        policy={"heartbeat_interval": "20s"},
    )
    fleet.up()
    fleet.wait(lambda: all(fleet.phase(x) == "idle" for x in "abc"), what="all are up")
    async with at_the_screen(fleet) as h:
        await h.until(lambda: all(a.phase.value == "idle" for a in h.screen.fleet.agents))
        await h.select("c")
        await h.press("s", "enter")
        await h.until(lambda: h.screen.fleet.by_id["c"].phase.value == "stopped")
        await h.until(lambda: h.screen.fleet.by_id["c"].pid is None)  # told a moment later on a busy machine
        await h.press("M", "t")
        await h.until(lambda: "Type to 2 of 3 marked agents" in h.shown())
        await h.press(*"noon", "enter")
        heard = [fleet.workspace(x) / "heard" for x in "ab"]
        await h.until(lambda: all(p.exists() and p.read_text() == "noon\n" for p in heard))
        await h.until(lambda: any(o.line == "send: 2 done" for o in h.screen.ordering.desk.outcomes))
        await h.press("M")
        await h.select("a")
        await h.press("P", "enter")
        await h.until(lambda: [h.screen.fleet.by_id[x].phase.value for x in "ab"] == ["paused"] * 2)
        await h.until(lambda: any(o.line == "pause: 2 done" for o in h.screen.ordering.desk.outcomes))
        await h.press("U")
        await h.until(lambda: all(h.screen.fleet.by_id[x].phase.value != "paused" for x in "ab"))


class Outer:
    """A person's own tmux with a client of theirs in a real terminal: what is typed goes through both."""

    def __init__(self, socket: str, command: str, folder: Path) -> None:
        self.socket = socket
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "-c", str(folder), command)
        self.ours, self.theirs = pty.openpty()
        self.client = subprocess.Popen(
            ["tmux", "-L", socket, "attach"], stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
            start_new_session=True, env=os.environ | {"TERM": "xterm-256color"},
        )  # fmt: skip
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while os.read(self.ours, 65536):
                pass

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self.socket, *words], capture_output=True, text=True, check=False
        )
        return done.stdout

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def shown(self) -> str:
        return self.tmux("capture-pane", "-p")

    def until(self, holds: Callable[[str], object], what: str) -> None:
        end = time.monotonic() + 20
        while not holds(shown := self.shown()):
            assert time.monotonic() < end, f"{what}:\n{shown}"
            time.sleep(0.05)

    def end(self) -> None:
        pid = self.tmux("display-message", "-p", "#{pid}").strip()
        self.client.terminate()
        self.client.wait(10)
        if pid:
            os.kill(int(pid), signal.SIGKILL)
        (socket_folder() / self.socket).unlink(missing_ok=True)
        for fd in (self.ours, self.theirs):
            os.close(fd)


@pytest.fixture
def outer(tmp_path: Path) -> Iterator[Callable[[list[str]], Outer]]:
    made: list[Outer] = []

    def make(command: list[str]) -> Outer:
        made.append(Outer(f"outer-{secrets.token_hex(6)}", shlex.join(command), tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_attach_within_a_tmux_of_ones_own_and_come_back_where_one_was(make_fleet: Any, outer: Any) -> None:
    heard = (
        "import sys\nprint('pane of', sys.argv[1], flush=True)\n"
        "for line in sys.stdin: print('heard', line, flush=True)"
    )
    agents = {
        name: {"profile": "shell", "command": [sys.executable, "-c", heard, name], "workspace": name}
        for name in ("first", "second")
    }
    fleet = make_fleet(agents, policy={"heartbeat_interval": "60s"})
    fleet.up()
    fleet.wait(lambda: fleet.phase("second") == "idle", what="they are up")
    mine = outer([sys.executable, "-m", "hhmrs", "--config", str(fleet.config)])
    mine.until(lambda s: "second" in s and "pane of first" in s, "the screen is up")
    mine.type(b"j")
    mine.until(lambda s: "pane of second" in s, "the second is selected")
    mine.type(b"2")
    mine.until(lambda s: "agent started" in s, "its timeline")
    mine.type(b"a")
    mine.until(lambda s: "ctrl+b ctrl+b d comes back" in s, "how to come back is said on the pane itself")
    mine.type(b"hello\r")
    mine.until(lambda s: "heard hello" in s, "what is typed reaches the agent")
    mine.type(b"\x02\x02d")
    mine.until(lambda s: "agent started" in s and "hhmrs" in s, "back on the timeline")
    back = mine.shown()
    assert next(line for line in back.splitlines() if "second" in line and "idle" in line).startswith("▌")
    assert "heard hello" not in back, "the tab is the one that was left"
    mine.type(b"A")
    mine.until(lambda s: "pane of second" in s and "comes back" in s, "only watched")
    mine.type(b"not for you\r")
    mine.until(lambda s: "comes back" not in s, "the first key takes the hint away")
    mine.type(b"\x02\x02d")
    mine.until(lambda s: "agent started" in s, "back again")
    assert "not for you" not in "\n".join(fleet.run("logs", "second").stdout.splitlines())
    mine.type(b"q")
    fleet.wait(lambda: not mine.shown().strip() or "keep running" in mine.shown(), what="left")
    assert fleet.phase("second") in ("working", "idle")


def test_what_is_foretold_is_what_the_agent_is_given(make_fleet: Any) -> None:
    """The preview by itself, against the papers and the arguments of the attempt that follows."""
    told = [sys.executable, "-c", MAKER, "told"]
    profiles = {"told": {"command": told, "prompt": ["{prompt}"]}, "mute": {"command": told}}
    fleet = make_fleet(
        {name: {"profile": name, "workspace": name, "prompt": "build it"} for name in ("told", "mute")},
        policy={"heartbeat_interval": "20s"}, profiles=profiles,
    )  # fmt: skip
    fleet.up()
    fleet.wait(
        lambda: all(list(fleet.workspace(x).glob("told-*")) for x in ("told", "mute")), what="they work"
    )
    source = DaemonSource(
        fleet.state, load_fleet(fleet.config), FleetTerminals(fleet.name, fleet.state.tmux_conf)
    )
    for name, way in (("told", "is its first prompt"), ("mute", "its profile takes no prompt")):
        seen = source.snapshot(name)
        assert seen.spec is not None
        known = source.hands.preview("restart", seen.states[name], seen.spec.agents[name], {"note": "go on"})
        assert known.victims is not None
        assert [victim.pid for victim in known.victims] == [fleet.pid(name)]
        assert way in known.told
        assert "and says:\n\ngo on" in known.handoff
        done = fleet.run("restart", name, "--note", "go on")
        assert done.returncode == 0, done.stderr
        made = (fleet.state.handoffs / name / "2.md").read_text(encoding="utf-8")
        heads = [line for line in known.handoff.splitlines() if line.startswith("# ") or line == "go on"]
        assert [line for line in heads if line not in made.splitlines()] == []
    source.close()
