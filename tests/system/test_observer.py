"""The observer against a real tmux: deaths, output, screens, visitors, and not seeing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from hhmrs.config.fleet import ScreenRule
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.ports import Identity
from hhmrs.controller.processes.processes import alive, identify
from hhmrs.controller.terminals import tmux_control
from hhmrs.controller.terminals.observer import LINES_KEPT, Observer
from hhmrs.controller.terminals.screens import ScreenReader
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.controller.terminals.tmux_control import ControlClient
from hhmrs.healing.evidence import (
    Evidence,
    OutputSeen,
    PaneLabelled,
    PaneLost,
    PersonPresent,
    ProcessExited,
    ScreenCleared,
    ScreenMatched,
    SeenAgain,
    Unseen,
)

Seen = TypeVar("Seen", bound=Evidence)


class Eyes:
    """An observer, the agents it watches and what it said."""

    def __init__(self, terminals: TmuxTerminals, cwd: Path, environment: dict[str, str]) -> None:
        self.terminals, self.cwd, self.environment = terminals, str(cwd), environment
        self.said: list[Evidence] = []
        self.lost = 0
        loop = asyncio.get_running_loop()
        self.observer = Observer(
            terminals,
            self.said.append,
            SteadyClock(),
            loop,
            period=0.1,
            # No test waits for a listing: what happens is told.
            sweep=60.0,
            late=1.0,
            on_server_lost=self._count,
        )

    def _count(self) -> None:
        self.lost += 1

    async def run(
        self, agent: str, script: str, attempt: int = 1, screens: Sequence[ScreenRule] = ()
    ) -> Identity:
        view = await asyncio.to_thread(
            self.terminals.respawn, agent, ["sh", "-c", script], self.cwd, self.environment, attempt
        )
        who = identify(view.pid) or Identity(view.pid, 0.0)
        self.observer.watch(agent, attempt, who, screens=screens)
        return who

    def of(self, kind: type[Seen], agent: str = "a1") -> list[Seen]:
        return [e for e in self.said if isinstance(e, kind) and e.agent == agent]

    def text(self, agent: str = "a1") -> str:
        return "\n".join(line for e in self.of(OutputSeen, agent) for line in e.lines)


@pytest.fixture
async def eyes(terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str]) -> AsyncIterator[Eyes]:
    found = Eyes(terminals, tmp_path, environment)
    await found.observer.start()
    yield found
    await found.observer.stop()


@pytest.mark.parametrize(("script", "status", "number"), [
    ("exit 0", 0, None), ("exit 1", 1, None), ("exit 126", 126, None), ("exit 127", 127, None),
    ("exit 130", 130, None), ("exit 137", 137, None),
    ("kill -9 $$", None, 9), ("kill -15 $$", None, 15), ("kill -2 $$", None, 2),
])  # fmt: skip
async def test_a_death_is_told_with_its_status_and_last_lines(
    eyes: Eyes,
    eventually: Callable[..., Awaitable[None]],
    script: str,
    status: int | None,
    number: int | None,
) -> None:
    # tmux before 3.7 may lose what is printed just before the end; the launcher waits like this for it.
    await eyes.run("a1", f"echo last words; sleep .05; {script}", attempt=4)
    await eventually(lambda: eyes.of(ProcessExited))
    (end,) = eyes.of(ProcessExited)
    assert (end.attempt, end.status, end.signal) == (4, status, number)
    assert end.tail == ("last words",)


async def test_fifty_quick_deaths_all_have_the_right_status(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    for n in range(50):
        await eyes.run(f"a{n}", f"read x; exit {n + 1}")
    for n in range(50):
        await asyncio.to_thread(eyes.terminals.keys, f"a{n}", ["Enter"])
    await eventually(lambda: sum(isinstance(e, ProcessExited) for e in eyes.said) == 50, deadline=30)
    statuses = {e.agent: (e.status, e.signal) for e in eyes.said if isinstance(e, ProcessExited)}
    assert statuses == {f"a{n}": (n + 1, None) for n in range(50)}


async def test_a_burst_of_deaths_at_once(eyes: Eyes, eventually: Callable[..., Awaitable[None]]) -> None:
    who = [await eyes.run(f"a{n}", "exec sleep 60") for n in range(20)]
    for one in who:
        os.kill(one.pid, signal.SIGKILL)
    await eventually(lambda: sum(isinstance(e, ProcessExited) for e in eyes.said) == 20)
    assert {e.signal for e in eyes.said if isinstance(e, ProcessExited)} == {9}


async def test_a_process_that_ended_before_it_was_watched(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    view = await asyncio.to_thread(eyes.terminals.respawn, "a1", ["sh", "-c", "exit 5"], eyes.cwd, {}, 1)
    who = identify(view.pid)
    await eventually(lambda: who is None or not alive(who))
    eyes.observer.watch("a1", 1, Identity(view.pid, 0.0))
    await eventually(lambda: eyes.of(ProcessExited))
    assert eyes.of(ProcessExited)[0].status == 5


async def test_a_pid_that_belongs_to_another_is_a_death(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    who = await eyes.run("a1", "sleep 60")
    eyes.observer.watch("a1", 2, Identity(who.pid, who.created - 100))
    await eventually(lambda: eyes.of(ProcessExited))
    (end,) = eyes.of(ProcessExited)
    assert (end.attempt, end.status, end.signal) == (2, None, None), "how it ended nobody can say"
    assert alive(who), "whose pid it is now was left alone"


async def test_an_unwatched_or_replaced_attempt_is_not_told(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    first = await eyes.run("a1", "sleep 60", attempt=1)
    await eyes.run("a1", "sleep 60", attempt=2)
    who = await eyes.run("a2", "sleep 60")
    eyes.observer.unwatch("a2")
    os.kill(who.pid, signal.SIGKILL)
    await eyes.run("a3", "exit 1")
    await eventually(lambda: eyes.of(ProcessExited, "a3"))
    await eventually(lambda: identify(first.pid) is None)
    assert [e for e in eyes.of(ProcessExited, "a1") if e.attempt == 2] == eyes.of(ProcessExited, "a2") == []


async def test_a_stopped_process_is_not_dead(eyes: Eyes, eventually: Callable[..., Awaitable[None]]) -> None:
    who = await eyes.run("a1", "echo hi; exec sleep 60")
    await eventually(lambda: eyes.of(OutputSeen))
    os.kill(who.pid, signal.SIGSTOP)
    await eyes.run("a2", "echo other; sleep 60")
    await eventually(lambda: eyes.of(OutputSeen, "a2"))
    assert eyes.of(ProcessExited) == []
    os.kill(who.pid, signal.SIGKILL)
    await eventually(lambda: eyes.of(ProcessExited))


async def test_output_is_seen_as_plain_bounded_text(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    red = r"printf '\033[31mred\033[0m [bold]x[/] \033]0;t\007é漢\n'"
    await eyes.run("a1", red + r"; printf '%5000s\n' | tr ' ' x; sleep 60")
    # The first look may fall between the two, when the first line has scrolled away and is not history yet.
    plain = "red [bold]x[/] é漢"
    await eventually(lambda: any(len(x.lines) > 1 and x.lines[0] == plain for x in eyes.of(OutputSeen)))
    seen = next(x for x in eyes.of(OutputSeen) if len(x.lines) > 1 and x.lines[0] == plain)
    assert not seen.primed
    assert max(map(len, seen.lines)) == 1000


async def test_a_quiet_pane_says_nothing(eyes: Eyes, eventually: Callable[..., Awaitable[None]]) -> None:
    await eyes.run("a1", "printf one; exec sleep 60")
    await eventually(lambda: "one" in eyes.text() and not eyes.observer._watched["a1"].due)
    known = len(eyes.of(OutputSeen))
    await eyes.run("a2", "echo x; exec sleep 60")
    await eventually(lambda: eyes.of(OutputSeen, "a2"))
    assert len(eyes.of(OutputSeen)) == known


async def test_a_repaint_in_place_is_seen_though_no_key_moves(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    await eyes.run("a1", "stty -echo; for n in 1 2 3 4 5 6; do printf '\\rstep %s' $n; read x; done")
    for n in range(1, 7):
        if n > 1:
            await asyncio.to_thread(eyes.terminals.keys, "a1", ["Enter"])
        await eventually(lambda n=n: f"step {n}" in eyes.text())
    shown = [line for seen in eyes.of(OutputSeen) for line in seen.lines if line]
    assert shown == [f"step {n}" for n in range(1, 7)], "each once, in its place"


async def test_what_was_there_before_is_primed(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    view = await asyncio.to_thread(
        eyes.terminals.respawn, "a1", ["sh", "-c", "echo old; read x; echo new; sleep 60"], eyes.cwd, {}, 7
    )
    while "old" not in await asyncio.to_thread(eyes.terminals.capture, "a1"):
        pass
    who = identify(view.pid)
    assert who is not None
    eyes.observer.watch("a1", 7, who, primed=True)
    await eventually(lambda: eyes.of(OutputSeen))
    assert (eyes.of(OutputSeen)[0].primed, eyes.of(OutputSeen)[0].lines) == (True, ("old",))
    await asyncio.to_thread(eyes.terminals.keys, "a1", ["Enter"])
    await eventually(lambda: "new" in eyes.text())
    assert not eyes.of(OutputSeen)[-1].primed


async def test_a_flood_is_bounded(eyes: Eyes, eventually: Callable[..., Awaitable[None]]) -> None:
    await eyes.run("a1", "yes 0123456789 | head -c 20000000; echo; echo over; sleep 60")
    await eventually(lambda: "over" in eyes.text(), deadline=30)
    assert max(len(e.lines) for e in eyes.of(OutputSeen)) <= LINES_KEPT


RULES = (
    ScreenRule(name="ask", phase="waiting", pattern=r"Proceed\?", lines=3),
    ScreenRule(name="limit", phase="limited", pattern=r"limit reached", lines=3, resets=r"in (\d+)s"),
)


async def test_a_screen_rule_is_told_once_and_cleared_once(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    script = "printf 'Proceed? '; read x; clear; echo 'limit reached, in 90s'; read x; clear; sleep 60"
    await eyes.run("a1", script, screens=RULES)
    await eventually(lambda: eyes.of(ScreenMatched))
    await asyncio.to_thread(eyes.terminals.keys, "a1", ["Enter"])
    await eventually(lambda: len(eyes.of(ScreenMatched)) == 2)
    await asyncio.to_thread(eyes.terminals.keys, "a1", ["Enter"])
    await eventually(lambda: eyes.of(ScreenCleared))
    first, second = eyes.of(ScreenMatched)
    assert (first.phase, first.rule, first.until) == ("waiting", "ask", None)
    assert (second.phase, second.rule, second.until) == ("limited", "limit", second.at + 90)
    assert len(eyes.of(ScreenCleared)) == 1


def test_a_screen_must_hold_in_two_looks() -> None:
    reader = ScreenReader(RULES)
    assert reader.look(["Proceed?"]).again
    assert reader.look([]).matched is reader.look(["x"]).matched is None
    assert reader.look(["Proceed?"]).again
    found = reader.look(["Proceed?"])
    assert found.matched is not None
    assert found.matched.rule.name == "ask"
    assert reader.look(["Proceed?"]) == reader.look(["Proceed?", "a", "b"])
    assert reader.look(["Proceed?", "a", "b", "c"]).again, "only the bottom lines count"
    assert reader.look([]).cleared


async def test_a_person_who_comes_and_goes(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]], terminals: TmuxTerminals
) -> None:
    await eyes.run("a1", "sleep 60")
    master, slave = os.openpty()
    client = subprocess.Popen(  # noqa: ASYNC220  a person's terminal, beside the loop
        ["tmux", "-L", terminals.socket, "-N", "attach", "-t", "=a1"],
        stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "screen-256color"}, start_new_session=True,
    )  # fmt: skip
    await eventually(lambda: eyes.of(PersonPresent))
    client.kill()
    await asyncio.to_thread(client.wait)
    os.close(slave)
    os.close(master)
    await eventually(lambda: len(eyes.of(PersonPresent)) == 2)
    assert [e.attached for e in eyes.of(PersonPresent)] == [True, False]


async def test_a_lost_connection_is_unseen_then_seen_again_and_never_a_death(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    await eyes.run("a1", "echo hi; sleep 60")
    await eventually(lambda: eyes.of(OutputSeen))
    link = eyes.observer._link
    assert link is not None
    assert link._transport is not None
    link._transport.kill()
    await eventually(lambda: eyes.of(SeenAgain))
    assert len(eyes.of(Unseen)) == len(eyes.of(SeenAgain)) == 1
    assert eyes.of(ProcessExited) == []
    assert eyes.lost == 0


async def test_a_title_of_a_megabyte_blinds_nobody(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some twenty of them would fill an answer beyond its bound."""
    monkeypatch.setattr(tmux_control, "_ANSWER_LIMIT", 1 << 18)
    say = "import sys; sys.stdout.write('\\x1b]2;' + '#[x]' * 200000 + '\\x07said')"
    await eyes.run("a2", "echo hi; sleep 60")
    await eyes.run("a1", f'"{sys.executable}" -c "{say}"; sleep 60')
    await eventually(lambda: any("more than" in label.title for label in eyes.of(PaneLabelled)))
    eyes.observer._agenda.list_soon(0.0)
    await eventually(lambda: "said" in eyes.text())
    assert eyes.of(Unseen) == eyes.of(Unseen, "a2") == []


