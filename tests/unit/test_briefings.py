"""What a person says to the attempt that they order: taken at the door, carried to the start, handed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from hhmrs.config.paths import StateDir
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.letters.inbox import Inbox
from hhmrs.controller.letters.letterforms import Refused, order
from hhmrs.controller.letters.orders import OrderError, send_order
from hhmrs.healing import actions as a
from hhmrs.healing import evidence as e
from hhmrs.healing.agent import Briefing
from hhmrs.healing.handoff import MOST, MOST_EDITED, MOST_NOTE, handoff
from hhmrs.tests.conftest import MakeSpec
from hhmrs.tests.unit.desk import Desk

LETTER = {"kind": "order", "id": "x1", "order": "restart", "agent": "a1", "by": "me@here"}


def write(briefing: Briefing | None, **facts: object) -> str:
    known = {"task": "Build it", "strategy": "restart", "cause": "ordered", "attempt": 3, "checkpoint": None}
    return handoff(**(known | facts), briefing=briefing)  # type: ignore[arg-type]  # one fact at a time is replaced


def test_a_note_stands_in_the_handoff_as_the_persons_own_words_unfenced() -> None:
    text = write(Briefing("ann@desk", "Use `uv`, not pip.\n# Read SPEC.md first"))
    head = "## What the person in charge says\nann@desk ordered this attempt and says:\n\n"
    assert head + "Use `uv`, not pip.\n# Read SPEC.md first" in text
    assert text.index("person in charge") < text.index("## What was asked")


def test_an_edited_handoff_takes_the_place_of_ours_under_a_head_of_ours() -> None:
    text = write(Briefing("ann@desk", edited="# Handoff, attempt 2\n\nOnly mend the tests.\n"))
    head = "# Handoff, attempt 3\n\nann@desk, the person in charge, edited what follows."
    assert text == f"{head}\n\nOnly mend the tests.\n"
    both = write(Briefing("ann@desk", "And hurry.", "Only mend the tests."))
    assert both.index("And hurry.") < both.index("Only mend the tests.")
    assert "Build it" not in both


def test_what_nobody_sees_is_taken_out_and_the_whole_stays_bounded() -> None:
    tricked = write(Briefing("a\x1b[31m@b", "go\u202e on\x07\x1b]0;x\x07"))
    assert "go on" in tricked
    assert not set(tricked) & {"\x1b", "\x07", "\u202e"}
    for briefing in (Briefing("me", "é" * MOST_NOTE), Briefing("me", "n" * MOST_NOTE, "ü" * MOST_EDITED)):
        assert len(write(briefing, task="x" * 200_000).encode()) <= MOST


@pytest.mark.parametrize("verb", ["resume", "restart", "reassign", "start"])
def test_the_brain_carries_the_words_to_the_start_and_forgets_them_then(
    make_spec: MakeSpec, verb: str
) -> None:
    desk = Desk(make_spec())
    desk.look()
    if verb == "start":
        desk.tell(e.Ordered, "stop", "l0", "me@here")
        desk.tell(e.ProcessExited, 1, None, 15)
    desk.tell(e.SessionLearned, "s1")
    desk.tell(e.Ordered, verb, "l1", "me@here", {"note": " be quick ", "handoff": ""}, after=1.0)
    started = [one for one in desk.actions if isinstance(one, a.StartAttempt)][-1]
    assert started.briefing == Briefing("me@here", "be quick", "")
    assert desk.state.recovery is None or desk.state.recovery.briefing is None
    assert desk.told("operator_order")[-1]["note"] == "be quick"


def test_a_retried_task_is_told_too_and_a_nudge_is_not(make_spec: MakeSpec) -> None:
    desk = Desk(make_spec())
    desk.look()
    desk.tell(e.Ordered, "escalate", "l0", "me@here")
    task = desk.state.task
    assert task is not None
    desk.tell(e.Ordered, "retry", "l1", "me@here", {"task": task.id, "note": "once more"}, after=1.0)
    started = [one for one in desk.actions if isinstance(one, a.StartAttempt)][-1]
    assert started.briefing == Briefing("me@here", "once more")


@pytest.mark.parametrize(
    ("verb", "args", "says"),
    [
        ("pause", {"note": "x"}, "starts no attempt"),
        ("nudge", {"handoff": "x"}, "nobody would read its handoff"),
        ("restart", {"note": "x" * (MOST_NOTE + 1)}, f"at most {MOST_NOTE}"),
        ("restart", {"handoff": "ü" * MOST_EDITED}, "add a note instead"),
        ("send", {"text": "ab", "key": "1"}, "not one key"),
        ("send", {"text": "C-c", "key": "1"}, "not one key"),
    ],
)
def test_what_does_not_fit_is_refused_where_it_is_written_and_at_the_door(
    state: StateDir, verb: str, args: dict[str, str], says: str
) -> None:
    Inbox(state, lambda _: None, SteadyClock()).make_operator()
    with pytest.raises(OrderError, match=says):
        send_order(state, verb, "a1", args)
    assert list(Path(state.operator_inbox / "new").iterdir()) == []
    with pytest.raises(Refused, match=says):
        order(LETTER | {"order": verb, "args": args})


def test_what_fits_passes_the_door_and_is_clean() -> None:
    taken = order(LETTER | {"args": {"note": "go\x1b on"}})["args"]
    assert taken == {"note": "go\ufffd on"}
    assert (
        order(LETTER | {"order": "send", "args": {"text": "Escape", "key": "1"}})["args"]["text"] == "Escape"
    )
