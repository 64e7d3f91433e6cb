"""The launcher ends as its command ended: its report, tmux and whoever waits for it are told the same."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmrs.config.paths import StateDir
from hhmrs.controller.ports import Identity, PaneView
from hhmrs.controller.processes.process_table import TICK, boot, read_row
from hhmrs.controller.processes.processes import identify
from hhmrs.controller.terminals.launching import launcher_words, read_report
from hhmrs.controller.terminals.tmux import TmuxTerminals

CODES = (0, 1, 2, 3, 125, 126, 127, 128, 129, 137, 143, 200, 254, 255)
DEADLY = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "XCPU", "XFSZ", "VTALRM", "PROF", "SYS", "RTMIN", "RTMAX",
]  # fmt: skip
ENDINGS = [*((code, None) for code in CODES), *((None, int(signal.Signals[f"SIG{n}"])) for n in DEADLY)]


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    found = StateDir(tmp_path / "state", "f")
    found.create()
    return found


def _words(state: StateDir, agent: str, status: int | None, number: int | None) -> list[str]:
    # Python ignores SIGPIPE and SIGXFSZ and catches SIGINT; the launcher hands on none of that.
    end = ["sh", "-c", f"exit {status}"] if number is None else ["sh", "-c", f"kill -{number} $$; sleep 9"]
    return launcher_words(state, agent, 1, "f:a", end, {})


@pytest.mark.parametrize(("status", "number"), ENDINGS)
def test_whoever_waits_for_the_launcher_sees_the_end_of_its_command(
    state: StateDir, status: int | None, number: int | None
) -> None:
    done = subprocess.run(_words(state, "a", status, number), capture_output=True, timeout=20, check=False)
    assert done.returncode == (status if number is None else -number)
    report = read_report(state, "a")
    assert report is not None
    assert (report.status, report.signal) == (status, number)


def test_tmux_and_the_report_agree_about_every_end(
    state: StateDir,
    terminals: TmuxTerminals,
    tmp_path: Path,
    environment: dict[str, str],
    wait_until: Callable[..., None],
) -> None:
    wanted = {f"a{n}": ending for n, ending in enumerate(ENDINGS)}
    for agent, ending in wanted.items():
        terminals.respawn(agent, _words(state, agent, *ending), str(tmp_path), environment, 1)
    server = terminals.server_pid()
    assert server is not None

    def known() -> dict[str, PaneView]:
        # Some builds of tmux before 3.6 lose the signal that a child has ended.
        os.kill(server, signal.SIGCHLD)
        ended = (pane for pane in terminals.panes() if pane.status is not None or pane.signal is not None)
        return {pane.agent: pane for pane in ended}

    wait_until(lambda: len(known()) == len(wanted), deadline=30, what="tmux knows every end")
    assert {agent: (pane.status, pane.signal) for agent, pane in known().items()} == wanted
    reports = {agent: read_report(state, agent) for agent in wanted}
    assert {agent: (r.status, r.signal) for agent, r in reports.items() if r} == wanted


def test_a_signal_to_the_launcher_reaches_the_command_and_its_own_choice_of_end_counts(
    state: StateDir, wait_until: Callable[..., None]
) -> None:
    script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    words = launcher_words(state, "a", 1, "f:a", ["sh", "-c", script], {})
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.wait(timeout=10) == 7
    report = read_report(state, "a")
    assert report is not None
    assert (report.status, report.signal) == (7, None)


def test_a_command_that_cannot_be_run_ends_as_a_shell_says_it(state: StateDir, tmp_path: Path) -> None:
    for command, status in ((["no-such-command-here"], 127), ([str(tmp_path)], 126)):
        words = launcher_words(state, "a", 1, "f:a", command, {})
        done = subprocess.run(words, capture_output=True, timeout=10, check=False, text=True)
        assert done.returncode == status
        assert "cannot run" in done.stderr
        report = read_report(state, "a")
        assert report is not None
        assert (report.pid, report.status) == (None, status)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "noise", "unreadable text"])
def test_something_else_in_the_place_of_a_report_is_no_report(state: StateDir, kind: str) -> None:
    """Whoever runs as this user may put anything there; the death of that agent is told all the same."""
    place = state.runs / "a"
    place.parent.mkdir(exist_ok=True)
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "link":
        (state.path / "elsewhere").write_text("attempt 1\nexit 0\n")
        place.symlink_to(state.path / "elsewhere")
    else:
        place.write_bytes(
            b"\xff\x00" * 9000 if kind == "noise" else "attempt \N{SUPERSCRIPT TWO}\nexit x".encode()
        )
    assert read_report(state, "a") is None


LETS_GO = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sleep", ["sleep", "60"], {})
    os._exit(0)
os.wait()
print("let go", flush=True)
sys.stdin.read()
"""


def test_what_its_command_lets_go_is_known_while_it_lives_and_when_it_has_ended(
    state: StateDir, python: str, wait_until: Callable[..., None]
) -> None:
    words = launcher_words(state, "a", 1, "f:a", [python, "-c", LETS_GO], {})
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"let go\n"
        wait_until(lambda: [Path(f"/proc/{x.pid}/comm").read_text() for x in _strays(state)] == ["sleep\n"])
        (who,) = _strays(state)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
    try:
        assert _strays(state) == [who], "nobody is its parent any more"
    finally:
        os.kill(who.pid, signal.SIGKILL)
    wait_until(lambda: _strays(state) == [])


def test_whoever_got_the_number_of_what_was_let_go_is_no_stray(state: StateDir) -> None:
    me = identify(os.getpid())
    assert me is not None
    ticks = round((read_row(me.pid) or pytest.fail("we are not there")).started / TICK)
    (state.path / "runs").mkdir()
    for told, strays in ((ticks, [me]), (ticks - 1, []), ("", [])):
        head = f"attempt 1\npid 1\nstarted 1\nboot {boot()}\n"
        (state.path / "runs" / "a").write_text(f"{head}left {me.pid} {told}\nexit 0\n")
        assert _strays(state) == strays
    (state.path / "runs" / "a").write_text(f"attempt 1\npid 1\nstarted 1\nboot 1\nleft {me.pid} {ticks}\n")
    assert _strays(state) == [], "that was before the host was started anew"


def test_the_dead_that_were_let_go_are_buried(state: StateDir, python: str) -> None:
    """Else an agent that lets go of many would fill the table."""
    words = launcher_words(state, "a", 1, "f:a", [python, "-c", LETS_GO.replace("60", "0")], {})
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"let go\n"
        report = read_report(state, "a")
        assert report is not None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        end = time.monotonic() + 20
        while children.read_text().split() != [str(report.pid)]:
            assert time.monotonic() < end, "only the command is left"
        process.communicate(timeout=20)


def _strays(state: StateDir) -> list[Identity]:
    report = read_report(state, "a")
    assert report is not None
    return report.strays(identify)
