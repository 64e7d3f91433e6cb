"""Names, prompts, screens and letters that would like to be something else.

Everything here happens in a folder whose own name is such a text: the home, the state folder, tmux's
configuration and the fleet file lie in it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.loading import load_fleet
from hhmrs.controller.terminals.servers import FleetTerminals
from hhmrs.tui.app import HhmrsApp
from hhmrs.tui.daemon_source import DaemonSource
from hhmrs.tui.looks import Glyphs
from hhmrs.tui.widgets.lines import LineView

NASTY_FOLDER = "sp ace \"quote\" 'x' ünï #{pane_id} #(touch pwned) $(touch pwned) [red];"
ALIVE = "import signal, time; signal.alarm(600)\n"
LOUD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey, or what would turn the direction of its text."""


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """What every other fixture builds on, so that nothing of a test lies in a folder with a tame name."""
    folder = tmp_path / NASTY_FOLDER
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _nothing_is_executed(tmp_path: Path) -> Iterator[None]:
    yield
    for folder in (tmp_path.parent, Path.cwd()):
        assert not list(folder.rglob("pwned") if folder == tmp_path.parent else folder.glob("pwned"))


def _program(text: str, *words: str, **more: Any) -> dict[str, Any]:
    return {"profile": "shell", "command": [sys.executable, "-c", ALIVE + text, *words], **more}


# -- byte for byte -------------------------------------------------------------------------------------------

TEXTS = [
    "", " ", "-dash", "--", "a  b", "q\"u'o`te", "ünï ✓ 日本", "new\nline\n", "a\ttab", "$(touch pwned)",
    "`touch pwned`", "${HOME}", "$HOME", "#{pane_id}", "#(touch pwned)", "#[fg=red]", "%1", "trailing;", ";",
    "\\;", "back\\slash\\", "\\n \\033 \\u0041", "~", "~root", "*", "!", "{prompt}", "{model}", "a=b", "}",
    "&& touch pwned", "| touch pwned #", "[bold]x[/]", "\u202eabc", "😀", "x" * 4_000,
]  # fmt: skip
FOLDERS = {
    "dash": "-dash dir", "quotes": "sp ace \"quote\" 'x' ünï", "tmux": "#{pane_id} #(touch pwned) %1;",
    "shell": "$(touch pwned) `touch pwned` \\ *;", "deep": "a/-b/c;d/~",
}  # fmt: skip
DUMP = """
import json, os, sys
out = {"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}
if "HHMRS_HANDOFF" in os.environ:
    out["handoff"] = open(os.environ["HHMRS_HANDOFF"], encoding="utf-8").read()
with open("seen.tmp", "w") as f:
    json.dump(out, f)
os.rename("seen.tmp", f"seen-{os.environ['HHMRS_ATTEMPT']}.json")
while True:
    time.sleep(0.1)
    open("work", "w").close()
"""


def test_names_paths_arguments_environment_and_prompt_arrive_byte_for_byte(make_fleet: Any) -> None:
    prompt = "\n".join(TEXTS)
    env = {f"V{n}": text.replace("$", "$$") for n, text in enumerate(TEXTS)}
    fleet = make_fleet(
        {
            name: _program(DUMP, *TEXTS, workspace=folder, prompt=prompt, env=env, title=f"[b]{folder}[/]")
            for name, folder in FOLDERS.items()
        }
    )
    fleet.up()
    for name, folder in FOLDERS.items():
        place = fleet.folder / folder
        fleet.wait((place / "seen-1.json").exists, 15, name)
        seen = json.loads((place / "seen-1.json").read_text())
        assert seen["argv"] == TEXTS
        assert seen["cwd"] == str(place)
        assert [seen["env"][f"V{n}"] for n in range(len(TEXTS))] == TEXTS
        assert seen["env"]["HHMRS_TASK"] == prompt
        assert seen["env"]["HHMRS_WORKSPACE"] == str(place)
        assert seen["env"]["HHMRS_INBOX"] == str(fleet.state.inbox_of(name))
        assert seen["env"]["HOME"] == os.environ["HOME"]
    # And once more through a recovery, with the papers it brings.
    done = fleet.run("restart", "tmux")
    assert done.returncode == 0, done.stderr
    seen = json.loads((fleet.folder / FOLDERS["tmux"] / "seen-2.json").read_text())
    assert seen["argv"] == TEXTS
    assert seen["env"]["HHMRS_TASK"] == prompt
    assert "`touch pwned`" in seen["handoff"]
    check = fleet.run("check")
    assert check.returncode == 0
    assert "-dash dir" in check.stdout
    assert not LOUD.search(check.stdout)
    assert fleet.run("status").returncode == 0


