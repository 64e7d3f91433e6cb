"""The way a new user goes through the screen in the first minutes, with the keys of a real terminal only.

Everything behind it is real: a daemon, agents that fail, ask and work, the files that they write, a book in
which it all stands. Each step is waited for by what can be read in a pane of 100x30."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from hhmrs.controller.ledger.lock import read_holder
from hhmrs.controller.ledger.writer import LedgerReader
from hhmrs.controller.ports import Event
from hhmrs.tests.system.cli.conftest import AGENTS
from hhmrs.tests.system.cli.home import Home
from hhmrs.tests.system.cli.terminal import Terminal

FILE = """\
# The fleet of a new user.
fleet: {fleet}
policy:                      # for all of them
  testing: true
  heartbeat_interval: 20s    # long: nothing here may be taken for silent
  verify_within: 10s
  kill_grace: 1s
  max_restarts: 1            # one try, then a person
  max_llm_retries: 1
  backoff: {{initial: 100ms, factor: 2, max: 400ms, jitter: 0}}
profiles:
  first: {{command: {first}}}
  second: {{command: {second}}}
agents:
  lead: {{profile: first, workspace: lead, title: Lead, prompt: lead them}}
  lexer: {{parent: lead, profile: shell, command: {asker}, workspace: lexer, prompt: write the lexer}}
  parser: {{parent: lead, profile: shell, command: {crasher}, workspace: parser, prompt: write the parser}}
  docs: {{parent: lead, profile: first, alternates: [{{profile: second}}], workspace: docs, prompt: write it}}
"""
WORDS = "ImportError: no module named grammar"
WORKER = 'n=0; while sleep 0.2; do n=$((n+1)); echo $n > {0}-$((n%20)); echo "{0} wrote $n"; done'
NIGHT = 3
"""The hour that the person's clock shows: all that happens here then happened in this night."""


def in_the_night(now: float) -> str:
    """A TZ in which it is a little after three in the morning, whatever the machine's clock says."""
    east = (NIGHT - time.gmtime(now).tm_hour + 12) % 24 - 12
    return f"<night>{-east}"


@pytest.fixture
def guided(terminal: Terminal) -> Terminal:
    home = terminal.home
    home.env["TZ"] = in_the_night(time.time())
    commands = {
        "asker": [sys.executable, str(AGENTS / "asker.py")],
        "crasher": [sys.executable, str(AGENTS / "crasher.py"), "--status", "3", "--say", WORDS],
        "first": ["sh", "-c", WORKER.format("first")],
        "second": ["sh", "-c", WORKER.format("second")],
    }
    told = {name: json.dumps(command) for name, command in commands.items()}
    home.file.write_text(FILE.format(fleet=home.fleet, **told))
    return terminal


def events(home: Home, kind: str, agent: str | None = None) -> list[Event]:
    reader = LedgerReader(home.state.ledger)
    try:
        return [event for event in reader.events(agent=agent) if event.type == kind]
    finally:
        reader.close()


