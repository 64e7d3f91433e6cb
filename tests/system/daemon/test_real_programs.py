"""Programs nobody wrote for this supervisor: a web server, git, pytest, a shell loop, an editor."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

IsGone = Callable[[int], bool]
LOOP = ["bash", "-c", "while sleep 0.05; do n=$((n + 1)); echo $n >f$((n % 7)); done"]
ONE_TRY = {"max_restarts": 1, "max_llm_retries": 0, "verify_within": "1500ms"}


def _shell(*command: str, **more: Any) -> dict[str, Any]:
    return {"profile": "shell", "command": list(command), **more}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _served(port: int) -> str:
    url = f"http://127.0.0.1:{port}/page.txt"
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text
    return ""


def _git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def test_a_web_server_killed_is_back_and_serves(make_fleet: Any, is_gone: IsGone) -> None:
    port = _free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    web = _shell(*command, ready={"port": port}, liveness=["process"], workspace="web", restart="permanent")
    fleet = make_fleet({"web": web})
    fleet.workspace("web").mkdir()
    (fleet.workspace("web") / "page.txt").write_text("hello")
    fleet.up()
    fleet.wait(lambda: fleet.phase("web") == "idle", 10, "its port answers")
    assert _served(port) == "hello"
    first = fleet.pid("web")
    os.kill(first, signal.SIGKILL)
    recovered = fleet.wait_event("hhmrs_recovered", agent="web")[0]
    assert recovered.data["proof"] == "its ready probe passes"
    assert is_gone(first)
    assert _served(port) == "hello"
    assert (fleet.agent("web")["phase"], fleet.agent("web")["attempt"]) == ("idle", 2)
    assert fleet.run("status").returncode == 0
    assert [x["cause"] for x in fleet.status()["incidents"]] == ["killed"]


def test_git_clone_ends_with_0_and_is_done(make_fleet: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    _git(source, "init", "-q")
    (source / "README").write_text("read me\n")
    _git(source, "add", "README")
    _git(source, "commit", "-q", "-m", "first")
    fleet = make_fleet(
        {"clone": _shell("git", "clone", str(source), "copy", workspace="clone", prompt="clone it")}
    )
    fleet.up()
    fleet.wait(lambda: fleet.phase("clone") == "done", 10, "exit 0 is done")
    assert (fleet.workspace("clone") / "copy" / "README").read_text() == "read me\n"
    assert [x.data["why"] for x in fleet.events("task_done")] == ["exit 0"]
    assert fleet.status()["incidents"] == []
    assert fleet.run("status").returncode == 0


def test_a_suite_that_passes_is_done_and_one_that_fails_climbs_to_a_person(make_fleet: Any) -> None:
    suite = _shell(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", prompt="run the suite")
    fleet = make_fleet(
        {"good": suite | {"workspace": "good"}, "bad": suite | {"workspace": "bad"}},
        policy={"max_restarts": 1, "max_llm_retries": 0},
    )
    for name, verdict in (("good", "2 == 2"), ("bad", "2 == 3")):
        fleet.workspace(name).mkdir()
        (fleet.workspace(name) / "test_two.py").write_text(f"def test_two():\n    assert {verdict}\n")
    fleet.up()
    fleet.wait(lambda: fleet.phase("good") == "done", 15, "a passing suite is done")
    failure = fleet.wait_event("hhmrs_failure", agent="bad", deadline=30)[0]
    assert fleet.phase("bad") == "escalated"
    assert failure.data["cause"] in ("crash", "tests")
    assert {x.data["status"] for x in fleet.events("agent_exited", agent="bad")} == {1}
    assert len(fleet.events("hhmrs_restart", "hhmrs_resume", agent="bad")) == 1
    assert not fleet.events("hhmrs_recovered", agent="bad")
    assert "1 failed" in fleet.run("logs", "bad").stdout
    explained = fleet.run("explain", "bad").stdout
    assert "exit 1" in explained
    assert "clear" in explained


def test_a_shell_loop_frozen_or_killed_is_back(make_fleet: Any, is_gone: IsGone) -> None:
    fleet = make_fleet({"loop": _shell(*LOOP, workspace="loop", prompt="count")})
    fleet.up()
    fleet.wait(lambda: fleet.phase("loop") == "working", 10, "it works")
    frozen = fleet.pid("loop")
    os.kill(frozen, signal.SIGSTOP)
    timeout = fleet.wait_event("hhmrs_timeout", agent="loop")[0]
    assert timeout.data["symptom"] == "stalled"
    fleet.wait_event("hhmrs_recovered", agent="loop")
    assert is_gone(frozen)
    killed = fleet.pid("loop")
    assert killed != frozen
    os.kill(killed, signal.SIGKILL)
    again = fleet.wait_event("hhmrs_recovered", agent="loop", count=2)[1]
    assert again.data["proof"].startswith("changed ")
    assert [x["cause"] for x in fleet.status()["incidents"]] == ["killed", "stalled"]
    assert psutil.Process(fleet.pid("loop")).status() != psutil.STATUS_STOPPED


CURSES = """
import curses, sys
def main(screen):
    screen.addstr(0, 0, open(sys.argv[1]).read())
    while screen.getch() != ord("q"):
        screen.refresh()
