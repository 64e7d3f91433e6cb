"""Tokens by an agent CLI's own transcript: counted once, never guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hhmrs.controller.workspaces import spending
from hhmrs.controller.workspaces.spending import Meter, Spending
from hhmrs.controller.workspaces.token_counts import TokenCount
from hhmrs.healing.usage import Tokens


def claude(name: str, sent: int, received: int, minute: int = 0, **more: object) -> str:
    usage = {"input_tokens": sent, "output_tokens": received, "cache_creation_input_tokens": 5,
             "cache_read_input_tokens": 100}  # fmt: skip
    return json.dumps({"type": "assistant", "timestamp": f"2026-11-21T10:{minute:02}:30.000Z",
                       "message": {"id": name, "usage": usage}, **more})  # fmt: skip


def total(*lines: str) -> Tokens | None:
    count = TokenCount()
    count.take(lines)
    return count.total


def test_a_message_that_is_written_twice_counts_once() -> None:
    lines = [claude("m1", 10, 1), claude("m1", 10, 7), claude("m2", 20, 3)]

    assert total(*lines) == Tokens(sent=40, received=10, cached=200, cost=None)


def test_the_cost_is_what_the_cli_says_and_else_unknown() -> None:
    assert total(claude("m1", 1, 1, costUSD=0.25), claude("m2", 1, 1, costUSD=0.5)) == Tokens(
        12, 2, 200, 0.75
    )
    found = total(claude("m1", 1, 1, costUSD=True))
    assert found is not None
    assert found.cost is None


def test_a_running_total_is_the_total() -> None:
    def codex(sent: int, cached: int, received: int) -> str:
        usage = {"input_tokens": sent, "cached_input_tokens": cached, "output_tokens": received}
        return json.dumps({"payload": {"type": "token_count", "info": {"total_token_usage": usage}}})

    assert total(codex(100, 40, 5), codex(300, 90, 9)) == Tokens(210, 9, 90)


def test_gemini_and_qwen_tell_of_each_message() -> None:
    gemini = json.dumps({"id": "a", "type": "gemini", "tokens": {"input": 50, "output": 4, "cached": 20,
                                                                 "thoughts": 6}})  # fmt: skip
    qwen = json.dumps({"uuid": "q", "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 2}})

    assert total(gemini, gemini) == Tokens(30, 10, 20)
    assert total(qwen) == Tokens(30, 2, None)


def test_aider_tells_in_words() -> None:
    lines = [
        "> Tokens: 725 sent, 12 received.",
        "> Tokens: 2.6k sent, 1.2k cache hit, 1,234 received. Cost: $0.01 message, $0.03 session.",
    ]
    assert total(*lines) == Tokens(3325, 1246, 1200, 0.03)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "usage",
        '{"message": {"usage": ',
        '{"message": {"usage": [1]}}',
        '["token"]',
        '{"payload": {"info": {"total_token_usage": "many"}}, "usage": 1}',
        "[" * 5000 + '"usage"',
        "> Tokens: some sent, few received.",
    ],
)
def test_what_says_nothing_counts_nothing(line: str) -> None:
    assert total(line) is None


def test_numbers_that_are_none_are_not_counted() -> None:
    line = '{"message": {"id": "m", "usage": {"input_tokens": "9", "output_tokens": -4}}}'
    assert total(line) == Tokens(None, None, None)


def test_minutes_are_those_of_the_transcript() -> None:
    count = TokenCount()
    count.take([claude("m1", 10, 1, 3), claude("m1", 10, 5, 3), claude("m2", 20, 3, 5)])
    first, second = count.minutes

    assert second[0] - first[0] == 2
    assert (first[1], second[1]) == (20, 28)


def test_a_file_is_read_on_from_where_the_last_look_ended(tmp_path: Path) -> None:
    path, known = tmp_path / "t.jsonl", Spending()
    path.write_text(claude("m1", 10, 1) + "\n" + claude("m2", 20, 3)[:30])
    assert known.of(path)[0].total == Tokens(15, 1, 100)

    with path.open("a") as file:
        file.write(claude("m2", 20, 3)[30:] + "\n")
    count, whole = known.of(path)

    assert count.total == Tokens(40, 4, 200)
    assert whole


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path, known = tmp_path / "t.jsonl", Spending()
    path.write_text(claude("m1", 10, 1) + "\n")
    known.of(path)
    other = tmp_path / "other"
    other.write_text(claude("m9", 1, 1) + "\n")
    other.rename(path)

    assert known.of(path)[0].total == Tokens(6, 1, 100)


def test_of_a_long_file_the_newest_part_is_read_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, line = tmp_path / "t.jsonl", claude("m2", 20, 3) + "\n"
    path.write_text(claude("m1", 10, 1) + "\n" + line)
    monkeypatch.setattr(spending, "MOST", len(line) + 10)
    count, whole = Spending().of(path)

    assert count.total == Tokens(25, 3, 100)
    assert not whole


def test_a_link_in_a_transcripts_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(claude("m1", 10, 1) + "\n")
    (tmp_path / "t.jsonl").symlink_to(tmp_path / "secret")

    with pytest.raises(OSError):
        Spending().of(tmp_path / "t.jsonl")


def test_codex_tells_how_much_of_its_window_is_left() -> None:
    def codex(used: object, window: object) -> str:
        told = {"total_token_usage": {"input_tokens": 9}, "last_token_usage": {"total_tokens": used}}
        info = told | {"model_context_window": window}
        return json.dumps({"payload": {"type": "token_count", "info": info}})

    def left(*lines: str) -> float | None:
        count = TokenCount()
        count.take(lines)
        return count.context_left

    assert left(codex("many", 100), codex(5, 0), codex(5, None)) is None
    assert left(codex(50_000, 200_000)) == 0.75
    assert left(codex(50_000, 200_000), codex(300_000, 200_000)) == 0.0


def test_aider_that_was_started_anew_goes_on_from_what_it_had_spent() -> None:
    def aider(cost: str) -> str:
        return f"> Tokens: 100 sent, 10 received. Cost: $0.01 message, ${cost} session."

    assert total(aider("0.10"), aider("0.25"), aider("0.05"), aider("0.08")) == Tokens(400, 40, None, 0.33)


def test_a_meter_remembers_little_and_reads_on_a_piece_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, meter = tmp_path / "t.jsonl", Meter(tmp_path / "t.jsonl")
    lines = [claude(f"m{n}", 10, 1) for n in range(3 * spending.METERED)]
    path.write_text("".join(f"{line}\n{line}\n" for line in lines))
    monkeypatch.setattr(spending, "PIECE", 1000)
    pieces, (count, more) = 1, meter.read()
    while more:
        count, more = meter.read()
        pieces += 1
    assert pieces == -(-path.stat().st_size // 1000)
    assert count.total == Tokens(15 * len(lines), len(lines), 100 * len(lines))
    assert len(count._by_message) == spending.METERED
    assert count.minutes == ()
    with path.open("a") as file:
        file.write(claude("last", 1, 1) + "\n")
    assert meter.read()[0].total == Tokens(15 * len(lines) + 6, len(lines) + 1, 100 * len(lines) + 100)
