"""Transcripts on real files: whose they are, which lines count, and what hostile ones can do (nothing)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, Profile, Seat
from hhmrs.config.profiles import builtin_profiles
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.ports import Identity, Running
from hhmrs.controller.workspaces.transcripts import Transcripts
from hhmrs.healing.evidence import ErrorShown, Evidence, SessionLearned, TranscriptGrew

WaitUntil = Callable[..., None]
ONE = "11111111-2222-4333-8444-555555555555"
TWO = "99999999-2222-4333-8444-555555555555"


def line(**fields: Any) -> str:
    return json.dumps(fields, separators=(",", ":")) + "\n"


CLAUDE_ASKED = line(parentUuid=None, sessionId=ONE, type="user", message={"role": "user", "content": "go on"})
CLAUDE_DID = line(
    parentUuid="x", sessionId=ONE, type="assistant", message={"role": "assistant", "content": []}
)
CLAUDE_FAILED = line(type="assistant", message={"content": "API Error"}, isApiErrorMessage=True)
CODEX_DID = line(
    timestamp="x", ordinal=9, type="response_item", payload={"type": "message", "role": "assistant"}
)
GEMINI_DID = line(id="a", timestamp="x", type="gemini", content="yes", thoughts=[], tokens={}, model="g")


def codex_first(folder: Path, id: str = ONE, began: datetime | None = None) -> str:
    at = (began or datetime.now(UTC)).isoformat().replace("+00:00", "Z")
    return line(timestamp=at, ordinal=0, type="session_meta", payload={"id": id, "cwd": str(folder)})


class Desk:
    """Agents with homes and workspaces of their own, followed by real transcripts sources."""

    def __init__(self, root: Path, make_spec: Callable[..., AgentSpec], wait: WaitUntil) -> None:
        self.root = root
        self.home = root / "home"
        self.seen: list[Evidence] = []
        self.make_spec = make_spec
        self.wait = wait
        self.followed: set[str] = set()
        self.began = time.time() - 0.01
        self.source = self.open()

    def open(self, **how: Any) -> Transcripts:
        home = {"HOME": str(self.home)}
        return Transcripts(self.seen.append, SteadyClock(), environ=home, hold=0.05, search=0.1, **how)

    def folder(self, name: str = "work") -> Path:
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        return folder

    def follow(
        self, agent: str, profile: str | Profile, session: str | None = None, *, work: str = "work",
        pid: int | None = None, adopted: bool = False,
    ) -> None:  # fmt: skip
        kind = builtin_profiles()[profile] if isinstance(profile, str) else profile
        seat = Seat(profile=kind)
        spec = self.make_spec(agent, seats=(seat,), workspace=self.folder(work))
        who = Identity(pid or os.getpid(), self.began)
        self.source.follow(Running(spec, seat, 1, who, session, adopted))
        if kind.transcripts:
            self.followed.add(agent)
            self.wait(lambda: f"of {len(self.followed)} agents" in self.source.means()[0].how)

    def grew(self, agent: str = "a1") -> int:
        return sum(isinstance(e, TranscriptGrew) and e.agent == agent for e in self.seen)

    def comes(self, file: Path, text: str, agent: str = "a1") -> None:
        before = self.grew(agent)
        append(file, text)
        self.wait(lambda: self.grew(agent) > before, what=f"{file.name} grew by {text[:40]!r}")

    def goes_on(self, file: Path, text: str, agent: str = "a1") -> None:
        """It is told sooner or later, though the first of it may be passed over."""
        before = self.grew(agent)

        def told() -> bool:
            append(file, text)
            return self.grew(agent) > before

        self.wait(told)

    def stays_out(self, file: Path, text: str, proof: tuple[Path, str]) -> None:
        """`text` says nothing: growth of another file, made after it, is told first."""
        before = self.grew()
        append(file, text)
        self.comes(*proof, agent="other")
        assert self.grew() == before, text[:80]

    def claude(self, session: str = ONE, work: str = "work") -> Path:
        name = "".join(c if c.isascii() and c.isalnum() else "-" for c in os.path.realpath(self.folder(work)))
        return made(self.home / ".claude" / "projects" / name / f"{session}.jsonl")

    def codex(self, id: str = ONE) -> Path:
        now = datetime.now()  # noqa: DTZ005 - its folders are of the local day
        day = self.home / ".codex" / "sessions" / now.strftime("%Y/%m/%d")
        return made(day / f"rollout-{now.strftime('%Y-%m-%dT%H-%M-%S')}-{id}.jsonl")


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.fixture
def desk(tmp_path: Path, make_spec: Callable[..., AgentSpec], wait_until: WaitUntil) -> Iterator[Desk]:
    desk = Desk(tmp_path, make_spec, wait_until)
    yield desk
    desk.source.close()


@pytest.fixture
def proof(desk: Desk) -> tuple[Path, str]:
    """Another agent whose transcript is seen to grow."""
    desk.follow("other", "claude", TWO, work="elsewhere")
    file = desk.claude(TWO, work="elsewhere")
    desk.comes(file, CLAUDE_DID, "other")
    return file, CLAUDE_DID


def test_a_file_of_our_session_is_found_and_followed(desk: Desk) -> None:
    desk.follow("a1", "claude", ONE)
    for _ in range(3):
        desk.comes(desk.claude(), CLAUDE_DID)
    ages = [SteadyClock().now() - e.at for e in desk.seen if isinstance(e, TranscriptGrew)]
    assert all(-0.1 < age < 10 for age in ages)
    assert desk.source.means()[0].full


def test_what_it_was_asked_and_what_failed_is_no_growth(desk: Desk, proof: tuple[Path, str]) -> None:
    desk.follow("a1", "claude", ONE)
    desk.comes(desk.claude(), CLAUDE_DID)
    desk.stays_out(desk.claude(), CLAUDE_ASKED, proof)
    desk.stays_out(desk.claude(), CLAUDE_FAILED, proof)
    desk.comes(desk.claude(), CLAUDE_ASKED + CLAUDE_DID)


def test_a_line_counts_once_it_is_whole(desk: Desk, proof: tuple[Path, str]) -> None:
    desk.follow("a1", "claude", ONE)
    desk.comes(desk.claude(), CLAUDE_DID)
    desk.stays_out(desk.claude(), CLAUDE_DID[:-1], proof)
    desk.comes(desk.claude(), "\n")


def test_what_stood_there_before_is_no_growth(desk: Desk, proof: tuple[Path, str]) -> None:
    append(desk.claude(), CLAUDE_DID * 3)
    desk.follow("a1", "claude", ONE)
    desk.comes(*proof, agent="other")
    assert desk.grew() == 0
    desk.comes(desk.claude(), CLAUDE_DID)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_cut_short_or_replaced_goes_on_from_its_end(
    desk: Desk, proof: tuple[Path, str], replaced: bool
) -> None:
    desk.follow("a1", "claude", ONE)
    desk.comes(desk.claude(), CLAUDE_DID * 4)
    before = desk.grew()
    new = desk.root / "new"
    new.write_text(CLAUDE_DID * (9 if replaced else 2))
    if replaced:
        new.rename(desk.claude())
    else:
        os.truncate(desk.claude(), 0)
        os.truncate(desk.claude(), len(CLAUDE_DID))
    desk.comes(*proof, agent="other")
    assert desk.grew() == before
    if not replaced:
        desk.goes_on(desk.claude(), CLAUDE_DID)


def test_of_what_is_appended_only_a_bound_is_read(desk: Desk) -> None:
    desk.follow("a1", "claude", ONE)
    desk.comes(desk.claude(), CLAUDE_DID)
    long = CLAUDE_DID[:-2] + ',"x":"' + "y" * 3_000_000 + '"}\n'
    desk.comes(desk.claude(), long)
    before = io_read()
    append(desk.claude(), CLAUDE_ASKED * 100_000)
    desk.wait(lambda: io_read() - before > 4 * 65536)
    desk.goes_on(desk.claude(), CLAUDE_DID)
    assert io_read() - before < 2_000_000


def io_read() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_only_plain_files_are_read(desk: Desk, proof: tuple[Path, str], kind: str) -> None:
    target = desk.root / "elsewhere.jsonl"
    target.write_text("")
    if kind == "link":
        desk.claude().symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(desk.claude())
    else:
        desk.claude().mkdir()
    desk.follow("a1", "claude", ONE)
    append(target, CLAUDE_DID)
    desk.comes(*proof, agent="other")
    assert desk.grew() == 0


def test_a_folder_that_is_a_link_leads_nowhere(desk: Desk, proof: tuple[Path, str]) -> None:
    elsewhere = desk.folder("private")
    folder = desk.claude().parent
    folder.rmdir()
    folder.symlink_to(elsewhere)
    append(elsewhere / f"{ONE}.jsonl", CLAUDE_DID)
    desk.follow("a1", "claude", ONE)
    desk.comes(*proof, agent="other")
    assert desk.grew() == 0


def test_an_id_that_codex_minted_is_learned_from_the_file_it_holds_open(desk: Desk) -> None:
    """The only certain sign in a shared folder: the file is open in a process of the agent's tree."""
    script = "import sys; f = open(sys.argv[1], 'a'); f.write(sys.argv[2]); f.flush(); sys.stdin.read()"
    files = {name: desk.codex(id) for name, id in (("a1", ONE), ("a2", TWO))}
    running: list[subprocess.Popen[bytes]] = []
    try:
        for name, file in files.items():
            id = ONE if name == "a1" else TWO
            words = [sys.executable, "-c", script, str(file), codex_first(desk.folder(), id) + CODEX_DID]
            # The file is held by a child of the configured command, as the wrapper of codex does.
            shell = ["sh", "-c", 'exec 3<&0; "$@" <&3 & wait', "sh", *words]
            running.append(subprocess.Popen(shell, stdin=subprocess.PIPE))
            desk.wait(lambda file=file: file.exists())
            desk.follow(name, "codex", pid=running[-1].pid)
        desk.wait(lambda: desk.grew("a1") and desk.grew("a2"))
        learned = {e.agent: e.session for e in desk.seen if isinstance(e, SessionLearned)}
        assert learned == {"a1": ONE, "a2": TWO}
    finally:
        for each in running:
            each.kill()
            each.communicate()


