"""Dashboards, incidents and post-mortems on a real ledger, as a person meets them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.widgets import Input

from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.healing.agent import Happening
from hhmrs.tests.tui.hands import Hands, hands
from hhmrs.tui import cli
from hhmrs.tui.keymap import PLACES, in_bar
from hhmrs.tui.numbers import Told
from hhmrs.tui.screens.help import HelpScreen
from hhmrs.tui.screens.incidents import IncidentsScreen
from hhmrs.tui.screens.numbers import NumbersScreen
from hhmrs.tui.screens.postmortem import PostMortemScreen
from hhmrs.tui.screens.saving import SaveScreen
from hhmrs.tui.sources.numbers import LedgerNumbers


class Past:
    """A ledger of a few incidents, behind the screen's own port and the command line alike."""

    def __init__(self, root: Path) -> None:
        self.state = StateDir(root, "nightly")
        self.state.create()
        self.book = SqliteLedger(self.state.ledger)
        self.book.claim("nightly", root / "hhmrs.yaml")
        self.numbers = LedgerNumbers(self.state, lambda: None)
        self.count = 0

    def heal(self, agent: str, ago: float = 60.0, cause: str = "stalled", detail: str = "silent") -> str:
        return self.tell(
            agent, ago,
            ("agent_incident", {"symptom": cause, "cause": cause, "detail": detail}),
            ("hhmrs_restart", {"n": 1, "strategy": "restart", "cause": cause, "reason": detail}),
            ("hhmrs_recovered", {"n": 1, "strategy": "restart", "proof": "a file changed"}),
            ("agent_incident_closed", {"outcome": "recovered", "cause": cause}),
        )  # fmt: skip

    def give_up(self, agent: str, ago: float = 60.0) -> str:
        return self.tell(
            agent, ago,
            ("agent_incident", {"symptom": "exited", "cause": "crash", "detail": "exit 1"}),
            ("hhmrs_failure", {"reason": "spent", "cause": "crash"}),
        )  # fmt: skip

    def tell(self, agent: str, ago: float, *told: tuple[str, dict[str, Any]]) -> str:
        self.count += 1
        name, at = f"{agent}-i{self.count}", time.time() - ago
        happened = (Happening(kind, agent, at + n, name, fields) for n, (kind, fields) in enumerate(told))
        self.book.append([Row(agent, None, tuple(happened))])
        return name


@pytest.fixture
def past(tmp_path: Path, scripted: Any) -> Iterator[Past]:
    made = Past(tmp_path / "state")
    scripted.numbers = made.numbers
    yield made
    made.numbers.close()
    made.book.close()


