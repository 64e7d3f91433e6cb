"""From how it ended to the cause: the table of rules, and what each built-in profile reads in last words."""

from __future__ import annotations

import re
import signal
import time

import pytest

from hhmrs.config.fleet import ExitRule, Profile
from hhmrs.config.profiles import builtin_profiles
from hhmrs.healing.attribute import LAST_LINES, Death, cause_of
from hhmrs.healing.masking import MASK
from hhmrs.healing.quoting import MOST, quote

PLAIN = Profile(name="plain")
LOOSE = Profile(
    name="loose",
    exits=(
        ExitRule(cause="auth", pattern="^not logged in"),
        ExitRule(cause="api_error", pattern="^API Error"),
        ExitRule(cause="git", pattern="^fatal: ", status=(128,)),
        ExitRule(cause="tests", pattern="^timed out in test", status=(124,)),
    ),
    exit_codes={41: "auth", 137: "context_exhausted"},
)
OOM = "Out of memory: Killed process 77 (python3)"


@pytest.mark.parametrize(
    ("status", "sent", "cause", "words"),
    [
        (None, None, "unknown", "exit status unknown"),
        (1, None, "crash", "exit 1"),
        (2, None, "crash", "exit 2"),
        (124, None, "timeout", "exit 124 (timed out)"),
        (126, None, "permission", "exit 126 (found but could not be run)"),
        (127, None, "crash", "exit 127 (command not found)"),
        (128, None, "crash", "exit 128"),
        (129, None, "killed", "exit 129 (SIGHUP)"),
        (130, None, "sigint", "exit 130 (SIGINT); a person was attached"),
        (134, None, "crash", "exit 134 (SIGABRT)"),
        (137, None, "killed", "exit 137 (SIGKILL)"),
        (143, None, "killed", "exit 143 (SIGTERM)"),
        (142, None, "timeout", "exit 142 (SIGALRM)"),
        (255, None, "crash", "exit 255"),
        (None, signal.SIGINT, "sigint", "SIGINT; a person was attached"),
        (None, signal.SIGKILL, "killed", "SIGKILL"),
        (None, signal.SIGTERM, "killed", "SIGTERM"),
        (None, signal.SIGSEGV, "crash", "SIGSEGV"),
        (None, signal.SIGXCPU, "timeout", "SIGXCPU"),
        (None, 63, "crash", "signal 63"),
    ],
)
def test_status_and_signal_speak_first(status: int | None, sent: int | None, cause: str, words: str) -> None:
    found = cause_of(Death(status, sent, interrupter="a person was attached"), PLAIN)
    assert (found.name, found.detail) == (cause, words)


@pytest.mark.parametrize(
    ("status", "sent", "oom", "cause"),
    [
        (None, signal.SIGKILL, OOM, "oom"),
        (137, None, OOM, "oom"),
        (137, None, "", "killed"),
        (143, None, OOM, "killed"),  # another process of the same number, or somebody was faster
        (1, None, OOM, "crash"),
    ],
)
def test_want_of_memory_is_believed_of_the_kernel_and_a_kill(
    status: int | None, sent: int | None, oom: str, cause: str
) -> None:
    found = cause_of(Death(status, sent, oom=oom), PLAIN)
    assert found.name == cause
    assert (OOM in found.detail) == (cause == "oom")


@pytest.mark.parametrize(
    ("status", "said", "cause"),
    [
        (1, "API Error: 500", "api_error"),
        (2, "API Error: 500", "api_error"),
        (1, "it says: API Error: 500", "crash"),  # not where the program itself writes it
        (1, "not logged in", "auth"),
        (128, "fatal: not a git repository", "git"),
        (1, "fatal: not a git repository", "crash"),  # another status than git's
        (124, "timed out in test 3", "tests"),  # the profile names this very status
        (124, "API Error: 500", "timeout"),  # a status that means something of its own
        (126, "API Error: 500", "permission"),
        (130, "API Error: 500", "sigint"),
        (143, "API Error: 500", "killed"),
        (41, "API Error: 500", "auth"),  # its own codes go first
        (137, "API Error: 500", "context_exhausted"),
    ],
)
def test_last_words_count_when_the_status_agrees(status: int, said: str, cause: str) -> None:
    assert cause_of(Death(status, None, (said,), interrupter="x"), LOOSE).name == cause


def test_a_signal_is_no_exit_status_whatever_was_said() -> None:
    assert cause_of(Death(None, signal.SIGSEGV, ("API Error: 500",)), LOOSE).name == "crash"