LISTEN = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    with open("heard", "a") as f:
        f.write(line)
"""


def test_what_is_sent_is_typed_and_never_run(make_fleet: Any) -> None:
    fleet = make_fleet({"ear": _program(LISTEN, workspace="ear", liveness=["process"])})
    fleet.up()
    fleet.wait(lambda: "ready" in fleet.run("logs", "ear").stdout, 10, "it listens")
    lines = [
        "-n --answer ;",
        "$(touch pwned) `touch pwned` #{pane_id} #(touch pwned) ;",
        "C-c Enter %1 [bold]ü ✓\\",
    ]
    for line in lines:
        done = fleet.run("send", "ear", line)
        assert done.returncode == 0, done.stderr
    done = fleet.run("send", "ear", "\x1b[201~\x03one\x1b]0;t\x07")
    assert done.returncode == 0, done.stderr
    heard = fleet.workspace("ear") / "heard"
    fleet.wait(lambda: heard.exists() and heard.read_text().count("\n") == 4, 10, "four lines are heard")
    *told, last = heard.read_text().splitlines()
    assert told == lines
    assert "one" in last
    assert not LOUD.search(last)


# -- what is shown -------------------------------------------------------------------------------------------

MARKUP = "[bold]b[/] [/] [@click=app.quit]x[/] [red on"
ESCAPES = (
    "\x1b]52;c;cHduZWQ=\x07", "\x1bPtmux;\x1b\x1b]52;c;cHduZWQ=\x07\x1b\\",
    "\x1b]0;#(touch pwned) $(touch pwned) [/]\x07", "\x1b]2;ti\x1b\\", "\x1bktitle\x1b\\",
    "\x1bPq#0;2;0;0;0#0~~\x1b\\", "\x1b_apc\x1b\\", "\x1b^pm\x1b\\", "\x9b2J\x9d0;t\x9c", "\x07\x08\x0e\x0f",
    "\x1b]8;;http://127.0.0.1/\x1b\\link\x1b]8;;\x1b\\", "\x1b[?1049h\x1b[2J\x1b[31malt\x1b[?1049l",
    "\x1b[2J\x1b[H", "\x1b[8m\x1b[7mstyled\x1b[0m", "\x1b[6n\x1b[c\x1b[21t\x1b[20t",
)  # fmt: skip
HOSTILE = "".join(ESCAPES) + MARKUP + " \u202eabc\u2066 #{pane_id} last"
SHOUT = """
import json, os, sys
def letter(n, kind, **fields):
    fields |= {"kind": kind, "agent": os.environ["HHMRS_AGENT"], "attempt": 1,
               "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    box = os.environ["HHMRS_INBOX"]
    with open(f"{box}/tmp/{n}", "w") as f:
        json.dump(fields, f)
    os.rename(f"{box}/tmp/{n}", f"{box}/new/{n}")
text, how = json.loads(sys.argv[1]), sys.argv[2]
sys.stdout.write(text + "\\n")
sys.stdout.flush()
letter(1, "beat", state="executing", progress=0.5, message=text, metadata={"k": text})
letter(2, "checkpoint", completed=[text], files=[text], next=[text], data={"k": text})
letter(3, text, message=text)
if how == "ask":
    letter(4, "ask", question=text, options=[text, "[/]"])
    time.sleep(600)
elif how == "fail":
    letter(4, "fail", summary=text, exit_code=3)
elif how == "die":
    time.sleep(0.3)
    sys.exit(3)
name = f"{text.replace('/', '_')[:60]}-{how}"
while True:
    time.sleep(0.1)
    open(name, "w").close()
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
"""


def _shouting(make_fleet: Any) -> Any:
    """A fleet whose agents say hostile things in every way there is; the command of one is such a text."""
    hostile = json.dumps(HOSTILE)
    agents: dict[str, Any] = {
        how: _program(SHOUT, hostile, how, workspace=f"{how} [/]", prompt=MARKUP, title=f"{how} {MARKUP}")
        for how in ("work", "ask", "fail", "die")
    }
    agents["odd"] = {
        "profile": "shell",
        "command": [f"{MARKUP} $(touch pwned)"],
        "title": MARKUP,
        "prompt": MARKUP,
    }
    fleet = make_fleet(agents, policy={"max_restarts": 1, "max_llm_retries": 0, "verify_within": "1s"})
    fleet.up()
    fleet.wait(lambda: fleet.phase("odd") == "escalated", 15, "what cannot be run is given up")
    fleet.wait(lambda: fleet.phase("ask") == "waiting", 15, "one asks")
    fleet.wait_event("agent_letter_refused", agent="work")
    for how in ("fail", "die"):
        fleet.wait_event("agent_incident", agent=how)
    return fleet


LOOKS = (
    "status", "events", "stats", "check", "heal --check-now --verbose", "explain work", "explain ask",
    "explain odd", "logs work -n 50", "logs die",
)  # fmt: skip


def test_nothing_an_agent_says_reaches_the_terminal_as_more_than_text(make_fleet: Any) -> None:
    fleet = _shouting(make_fleet)
    told: dict[str, str] = {}
    for words in LOOKS:
        done = fleet.run(*words.split())
        told[words] = done.stdout + done.stderr
        assert not (found := LOUD.search(told[words])), f"{words}: {found[0]!r} in {told[words]!r}"
        assert "Traceback" not in told[words]
    for words in ("events", "check", "explain ask", "explain odd", "logs work -n 50"):
        assert MARKUP in told[words], f"{words}: {told[words]}"
    assert f"work (work {MARKUP})"[:60] in told["status"]
    for words in ("status", "events", "explain ask", "logs work"):
        document = fleet.run(*words.split(), "--json").stdout
        assert document.isascii()
        assert not LOUD.search(document)
    coloured = fleet.run("logs", "work", "--color").stdout
    assert "\x1b[" in coloured
    assert "\x1b]52" not in coloured
    for log in (fleet.state.comms_log, fleet.state.daemon_log):
        for line in log.read_text().splitlines():
            assert not (found := LOUD.search(line)), f"{log.name}: {found[0]!r} in {line!r}"
    marker = fleet.folder / ".ESCALATION_REQUIRED"
    assert not LOUD.search(marker.read_text())
    assert fleet.tmux("list-buffers") == ""
    assert set(fleet.panes()) >= {"work", "ask", "fail", "die"}
    for wrong in (
        ["explain", "\x1b[31m[/]"],
        ["pause", HOSTILE[:60]],
        ["status", "--fleet", "\x1b"],
    ):
        done = fleet.run(*wrong)
        assert done.returncode == 2, done
        assert not LOUD.search(done.stdout + done.stderr), done


async def test_the_screen_shows_it_and_lives(make_fleet: Any) -> None:
    fleet = _shouting(make_fleet)
    spec = load_fleet(fleet.config)
    source = DaemonSource(fleet.state, spec, FleetTerminals(fleet.name, fleet.state.tmux_conf))
    app = HhmrsApp(source, Glyphs())
    async with app.run_test(size=(140, 40), notifications=True) as pilot:

        async def until(holds: Callable[[], Any], what: str) -> None:
            end = time.monotonic() + 15
            while not holds():
                assert time.monotonic() < end, what
                await pilot.pause(0.05)

        screen = app.fleet_screen
        await until(lambda: len(screen.fleet.agents) == 5, "the fleet is there")
        for agent in list(spec.agents):
            screen.reveal(agent)
            for key, tab in (("1", "pane"), ("2", "timeline"), ("3", "explain")):
                await pilot.press(key)
                view = screen.query_one(f"#{tab}", LineView)
                await until(partial(_filled, view), f"{tab} of {agent}")
                assert not LOUD.search("".join(view.draw(i).plain for i in range(view.virtual_size.height)))
                _check_cells(app)
        await pilot.press("c")  # an order about an agent with such a title and such a reason, and its answer
        _check_cells(app)
        await pilot.press("enter")
        await until(lambda: any("command not found" in n.message for n in app._notifications), "the answer")
        assert any(MARKUP in n.message for n in app._notifications)
        _check_cells(app)
        await pilot.press("ctrl+p", *"odd")
        await pilot.pause(0.3)
        _check_cells(app)
        await pilot.press("escape", "question_mark")
        _check_cells(app)
        assert app.is_running
        assert app.return_code is None


def _filled(view: LineView) -> bool:
    return view.virtual_size.height > 0


def _check_cells(app: HhmrsApp) -> None:
    """Not a cell of the screen does anything when it is clicked, and none holds a control character."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            assert not LOUD.search(segment.text), segment
            if segment.style:
                assert "app.quit" not in str(segment.style.meta.get("@click", "")), segment
                assert segment.style.link is None, segment


# -- too much ------------------------------------------------------------------------------------------------

MEGABYTE = 1 << 20
FLOOD = """
import os, random, string, sys
words = "".join(random.choices(string.ascii_letters + " \\n", k=1 << 20)).encode()
n = 0
while n < 100 or not os.path.exists("enough"):
    sys.stdout.buffer.write(words[n % 997:] + words[:n % 997] + b"-" * 4096)
    n += 1
sys.stdout.buffer.flush()
with open("printed", "w") as f:
    f.write(str(n))
"""
WORK = "while True:\n    time.sleep(0.05)\n    open('f', 'w').close()\n"


def test_a_flood_of_output_leaves_the_others_supervised_and_the_daemon_small(make_fleet: Any) -> None:
    fleet = make_fleet(
        {
            "flood": _program(FLOOD, workspace="flood", prompt="print"),
            "other": _program(WORK, workspace="other", prompt="work"),
        },
        policy={"heartbeat_interval": "2s", "progress_timeout": "60s"},
    )
    fleet.up()
    fleet.wait(lambda: fleet.phase("other") == "working", 10, "the other works")
    daemon = fleet.holder()
    before = most = daemon.memory_info().rss
    os.kill(fleet.pid("other"), signal.SIGKILL)
    fleet.wait_event("hhmrs_recovered", agent="other")
    assert fleet.phase("flood") == "working"
    (fleet.workspace("flood") / "enough").touch()
    while fleet.phase("flood") != "done":
        assert fleet.run("status", timeout=20).returncode == 0
        assert fleet.phase("flood") in ("working", "done")
        most = max(most, daemon.memory_info().rss)
    assert int((fleet.workspace("flood") / "printed").read_text()) >= 100
    assert most - before < 64 * MEGABYTE
    assert not fleet.events("agent_incident", agent="flood")
    assert fleet.phase("other") == "working"
    assert fleet.state.ledger.stat().st_size < 4 * MEGABYTE
    assert fleet.state.daemon_log.stat().st_size < MEGABYTE


# -- replaced under our feet ---------------------------------------------------------------------------------


def _replace_by_link(folder: Path, target: Path) -> None:
    folder.rename(folder.with_name(f"{folder.name} before {target.name}"))
    folder.symlink_to(target)


def test_a_workspace_replaced_by_a_link_is_refused_and_nothing_is_written_there(
    make_fleet: Any, tmp_path: Path, notified: tuple[str, list[bytes]]
) -> None:
    url, received = notified
    worker = _program(WORK, workspace="one", prompt="work")
    fleet = make_fleet({"one": worker}, policy={"max_restarts": 1}, notify=[url])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "private").write_text("not the agent's")
    fleet.up()
    fleet.wait(lambda: fleet.phase("one") == "working", 10, "it works")
    _replace_by_link(fleet.workspace("one"), elsewhere)
    refused, told = fleet.run("check"), fleet.run("status")
    assert refused.returncode == 2
    # 1: it has been found silent by now.
    assert told.returncode in (0, 1), "it keeps nobody from the fleet"
    assert "one" in told.stdout
    assert "'one' leads outside" in refused.stderr
    assert "'one' leads outside" in told.stderr
    os.kill(fleet.pid("one"), signal.SIGKILL)
    failed = fleet.wait_event("agent_errand_failed", agent="one")[0]
    assert "not marked: workspace" in failed.data["why"]
    assert fleet.phase("one") == "escalated"
    # Where it was nudged for its silence before it was killed, that attempt failed first.
    assert "is now a link" in fleet.events("agent_attempt_failed")[-1].data["why"]
    assert [p.name for p in elsewhere.iterdir()] == ["private"]
    assert "private" not in _saved(fleet.state.snapshots)
    fleet.wait(lambda: received, 10, "the person is told all the same")
    fleet.workspace("one").unlink()
    fleet.workspace("one").mkdir()
    cleared = fleet.run("clear", "one")
    assert cleared.returncode == 0, cleared.stderr
    fleet.wait(lambda: fleet.phase("one") == "working", 10, "it works again")

    # Where the link stays inside, the file is valid, but it is another folder than the one supervised.
    assert fleet.run("stop", "one").returncode == 0
    (fleet.folder / "inner").mkdir()
    _replace_by_link(fleet.workspace("one"), fleet.folder / "inner")
    refused = fleet.run("start", "one")
    assert refused.returncode == 1
    assert "is now a link" in refused.stderr
    assert list((fleet.folder / "inner").iterdir()) == []