def inner_tmux(home: Home, *words: str) -> str:
    """The fleet's own server."""
    done = subprocess.run(
        ["tmux", "-L", f"hhmrs-{home.fleet}", *words],
        env=home.env,
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stdout


def selected(terminal: Terminal, agent: str) -> bool:
    """The cursor of the list is on the agent, and the lower half tells of it."""
    lines = terminal.shown().splitlines()
    rule = next((n for n, line in enumerate(lines) if line.startswith("──────────")), len(lines))
    above = [line for line in lines[:rule] if line.startswith("▌")]
    return (
        len(above) == 1 and agent in above[0] and any(line.startswith(f" {agent}  ") for line in lines[rule:])
    )


def start(terminal: Terminal) -> dict[str, Any]:
    """The agents and the daemon by pid, once all of them are where the path begins."""
    terminal.shell()
    terminal.until("$")
    terminal.type("hhmrs-tui")
    terminal.press("Enter")
    terminal.until("armed", terminal.home.fleet, "4 agents", "? help", "q quit")
    terminal.reads(r"▲ parser +escalated")
    terminal.reads(r"◆ lexer +waiting .*May I go on\?")
    assert "Lead ▲1" in terminal.line("Lead"), "its parent tells of it too"
    document = terminal.home.json("status")
    return {"daemon": document["daemon"]["pid"], "lead": terminal.home.agent("lead")["pid"]}


def find_the_failing_agent_and_read_why(terminal: Terminal) -> None:
    terminal.press("v")
    terminal.until("needs you now  2", "▲ 1 escalated", "◆ 1 waiting", "fine  2")
    terminal.press("v")
    terminal.until("└──")
    terminal.press("w")
    terminal.sees(lambda: selected(terminal, "parser"), "the cursor on who needs a person most")
    terminal.until(WORDS, "c clear")
    terminal.press("3", "Enter")
    terminal.until(
        "every strategy is spent; a person is needed: exit 3", "budget used: 1 of 1 restarts",
        f"its last words: {WORDS}", "next: nothing until `clear`",
    )  # fmt: skip
    terminal.press("Escape")
    terminal.sees(lambda: selected(terminal, "parser"), "the list and the agent")
    terminal.press("2")
    terminal.until("exited: a person is needed", "1 attempt: restart; cause crash; exit 3", "✗ failure")
    assert [one.data["cause"] for one in events(terminal.home, "hhmrs_failure", "parser")] == ["crash"]


def answer_one(terminal: Terminal) -> None:
    home = terminal.home
    terminal.press("w")
    terminal.sees(lambda: selected(terminal, "lexer"), "the cursor on the next one")
    terminal.until("y answer")
    terminal.press("y")
    terminal.until("lexer asks", "May I go on?", "enter types 'yes', then Enter", "esc cancel")
    terminal.press("Down")
    terminal.until("enter types 'no', then Enter")
    terminal.press("Enter")
    terminal.until("lexer: send done: typed 2 characters")
    terminal.reads(r"● lexer +working")
    assert (home.file.parent / "lexer" / "answers.txt").read_text() == "no\n"
    (order,) = events(home, "operator_order", "lexer")
    assert order.data["order"] == "send"


def reassign_one(terminal: Terminal) -> None:
    home = terminal.home
    before = home.agent("docs")
    assert before["profile"] == "first"
    terminal.press("G")
    terminal.sees(lambda: selected(terminal, "docs"), "the last line")
    terminal.press("R")
    terminal.until(
        "Reassign docs", "snapshot its workspace", f"end pid {before['pid']} and its children",
        "second  (next in turn)", "Handoff, attempt 2",
    )  # fmt: skip
    assert not events(home, "operator_order", "docs"), "so far it was only shown"
    terminal.press("Enter")
    terminal.until("docs recovered", "docs: reassign done", "first -> second")
    terminal.sees(lambda: bool(terminal.line("· second · attempt 2")), "the other profile")
    (taken,) = events(home, "hhmrs_reassign", "docs")
    assert (taken.data["old_profile"], taken.data["new_profile"]) == ("first", "second")
    assert events(home, "hhmrs_recovered", "docs")
    assert list((home.file.parent / "docs").glob("second-*")), "it works there"
    assert not psutil.pid_exists(before["pid"])


def attach_and_return(terminal: Terminal) -> None:
    home = terminal.home
    terminal.press("a")
    terminal.until("second wrote", "comes back")
    assert "hhmrs" not in terminal.shown(), "nothing but the agent's pane"
    assert inner_tmux(home, "list-clients", "-t", "=docs") != ""
    terminal.until(inner_tmux(home, "capture-pane", "-p", "-t", "=docs:").split("\n\n")[0].splitlines()[-1])
    terminal.press("C-b", "d")  # to the inner tmux: send-keys passes by the prefix of the outer one
    terminal.until("armed", "first -> second")
    assert selected(terminal, "docs"), "the agent and the view that were left"
    assert inner_tmux(home, "list-clients", "-t", "=docs") == ""


def look_at_the_night(terminal: Terminal) -> None:
    terminal.press("d")
    terminal.until("? help", "n night", "esc back")
    terminal.press("w")
    terminal.until("the last 7 days")
    terminal.press("n")
    terminal.until("this night so far: ", "1 incident   2 attempts: 1 proved, 1 failed")
    told = terminal.home.json("stats", "--span", "night")
    assert told["recovery_success_rate"]["n"] == 1
    terminal.until("target 90 % missed", "✗ given up 1")
    for row in (
        "recovered +0 % of 1", "attempts proved +50 % of 2", "crash +▇+ +1 +100 % +parser",
        "reassign +▇+ +1 +100 % +1 proved, 0 failed",
    ):  # fmt: skip
        terminal.reads(row)
    terminal.press("Escape")
    terminal.sees(lambda: selected(terminal, "docs"), "the fleet again, as it was left")


def change_a_setting(terminal: Terminal) -> None:
    home = terminal.home
    before = home.file.read_text()
    terminal.press(",")
    terminal.until("settings the fleet", "in force now", "KEY", "FROM", "fleet file, line 4")
    terminal.press("/")
    terminal.until("filter: part of a key")
    terminal.type("max_restarts")
    terminal.press("Enter")
    terminal.until("max_restarts = 1", "legal: ", "default: 3", "from: fleet file, line 8")
    terminal.press("Enter")
    terminal.until("max_restarts of the fleet", "it will be 1")
    terminal.type("5")  # what was there is selected
    terminal.until("it will be 5")
    terminal.press("Enter")
    terminal.until(
        "-  max_restarts: 1            # one try, then a person", "+  max_restarts: 5            # one"
    )
    assert home.file.read_text() == before, "so far it was only shown"
    terminal.press("y")
    terminal.until("written, and in force now", "max_restarts = 5")
    assert home.file.read_text() == before.replace("max_restarts: 1 ", "max_restarts: 5 ")
    assert events(home, "operator_reloaded")
    known = home.json("settings")
    assert (known["in_force"], known["settings"]["max_restarts"]["value"]) == (True, "5")
    terminal.press("Escape")
    terminal.until("quick_look")
    terminal.press("Escape")
    terminal.sees(lambda: selected(terminal, "docs"), "the fleet again")
    terminal.press("w")
    terminal.sees(lambda: selected(terminal, "parser"), "who needs a person most")
    terminal.press("3")
    terminal.until("budget used: 1 of 5 restarts")


def leave(terminal: Terminal, pids: dict[str, Any]) -> None:
    home = terminal.home
    terminal.press("q")
    terminal.until(f"The daemon of {home.fleet} and 3 agents keep running; `hhmrs down` ends")
    terminal.type("echo left with $?")
    terminal.press("Enter")
    terminal.until("left with 0")
    holder = read_holder(home.state)
    assert holder is not None
    assert holder.pid == pids["daemon"]
    assert home.agent("lead")["pid"] == pids["lead"]
    assert psutil.pid_exists(pids["lead"])


def test_the_guided_path(guided: Terminal) -> None:
    pids = start(guided)
    find_the_failing_agent_and_read_why(guided)
    answer_one(guided)
    reassign_one(guided)
    attach_and_return(guided)
    look_at_the_night(guided)
    change_a_setting(guided)
    leave(guided, pids)