async def test_a_session_that_a_person_renamed_is_no_lost_terminal(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]], terminals: TmuxTerminals, tmp_path: Path
) -> None:
    """A program that ends well in it is not done again for having lost its terminal."""
    go = tmp_path / "go"
    await eyes.run("a1", f"echo up; while [ ! -e '{go}' ]; do sleep .05; done; echo all done; sleep .05")
    await eventually(lambda: eyes.of(OutputSeen))
    words = ["tmux", "-L", terminals.socket, "-N", "rename-session", "-t", "=a1", "mine"]
    await asyncio.to_thread(subprocess.run, words, check=True)
    go.touch()
    await eventually(lambda: eyes.of(ProcessExited))
    (end,) = eyes.of(ProcessExited)
    assert (end.status, end.lost, end.tail) == (0, False, ("up", "all done"))


async def test_a_process_that_outlives_its_pane_is_told_of_once_and_is_neither_dead_nor_unknown(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]]
) -> None:
    await eyes.run("a1", "trap '' HUP; echo up; while :; do sleep 0.2; done")
    await eyes.run("a2", "echo up; sleep 60")
    await eventually(lambda: eyes.of(OutputSeen))
    await asyncio.to_thread(eyes.terminals.close, "a1")
    await eventually(lambda: eyes.of(PaneLost))
    eyes.observer._agenda.list_soon(0.0)
    link = eyes.observer._link
    assert link is not None
    assert link._transport is not None
    link._transport.kill()
    await eventually(lambda: eyes.of(SeenAgain))
    assert (len(eyes.of(PaneLost)), eyes.of(ProcessExited), eyes.of(PaneLost, "a2")) == (1, [], [])


