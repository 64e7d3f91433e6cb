"""The writing side: what an agent's commands and the two snippets put into the inbox, in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.letters import letterforms
from hhmrs.tui.letters import STATES, letter_main

SNIPPETS = Path(letterforms.__file__).parents[2] / "tui" / "snippets"
HOSTILE = [
    "plain",
    'quote " back \\ slash',
    "new\nline\ttab\r",
    "\x01\x1b[31m\x7f",
    "Grüße 日本 🙂",
    "$(touch owned)`id`",
    "-n",
    "%s%d",
    "",
    "  spaces  ",
    "'; rm x; '",
    "\u2028",
]
SHELLS = [
    shell
    for shell in ("dash", "bash", "busybox")
    if any((Path(folder) / shell).exists() for folder in os.environ["PATH"].split(":"))
]


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("tmp", "new"):
        (tmp_path / "inbox" / name).mkdir(parents=True)
    for key, value in {"INBOX": str(tmp_path / "inbox"), "AGENT": "worker", "ATTEMPT": "3"}.items():
        monkeypatch.setenv(f"HHMRS_{key}", value)
    return tmp_path / "inbox"


def only(inbox: Path) -> dict[str, Any]:
    """The one letter that lies there, through the door's own parser; the inbox is empty afterwards."""
    (path,) = (inbox / "new").iterdir()
    letter = letterforms.parse(path.read_bytes())
    assert list((inbox / "tmp").iterdir()) == []
    letterforms.moment(letter, "at")
    assert (letter["agent"], letter["attempt"]) == ("worker", 3)
    path.unlink()
    return letter | letterforms.checked(letter["kind"], letter)


def test_the_state_of_a_beat_may_be_named(inbox: Path) -> None:
    assert letter_main(["beat", "--state", "planning"]) == 0
    assert only(inbox)["state"] == "planning"
    assert letter_main(["beat", "--state", "planning", "idle"]) == 2


def test_beat_says_state_progress_and_message(inbox: Path) -> None:
    assert letter_main(["beat", "validating", "--progress", "0.25", '--message=half\n"way"']) == 0
    letter = only(inbox)
    assert (letter["state"], letter["progress"], letter["message"]) == ("validating", 0.25, 'half\n"way"')


def test_letters_are_private(inbox: Path) -> None:
    letter_main(["beat"])
    (path,) = (inbox / "new").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_checkpoint_options_repeat(inbox: Path) -> None:
    argv = [
        "checkpoint",
        "--completed",
        "a",
        "--completed",
        "b",
        "--file",
        "x.py",
        "--next",
        "c",
        "--data",
        '{"n": 1}',
    ]
    assert letter_main(argv) == 0
    letter = only(inbox)
    assert letter["completed"] == ["a", "b"]
    assert (letter["files"], letter["next"], letter["data"]) == (["x.py"], ["c"], {"n": 1})


def test_done_fail_and_ask(inbox: Path) -> None:
    assert letter_main(["done", "--summary", "ok", "--exit-code", "0", "--artifact", "out.txt"]) == 0
    assert only(inbox)["artifacts"] == ["out.txt"]
    assert letter_main(["fail", "--exit-code=-1"]) == 0
    assert only(inbox)["exit_code"] == -1
    assert letter_main(["ask", "Which?", "--option", "a", "--option", "b"]) == 0
    assert only(inbox)["options"] == ["a", "b"]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_survives_the_command(inbox: Path, text: str) -> None:
    assert letter_main(["done", "--summary", text]) == 0
    (path,) = (inbox / "new").iterdir()
    assert json.loads(path.read_bytes())["summary"] == text