def _saved(snapshots: Path) -> str:
    """The names of all files in all snapshots of agent `one`."""
    words = ["git", f"--git-dir={snapshots / 'one.git'}", "log", "--all", "--name-only", "--format="]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_a_workspace_that_cannot_be_made_is_one_agents_trouble_only(make_fleet: Any) -> None:
    nowhere = _program(WORK, workspace="/proc/nowhere", allow_outside=True, prompt="work")
    fleet = make_fleet(
        {"bad": nowhere, "good": _program(WORK, workspace="good", prompt="work")}, policy={"max_restarts": 1}
    )
    fleet.up()
    fleet.wait(lambda: fleet.phase("bad") == "escalated", 15, "the one is given up")
    fleet.wait(lambda: fleet.phase("good") == "working", 10, "the other works")
    assert "/proc/nowhere" in fleet.run("explain", "bad").stdout


# -- a fleet file that is none -------------------------------------------------------------------------------

BROKEN = """\
fleet: {name}
policy: {{hartbeat_interval: 30s, max_restarts: many}}
agents:
  a: {{profile: shell, command: [sleep, "1"], parent: nobody, title: "\\e]0;x\\a[/]"}}
  b: {{profile: shel, workspace: ../../out}}
  b: {{profile: shell}}
  "c\\u202e[/]": {{profile: shell, command: [sleep, "1"]}}
"""
WRONG = ((2, "hartbeat_interval"), (2, "max_restarts"), (4, "nobody"), (4, "control character"), (5, "shel"),
         (5, "leads outside"), (6, "duplicate"), (7, "unsafe agent id"))  # fmt: skip
NOT_YAML = "fleet: [unclosed\nagents: }\n"


@pytest.mark.parametrize("command", ["up", "status", "check", "--daemon", "events", "down"])
def test_a_broken_fleet_file_names_every_place(make_fleet: Any, command: str) -> None:
    fleet = make_fleet({})
    fleet.config.write_text(BROKEN.format(name=fleet.name))
    done = fleet.run(command)
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    for line, what in WRONG:
        assert any(f"hhmrs.yaml:{line}:" in x and what in x for x in lines), (line, what, done.stderr)
    assert not LOUD.search(done.stderr)
    fleet.config.write_text(NOT_YAML)
    done = fleet.run(command)
    assert done.returncode == 2, done
    assert re.search(r"hhmrs\.yaml:\d+:\d+: ", done.stderr)
    assert "Traceback" not in done.stderr
    assert not fleet.state.path.exists()