def test_what_was_said_last_has_it_and_for_one_line_the_first_rule() -> None:
    assert cause_of(Death(1, None, ("not logged in", "API Error: 500")), LOOSE).name == "api_error"
    assert cause_of(Death(1, None, ("API Error: 500", "not logged in")), LOOSE).name == "auth"


def test_only_the_last_lines_say_why() -> None:
    story = tuple(f"line {n}" for n in range(LAST_LINES))
    assert cause_of(Death(1, None, ("API Error: 500", *story)), LOOSE).name == "crash"
    assert cause_of(Death(1, None, ("API Error: 500", *story[1:], "", "  ")), LOOSE).name == "api_error"


def test_the_evidence_is_kept_inert_masked_and_short() -> None:
    hostile = "API Error: \x1b[31msk-abcdefghijklmnop1234\x1b]0;title\x07 \u202e" + "x" * 5000
    detail = cause_of(Death(1, None, ("\x1b[1m" + hostile,)), LOOSE).detail
    assert detail.startswith(f"exit 1: API Error: {MASK} x")
    assert detail.isprintable()
    assert len(detail) <= len("exit 1: ") + MOST


def test_a_secret_is_not_cut_in_half_and_shown() -> None:
    text = "x" * (MOST - 12) + " sk-abcdefghijklmnopqrstuvwxyz"
    assert "sk-a" not in quote(text)


LAST_WORDS = [
    ("claude", 1, "Not logged in · Please run /login", "auth"),
    ("claude", 1, 'API Error: 401 {"type":"error"} · Please run /login', "auth"),
    ("claude", 1, "OAuth token has expired. Please obtain a new token", "auth"),
    ("claude", 1, "Credit balance is too low", "auth"),
    ("claude", 1, "You've hit your session limit · resets 4:20am (Europe/Warsaw)", "rate_limited"),
    ("claude", 1, "You’ve hit your limit · resets Apr 23 at 4pm (America/Recife)", "rate_limited"),
    ("claude", 1, "5-hour limit reached ∙ resets 3pm", "rate_limited"),
    ("claude", 1, "Claude AI usage limit reached|1790000000", "rate_limited"),
    ("claude", 1, "API Error: Request rejected (429)", "rate_limited"),
    ("claude", 1, "Prompt is too long", "context_exhausted"),
    ("claude", 1, "Error during compaction: Conversation too long", "context_exhausted"),
    ("claude", 1, "API Error: 500 Internal server error", "api_error"),
    ("claude", 1, "API Error: Repeated 529 Overloaded errors", "api_error"),
    ("claude", 1, "API Error (Connection error.)", "api_error"),
    ("claude", 1, "Unable to connect to API", "api_error"),
    ("claude", 1, "I fixed the API Error in parser.py", "crash"),
    ("claude", 1, "❯ Prompt is too long", "crash"),
    ("claude", 1, "  ⎿ API Error: 500", "crash"),
    ("claude", 2, "API Error: 500 Internal server error", "crash"),
    ("codex", 1, "ERROR: unexpected status 401 Unauthorized: , url: http://x", "auth"),
    ("codex", 1, "Missing environment variable: `MOCK_KEY`.", "auth"),
    ("codex", 1, '{"type":"turn.failed","error":{"message":"unexpected status 401 Unauthorized: "}}', "auth"),
    ("codex", 1, "ERROR: Quota exceeded. Check your plan and billing details.", "auth"),
    (
        "codex",
        1,
        "ERROR: You’ve hit your usage limit. Upgrade to Pro or try again at 8:03 AM.",
        "rate_limited",
    ),
    ("codex", 1, "ERROR: exceeded retry limit, last status: 429 Too Many Requests", "rate_limited"),
    ("codex", 1, "■ Codex ran out of room in the model's context window. Start a new", "context_exhausted"),
    ("codex", 1, "ERROR: We’re currently experiencing high demand, which may", "api_error"),
    ("codex", 1, "ERROR: unexpected status 529 <unknown status code>: Overloaded", "api_error"),
    ("codex", 1, "ERROR: stream disconnected before completion: idle timeout waiting", "api_error"),
    ("codex", 1, "the server said 401 Unauthorized once", "crash"),
    ("gemini", 41, "", "auth"),
    ("gemini", 145, "", "auth"),
    ("gemini", 173, "", "rate_limited"),
    ("gemini", 247, "", "api_error"),
    ("gemini", 130, "", "sigint"),
    ("gemini", 1, '[API Error: {"error":{"code":500}}]', "api_error"),
    ("gemini", 1, '[API Error: {"status":"RESOURCE_EXHAUSTED"}]', "rate_limited"),
    ("gemini", 1, "> explain [API Error: x]", "crash"),
    ("opencode", 1, "Error: Provider is overloaded", "api_error"),
    ("opencode", 1, "Rate limit reached for requests", "rate_limited"),
    (
        "opencode",
        1,
        "Conversation history too large to compact - exceeds model context limit",
        "context_exhausted",
    ),
    ("opencode", 1, "my app says: Provider is overloaded", "crash"),
    ("aider", 1, "litellm.AuthenticationError: AuthenticationError: x", "auth"),
    ("aider", 1, "litellm.RateLimitError: RateLimitError: x", "rate_limited"),
    ("aider", 1, "litellm.InternalServerError: x", "api_error"),
    ("aider", 1, "Model openai/mock-1 has hit a token limit!", "context_exhausted"),
    ("shell", 128, "fatal: not a git repository (or any of the parent directories): .git", "git"),
    ("shell", 1, "error: failed to push some refs to 'origin'", "git"),
    ("shell", 1, "Automatic merge failed; fix conflicts and then commit the result.", "git"),
    ("shell", 1, "pull request create failed: GraphQL: No commits between main and x", "pull_request"),
    ("shell", 1, "=================== 1 failed, 22 passed in 0.42s ===================", "tests"),
    ("shell", 1, "==== 3 passed, 1 error in 1.20s ====", "tests"),
    ("shell", 1, "FAILED (failures=2)", "tests"),
    ("shell", 1, "Tests:       1 failed, 12 passed, 13 total", "tests"),
    ("shell", 1, "FAIL\texample.com/parser\t0.012s", "tests"),
    ("shell", 101, "test result: FAILED. 3 passed; 1 failed; 0 ignored", "tests"),
    ("shell", 1, "=================== 23 passed in 0.42s ===================", "crash"),
    ("shell", 1, "api error: rate limit, permission denied, git error, tests failed", "crash"),
    ("shell", 2, "fatal: something of its own", "crash"),
]


