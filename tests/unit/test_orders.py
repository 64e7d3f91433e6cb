"""Orders: written so that the inbox takes them, and their outcome found in the event log."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from hhmrs.config.paths import StateDir
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.letters.inbox import Inbox
from hhmrs.controller.letters.orders import Feed, OrderError, Outcome, await_outcome, send_order, whoami
from hhmrs.controller.ports import Event
from hhmrs.healing.evidence import Evidence


@pytest.fixture
def inbox(state: StateDir) -> Inbox:
    heard: list[Evidence] = []
    inbox = Inbox(state, heard.append, SteadyClock())
    inbox.make_operator()
    return inbox


def test_an_order_passes_the_door(state: StateDir, inbox: Inbox) -> None:
    name = send_order(state, "reassign", "worker", {"to": 'codex:gpt \n"x"'})
    (letter,) = inbox.orders()
    assert letter.fields["id"] == name
    assert (letter.fields["order"], letter.fields["agent"]) == ("reassign", "worker")
    assert letter.fields["args"] == {"to": 'codex:gpt \n"x"'}
    assert letter.fields["by"] == whoami()


def test_an_order_for_the_whole_fleet_needs_no_agent(state: StateDir, inbox: Inbox) -> None:
    send_order(state, "down", None, {"kill": "1"}, by="me@here")
    (letter,) = inbox.orders()
    assert (letter.fields["agent"], letter.fields["by"]) == ("", "me@here")


def test_an_order_that_waited_too_long_is_not_carried_out(state: StateDir, inbox: Inbox) -> None:
    send_order(state, "stop", "worker", expires_after=-1)
    assert inbox.orders() == []


@pytest.mark.parametrize(
    ("order", "agent"), [("explode", "worker"), ("stop", None), ("stop", "../x"), ("stop", "")]
)
def test_what_makes_no_sense_is_not_written(
    state: StateDir, inbox: Inbox, order: str, agent: str | None
) -> None:
    with pytest.raises(OrderError):
        send_order(state, order, agent)
    assert list((state.operator_inbox / "new").iterdir()) == []


def test_a_text_too_long_is_said(state: StateDir, inbox: Inbox) -> None:
    with pytest.raises(OrderError, match="at most"):
        send_order(state, "submit", "worker", {"text": "x" * (1 << 20)})


def test_without_an_inbox_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OrderError, match="hhmrs up"):
        send_order(StateDir(tmp_path / "none", "nightly"), "stop", "worker")


class Book(Feed):
    """A reader over a list; its version counts the rows."""

    def __init__(self) -> None:
        self.rows: list[Event] = []
        self.looks = 0

    def version(self) -> int:
        return len(self.rows)

    def events(
        self, since: int = 0, limit: int | None = None, agent: str | None = None, incident: str | None = None
    ) -> Sequence[Event]:
        self.looks += 1
        return [row for row in self.rows if row.seq > since]

    def add(self, letter: str, *, ok: bool, message: str = "") -> None:
        extra = {"letter": letter, "ok": ok, "message": message}
        self.rows.append(Event(len(self.rows) + 1, "", "operator_outcome", "worker", None, None, extra))


def test_the_outcome_of_the_right_order_is_found() -> None:
    book = Book()
    book.add("other", ok=True)
    book.add("mine", ok=False, message="it is paused")
    assert await_outcome(book, "mine", 5) == Outcome(False, "it is paused")


def test_it_is_waited_for_without_reading_the_events_over_and_over() -> None:
    book = Book()
    writer = threading.Timer(0.2, lambda: book.add("mine", ok=True, message="done"))
    writer.start()
    assert await_outcome(book, "mine", 30) == Outcome(True, "done")
    assert book.looks == 2
    writer.join()


def test_none_after_the_time_is_over() -> None:
    book = Book()
    began = time.monotonic()
    ticks = iter([began, began + 1.0])
    assert await_outcome(book, "mine", 0.5, clock=lambda: next(ticks)) is None