def command(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main([*words, "--fleet", "nightly"]) == 0
    return capsys.readouterr().out


async def numbers(h: Hands, span: str = "d") -> NumbersScreen:
    await h.press("d")
    await h.until(lambda: isinstance(h.app.screen, NumbersScreen))
    screen = h.app.screen
    assert isinstance(screen, NumbersScreen)
    await h.press(span)
    await h.until(lambda: screen.document is not None and screen.document["span"]["name"] == screen.span)
    return screen


async def incidents(h: Hands) -> IncidentsScreen:
    await h.press("i")
    await h.until(lambda: isinstance(h.app.screen, IncidentsScreen))
    screen = h.app.screen
    assert isinstance(screen, IncidentsScreen)
    await h.until(lambda: screen.read_at is not None)
    return screen


@pytest.mark.parametrize(("key", "span"), [("n", "night"), ("d", "day"), ("w", "week"), ("a", "all")])
async def test_the_screen_and_the_command_have_the_same_figures(
    scripted: Any,
    past: Past,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    span: str,
) -> None:
    for days in range(10):
        past.heal("dir-code", ago=days * 86_400 + 60.0)
        past.give_up("tester-01", ago=days * 40_000 + 60.0)
    now = time.time()
    clock = SimpleNamespace(time=lambda: now)  # an hour may end between the two
    monkeypatch.setattr("hhmrs.tui.sources.numbers.time", clock)
    monkeypatch.setattr("hhmrs.controller.reports.stats.time", clock)
    told = json.loads(command(capsys, "stats", "--json", "--span", span))
    async with hands(scripted, (100, 40)) as h:
        screen = await numbers(h, key)
        assert screen.span == span
        # What was spent is no figure of recoveries: the tab `usage` of each agent tells it.
        assert screen.document == {name: value for name, value in told.items() if name != "usage"}
        rate = told["recovery_success_rate"]
        assert rate["n"] > 0
        await h.until(lambda: f"{rate['value']:g} % of {rate['n']}" in h.shown())
        assert f"to repair (MTTR) {told['mttr_s']:.1f} s" in h.shown()


async def test_the_span_is_chosen_with_a_key_and_said(scripted: Any, past: Past) -> None:
    past.heal("dir-code", ago=3 * 86_400.0)
    async with hands(scripted, (100, 30)) as h:
        screen = await numbers(h, "w")
        await h.until(lambda: "the last 7 days" in h.shown())
        assert "1 incident " in h.shown()
        await h.press("d")
        await h.until(lambda: "Nothing happened in this time" in h.shown())
        assert "Incidents in the whole ledger: 1" in h.shown()
        await h.press("right_square_bracket", "right_square_bracket")
        await h.until(lambda: screen.span == "all" and "all that is written down" in h.shown())
        await h.press("escape")
        await h.until(lambda: h.app.screen is h.screen)


async def test_new_events_come_by_themselves_or_at_a_key(scripted: Any, past: Past) -> None:
    past.heal("dir-code")
    async with hands(scripted, (100, 30)) as h:
        await numbers(h)
        await h.until(lambda: "1 incident " in h.shown())
        past.give_up("tester-01")
        await h.press("r")
        await h.until(lambda: "2 incidents" in h.shown())


async def test_the_ledger_is_read_again_only_when_an_event_was_added(
    scripted: Any, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.heal("dir-code")
    read: list[str] = []
    rows = past.numbers._reader.rows

    def counted(table: str) -> list[dict[str, Any]]:
        read.append(table)
        return rows(table)

    monkeypatch.setattr(past.numbers._reader, "rows", counted)
    nothing: Told = lambda _what, _number, _of: None  # noqa: E731  # a port's smallest listener
    first = past.numbers.document("all", nothing)
    assert read.count("incidents") == 1
    past.book.beat({"dir-code": {"status": "working"}})
    past.book.append([])  # live values are written by now
    assert past.numbers.document("all", nothing) is first
    assert past.numbers.document("week", nothing)["recovery_success_rate"]["n"] == 1
    listed = past.numbers.incidents(nothing)
    assert past.numbers.incidents(nothing) is listed
    assert read.count("incidents") == 2, "once for the figures of every span, once for the list"
    past.heal("dir-code")
    assert past.numbers.document("all", nothing)["recovery_success_rate"]["n"] == 2
    assert len(past.numbers.incidents(nothing)) == 2


class Slow:
    """Figures that come when the test lets them, and a ledger that then breaks."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def document(self, span: str, told: Told) -> Mapping[str, Any]:
        assert threading.current_thread() is not threading.main_thread(), "never in the loop"
        told("incidents", 4, 6)
        assert self.go.wait(20)
        raise OSError("disk [red]on[/] fire")


async def test_while_it_reads_it_says_so_and_can_be_left_and_a_fault_is_told(
    scripted: Any, past: Past
) -> None:
    slow = Slow()
    scripted.numbers = slow
    async with hands(scripted, (100, 30)) as h:
        await h.press("d")
        await h.until(lambda: "reading the ledger: incidents, 4 of 6" in h.shown())
        await h.press("question_mark")
        await h.until(lambda: isinstance(h.app.screen, HelpScreen))
        assert "last night: yesterday 18:00" in h.shown()
        await h.press("escape")
        slow.go.set()
        await h.until(lambda: "cannot read the ledger: disk [red]on[/] fire; r reads again" in h.shown())
        scripted.numbers = past.numbers
        await h.press("q")
        await h.until(lambda: h.app.screen is h.screen)


async def test_an_empty_ledger_and_none_at_all_say_so(scripted: Any, past: Past) -> None:
    for source in (past.numbers, LedgerNumbers(StateDir(past.state.path / "none", "none"), scripted.spec)):
        scripted.numbers = source
        async with hands(scripted, (80, 24)) as h:
            await numbers(h, "a")
            await h.until(lambda: "Nothing to count yet" in h.shown())
            await h.press("E")
            await h.until(lambda: isinstance(h.app.screen, SaveScreen))
            await h.press("escape")
            await incidents(h)
            await h.until(lambda: "No incident has happened in this fleet." in h.shown())
            await h.press("E", "enter", "w", "c")
            await h.until(lambda: "nothing to export" in h.toasts())


async def test_open_incidents_come_first_and_can_be_filtered(scripted: Any, past: Past) -> None:
    past.give_up("tester-01", ago=5000.0)
    past.heal("dir-code", cause="looping", ago=4000.0)
    past.heal("programmer-01", ago=3000.0)
    async with hands(scripted, (100, 30)) as h:
        screen = await incidents(h)
        await h.until(lambda: "1 open, 3 in all" in h.shown())
        lines = h.shown().splitlines()
        assert "given up" in lines[2]
        assert "tester-01" in lines[2]
        assert [("Dir-Code" in line, "looping" in line) for line in lines[3:5]] == [
            (False, False),
            (True, True),
        ]
        await h.press("slash", *"loop")
        await h.until(lambda: "3 in all, 1 found" in h.shown())
        await h.press("enter")
        assert [row.agent for row in screen.rows] == ["dir-code"]
        assert screen.incidents.has_focus
        await h.press("escape")
        await h.until(lambda: len(screen.rows) == 3)
        await h.press("G", "c")
        await h.until(lambda: [row.cause for row in screen.rows] == ["looping"])
        await h.press("c")
        assert len(screen.rows) == 3
        await h.press("slash", *"zzz")
        await h.until(lambda: "No incident holds all of these words" in h.shown())
        await h.press("escape", "escape")
        await h.until(lambda: h.app.screen is h.screen)


async def test_the_selection_stays_with_its_incident(scripted: Any, past: Past) -> None:
    past.heal("dir-code", ago=3000.0)
    kept = past.heal("programmer-01", ago=4000.0)
    async with hands(scripted, (100, 30)) as h:
        screen = await incidents(h)
        await h.press("j")
        assert screen.incidents.incident == kept
        past.give_up("tester-01")
        await h.press("r")
        await h.until(lambda: len(screen.rows) == 3)
        assert screen.incidents.incident == kept
        assert screen.incidents.cursor == 2


async def test_enter_shows_what_report_prints_and_w_goes_to_the_agent(
    scripted: Any, past: Past, capsys: pytest.CaptureFixture[str]
) -> None:
    name = past.heal("dir-docs", detail="[red]no[/] life\x1b[2J")
    told = command(capsys, "report", name)
    async with hands(scripted, (100, 60)) as h:
        await incidents(h)
        await h.press("enter")
        await h.until(lambda: isinstance(h.app.screen, PostMortemScreen) and h.app.screen.markdown)
        screen = h.app.screen
        assert isinstance(screen, PostMortemScreen)
        assert screen.markdown == told
        await h.until(lambda: f"Post-mortem: incident {name}" in h.shown())
        text = h.shown()
        assert "[red]no[/] life" in text
        assert "recovered after 2.0 s, by its own progress" in text
        assert "\x1b" not in text
        await h.press("w")
        await h.until(lambda: h.app.screen is h.screen and h.agents.agent == "dir-docs")


async def test_an_agent_that_is_gone_is_told(scripted: Any, past: Past) -> None:
    past.heal("removed")
    async with hands(scripted, (100, 30)) as h:
        screen = await incidents(h)
        await h.press("w")
        await h.until(lambda: "removed is no longer in the fleet" in h.toasts())
        assert h.app.screen is screen


async def test_export_shows_the_path_and_asks_before_it_covers_a_file(
    scripted: Any, past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.heal("dir-code")
    monkeypatch.chdir(tmp_path)
    async with hands(scripted, (100, 30)) as h:
        await numbers(h)
        await h.press("E")
        await h.until(lambda: isinstance(h.app.screen, SaveScreen))
        line = h.app.screen.query_one(Input)
        assert line.value == str(tmp_path / "hhmrs-nightly-day.md")
        await h.press("tab", "enter")
        await h.until(lambda: f"written: {tmp_path / 'hhmrs-nightly-day.svg'}" in h.toasts())
        assert "1 incident" in (tmp_path / "hhmrs-nightly-day.svg").read_text()
        mine = tmp_path / "hhmrs-nightly-day.md"
        mine.write_text("my own")
        await h.press("E")
        await h.until(lambda: isinstance(h.app.screen, SaveScreen))
        await h.press("enter")
        save = h.app.screen
        assert isinstance(save, SaveScreen)
        await h.until(lambda: f"{mine} is there already; nothing was written" in save.words)
        assert mine.read_text() == "my own"
        await h.press("x", "backspace")
        await h.until(lambda: not save.words)
        await h.press("enter")
        await h.until(lambda: "Enter once more writes over it" in save.words)
        assert mine.read_text() == "my own", "the place was touched, so it is asked anew"
        await h.press("enter")
        await h.until(lambda: isinstance(h.app.screen, NumbersScreen))
        assert "| recovered incidents | 100 % | 90 % | 1 |" in mine.read_text()


async def test_a_post_mortem_is_exported_from_the_list_too(
    scripted: Any,
    past: Past,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = past.give_up("tester-01")
    monkeypatch.chdir(tmp_path)
    async with hands(scripted, (100, 30)) as h:
        await incidents(h)
        await h.press("E")
        await h.until(lambda: isinstance(h.app.screen, SaveScreen))
        await h.press("enter")
        await h.until(lambda: "written:" in h.toasts())
    assert (tmp_path / f"hhmrs-{name}.md").read_text() == command(capsys, "report", name)


@pytest.mark.parametrize("size", [(132, 36), (80, 24), (60, 20), (40, 10)])
@pytest.mark.parametrize("plain", [False, True])
async def test_every_size_works_and_plain_is_ascii(
    scripted: Any, past: Past, size: tuple[int, int], plain: bool
) -> None:
    for ago in range(40):
        past.heal("programmer-01", ago=ago * 4000.0)
        past.give_up("tester-01", ago=ago * 9000.0)
    async with hands(scripted, size, plain) as h:
        for keys in (("d", "n", "w", "a", "G", "g", "space"), ("i", "G", "enter", "G", "escape", "g")):
            await h.press(*keys)
            await h.until(lambda: getattr(h.app.screen, "read_at", None) is not None)
            await h.until(partial(h.fills, *size))
            if plain:
                text = h.shown()
                assert text.isascii() or set(text) - set(map(chr, range(128))) <= set(
                    "↑↓←→…▁▂▃▄▅▆▇█ ▎▊"
                )  # bars to scroll by
        await h.pilot.resize_terminal(80, 24)
        await h.until(partial(h.fills, 80, 24))


@pytest.mark.parametrize(
    ("place", "kind"),
    [("numbers", NumbersScreen), ("incidents", IncidentsScreen), ("report", PostMortemScreen)],
)
def test_every_key_of_these_screens_does_something(place: str, kind: type) -> None:
    for key in PLACES[place][1]:
        name = key.action.partition("(")[0]
        assert callable(getattr(kind, f"action_{name}", None)), key.id
    assert [key.id.rpartition(".")[2] for key in in_bar(place=place)][:2] == ["help", "leave"]


async def test_the_mouse_chooses_and_opens(scripted: Any, past: Past) -> None:
    past.heal("dir-code", ago=10.0)
    second = past.heal("programmer-01", ago=20.0)
    async with hands(scripted, (100, 30)) as h:
        screen = await incidents(h)
        await h.pilot.click("#incidents", offset=(5, 2))
        assert screen.incidents.incident == second
        await h.pilot.click("#incidents", offset=(5, 2), times=2)
        await h.until(lambda: isinstance(h.app.screen, PostMortemScreen))
        assert second in h.shown()