def keeper(**more: Any) -> Profile:
    """As codex, but of a CLI that does not hold its file open."""
    codex = builtin_profiles()["codex"]
    rule = codex.transcripts[0].model_copy(update={"kept_open": False} | more)
    return codex.model_copy(update={"transcripts": (rule,)})


def test_a_new_file_of_its_folder_is_its_own(desk: Desk, proof: tuple[Path, str]) -> None:
    old = datetime.fromtimestamp(desk.began - 3600, UTC)
    for id, text in ((TWO, codex_first(desk.folder(), TWO, old)), (ONE[:-1] + "0", codex_first(desk.home))):
        append(desk.codex(id), text + CODEX_DID)
    desk.follow("a1", keeper())
    desk.comes(*proof, agent="other")
    assert desk.grew() == 0, "one is older than the attempt, the other of another folder"
    desk.comes(desk.codex(), codex_first(desk.folder()) + CODEX_DID)
    assert [e.session for e in desk.seen if isinstance(e, SessionLearned)] == [ONE]


def test_what_may_be_either_s_is_neither_s(desk: Desk, proof: tuple[Path, str]) -> None:
    desk.follow("a1", keeper())
    desk.follow("a2", keeper())
    append(desk.codex(), codex_first(desk.folder()) + CODEX_DID)
    desk.wait(lambda: "share a folder" in desk.source.means()[0].why)
    desk.comes(*proof, agent="other")
    assert desk.grew("a1") == desk.grew("a2") == 0
    assert not any(isinstance(e, SessionLearned) for e in desk.seen)