curses.wrapper(main)
"""
EDITORS = {"vim": ["vim", "-n", "-u", "NONE"], "curses": [sys.executable, "-c", CURSES]}


@pytest.mark.parametrize("editor", EDITORS)
def test_a_full_screen_program_killed_is_back(make_fleet: Any, is_gone: IsGone, editor: str) -> None:
    command = EDITORS[editor]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed; the same is tested with curses")
    edit = _shell(*command, "notes.txt", workspace="edit", liveness=["process"], restart="permanent")
    fleet = make_fleet({"edit": edit}, policy={"verify_within": "1s"})
    fleet.workspace("edit").mkdir()
    (fleet.workspace("edit") / "notes.txt").write_text("the words in it")

    def shows() -> bool:
        drawn = "the words in it" in fleet.tmux("capture-pane", "-p", "-t", "=edit:")
        return drawn and fleet.tmux("display-message", "-p", "-t", "=edit:", "#{alternate_on}").strip() == "1"

    fleet.up()
    fleet.wait(shows, 10, "its screen")
    first = fleet.pid("edit")
    assert "the words in it" in fleet.run("logs", "edit").stdout
    os.kill(first, signal.SIGKILL)
    recovered = fleet.wait_event("hhmrs_recovered", agent="edit")[0]
    assert recovered.data["proof"].startswith("alive")
    assert is_gone(first)
    fleet.wait(shows, 10, "its screen again")
    assert [x["cause"] for x in fleet.status()["incidents"]] == ["killed"]


STATUSES = {
    0: None,
    1: "crash",
    124: "timeout",
    126: "permission",
    127: "crash",
    130: "sigint",
    137: "killed",
}
SIGNALS = {"SIGINT": "sigint", "SIGKILL": "killed", "SIGTERM": "killed"}


def test_each_way_to_end_has_its_cause(make_fleet: Any) -> None:
    agents = {f"exit{n}": _shell("sh", "-c", f"echo bye; exit {n}", workspace=f"exit{n}") for n in STATUSES}
    agents |= {name: _shell("sleep", "600", workspace=name, liveness=["process"]) for name in SIGNALS}
    fleet = make_fleet(agents, policy=ONE_TRY)
    fleet.up()
    for name in SIGNALS:
        fleet.wait(lambda name=name: fleet.events("agent_started", agent=name), 10, f"{name} runs")
        os.kill(fleet.pid(name), getattr(signal, name))
    wanted = {f"exit{n}": cause for n, cause in STATUSES.items() if cause} | SIGNALS
    fleet.wait(lambda: {x.agent for x in fleet.events("agent_incident")} == set(wanted), 20, "all incidents")
    found = {x.agent: x.data["cause"] for x in fleet.events("agent_incident")}
    assert found == wanted
    told = {x["agent"]: (x["cause"], x["detail"]) for x in fleet.status()["incidents"]}
    assert {name: cause for name, (cause, _) in told.items()} == wanted
    assert told["SIGKILL"][1] == "SIGKILL"
    assert told["exit137"][1] == "exit 137 (SIGKILL)"
    assert "command not found" in told["exit127"][1]
    assert fleet.phase("exit0") == "done"
    fleet.wait(lambda: fleet.phase("exit126") == "escalated", 10, "no retry heals a lacking permission")
    assert not fleet.events("hhmrs_restart", "hhmrs_resume", agent="exit126")


def test_a_command_that_cannot_be_run_is_explained(make_fleet: Any) -> None:
    commands = {"missing": "no-such-permission-tool", "plain": "./plain.txt", "folder": "./inner",
                "broken": "./broken.sh", "binary": "./binary"}  # fmt: skip
    fleet = make_fleet({k: _shell(v, "-x", workspace=k) for k, v in commands.items()}, policy=ONE_TRY)
    for name in commands:
        fleet.workspace(name).mkdir()
    (fleet.workspace("plain") / "plain.txt").write_text("not a program\n")
    (fleet.workspace("folder") / "inner").mkdir()
    for name, text in (("broken", "broken.sh"), ("binary", "binary")):
        program = fleet.workspace(name) / text
        program.write_text("#!/no/such/interpreter\n" if name == "broken" else "\x7fELF, or so it says\n")
        program.chmod(0o755)
    fleet.up()
    for name in commands:
        fleet.wait(lambda name=name: fleet.phase(name) == "escalated", 15, f"{name} is given up")
    denied = ("plain", "folder", "binary")
    causes = {x["agent"]: x["cause"] for x in fleet.status()["incidents"]}
    assert causes == {name: "permission" if name in denied else "crash" for name in commands}
    for name in denied:
        assert not fleet.events("hhmrs_restart", "hhmrs_resume", agent=name)
    words = {name: fleet.run("explain", name).stdout for name in commands}
    assert "command not found (127): no-such-permission-tool" in words["missing"]
    assert "not executable (126): ./plain.txt" in words["plain"]
    assert "not executable (126): ./inner" in words["folder"]
    assert "could not be run (127); see `hhmrs logs broken`" in words["broken"]
    assert "could not be run (126); see `hhmrs logs binary`" in words["binary"]
    assert "hhmrs: cannot run ./broken.sh: No such file or directory" in fleet.run("logs", "broken").stdout
