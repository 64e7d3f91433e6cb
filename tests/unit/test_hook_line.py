"""The line of shell that the CLIs run: a real sh, and everything that can be in its way."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from hhmrs.controller.hooks.line import MARK, MOST_SAID, command, is_ours
from hhmrs.controller.letters.letterforms import checked, parse

SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh", "fish") if shutil.which(shell)]
UGLY = [
    b'{"a": "it\'s $(touch pwned) `touch pwned` \\"quoted\\" %s %d \\\\ ; & | <x >y"}',
    b'{"a": "two\\nlines",\n "b": "\xc3\xa9"}\n',
    b'{"a": 1}\n{"b": 2}',
    b'{"session_id": "s1", "a": "\xff\xfe not UTF-8"}',
    b"not JSON at all",
    b"\x00\x01\x02",
    b"[1, 2]",
    b"",
]


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    for part in ("tmp", "new", "bad"):
        (tmp_path / "in box" / part).mkdir(parents=True)
    return tmp_path / "in box"


def run(said: bytes, env: dict[str, str], shell: str = "sh", cwd: Path | None = None) -> tuple[int, bytes]:
    """The line as a CLI runs it: (exit status, all it printed)."""
    done = subprocess.run(
        [shell, "-c", command("codex", "Stop")],
        input=said,
        env={"PATH": os.environ["PATH"]} | env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=10,
        check=False,
    )
    return done.returncode, done.stdout


def own(inbox: Path) -> dict[str, str]:
    return {"HHMRS_INBOX": str(inbox), "HHMRS_AGENT": "a-1", "HHMRS_ATTEMPT": "3"}


def letters(inbox: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted((inbox / "new").iterdir())]


@pytest.mark.parametrize("said", UGLY)
def test_whatever_the_cli_says_arrives_as_it_was_and_nothing_of_it_is_run(
    inbox: Path, said: bytes, tmp_path: Path
) -> None:
    assert run(said, own(inbox), cwd=tmp_path) == (0, b"")
    (raw,) = letters(inbox)
    head, _, rest = raw.partition(b"\n")
    assert rest == said
    letter = json.loads(head)
    assert (letter["kind"], letter["agent"], letter["attempt"]) == ("hook", "a-1", 3)
    assert (letter["cli"], letter["event"]) == ("codex", "Stop")
    assert checked("hook", parse(raw))["event"] == "Stop"
    assert not list(tmp_path.rglob("pwned"))
    assert not list((inbox / "tmp").iterdir())


@pytest.mark.parametrize("shell", SHELLS)
def test_any_shell_that_a_cli_may_use_runs_it(inbox: Path, shell: str) -> None:
    assert run(b'{"session_id":"s"}', own(inbox), shell) == (0, b"")
    assert parse(letters(inbox)[0])["payload"] == {"session_id": "s"}


def test_two_megabytes_are_read_to_their_end_and_cut(inbox: Path) -> None:
    said = b'{"session_id":"s1","tool_name":"Write","tool_input":"' + b"x" * (2 << 20) + b'"}'
    assert run(said, own(inbox)) == (0, b"")
    (raw,) = letters(inbox)
    assert len(raw.partition(b"\n")[2]) == MOST_SAID
    assert parse(raw)["payload"] == {"session_id": "s1", "tool_name": "Write"}


def test_a_session_of_the_users_own_is_untouched(inbox: Path) -> None:
    for env in ({}, {"HHMRS_INBOX": ""}):
        assert run(b'{"a":1}', env, cwd=inbox) == (0, b"")
    assert letters(inbox) == []
    assert not list((inbox / "tmp").iterdir())


@pytest.mark.parametrize("harm", ["gone", "no new", "no tmp", "a file", "read-only"])
def test_it_ends_well_and_silent_whatever_is_wrong(inbox: Path, harm: str) -> None:
    if harm in ("gone", "a file"):
        shutil.rmtree(inbox)
    if harm == "a file":
        inbox.write_text("x")
    if harm.startswith("no "):
        (inbox / harm[3:]).rmdir()
    if harm == "read-only":
        (inbox / "tmp").chmod(0o500)
    assert run(b'{"a":1}', own(inbox)) == (0, b"")
    if (inbox / "tmp").is_dir() and harm == "no new":
        assert not list((inbox / "tmp").iterdir()), "no draft is left behind"


def test_a_full_disk_leaves_no_half_letter_that_counts(inbox: Path) -> None:
    """As a disk that takes nothing: no file may grow."""
    done = subprocess.run(
        ["sh", "-c", command("codex", "Stop")],
        input=b'{"a":1}',
        env={"PATH": os.environ["PATH"]} | own(inbox),
        capture_output=True,
        timeout=10,
        check=False,
        restore_signals=False,  # an error of write, as of a full disk, and no SIGXFSZ
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for raw in letters(inbox):
        with pytest.raises(Exception, match="JSON"):
            parse(raw)


def test_closed_input_and_a_terminal_do_not_hold_it(inbox: Path) -> None:
    ours, theirs = os.openpty()
    try:
        for stdin in (theirs, subprocess.DEVNULL):
            done = subprocess.run(
                ["sh", "-c", command("aider", "notification")],
                stdin=stdin,
                env={"PATH": os.environ["PATH"]} | own(inbox),
                timeout=10,
                check=False,
            )
            assert done.returncode == 0
    finally:
        os.close(ours)
        os.close(theirs)
    closed = ["sh", "-c", f"{command('aider', 'notification')} <&-"]
    assert subprocess.run(closed, env={"PATH": os.environ["PATH"]} | own(inbox), check=False).returncode == 0
    assert len(letters(inbox)) == 3


def test_its_letters_are_the_owners_alone(inbox: Path) -> None:
    run(b"{}", own(inbox))
    (file,) = (inbox / "new").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_ours_are_known_and_others_are_not() -> None:
    assert is_ours(command("claude", "PostToolUse"))
    for other in (
        "echo hi",
        f"echo {MARK}",
        "/bin/sh -c 'echo HHMRS_INBOX'",
        None,
        3,
        command("x", "Y") + "; rm",
    ):
        assert not is_ours(other)