def test_two_new_files_of_one_folder_are_nobody_s(desk: Desk) -> None:
    for id in (ONE, TWO):
        append(desk.codex(id), codex_first(desk.folder(), id) + CODEX_DID)
    desk.follow("a1", keeper())
    desk.wait(lambda: "2 new transcripts" in desk.source.means()[0].why)
    assert desk.grew() == 0


def test_a_session_that_was_resumed_is_found_in_its_old_folder(desk: Desk) -> None:
    old = made(desk.home / ".codex/sessions/2025/01/02" / f"rollout-2025-01-02T03-04-05-{ONE}.jsonl")
    append(old, codex_first(desk.folder()))
    os.utime(old.parent, (1, 1))
    desk.follow("a1", "codex", ONE)
    assert "found for 1" in desk.source.means()[0].how
    desk.comes(old, CODEX_DID)


def test_gemini_names_its_files_by_the_beginning_of_the_id(desk: Desk, proof: tuple[Path, str]) -> None:
    folder = made(desk.home / ".gemini/tmp/work/chats/x").parent
    mine, other = folder / "session-2026-11-21T14-37-11111111.jsonl", folder / "session-x-11111111.jsonl"
    append(other, line(sessionId=ONE[:-1] + "9", kind="main"))
    append(mine, line(sessionId=ONE, kind="main"))
    desk.follow("a1", "gemini", ONE)
    assert "found for 2" in desk.source.means()[0].how
    desk.stays_out(other, GEMINI_DID, proof)
    desk.stays_out(mine, line(**{"$set": {"messages": [{"type": "gemini", "model": "g"}]}}), proof)
    desk.stays_out(mine, line(id="b", timestamp="x", type="user", content="type:gemini"), proof)
    again = line(id="c", timestamp="x", type="gemini", content=[{"text": "yes"}], thoughts=[], tokens={})
    cancelled = GEMINI_DID[:-2] + ',"toolCalls":[{"name":"sh","status":"cancelled"}]}\n'
    desk.stays_out(mine, again + cancelled, proof)
    desk.comes(mine, GEMINI_DID)


