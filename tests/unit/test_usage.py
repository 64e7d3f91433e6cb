"""Samples that grow coarser instead of more, and what is unknown is never a number."""

from __future__ import annotations

from dataclasses import replace

from hhmrs.healing.usage import Tokens
from hhmrs.tui.document import Agent, Fleet
from hhmrs.tui.prose import Page
from hhmrs.tui.usage import Counted, Samples, Series, fitted, measured, usage_page
from hhmrs.tui.work import Spent

NOW = 60_000.0
AT_WORK = Agent(
    "a", "a", pid=7, cpu_pct=12.0, memory_mb=80.0, progress=0.5, trace={"process": NOW, "beat": NOW}
)


def fleet(at: float, *agents: Agent, up: bool = True) -> Fleet:
    return Fleet("f", at, up, agents=agents)


def text(page: Page) -> str:
    return "\n".join("".join(piece for piece, _ in line) for line in page.lines)


def test_a_sample_is_taken_once_in_a_while_and_not_without_a_daemon() -> None:
    samples = Samples(every=5.0)
    for at in (100.0, 101.0, 104.9, 105.0):
        samples.take(fleet(at, replace(AT_WORK, cpu_pct=at)))
    samples.take(fleet(200.0, AT_WORK, up=False))

    assert samples.of("a").cpu == (100.0, 105.0)


def test_who_comes_later_was_not_measured_before_and_who_goes_is_forgotten() -> None:
    samples = Samples(every=1.0)
    samples.take(fleet(1.0, AT_WORK))
    samples.take(fleet(2.0, AT_WORK, replace(AT_WORK, id="b")))
    assert samples.of("b").memory == (None, 80.0)

    samples.take(fleet(3.0, AT_WORK))
    assert samples.of("b") == Series(1.0)
    assert len(samples.of("a").cpu) == 3


def test_many_samples_become_half_as_many_at_half_the_pace() -> None:
    samples = Samples(every=1.0, most=8)
    for at in range(200):
        samples.take(fleet(float(at), replace(AT_WORK, cpu_pct=float(at))))
    series = samples.of("a")

    assert 4 <= len(series.cpu) <= 8
    assert series.every == 32.0
    assert len(series.cpu) * series.every <= 200 + series.every
    known = [value for value in series.cpu if value is not None]
    assert known == sorted(known)
    assert known[0] < 32


def test_the_mean_of_two_skips_what_was_not_known() -> None:
    samples = Samples(every=1.0, most=2)
    dead = replace(AT_WORK, pid=None, progress=None)
    for at, agent in enumerate([dead, AT_WORK, dead]):
        samples.take(fleet(float(at), agent))

    assert samples.of("a").cpu == (12.0, None)


def test_who_does_not_run_or_was_not_measured_uses_nothing_known() -> None:
    assert measured(AT_WORK) == (12.0, 80.0, 0.5)
    assert measured(replace(AT_WORK, pid=None, progress=None)) == (None, None, None)
    assert measured(replace(AT_WORK, trace={"process": None})) == (None, None, 0.5)


def test_values_are_fitted_to_their_cells() -> None:
    assert fitted((1.0, 2.0), 8) == (1.0, 2.0)
    assert fitted((9.0, 1.0, 3.0, None, None, None, 5.0), 4) == (9.0, 2.0, None, 5.0)
    assert len(fitted(tuple(map(float, range(1000))), 60)) <= 60


def test_what_nobody_told_is_a_dash() -> None:
    lines = text(
        usage_page(
            replace(AT_WORK, pid=None, progress=None, trace={}), Series(5.0), Counted(), "none", NOW, 80
        )
    )

    for name in ("cpu", "memory", "progress", "tokens", "cost"):
        row = next(line for line in lines.splitlines() if line.startswith(name))
        assert row.split()[1:] == ["-"], row
    assert "threads  -, - read and written" in lines
    assert "no beat yet" in lines
    assert "not looked long enough" in lines


def test_what_was_told_is_shown_with_its_span_and_its_source() -> None:
    spent = Spent(
        Tokens(12_345, 678, 2_000_000, 1.5), "/home/u/t.jsonl", whole=True, minutes=((990, 5), (999, 50))
    )
    series = Series(10.0, (1.0, None, 30.0), (50.0, 60.0, 80.0), (None, 0.1, 0.5))
    lines = text(usage_page(AT_WORK, series, Counted(4, 2_500_000, 1), spent, NOW, 80))

    assert "12.0%  most 30.0%" in lines
    assert "80 MB  most 80 MB" in lines
    assert "12.3k sent, 678 received, 2.0M from cache" in lines
    assert "cost     $1.50" in lines
    assert "most 50 a minute" in lines
    assert "by its own transcript /home/u/t.jsonl" in lines
    assert "last 0s ago, 1 missed" in lines
    assert "4, 2.5 MB read and written" in lines
    assert "30s, one sample in 10 s, since this screen was" in lines
    assert "▁ █" in lines


def test_plain_letters_and_a_narrow_view_do_as_well() -> None:
    spent = Spent(Tokens(1, None, None, None), "/t\x1b[2J", whole=False, minutes=((990, 5),))
    lines = text(usage_page(AT_WORK, Series(5.0, (1.0, 2.0)), Counted(), spent, NOW, 40, plain=True))

    assert lines.isascii()
    assert "\x1b" not in lines
    assert "1 sent, - received, - from cache" in lines
    assert "- (its transcript does not tell)" in lines
    assert "its newest part" in lines.replace("\n         ", " ")


def test_a_transcript_that_says_nothing_is_named() -> None:
    lines = text(usage_page(AT_WORK, Series(5.0), Counted(), Spent(None, "/t", whole=True), NOW, 80))

    assert "nothing of it in its transcript /t" in lines
    assert "reading its transcript ..." in text(usage_page(AT_WORK, Series(5.0), Counted(), None, NOW, 80))