async def test_a_hub_that_a_person_ended_is_made_anew(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]], terminals: TmuxTerminals
) -> None:
    await eyes.run("a1", "while :; do echo $(od -An -N4 -x /dev/urandom | tr 0-9 g-p); sleep .1; done")
    await eventually(lambda: eyes.of(OutputSeen))
    words = ["tmux", "-L", terminals.socket, "-N", "kill-session", "-t", "=_hub"]
    await asyncio.to_thread(subprocess.run, words, check=True)
    await eventually(lambda: eyes.of(Unseen))
    await eventually(lambda: eyes.of(SeenAgain))
    told = len(eyes.of(OutputSeen))
    await eventually(lambda: len(eyes.of(OutputSeen)) > told + 2)
    assert eyes.of(ProcessExited) == []
    assert eyes.lost == 0, "the server itself was there all the time"


async def test_a_server_that_does_not_answer_is_unseen(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]], terminals: TmuxTerminals
) -> None:
    await eyes.run("a1", "echo hi; sleep 60")
    await eyes.run("a2", "echo hi; sleep 60")
    await eventually(lambda: eyes.of(OutputSeen) and eyes.of(OutputSeen, "a2"))
    pid = ours(terminals)
    os.kill(pid, signal.SIGSTOP)
    eyes.observer._agenda.list_soon(0.0)
    try:
        await eventually(lambda: eyes.of(Unseen) and eyes.of(Unseen, "a2"))
    finally:
        os.kill(pid, signal.SIGCONT)
    await eventually(lambda: eyes.of(SeenAgain) and eyes.of(SeenAgain, "a2"))
    assert len(eyes.of(Unseen)) == 1
    assert eyes.of(ProcessExited) == []
    assert eyes.lost == 0


