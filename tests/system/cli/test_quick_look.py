"""The quick look from the fleet file to the screen: recorded once, shown everywhere, nothing done."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hhmrs.tests.system.cli.home import Home

LINGERS = "[sh, -c, 'touch begun; while sleep 0.2; do echo still here; done']"
POLICY = "policy: {testing: true, heartbeat_interval: 30s, quick_look: 10m, progress_timeout: 20m}\n"


def looks(home: Home) -> list[dict[str, Any]]:
    lines = home.run("events", "--json").stdout.splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == "agent_quick_look"]


def test_the_looks_set_by_hand_hold_and_are_shown_and_nothing_is_done(home: Home) -> None:
    home.write(f"  a: {{profile: shell, command: {LINGERS}, workspace: a, prompt: go}}\n", POLICY)
    with home.start("heal", "--start-daemon", "--threshold", "2", "--interval", "0.5") as process:
        home.until(lambda: home.run("status").returncode == 0, "it supervises")
        home.until(lambda: bool(looks(home)), "the spell is noticed")
        assert home.agent("a")["phase"] == "working"
        assert home.agent("a")["quick_look_s"] >= 2
        assert "no progress for" in home.run("status").stdout
        explained = home.json("explain", "a")
        assert explained["quick_look_s"] >= 2
        assert "the quick look" in explained["rule"]
        process.send_signal(signal.SIGHUP)
        home.until(lambda: "operator_reloaded" in home.run("events").stdout, "the file is read again")
        passed = home.run("heal", "--check-now", "--verbose")
        assert passed.returncode == 0
        assert "the quick look" in passed.stdout
        (home.file.parent / "a" / "by-the-agent").write_text("x")
        home.until(lambda: len(looks(home)) == 2, "after progress the next spell is noticed, at the same 2 s")
        types = {event["type"] for event in map(json.loads, home.run("events", "--json").stdout.splitlines())}
        assert not [one for one in types if one.startswith("hhmrs_")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_pass_by_hand_tells_what_it_finds_after_it_was_done(home: Home) -> None:
    home.write("  a: {profile: shell, command: [sleep, '600'], workspace: a, prompt: go}\n", POLICY)
    assert home.run("up").returncode == 0
    home.until(lambda: home.agent("a")["pid"] is not None, "a runs")
    told = home.run("heal", "--check-now", "--verbose").stdout
    clocks = [line.split()[1] for line in told.splitlines() if line.startswith("  clock ")]
    assert clocks == ["stalled:", "quick_look:", "looping:", "deadline:"]


def test_a_pass_over_many_agents_is_told_whole(home: Home) -> None:
    rows = "  a: {profile: shell, command: [sleep, '600'], workspace: a, count: 24, prompt: go}\n"
    home.write(rows, POLICY)
    assert home.run("up").returncode == 0
    told = home.run("heal", "--check-now", "--verbose").stdout
    assert len(told) > 16_384, "more than one event holds"
    assert len([line for line in told.splitlines() if line.startswith("next: ")]) == 24