def test_aider_s_history_counts_by_its_answers_and_not_for_two(desk: Desk, proof: tuple[Path, str]) -> None:
    file = desk.folder() / ".aider.chat.history.md"
    file.write_text("# aider chat started\n")
    desk.follow("a1", "aider")
    desk.comes(file, "I will write the parser.\n")
    desk.stays_out(file, "\n#### go on\n\n> Tokens: 725 sent, 12 received.\n", proof)
    desk.follow("a2", "aider")
    desk.wait(lambda: "share" in desk.source.means()[0].why)
    desk.stays_out(file, "Done.\n", proof)
    desk.source.forget("a2")
    desk.followed.remove("a2")
    desk.wait(lambda: not desk.source.means()[0].why)
    desk.comes(file, "Done again.\n")


def test_a_history_of_the_git_tree_around_the_workspace(desk: Desk) -> None:
    (desk.folder() / ".git").mkdir()
    desk.follow("a1", "aider", work="work/part")
    desk.comes(desk.folder() / ".aider.chat.history.md", "I will.\n")


def test_without_inotify_it_looks_and_says_so(desk: Desk) -> None:
    desk.source.close()
    desk.source = desk.open(polling=True)
    desk.follow("a1", "claude", ONE)
    desk.comes(desk.claude(), CLAUDE_DID)
    desk.comes(desk.claude(), CLAUDE_DID)
    (means,) = desk.source.means()
    assert (means.full, means.source) == (False, "transcripts")
    assert "no inotify" in means.why


def test_after_it_is_forgotten_nothing_is_told(desk: Desk, proof: tuple[Path, str]) -> None:
    desk.follow("a1", "claude", ONE)
    desk.comes(desk.claude(), CLAUDE_DID)
    desk.source.forget("a1")
    desk.stays_out(desk.claude(), CLAUDE_DID, proof)
    desk.follow("a1", "shell")
    desk.stays_out(desk.claude(), CLAUDE_DID, proof)


def test_a_fleet_without_transcripts_has_no_thread(desk: Desk) -> None:
    desk.follow("a1", "shell")
    desk.follow("a2", "opencode")
    assert desk.source.means() == ()
    assert not any(thread.name == "hhmrs-transcripts" for thread in threading.enumerate())


def claude_error(text: str, **more: Any) -> str:
    said = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    return line(type="assistant", message=said, isApiErrorMessage=True, **more)


def codex_error(info: object, message: str = "it failed") -> str:
    payload = {"type": "task_complete", "error": {"message": message, "codex_error_info": info}}
    return line(timestamp="x", ordinal=7, type="event_msg", payload=payload)


def gemini_error(text: str) -> str:
    return line(id="e", timestamp="x", type="error", content=text)