async def test_a_server_that_is_gone_is_reported_once(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]], terminals: TmuxTerminals, tmp_path: Path
) -> None:
    who = await eyes.run("a1", "trap '' HUP; while :; do sleep 1; done")
    mortal = await eyes.run("a2", "exec sleep 60")
    await eventually(lambda: not eyes.observer._watched["a1"].unseen and eyes.observer._watched["a1"].raw)
    os.kill(ours(terminals), signal.SIGKILL)
    try:
        await eventually(lambda: eyes.lost and eyes.of(ProcessExited, "a2"))
        assert eyes.of(Unseen)
        assert eyes.of(ProcessExited) == [], "its process lives on: unknown, not dead"
        end = eyes.of(ProcessExited, "a2")[0]
        assert (end.status, end.signal) == (None, None)
        await asyncio.to_thread(terminals.ensure)
        await eyes.run("a3", "echo back; sleep 60")
        await eventually(lambda: eyes.of(OutputSeen, "a3"))
        assert eyes.lost == 1
    finally:
        for one in (who, mortal):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)


async def test_a_pane_taken_away_from_a_living_process_is_unseen(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]], terminals: TmuxTerminals
) -> None:
    who = await eyes.run("a1", "trap '' HUP; echo up; while :; do sleep 1; done")
    await eventually(lambda: eyes.of(OutputSeen))
    await asyncio.to_thread(terminals.close, "a1")
    await eventually(lambda: eyes.of(Unseen))
    assert eyes.of(ProcessExited) == []
    os.kill(who.pid, signal.SIGKILL)
    await eventually(lambda: eyes.of(ProcessExited))


