"""The observer's finer points: signs before looks, honest times, labels, allowances, and what steps in."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

import hhmrs.controller.terminals.deaths as deaths_module
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.ports import Identity
from hhmrs.controller.processes.processes import identify
from hhmrs.controller.terminals.labels import Label, label_of
from hhmrs.controller.terminals.observer import Observer
from hhmrs.controller.terminals.pace import Budget
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.controller.terminals.tmux_control import ControlClient, ControlLost, ControlRefused
from hhmrs.healing.evidence import Evidence, OutputSeen, PaneLabelled, ProcessExited

Seen = TypeVar("Seen", bound=Evidence)
Eventually = Callable[..., Awaitable[None]]


class Sight:
    """An observer with the given options, and what it said."""

    def __init__(self, terminals: TmuxTerminals, cwd: Path, environment: dict[str, str]) -> None:
        self.terminals, self.cwd, self.environment = terminals, cwd, environment
        self.said: list[Evidence] = []
        self.clock = SteadyClock()
        self.observers: list[Observer] = []

    async def open(self, **options: Any) -> Observer:
        options = {"period": 0.1, "sweep": 60.0} | options
        made = Observer(
            self.terminals, self.said.append, self.clock, asyncio.get_running_loop(), late=5.0, **options
        )
        self.observers.append(made)
        await made.start()
        return made

    async def run(self, script: str, agent: str = "a1", attempt: int = 1) -> Identity:
        view = await asyncio.to_thread(
            self.terminals.respawn, agent, ["sh", "-c", script], str(self.cwd), self.environment, attempt
        )
        who = identify(view.pid) or Identity(view.pid, 0.0)
        self.observers[0].watch(agent, attempt, who)
        return who

    async def press(self, agent: str = "a1") -> None:
        await asyncio.to_thread(self.terminals.keys, agent, ["Enter"])

    def of(self, kind: type[Seen], agent: str = "a1") -> list[Seen]:
        return [e for e in self.said if isinstance(e, kind) and e.agent == agent]

    def text(self, agent: str = "a1") -> str:
        return "\n".join(line for e in self.of(OutputSeen, agent) for line in e.lines)


@pytest.fixture
async def sight(
    terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str]
) -> AsyncIterator[Sight]:
    made = Sight(terminals, tmp_path, environment)
    yield made
    for observer in made.observers:
        await observer.stop()


# -- signs and looks -----------------------------------------------------------------------------


async def test_a_sign_is_told_before_anybody_looks_but_never_before_the_first_look(
    sight: Sight, eventually: Eventually
) -> None:
    await sight.open()
    await sight.run("stty -echo; echo one; read x; echo two; read x")
    await eventually(lambda: "one" in sight.text())
    assert sight.of(OutputSeen)[0].lines == ("one",), "what it prints at its start is read before it counts"
    await eventually(lambda: not sight.observers[0]._watched["a1"].due)
    known = len(sight.of(OutputSeen))
    # Nothing is told of a pane again until the last time it was told is a moment ago.
    held = asyncio.get_running_loop().time() + 0.2
    await eventually(lambda: asyncio.get_running_loop().time() > held)
    await sight.press()
    await eventually(lambda: "two" in sight.text())
    sign, look = sight.of(OutputSeen)[known : known + 2]
    assert (sign.lines, look.lines) == ((), ("one", "two"))
    assert sign.at == look.at, "both are about the same moment"


async def test_lines_that_are_looked_at_late_carry_the_time_at_which_they_were_printed(
    sight: Sight, eventually: Eventually
) -> None:
    """Else words from before some act would count as its effect."""
    looks = Budget(most=0.0, least=0.0, burst=2.0)
    observer = await sight.open(looks=looks)
    await sight.run("stty -echo; echo one; read x; echo two; read x")
    await eventually(lambda: "one" in sight.text())
    looks._held = 0.0
    await sight.press()
    watched = observer._watched["a1"]
    await eventually(lambda: watched.first is not None)
    printed, later = watched.first, sight.clock.now() + 1.0
    await eventually(lambda: sight.clock.now() > later)
    assert "two" not in sight.text(), "nobody could look"
    assert [e.lines for e in sight.of(OutputSeen)][1:] == [()], "that it lives was told at once"
    looks.most = 100.0
    await eventually(lambda: "two" in sight.text())
    assert sight.of(OutputSeen)[-1].at == printed


async def test_a_new_attempt_is_not_credited_with_the_lines_of_the_one_before(
    sight: Sight, eventually: Eventually
) -> None:
    observer = await sight.open()
    first = await sight.run("echo of the first; read x")
    await eventually(lambda: "of the first" in sight.text())
    old = observer._watched["a1"]
    began = sight.clock.now()
    await sight.run("echo of the second; read x", attempt=2)
    await eventually(lambda: "of the second" in sight.text())
    await eventually(lambda: identify(first.pid) is None)
    now = observer._watched["a1"]
    assert now.heard
    assert (old.over, now.row is not None and now.row.view.tty == now.tty) == (True, True)
    assert all("first" not in line for e in sight.of(OutputSeen) if e.at >= began for line in e.lines)


async def test_what_is_written_past_the_terminal_is_found_by_the_next_listing(
    sight: Sight, eventually: Eventually
) -> None:
    observer = await sight.open()
    await sight.run("echo up; read x; echo unheard >/dev/tty; read x")
    await eventually(lambda: "up" in sight.text() and not observer._watched["a1"].due)
    observer._watched["a1"].last = sight.clock.now() - 60.0  # long quiet
    observer._watched["a1"].since -= 60.0
    await asyncio.to_thread(sight.terminals.paste, "a1", "", enter=True)
    written = sight.clock.now()
    observer._agenda.list_soon(0.0)
    while "unheard" not in sight.text():
        observer._agenda.list_soon(0.0)
        await asyncio.sleep(0.05)
    assert written - 2.0 <= sight.of(OutputSeen)[-1].at <= sight.clock.now()


async def test_a_title_is_known_of_panes_that_may_not_be_looked_at_yet(
    sight: Sight, eventually: Eventually
) -> None:
    """With a thousand busy panes it would be a minute before each had its turn."""
    looks = Budget(most=0.0, least=0.0, burst=2.0)
    await sight.open(looks=looks, sweep=60.0)
    await sight.run(r"stty -echo; echo one; read x; printf '\033]2;asks a question\007two\n'; read x")
    await eventually(lambda: "one" in sight.text())
    looks._held = 0.0
    await sight.press()
    await eventually(lambda: any(e.title == "asks a question" for e in sight.of(PaneLabelled)))
    assert "two" not in sight.text(), "nobody could look"


async def test_an_allowance_is_shared_out_and_goes_to_what_matters_then_to_the_longest_unseen(
    sight: Sight, eventually: Eventually
) -> None:
    busy = 0
    budget = Budget(lambda: busy, most=10.0, least=2.0, burst=8.0)
    budget.join()
    assert budget.take(100, 0.0) == 8, "alone, it is all there is"
    budget.join()
    assert [budget.take(100, 0.4), budget.take(100, 0.4), budget.take(100, 0.4)] == [2, 1, 1]
    assert budget.take(3, 100.0) == 3
    assert budget.take(100, 100.0) == 3, "no more than the burst is saved up, and half of the rest is left"
    busy = 600
    assert budget.rate == 2.0

    looks = Budget(most=0.0, least=0.0)
    observer = await sight.open(looks=looks)
    for n in range(4):
        await sight.run("stty -echo; echo up; read x; echo on; read x", f"a{n}")
        await eventually(lambda n=n: "up" in sight.text(f"a{n}"))
    await eventually(lambda: not any(w.due for w in observer._watched.values()))
    looks._held = 0.0
    for n, watched in enumerate(observer._watched.values()):
        watched.urgent_at, watched.looked_at = 0.0, float(n)
    observer.attend("a2")
    for n in range(4):
        await sight.press(f"a{n}")
    await eventually(lambda: all(w.first is not None for w in observer._watched.values()))
    looks._held = 2.0
    observer._looker._not_before = 0.0
    observer._agenda.wake()
    await eventually(lambda: "on" in sight.text("a2") and "on" in sight.text("a0"))
    assert "on" not in sight.text("a1") + sight.text("a3")


# -- labels --------------------------------------------------------------------------------------


async def test_title_program_and_folder_are_told_when_they_change(
    sight: Sight, eventually: Eventually, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    await sight.open()
    title = r"printf '\033]2;build 1\007'"
    await sight.run(f"cd deep; {title}; read x; printf '\\033]2;build 2\\007'; exec sleep 60")
    await eventually(lambda: any(e.title == "build 1" for e in sight.of(PaneLabelled)))
    seen = sight.of(PaneLabelled)[-1]
    assert (seen.title, seen.program, seen.folder) == ("build 1", "sh", str(tmp_path / "deep"))
    await sight.press()
    await eventually(
        lambda: any((e.title, e.program) == ("build 2", "sleep") for e in sight.of(PaneLabelled))
    )


async def test_an_animated_title_is_no_news(sight: Sight, eventually: Eventually) -> None:
    await sight.open()
    frame = "n=$((n+7)); printf '\\033]2;%s Working %ss\\007%s\\n' $f $n $f; sleep .1"
    await sight.run(
        f"for f in ⠋ ⠙ ⠹ ⠸ ⠼ ⠴; do {frame}; done; printf '\\033]2;✳ Ready\\007'; echo over; read x"
    )
    await eventually(lambda: any("Ready" in e.title for e in sight.of(PaneLabelled)))
    assert len([e for e in sight.of(PaneLabelled) if "Working" in e.title]) == 1


def test_a_label_is_short_and_harmless() -> None:
    found = label_of("\033[31mred\033]0;x\007 \u202e" + "x" * 5000, os.getpid())
    assert found.title.startswith("red")
    assert len(found.title) <= 256
    assert found.title.isprintable()
    assert found.folder == str(Path.cwd())
    assert label_of("t", 2**22 + 1) == Label("t")


# -- what is hostile -----------------------------------------------------------------------------

GUESSER = """
import subprocess, sys, time
client = subprocess.Popen(["tmux", "-L", sys.argv[1], "-N", "-C", "attach", "-t", "=_hub", "-f", "no-output"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
while True:
    client.stdin.write("display-message -p x\\n")
    client.stdin.flush()
    while not (line := client.stdout.readline()).startswith("%end"):
        pass
    number = int(line.split()[2])
    guards = [f"%end {int(time.time())} {number + n} 1" for n in range(1, 36)]
    sys.stdout.write("\\033[H" + "\\r\\n".join(guards))
    sys.stdout.flush()
    time.sleep(0.05)
"""


async def test_an_agent_that_guesses_frames_is_never_taken_for_tmux(
    sight: Sight, terminals: TmuxTerminals, eventually: Eventually
) -> None:
    await sight.open()
    await asyncio.to_thread(
        terminals.respawn, "a1", [sys.executable, "-c", GUESSER, terminals.socket], str(sight.cwd),
        sight.environment, 1,
    )  # fmt: skip
    lost, end = 0, time.monotonic() + 10
    while not lost:
        assert time.monotonic() < end, "its guesses never came true"
        client = ControlClient(terminals.socket)
        await client.connect()
        try:
            for _ in range(200):
                answers = await client.run_all(
                    [["display-message", "-p", "first"], ["capture-pane", "-p", "-t", "=a1:"],
                     ["display-message", "-p", "last"]]
                )  # fmt: skip
                assert (answers[0], answers[2]) == (["first"], ["last"])
                assert not isinstance(answers[1], ControlRefused)
                await asyncio.sleep(0.005)  # its guesses reach as far as the next few questions
        except ControlLost as e:
            assert "told apart" in str(e) or "nobody asked" in str(e)
            lost += 1
        finally:
            await client.close()


SHIFTED = """#!/bin/sh
printf '%%begin 1 1 0\\n%%end 1 1 0\\n'
read a
printf '%%begin 1 2 1\\nguessed\\n%%end 1 2 1\\n%%begin 1 3 1\\nthe real answer\\n%%end 1 3 1\\n'
exec cat >/dev/null
"""


async def test_answers_that_are_shifted_without_a_flaw_are_not_believed(tmp_path: Path) -> None:
    """A stand-in for a tmux whose first answer held a whole frame that was guessed."""
    stand_in = tmp_path / "tmux"
    stand_in.write_text(SHIFTED)
    stand_in.chmod(0o700)
    client = ControlClient("any", tmux=str(stand_in))
    await client.connect()
    with pytest.raises(ControlLost, match="guessed"):
        await client.run("display-message", "-p", "x")
    await client.close()


# -- what steps in -------------------------------------------------------------------------------


async def test_it_says_by_which_means_it_sees(sight: Sight, eventually: Eventually) -> None:
    observer = await sight.open(sweep=5.0)
    await sight.run("echo up; read x")
    await eventually(lambda: sight.of(OutputSeen))
    output, deaths = observer.means()
    assert (output.source, output.full, output.why) == ("output", True, "")
    assert "inotify" in output.how
    assert "every 5 s" in output.how
    assert (deaths.source, deaths.full, deaths.how) == ("deaths", True, "a pidfd on each process")


async def test_without_a_descriptor_for_each_a_death_is_still_told_and_that_it_is_later(
    sight: Sight, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = await sight.open()
    monkeypatch.setattr(deaths_module, "_room", lambda: 0)
    who = await sight.run("echo up; read x")
    await eventually(lambda: sight.of(OutputSeen))
    means = observer.means()[1]
    assert (means.full, "0.1 s" in means.how, "ulimit" in means.why) == (False, True, True)
    os.kill(who.pid, signal.SIGKILL)
    await eventually(lambda: sight.of(ProcessExited))
    assert sight.of(ProcessExited)[0].signal == 9
    monkeypatch.undo()
    await sight.run("read x", attempt=2)
    assert observer.means()[1].full


async def test_control_clients_of_a_dead_daemon_are_ended_and_nobody_elses(
    sight: Sight, terminals: TmuxTerminals, eventually: Eventually
) -> None:
    us = identify(os.getpid())
    assert us is not None
    starters = {"dead": f"{us.pid} {us.created - 1000:.2f}", "living": f"{us.pid} {us.created:.2f}", "": ""}
    clients = {
        name: subprocess.Popen(  # noqa: ASYNC220 - long-lived clients, beside the loop
            ["tmux", "-L", terminals.socket, "-N", "-C", "attach", "-t", "=_hub"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            env=os.environ | ({"HHMRS_WATCHER": starter} if starter else {}),
        )
        for name, starter in starters.items()
    }  # fmt: skip
    probe = ControlClient(terminals.socket)
    await probe.connect()
    listed: list[str] = []
    while len(listed) < 4:
        listed = await probe.run("list-clients", "-F", "#{client_pid}")
    try:
        await sight.open()
        await eventually(lambda: clients["dead"].poll() is not None)
        assert [clients[name].poll() for name in ("living", "")] == [None, None]
        await probe.run("display-message", "-p", "still there")
    finally:
        await probe.close()
        for client in clients.values():
            client.kill()
            await asyncio.to_thread(client.communicate)


async def test_the_server_survives_observers_that_come_while_sessions_do(sight: Sight) -> None:
    """tmux 3.3a dies of news that it tells a client which has only half attached."""
    server = await asyncio.to_thread(sight.terminals.server_pid)
    for turn in range(12):
        watching = asyncio.create_task(sight.open())
        comers = [
            asyncio.to_thread(
                sight.terminals.respawn, f"a{turn}-{number}", ["cat"], str(sight.cwd), sight.environment, 1
            )
            for number in range(6)
        ]
        await asyncio.gather(*comers)
        await (await watching).stop()
        for number in range(6):
            await asyncio.to_thread(sight.terminals.close, f"a{turn}-{number}")
    assert await asyncio.to_thread(sight.terminals.server_pid) == server