CONNECTION = "http_connection_failed"
ERRORS = [
    ("claude", claude_error("Invalid API key · Please run /login"), "auth"),
    ("claude", claude_error('API Error: 401 {"type":"error"} · Please run /login'), "auth"),
    ("claude", claude_error("You've hit your limit · resets in 2h 5m"), "rate_limited"),
    ("claude", claude_error("Prompt is too long"), "context_exhausted"),
    ("claude", claude_error("API Error: 500 Internal server error"), "api_error"),
    ("codex", codex_error("context_window_exceeded"), "context_exhausted"),
    (
        "codex",
        codex_error("usage_limit_exceeded", "You’ve hit your limit, try again at 2h 5m."),
        "rate_limited",
    ),
    ("codex", codex_error({CONNECTION: {"http_status_code": 401}}), "auth"),
    ("codex", codex_error({CONNECTION: {"http_status_code": 429}}), "rate_limited"),
    ("codex", codex_error({CONNECTION: {"http_status_code": 503}}), "api_error"),
    ("codex", codex_error("internal_server_error"), "api_error"),
    ("gemini", gemini_error("[API Error: API key not valid. Please pass a valid API key.]"), "auth"),
    ("gemini", gemini_error('[API Error: {"error":{"status":"RESOURCE_EXHAUSTED"}}]'), "rate_limited"),
    ("gemini", gemini_error('[API Error: {"error":{"code":500}}]'), "api_error"),
]
PROSE = "API Error: 401 authentication_error, Please run /login, context_window_exceeded, [API Error: x]"
QUOTED = json.dumps({"isApiErrorMessage": True, "type": "error", "codex_error_info": "internal_server_error"})


def of_profile(desk: Desk, profile: str) -> Path:
    """Follow a1 as such a CLI; its transcript."""
    if profile == "claude":
        desk.follow("a1", "claude", ONE)
        return desk.claude()
    if profile == "gemini":
        desk.follow("a1", "gemini", ONE)
        return made(desk.home / ".gemini" / "tmp" / "p" / "chats" / f"session-x-{ONE[:8]}.jsonl")
    desk.follow("a1", "codex", ONE)
    return desk.codex()


DID = {"claude": CLAUDE_DID, "codex": CODEX_DID, "gemini": GEMINI_DID}


@pytest.mark.parametrize(("profile", "said", "cause"), ERRORS)
def test_a_turn_that_failed_is_told_with_its_cause(
    desk: Desk, profile: str, said: str, cause: str, wait_until: WaitUntil
) -> None:
    file = of_profile(desk, profile)
    if profile != "claude":
        append(file, line(id=ONE, sessionId=ONE, payload={"id": ONE}))
    desk.comes(file, DID[profile])
    append(file, said)
    wait_until(lambda: any(isinstance(x, ErrorShown) for x in desk.seen), what="the error")
    told = next(x for x in desk.seen if isinstance(x, ErrorShown))
    assert (told.agent, told.cause, told.source) == ("a1", cause, "transcript")
    assert told.line
    ends = told.until - told.at if told.until is not None else None
    assert (ends is not None and abs(ends - 7500) < 30) == ("2h 5m" in said)


@pytest.mark.parametrize("profile", sorted(DID))
def test_prose_about_errors_and_errors_of_the_past_are_none(desk: Desk, profile: str) -> None:
    file = of_profile(desk, profile)
    if profile != "claude":
        append(file, line(id=ONE, sessionId=ONE, payload={"id": ONE}))
    desk.comes(file, DID[profile])
    for words in (PROSE, QUOTED):
        did = {
            "claude": line(type="assistant", message={"content": [{"type": "text", "text": words}]}),
            "codex": line(type="event_msg", payload={"type": "task_complete", "last_agent_message": words}),
            "gemini": line(id="a", timestamp="x", type="gemini", content=words, model="g"),
        }[profile]
        asked = {
            "claude": line(type="user", message={"role": "user", "content": words}),
            "codex": line(type="response_item", payload={"role": "user", "content": words}),
            "gemini": line(id="a", timestamp="x", type="user", content=words),
        }[profile]
        desk.comes(file, did + asked + DID[profile])
    error = next(said for name, said, _ in ERRORS if name == profile)
    desk.comes(file, error + DID[profile])
    assert [x for x in desk.seen if isinstance(x, ErrorShown)] == [], "it went on after that"


def test_an_error_of_a_subagent_is_not_the_agents(desk: Desk) -> None:
    desk.follow("a1", "claude", ONE)
    desk.comes(desk.claude(), CLAUDE_DID)
    append(desk.claude(), claude_error("API Error: 500", isSidechain=True))
    append(desk.claude(), claude_error("API Error: 529", isSidechain=False))
    desk.wait(lambda: any(isinstance(x, ErrorShown) for x in desk.seen))
    assert [x.line for x in desk.seen if isinstance(x, ErrorShown)] == ["API Error: 529"]
