"""How each of many programs ended, and what it said last: told right for every one, by either means."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from hhmrs.config.paths import StateDir
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.ports import Identity
from hhmrs.controller.processes.processes import identify
from hhmrs.controller.terminals import deaths
from hhmrs.controller.terminals.deaths import ending_of
from hhmrs.controller.terminals.launching import Report, launcher_words, read_report
from hhmrs.controller.terminals.observer import Observer
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.healing.evidence import Evidence, ProcessExited

EXITS = (0, 1, 2, 42, 64, 126, 127, 128, 137, 254, 255)
SIGNALS = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV,
    signal.SIGPIPE, signal.SIGTERM, signal.SIGXCPU, signal.SIGRTMIN,
)  # fmt: skip
WAITS = "import os, signal, sys; n = int(sys.argv[1]); open('end')\n"
EXIT = WAITS + "os._exit(n)"
# Python itself ignores two of them and takes a third for an exception.
FALL = WAITS + "n == 9 or signal.signal(n, signal.SIG_DFL); os.kill(os.getpid(), n)"
TALK = WAITS + "os.write(1, (b'0' * 99 + b'\\n') * 140 + b'the last word of %d\\n' % n); os._exit(3)"


class Ward:
    """Programs under the launcher in one tmux server, all of which end when the pipe `end` is opened."""

    def __init__(self, terminals: TmuxTerminals, folder: Path, environment: dict[str, str]) -> None:
        self.terminals, self.folder, self.environment = terminals, folder, environment
        self.state = StateDir(folder / "state", "ward")
        self.state.create()
        self.deaths: dict[str, ProcessExited] = {}
        os.mkfifo(folder / "end", 0o600)

    def hear(self, evidence: Evidence) -> None:
        if isinstance(evidence, ProcessExited):
            assert evidence.agent not in self.deaths, "told twice"
            self.deaths[evidence.agent] = evidence

    async def run(
        self,
        observer: Observer,
        programs: Mapping[str, list[str]],
        eventually: Callable[..., Awaitable[None]],
    ) -> None:
        """Start all, let them end at the same moment, and wait until each end is told."""
        for agent, argv in programs.items():
            words = launcher_words(self.state, agent, 1, agent, argv, self.environment)
            await asyncio.to_thread(
                self.terminals.respawn, agent, words, str(self.folder), self.environment, 1
            )
            observer.watch(agent, 1, await self._command(agent, eventually))
        end = await asyncio.to_thread(os.open, self.folder / "end", os.O_WRONLY)
        await eventually(lambda: len(self.deaths) == len(programs), 20.0, "every end is told")
        os.close(end)

    async def _command(self, agent: str, eventually: Callable[..., Awaitable[None]]) -> Identity:
        found: list[Identity] = []

        def known() -> bool:
            report = read_report(self.state, agent)
            who = report.who(identify) if report else None
            found.extend([who] if who else [])
            return bool(found)

        await eventually(known, 10.0, f"{agent} runs")
        return found[0]


@pytest.fixture
def ward(terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str]) -> Ward:
    return Ward(terminals, tmp_path, environment)


@pytest.fixture(params=["launcher", "tmux"])
async def observer(request: pytest.FixtureRequest, ward: Ward) -> AsyncIterator[Observer]:
    """Asks the launcher first, or nobody but tmux."""
    launchers = {"launcher": lambda agent: read_report(ward.state, agent), "tmux": lambda _: None}
    made = Observer(
        ward.terminals,
        ward.hear,
        SteadyClock(),
        asyncio.get_running_loop(),
        period=0.2,
        report=launchers[request.param],
    )
    await made.start()
    yield made
    await made.stop()


async def test_every_death_is_told_with_its_own_status_or_signal(
    ward: Ward, observer: Observer, eventually: Callable[..., Awaitable[None]]
) -> None:
    exits = {f"exit-{n}": [sys.executable, "-ISc", EXIT, str(n)] for n in EXITS}
    falls = {f"fall-{int(n)}": [sys.executable, "-ISc", FALL, str(int(n))] for n in SIGNALS}
    await ward.run(observer, exits | falls, eventually)

    told = {agent: (death.status, death.signal) for agent, death in ward.deaths.items()}

    expected: dict[str, tuple[int | None, int | None]] = {f"exit-{n}": (n, None) for n in EXITS}
    assert told == expected | {f"fall-{int(n)}": (None, int(n)) for n in SIGNALS}


async def test_what_was_printed_just_before_the_end_is_in_the_tail(
    ward: Ward, observer: Observer, eventually: Callable[..., Awaitable[None]]
) -> None:
    await ward.run(
        observer, {f"talk-{n}": [sys.executable, "-ISc", TALK, str(n)] for n in range(12)}, eventually
    )

    last = {agent: death.tail[-1:] for agent, death in ward.deaths.items()}

    assert last == {f"talk-{n}": (f"the last word of {n}",) for n in range(12)}


DEAF = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
open("up", "w").close()
signal.sigwait([signal.SIGCHLD])
open("nudged", "w").close()
signal.pause()
"""


async def test_a_server_that_lost_the_news_is_nudged(
    tmp_path: Path, eventually: Callable[..., Awaitable[None]]
) -> None:
    """Some tmux builds lose SIGCHLD. Here a process that waits for it stands for the server."""
    deaf = await asyncio.create_subprocess_exec(sys.executable, "-c", DEAF, cwd=tmp_path)
    await eventually((tmp_path / "up").exists)

    async def ask(*words: str) -> list[str]:
        status = "s7" if (tmp_path / "nudged").exists() else "s"
        return [f"a1 %1 4242 t/dev/pts/9 1 {status} g n1 0 0 0 0 0 0 0 {deaf.pid} i0 x"]

    ending = await ending_of(ask, lambda _: None, "a1", 1)
    deaf.kill()
    await deaf.wait()
    assert ending.status == 7


@pytest.mark.parametrize("said", [None, "exit 3"])
async def test_how_a_launcher_was_killed_is_not_how_its_command_ended(said: str | None) -> None:
    """Its command may live on without a terminal; what it wrote in time counts, and nothing else."""
    report = Report(1, 4243, status=3 if said else None)

    async def ask(*words: str) -> list[str]:
        return ["a1 %1 4242 t/dev/pts/9 1 s g9 n1 0 0 0 0 0 0 0 0 i0 x"]

    later = iter([Report(1, 4243)] * len(deaths._REPORT_PAUSES))
    ending = await ending_of(ask, lambda _: next(later, report), "a1", 1)
    assert (ending.status, ending.signal, ending.lost) == ((3, None, False) if said else (None, None, True))
