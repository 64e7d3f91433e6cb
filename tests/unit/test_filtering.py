"""Whom a filter line finds."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from hhmrs.healing.agent import Phase
from hhmrs.tests.unit.fleets import agent, fleet, grown
from hhmrs.tui.filtering import Sieve, Word, words_of
from hhmrs.tui.listing import Listing
from hhmrs.tui.tree import grow
from hhmrs.tui.viewmodel import Lines

TEAM = fleet(
    agent("architect", profile="claude", model="opus"),
    agent("dir-code", "architect", title="Dir-Code", profile="claude", model="sonnet"),
    agent("coder-1", "dir-code", Phase.WAITING, profile="codex", message="May I edit the Lexer?"),
    agent("coder-2", "dir-code", Phase.LIMITED, profile="codex", task="write the parser"),
    agent("coder-3", "dir-code", Phase.RECOVERING, profile="shell", doing="restart: verifying"),
)


def found(needle: str, sieve: Sieve | None = None) -> list[str] | None:
    names = (sieve or Sieve()).matching(needle, grow(TEAM), TEAM.by_id)
    return None if names is None else sorted(names)


@pytest.mark.parametrize(
    ("needle", "names"),
    [
        ("coder", ["coder-1", "coder-2", "coder-3"]),
        ("LEXER", ["coder-1"]),
        ("parser", ["coder-2"]),
        ("verifying", ["coder-3"]),
        ("edit lexer", ["coder-1"]),
        ("coder codex !limited", ["coder-1"]),
        ("!coder", ["architect", "dir-code"]),
        ("phase:waiting", ["coder-1"]),
        ("profile:claude model:son", ["dir-code"]),
        ("!profile:codex coder", ["coder-3"]),
        ("name:dir", ["dir-code"]),
        ("under:dir-code", ["coder-1", "coder-2", "coder-3"]),
        ("under:Dir-Code !phase:waiting", ["coder-2", "coder-3"]),
        ("under:architect profile:claude", ["dir-code"]),
        ("model:opus:extra", []),
        ("restart:", ["coder-3"]),
        ("nobody", []),
    ],
)
def test_all_words_must_fit(needle: str, names: list[str]) -> None:
    assert found(needle) == names


@pytest.mark.parametrize("needle", ["", "  ", "!", "phase:", "!under:"])
def test_what_is_half_typed_asks_for_nothing(needle: str) -> None:
    assert found(needle) is None
    assert words_of(needle) == ()


def test_a_word_is_read_into_its_parts() -> None:
    assert words_of("!Phase:Done x:y") == (Word("done", "phase", True), Word("x:y"))


def test_what_was_read_of_an_agent_is_read_again_when_it_changed() -> None:
    sieve = Sieve()
    assert found("lexer", sieve) == ["coder-1"]
    told = tuple(replace(one, message="lexer done") if one.id == "coder-2" else one for one in TEAM.agents)
    later = replace(TEAM, agents=told)
    assert sieve.matching("lexer", grow(later), later.by_id) == frozenset({"coder-1", "coder-2"})


def test_a_letter_more_costs_little_with_five_thousand_agents() -> None:
    """CPU time of the lines alone, the least of several, so that other work on the machine does not count."""
    seen, lines = grown(5000), Lines()
    took: list[float] = []
    for needle in ("", "a", "a1", "a12", "a12 phase:w", "!a12"):
        begun = time.thread_time()
        found = lines.of(seen, Listing(needle=needle))
        took.append(time.thread_time() - begun)
        assert found
    assert sorted(took)[len(took) // 2] < 0.1, took