async def test_looking_changes_no_size_and_presses_no_key(
    eyes: Eyes, eventually: Callable[..., Awaitable[None]], terminals: TmuxTerminals
) -> None:
    await eyes.run("a1", "stty raw -echo; echo up; cat -v")
    await eventually(lambda: "up" in eyes.text())
    client = ControlClient(terminals.socket)
    await client.connect()
    size = await client.run("display-message", "-p", "-t", "=a1:", "#{pane_width}x#{pane_height}")
    assert size == ["120x40"]
    await client.close()
    assert eyes.text() == "up"


def on_core(pid: int) -> float:
    """Seconds a process has spent on a core."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def ours(terminals: TmuxTerminals) -> int:
    pid = terminals.server_pid()
    assert pid is not None
    return pid


async def test_at_rest_fifty_panes_cost_next_to_nothing(
    eyes: Eyes,
    eventually: Callable[..., Awaitable[None]],
    terminals: TmuxTerminals,
    record_property: Callable[[str, object], None],
) -> None:
    for n in range(50):
        await eyes.run(f"a{n}", "echo idle; exec sleep 600")
    await eventually(lambda: all(eyes.of(OutputSeen, f"a{n}") for n in range(50)), deadline=20)
    await eventually(lambda: not any(w.due for w in eyes.observer._watched.values()))
    link, sweeps = eyes.observer._link, 100
    assert link is not None
    server, known = ours(terminals), len(eyes.said)
    began, served = time.process_time(), on_core(server)
    for _ in range(sweeps):
        await eyes.observer._sweep(link)
    here, there = (time.process_time() - began) / sweeps, (on_core(server) - served) / sweeps
    record_property("sweep_ms", (here * 1000, there * 1000))
    print(f"a sweep of 50 idle panes: {here * 1000:.2f} ms here, {there * 1000:.2f} ms in tmux")
    assert len(eyes.said) == known, "panes at rest are not news"
    assert here + there < 0.05, "seconds of CPU time; a listing is made every eight seconds"