@pytest.mark.parametrize(("profile", "status", "said", "cause"), LAST_WORDS)
def test_what_the_built_in_profiles_read_in_last_words(
    profile: str, status: int, said: str, cause: str
) -> None:
    found = cause_of(Death(status, None, ("it worked for a while", said)), builtin_profiles()[profile])
    assert found.name == cause
    if cause != "crash" and said and status < 128:
        assert quote(said) in found.detail


@pytest.mark.parametrize("profile", sorted(builtin_profiles()))
def test_no_last_words_take_long_to_read(profile: str) -> None:
    """Hostile ones: long lines of what the patterns look for, and never quite that."""
    rules = builtin_profiles()[profile].exits
    seeds = [
        *("=" * 5, "1 failed, ", "API Error: ", '{"message":"', "litellm.", "You've hit your ", "resets ")
    ]
    tail = tuple(seed * 400 for seed in seeds) * 20
    began = time.thread_time()
    cause_of(Death(1, None, tail), builtin_profiles()[profile])
    assert time.thread_time() - began < 2.0, rules


@pytest.mark.parametrize("profile", sorted(builtin_profiles()))
def test_no_screen_and_no_transcript_takes_long_to_read(profile: str) -> None:
    known = builtin_profiles()[profile]
    seeds = [
        "✕ [API Error: ",
        "API key not valid ",
        "■ unexpected status 401 Unauthorized ",
        "› x ",
        "litellm.XError: ",
    ]
    seeds += [
        '"isApiErrorMessage":true,"text":"',
        '"type":"task_complete","codex_error_info":"',
        "─" * 30,
        "resets ",
    ]
    one = "\n".join((seed * 60)[:1000] for seed in seeds)
    screens = [one.replace("\n", "\n" + seed) + "\n" + seed * 40 for seed in seeds]
    lines = [(seed * 4000)[:64_000] for seed in seeds]
    lines += [
        '{"id":"x","timestamp":"x","type":"error","content":"[API Error: ' + "x" * 60_000,
        "".join(lines)[:64_000],
    ]
    began = time.thread_time()
    for rule in known.screens:
        for screen in screens:
            re.search(rule.pattern, screen, re.MULTILINE)
    for errors in (error for rule in known.transcripts for error in rule.errors):
        for line in lines:
            re.search(errors.pattern, line)
    assert time.thread_time() - began < 5.0