@pytest.mark.parametrize(
    "argv",
    [
        ["beat", "sleeping"],
        ["beat", "--progress", "2"],
        ["beat", "--progress", "nan"],
        ["beat", "--colour", "red"],
        ["beat", "--message"],
        ["beat", "idle", "planning"],
        ["checkpoint"],
        ["checkpoint", "--data", "[1]"],
        ["checkpoint", "--data", "{"],
        ["checkpoint", "--data", '{"n": NaN}'],
        ["done", "--exit-code", "x"],
        ["ask"],
        ["ask", " "],
        ["beat", "--snippet", "perl"],
        ["shout"],
        [],
    ],
)
def test_bad_usage_is_one_line_and_two(
    inbox: Path, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert letter_main(argv) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list((inbox / "new").iterdir()) == []


def test_outside_an_agent_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HHMRS_INBOX", raising=False)
    assert letter_main(["beat"]) == 2
    assert "HHMRS_INBOX" in capsys.readouterr().err


def test_a_missing_inbox_is_said(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HHMRS_INBOX", str(inbox / "gone"))
    assert letter_main(["beat"]) == 1
    assert "hhmrs doctor" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["beat", "checkpoint", "done", "fail", "ask"])
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert letter_main([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: hhmrs {verb}")


def snippet(which: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert letter_main(["beat", "--snippet", which]) == 0
    return capsys.readouterr().out


def old_python() -> str:
    """Python 3.8 where there is one: the snippet promises it."""
    found = sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))
    return str(found[0]) if found else sys.executable


PYTHON_USER = """
import json, os, sys
import heartbeat as h
for text in json.load(open("texts.json")):
    h.done(text)
h.send_progress_heartbeat("m", 7)
h.checkpoint(completed=["a"], files=("f",), next="one", data={"k": {1, 2}})
h.send_progress_heartbeat(object(), "x")
h.fail(); h.ask("q", ["a"]); h.checkpoint(5, 5, 5, {"x": float("nan")})
print(json.dumps(h.load_checkpoint()))
"""


def run(argv: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_python_snippet_on_an_old_python(
    inbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "heartbeat.py").write_text(snippet("python", capsys))
    (tmp_path / "texts.json").write_text(json.dumps([*HOSTILE, "\ud800"]))
    ran = run([old_python(), "-c", PYTHON_USER], tmp_path, dict(os.environ))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "{}\n", "")
    letters = [letterforms.parse(path.read_bytes()) for path in sorted((inbox / "new").iterdir())]
    assert [letter["summary"] for letter in letters[: len(HOSTILE)]] == HOSTILE
    assert {letter["kind"] for letter in letters} == {"beat", "checkpoint", "done", "fail", "ask"}
    for letter in letters:
        letterforms.checked(letter["kind"], letter)


@pytest.mark.parametrize("env", [{}, {"HHMRS_INBOX": "/nonexistent/inbox", "HHMRS_ATTEMPT": "x"}])
def test_the_python_snippet_is_harmless_outside(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "heartbeat.py").write_bytes((SNIPPETS / "heartbeat.py").read_bytes())
    (tmp_path / "texts.json").write_text(json.dumps(HOSTILE))
    ran = run([old_python(), "-c", PYTHON_USER], tmp_path, {"HOME": str(tmp_path), **env})
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "{}\n", "")


SHELL_USER = """set -eu
. "$1"
shift
for text in "$@"; do hhmrs_done "$text"; done
send_progress_heartbeat "m" 7 validating
send_progress_heartbeat "m" "0; exit" planning
hhmrs_checkpoint --completed 'a "b"' --completed c --file f --next n
hhmrs_fail "no" 9
hhmrs_ask "q?" one 'two "2"'
load_checkpoint
"""


def in_shell(
    shell: str, place: Path, env: dict[str, str], *texts: str | bytes
) -> subprocess.CompletedProcess[bytes]:
    argv: list[str | bytes] = [
        shell,
        *(["sh"] if shell == "busybox" else []),
        "-c",
        SHELL_USER,
        "sh",
        str(SNIPPETS / "heartbeat.sh"),
        *texts,
    ]
    return subprocess.run(argv, cwd=place, env=env, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_snippet_escapes_anything(inbox: Path, tmp_path: Path, shell: str) -> None:
    ran = in_shell(shell, tmp_path, dict(os.environ), *HOSTILE, b"bad \xff\xc3( \xe2\x82 \xed\xa0\x80 end")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"{}\n", b"")
    letters = [letterforms.parse(path.read_bytes()) for path in (inbox / "new").iterdir()]
    summaries = {letter["summary"] for letter in letters if letter["kind"] == "done"}
    assert set(HOSTILE) <= summaries
    assert any(text.startswith("bad \ufffd") and text.endswith(" end") for text in summaries)
    assert not (tmp_path / "owned").exists()
    beats = {letter["state"]: letter.get("progress") for letter in letters if letter["kind"] == "beat"}
    assert beats == {"validating": 1, "planning": None}
    (saved,) = [letter for letter in letters if letter["kind"] == "checkpoint"]
    assert saved["completed"] == ['a "b"', "c"]
    (asked,) = [letter for letter in letters if letter["kind"] == "ask"]
    assert asked["options"] == ["one", 'two "2"']
    for letter in letters:
        letterforms.moment(letter, "at")
        letterforms.checked(letter["kind"], letter)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("extra", [{}, {"HHMRS_INBOX": "/nonexistent/inbox", "HHMRS_ATTEMPT": "1"}])
def test_the_shell_snippet_is_harmless_outside(tmp_path: Path, shell: str, extra: dict[str, str]) -> None:
    ran = in_shell(shell, tmp_path, {"PATH": os.environ["PATH"], **extra}, "text")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"{}\n", b"")


def test_writing_a_beat_loads_next_to_nothing(inbox: Path) -> None:
    probe = (
        "import sys, hhmrs.tui; before = set(sys.modules); from hhmrs.tui.letters import letter_main\n"
        "letter_main(['beat', 'idle', '--message', 'x']); print(sorted(set(sys.modules) - before))"
    )
    ran = run([sys.executable, "-c", probe], inbox, dict(os.environ))
    assert ran.returncode == 0, ran.stderr
    assert set(eval(ran.stdout)) <= {"hhmrs.tui.letters", "_json", "time", "errno"}  # noqa: S307 - our own print


def test_the_writing_side_knows_the_states_that_the_door_takes() -> None:
    # tui/letters.py loads nothing, so that `hhmrs beat` is quick: it has a list of its own.
    assert set(STATES) == letterforms.STATES
    assert len(STATES) == len(set(STATES))
