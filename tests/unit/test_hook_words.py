"""What the CLIs tell their hooks, as evidence; and the door through which it comes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hhmrs.config.fleet import AgentSpec
from hhmrs.config.paths import StateDir
from hhmrs.config.profiles import builtin_profiles
from hhmrs.controller.checkpoints.checkpoints import CheckpointStore
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.hooks.opencode import PLUGIN
from hhmrs.controller.hooks.table import KINDS
from hhmrs.controller.hooks.translating import evidence_of
from hhmrs.controller.letters.delivery import Deliveries
from hhmrs.controller.letters.inbox import Inbox
from hhmrs.controller.letters.letterforms import Refused, checked, parse, payload
from hhmrs.healing import evidence as e

NOW = 5000.0
LOCAL = datetime(2026, 11, 22, 14, 0, tzinfo=timezone(timedelta(hours=1)))


def told(cli: str, event: str, **said: Any) -> list[e.Evidence]:
    return evidence_of("a1", cli, event, said, NOW, LOCAL)


@pytest.mark.parametrize(
    ("cli", "event", "said", "wanted"),
    [
        ("claude", "UserPromptSubmit", {"prompt": "x"}, ("busy", "", "")),
        ("claude", "PostToolUse", {"tool_name": "Bash"}, ("busy", "", "Bash")),
        ("claude", "PostToolUse", {"tool_name": "Bash", "tool_response": {"error": "no"}}, ("busy", "", "")),
        ("claude", "PostToolUseFailure", {"tool_name": "Bash"}, ("busy", "", "")),
        ("claude", "Stop", {}, ("idle", "", "")),
        (
            "claude",
            "PermissionRequest",
            {"tool_name": "Bash", "tool_input": {"command": "rm x"}},
            ("waiting", "may it use Bash: rm x?", ""),
        ),
        (
            "claude",
            "Notification",
            {"notification_type": "permission_prompt", "message": "Claude needs you"},
            ("waiting", "", ""),
        ),
        (
            "claude",
            "Notification",
            {"notification_type": "elicitation_dialog", "message": "m"},
            ("waiting", "m", ""),
        ),
        ("claude", "Notification", {"notification_type": "idle_prompt"}, ("idle", "", "")),
        ("codex", "PermissionRequest", {"tool_name": "Bash"}, ("waiting", "may it use Bash?", "")),
        ("codex", "Interrupt", {}, ("idle", "", "")),
        (
            "gemini",
            "Notification",
            {"notification_type": "ToolPermission", "message": "m"},
            ("waiting", "m", ""),
        ),
        ("gemini", "AfterTool", {"tool_name": "write_file"}, ("busy", "", "write_file")),
        ("gemini", "AfterAgent", {}, ("idle", "", "")),
        ("qwen", "PermissionRequest", {}, ("waiting", "it asks for a permission", "")),
        (
            "copilot",
            "postToolUse",
            {"toolName": "bash", "toolResult": {"resultType": "success"}},
            ("busy", "", "bash"),
        ),
        (
            "copilot",
            "postToolUse",
            {"toolName": "bash", "toolResult": {"resultType": "failure"}},
            ("busy", "", ""),
        ),
        ("copilot", "agentStop", {}, ("idle", "", "")),
        ("opencode", "session.status", {"type": "busy"}, ("busy", "", "")),
        ("opencode", "session.status", {"type": "retry", "message": "overloaded"}, ("busy", "", "")),
        (
            "opencode",
            "permission.asked",
            {"permission": "bash", "patterns": ["make"]},
            ("waiting", "may it use bash: make?", ""),
        ),
        ("opencode", "session.error", {"name": "MessageAbortedError"}, ("idle", "", "")),
        ("aider", "notification", {}, ("idle", "", "")),
    ],
)
def test_phases(cli: str, event: str, said: dict[str, Any], wanted: tuple[str, str, str]) -> None:
    (found,) = told(cli, event, **said)
    assert isinstance(found, e.HookTold)
    assert (found.phase, found.words, found.tool) == wanted
    assert (found.agent, found.at) == ("a1", NOW)


@pytest.mark.parametrize(
    ("cli", "event", "said", "cause", "left"),
    [
        ("claude", "StopFailure", {"error": "authentication_failed", "error_details": "x"}, "auth", None),
        ("claude", "StopFailure", {"error_type": "billing_error"}, "auth", None),
        ("claude", "StopFailure", {"error": "server_error", "error_message": "529"}, "api_error", None),
        (
            "claude",
            "StopFailure",
            {"error": "invalid_request", "error_message": "Prompt is too long"},
            "context_exhausted",
            None,
        ),
        (
            "claude",
            "StopFailure",
            {
                "error": "rate_limit",
                "last_assistant_message": "You've hit your session limit · resets 4:20pm",
            },
            "rate_limited",
            2 * 3600 + 1200,
        ),
        (
            "claude",
            "StopFailure",
            {
                "error": "rate_limit",
                "error_details": "You've hit your limit · resets Nov 23 at 4pm (Europe/Berlin)",
            },
            "rate_limited",
            26 * 3600,
        ),
        (
            "claude",
            "StopFailure",
            {"error": "rate_limit", "error_message": "slow down"},
            "rate_limited",
            None,
        ),
        ("copilot", "errorOccurred", {"recoverable": False, "error": {"message": "HTTP 401"}}, "auth", None),
        ("copilot", "errorOccurred", {"error": {"message": "boom"}}, "api_error", None),
        ("opencode", "session.error", {"name": "APIError", "status": 401, "message": "no"}, "auth", None),
        ("opencode", "session.error", {"name": "ContextOverflowError"}, "context_exhausted", None),
        (
            "opencode",
            "session.status",
            {"type": "retry", "message": "Rate limit reached", "next": (LOCAL.timestamp() + 900) * 1000},
            "rate_limited",
            900,
        ),
    ],
)
def test_failures(cli: str, event: str, said: dict[str, Any], cause: str, left: float | None) -> None:
    (found,) = told(cli, event, **said)
    assert isinstance(found, e.ErrorShown)
    assert (found.cause, found.source) == (cause, "hook")
    assert found.until == (None if left is None else pytest.approx(NOW + left, abs=1.0))


@pytest.mark.parametrize(
    ("cli", "event", "said"),
    [
        ("claude", "Notification", {"notification_type": "auth_success", "message": "m"}),
        ("claude", "Unheard", {}),
        ("nobody", "Stop", {}),
        ("copilot", "errorOccurred", {"recoverable": True, "error": {"message": "HTTP 429"}}),
        ("claude", "SessionStart", {"session_id": "; rm -rf"}),
        ("claude", "SessionStart", {"session_id": 7}),
    ],
)
def test_what_means_nothing(cli: str, event: str, said: dict[str, Any]) -> None:
    assert told(cli, event, **said) == []


def test_a_short_wait_that_opencode_makes_itself_is_work() -> None:
    (found,) = told(
        "opencode", "session.status", type="retry", message="Rate limit", next=(LOCAL.timestamp() + 4) * 1e3
    )
    assert isinstance(found, e.HookTold)
    assert found.phase == "busy"


def test_the_session_is_learned() -> None:
    assert told("codex", "SessionStart", session_id="0192-ab") == [e.SessionLearned("a1", NOW, "0192-ab")]
    assert told("copilot", "sessionStart", sessionId="s9") == [e.SessionLearned("a1", NOW, "s9")]
    assert told("opencode", "session.created", sessionID="ses_1") == [e.SessionLearned("a1", NOW, "ses_1")]


def test_words_are_inert_one_line_and_without_secrets() -> None:
    key = "sk-ant-" + "api03-" + "A1b2C3d4" * 8
    (found,) = told(
        "claude",
        "PermissionRequest",
        tool_name="Bash",
        tool_input={"command": f"curl\n-H {key} " + "y" * 5000},
    )
    assert isinstance(found, e.HookTold)
    assert key not in found.words
    assert "\n" not in found.words
    assert len(found.words) <= 300


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "tool_name",
        "tool_input",
        "tool_response",
        "error",
        "message",
        "notification_type",
        "session_id",
        "type",
        "next",
        "status",
        "name",
        "patterns",
        "error_type",
        "recoverable",
        "toolResult",
        "sessionID",
    ]
)


@given(
    st.sampled_from([(k, x) for k, kind in KINDS.items() for x in kind.meanings]),
    st.dictionaries(FIELDS, JSON),
)
def test_any_payload_is_survived(which: tuple[str, str], said: dict[str, Any]) -> None:
    for found in evidence_of("a1", *which, said, NOW, LOCAL):
        assert found.agent == "a1"


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.integers(0, 200))
def test_a_payload_cut_anywhere_keeps_its_whole_members(said: dict[str, Any], cut: int) -> None:
    text = json.dumps(said).replace("NaN", "1").replace("-Infinity", "1").replace("Infinity", "1")
    whole = json.loads(text)
    assert payload(text.encode()) == whole
    part = payload(text.encode()[:cut])
    assert part.items() <= whole.items() if all(isinstance(v, int | str) for v in whole.values()) else True
    assert set(part) <= set(whole)
    assert all(whole[name] == value for name, value in part.items())


def test_payloads_that_are_none() -> None:
    for raw in (b"", b"[1]", b"nonsense", b"{", b'{"a"', b'{"a":', b"\xff\xfe", b"[" * 50_000):
        assert payload(raw) == {}
    assert payload(b'{"a": 12') == {}, "its digits may go on"
    assert payload(b'{"deep": ' + b"[" * 40 + b"]" * 40 + b', "a": 1}') == {"a": 1}
    assert payload(b'{"a": ' + b"[" * 100_000) == {}


@pytest.mark.parametrize(
    "fields",
    [{"cli": "../x"}, {"cli": 3}, {"event": "a b"}, {"event": ""}, {"payload": [1]}, {"payload": "x"}],
)
def test_letters_in_bad_form_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        checked("hook", {"cli": "codex", "event": "Stop", "payload": {}} | fields)


def test_a_plain_json_letter_is_taken_as_well() -> None:
    raw = json.dumps({"kind": "hook", "cli": "codex", "event": "Stop", "payload": {"a": 1}}).encode()
    for form in (raw, raw.replace(b": ", b":").replace(b", ", b","), raw + b"\n"):
        assert checked("hook", parse(form))["payload"] == {"a": 1}


class Post:
    def __init__(self, root: Path, spec: AgentSpec) -> None:
        state, clock = StateDir(root, "f"), SteadyClock()
        state.create()
        self.spec, self.refused = spec, list[e.Evidence]()
        self.inbox = Inbox(state, self.refused.append, clock)
        self.folder = self.inbox.make("a1", root)
        self.deliveries = Deliveries(self.inbox, CheckpointStore(state), clock)

    def collect(self) -> list[e.Evidence]:
        found = self.deliveries.collect(self.spec, lambda: 1, None)
        self.deliveries.acknowledge(found.letters)
        return found.evidence


@pytest.fixture
def post(tmp_path: Path, make_spec: Callable[..., AgentSpec]) -> Post:
    return Post(tmp_path / "state", make_spec())


def _write(folder: Path, cli: str, attempt: int = 1) -> None:
    head = {
        "kind": "hook",
        "agent": "a1",
        "attempt": attempt,
        "at": "2026-11-21T10:00:00Z",
        "cli": cli,
        "event": "Stop",
    }
    (folder / "new" / f"{cli}{attempt}").write_text(json.dumps(head, separators=(",", ":")) + '\n{"a":1}')


def test_another_cli_that_the_agent_runs_as_a_tool_does_not_speak_for_it(post: Post) -> None:
    post.deliveries.cli_of = lambda _: "codex"
    _write(post.folder, "claude")
    assert post.collect() == []
    assert post.refused == [], "and it is nobody's fault"
    _write(post.folder, "codex")
    assert [type(x) for x in post.collect()] == [e.HookTold]
    post.deliveries.cli_of = lambda _: ""
    _write(post.folder, "qwen")
    assert [type(x) for x in post.collect()] == [e.HookTold]


def test_a_hook_of_an_older_attempt_is_refused_like_any_letter(post: Post) -> None:
    _write(post.folder, "codex", attempt=0)
    assert post.collect() == []
    (refused,) = post.refused
    assert isinstance(refused, e.LetterRefused)
    assert "attempt" in refused.reason


def test_every_profile_names_hooks_that_are_known() -> None:
    named = {profile.hooks for profile in builtin_profiles().values()} - {""}
    assert named == {*KINDS} & named
    assert named >= {"claude", "codex", "gemini", "opencode", "aider"}


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run the plugin with")
def test_the_plugin_of_opencode_writes_letters_and_keeps_out_of_other_sessions(
    post: Post, tmp_path: Path
) -> None:
    (tmp_path / "plugin.mjs").write_text(PLUGIN)
    events = [
        {"type": "session.created", "properties": {"info": {"id": "ses_1"}}},
        {"type": "session.created", "properties": {"info": {"id": "ses_2", "parentID": "ses_1"}}},
        {"type": "session.status", "properties": {"sessionID": "ses_1", "status": {"type": "busy"}}},
        {"type": "session.idle", "properties": {"sessionID": "ses_2"}},
        {
            "type": "permission.asked",
            "properties": {"sessionID": "ses_2", "permission": "bash", "patterns": ["ls"]},
        },
        {
            "type": "session.error",
            "properties": {"sessionID": "ses_1", "error": {"name": "ProviderAuthError"}},
        },
        {"type": "session.idle"},
        {},
    ]
    (tmp_path / "run.mjs").write_text(
        'import { Hhmrs } from "./plugin.mjs"\nconst hooks = await Hhmrs({})\n'
        f"for (const event of {json.dumps(events)}) await hooks.event?.({{ event }})\n"
        'await hooks["tool.execute.after"]?.({ tool: "bash" })\n'
    )
    env = {
        "PATH": "/usr/bin:/bin",
        "HHMRS_AGENT": "a1",
        "HHMRS_ATTEMPT": "1",
        "HHMRS_INBOX": str(post.folder),
    }
    node = shutil.which("node") or ""

    def run(**env: str) -> None:
        done = subprocess.run(
            [node, tmp_path / "run.mjs"], env=env, capture_output=True, check=False, timeout=20
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    run(PATH="/usr/bin:/bin")
    assert post.collect() == []
    run(**env)
    found = sorted(
        f"{type(x).__name__} {getattr(x, 'phase', '')}{getattr(x, 'cause', '')}{getattr(x, 'session', '')}"
        for x in post.collect()
    )
    assert found == sorted(
        [
            "SessionLearned ses_1",
            "HookTold busy",
            "HookTold waiting",
            "ErrorShown auth",
            "HookTold idle",
            "HookTold busy",
        ]
    )
    run(**env | {"HHMRS_INBOX": str(tmp_path / "gone")})
