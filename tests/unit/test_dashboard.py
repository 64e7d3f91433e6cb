"""The page of charts shows the document's own figures, at any width, and says so if there are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.reports.stats import stats_document
from hhmrs.healing.agent import Happening
from hhmrs.tui import cli
from hhmrs.tui.dashboard import dashboard, span_words
from hhmrs.tui.dashboard_page import dashboard_page, markdown

T0 = 1_795_255_200.0  # Saturday, 2026-11-21 10:00 UTC
DAY = 86_400.0


@pytest.fixture
def book(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def tell(
    book: SqliteLedger, agent: str, incident: str | None, *told: tuple[str, float, dict[str, Any]]
) -> None:
    book.append([Row(agent, None, tuple(Happening(k, agent, T0 + at, incident, f) for k, at, f in told))])


def heal(book: SqliteLedger, agent: str, incident: str, at: float, cause: str = "stalled") -> None:
    tell(
        book, agent, incident,
        ("agent_incident", at, {"symptom": cause, "cause": cause, "detail": "d"}),
        ("hhmrs_restart", at + 1, {"n": 1, "strategy": "restart", "cause": cause}),
        ("hhmrs_recovered", at + 13, {"n": 1, "strategy": "restart", "proof": "p"}),
        ("agent_incident_closed", at + 13, {"outcome": "recovered", "cause": cause}),
    )  # fmt: skip


def give_up(book: SqliteLedger, agent: str, incident: str, at: float) -> None:
    tell(
        book, agent, incident,
        ("agent_incident", at, {"symptom": "exited", "cause": "crash", "detail": "exit 1"}),
        ("hhmrs_failure", at + 2, {"reason": "spent", "cause": "crash"}),
    )  # fmt: skip


def page(document: dict[str, Any], width: int = 80, plain: bool = False) -> str:
    return "\n".join("".join(text for text, _ in line) for line in dashboard(document, width, plain, UTC))


@pytest.fixture
def full(book: SqliteLedger) -> SqliteLedger:
    """Nine days: one incident long ago, and a night in which three were healed and one was not."""
    heal(book, "old", "old-i1", -9 * DAY)
    for number, hour in enumerate((-12, -11, -4)):
        heal(book, "prog-01", f"prog-01-i{number}", hour * 3600.0)
    give_up(book, "prog-02", "prog-02-i1", -4 * 3600.0)
    tell(book, "prog-02", None, ("task_opened", -90_000.0, {"task": "t", "text": "t"}),
         ("task_done", -80_000.0, {"task": "t", "files": 2}))  # fmt: skip
    return book


def test_what_stands_there_are_the_document_s_figures(full: SqliteLedger) -> None:
    document = stats_document(full.reader, "night", T0, UTC)
    text = page(document)
    assert document["recovery_success_rate"] == {"value": 75.0, "target": 90.0, "n": 4}
    for words in (
        "4 incidents   3 attempts: 3 proved, 0 failed",
        "recovered           75 % of 4",
        "target 90 % missed",
        "nothing to measure  target 95 %",
        "attempts proved    100 % of 3",
        "to repair (MTTR) 13.0 s",
        "false alarms 0",
        "Incidents per hour",
        "✗ given up 1   █ recovered 3",
        "stalled",
        "75 %  prog-01",
        "crash",
        "3 proved, 0 failed",
        "1  4.0 h  0 recovered, 1 given up, 0 attempts",
    ):
        assert words in text, words
    assert "old" not in text
    assert span_words(document, UTC) == "last night: Fri 20 Nov 18:00 to Sat 21 Nov 09:00"


def test_a_span_leaves_out_what_is_outside_of_it_and_the_whole_does_not(full: SqliteLedger) -> None:
    by_span = {name: stats_document(full.reader, name, T0, UTC) for name in ("night", "day", "week", "all")}
    assert [by_span[name]["reasons"]["stalled"]["count"] for name in by_span] == [3, 3, 3, 4]
    assert [by_span[name]["total_tasks"] for name in by_span] == [0, 1, 1, 1]
    assert [document["span"]["incidents_ever"] for document in by_span.values()] == [5] * 4
    assert by_span["all"]["span"]["since"] is None
    for document in by_span.values():
        assert sum(one["incidents"] for one in document["over_time"]) == sum(
            reason["count"] for reason in document["reasons"].values()
        )
        assert json.loads(json.dumps(document)) == document


def test_an_hour_s_column_holds_that_hour_s_incidents(full: SqliteLedger) -> None:
    slices = stats_document(full.reader, "night", T0, UTC)["over_time"]
    assert [one["incidents"] for one in slices] == [0] * 4 + [1, 1] + [0] * 6 + [2, 0, 0]
    assert slices[12]["since"] == "2026-11-21T06:00:00.000Z"
    assert (slices[12]["recovered"], slices[12]["given_up"]) == (1, 1)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 132, 200])
@pytest.mark.parametrize("span", ["night", "week", "all"])
def test_it_fits_every_width(full: SqliteLedger, width: int, span: str) -> None:
    document = stats_document(full.reader, span, T0, UTC)
    for plain in (False, True):
        lines = page(document, width, plain).split("\n")
        assert max(map(cell_len, lines)) <= width
        assert any("given up" in line for line in lines)
        if plain:
            assert "\n".join(lines).isascii()
    assert ("Retries by strategy" in page(document, width).split("Causes")[1].split("\n")[0]) == (
        width >= 110
    )


def test_nothing_is_said_in_words(book: SqliteLedger, full: SqliteLedger) -> None:
    assert "Nothing to count yet" in page(stats_document(None, "all", T0, UTC))
    empty = page(stats_document(full.reader, "30m", T0, UTC))
    assert "Nothing happened in this time" in empty
    assert "Incidents in the whole ledger: 5; `a` shows all of it." in empty


def test_names_of_others_are_inert(book: SqliteLedger) -> None:
    heal(book, "[red]x\x1b[2J\u202e", "i1", -3600.0, cause="[b]\x07a|b")
    document = stats_document(book.reader, "day", T0, UTC)
    text = page(document)
    assert "[red]x" in text
    assert not set(text) & set("\x1b\x07\u202e")
    made = dashboard_page(document, "nightly")
    assert not set(made.markdown() + made.svg()) & set("\x1b\x07\u202e")
    assert "\\[b\\]a\\|b" in made.markdown(), "no markup, and no cell of its own"


def test_the_markdown_has_the_same_figures(full: SqliteLedger) -> None:
    text = markdown(stats_document(full.reader, "night", T0, UTC), "nightly", UTC)
    assert "| recovered incidents | 75 % | 90 % | 4 |" in text
    assert "| mean time to repair (MTTR) | 13.0 s |" in text
    assert "| stalled | 3 | 75 % | prog-01 |" in text
    assert "| restart | 3 | 3 | 0 | 100 % |" in text
    assert "| prog-02 | 1 | 0 | 1 | 0 |" in text
    assert "✗ given up 1" in text


def test_the_command_and_the_page_are_one_document(
    full: SqliteLedger, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--json`, the text, and both files of `--export`."""
    full.claim("nightly", tmp_path / "hhmrs.yaml")
    state = tmp_path / "state" / "nightly"
    state.mkdir(parents=True)
    for part in ("", "-wal", "-shm"):
        one = tmp_path / f"ledger.db{part}"
        (state / one.name).write_bytes(one.read_bytes())
    monkeypatch.setenv("HHMRS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["stats", "--fleet", "nightly", "--span", "400d", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["reasons"]["stalled"]["count"] == 4
    assert cli.main(["stats", "--fleet", "nightly", "--span", "400d"]) == 0
    assert "recovered          80 % of 5 incidents" in capsys.readouterr().out
    assert cli.main(["stats", "--fleet", "nightly", "--span", "400d", "--export", "n.md"]) == 0
    assert capsys.readouterr().out == f"written: {tmp_path / 'n.md'}\n"
    assert "| recovered incidents | 80 % | 90 % | 5 |" in (tmp_path / "n.md").read_text()
    assert cli.main(["stats", "--fleet", "nightly", "--export", "n.md"]) == 1
    assert "--force" in capsys.readouterr().err
    assert cli.main(["stats", "--fleet", "nightly", "--export", "n.svg"]) == 0
    assert "given up 1" in (tmp_path / "n.svg").read_text()
    assert cli.main(["stats", "--fleet", "nightly", "--export", "n.md", "--force"]) == 0
    assert cli.main(["stats", "--fleet", "nightly", "--span", "fortnight"]) == 2
    assert "expected night, day, week, all" in capsys.readouterr().err
    assert cli.main(["report", "prog-02-i1", "--fleet", "nightly", "--export", "r.md"]) == 0
    written = (tmp_path / "r.md").read_text()
    capsys.readouterr()
    assert cli.main(["report", "prog-02-i1", "--fleet", "nightly"]) == 0
    assert capsys.readouterr().out == written
