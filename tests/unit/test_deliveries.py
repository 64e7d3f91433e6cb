"""From letters to evidence: nothing lost, nothing told twice as news, no writer too quick."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.fleet import AgentSpec, ScreenRule
from hhmrs.config.paths import StateDir
from hhmrs.controller.checkpoints.checkpoints import CheckpointStore, from_supervisor
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.letters import inbox as inbox_module
from hhmrs.controller.letters.delivery import MOST, Delivered, Deliveries
from hhmrs.controller.letters.inbox import Inbox
from hhmrs.controller.letters.quarantine import MOST_LETTERS, quarantine
from hhmrs.controller.ports import Checkpoint, Letter
from hhmrs.controller.terminals.screens import ScreenReader, asks
from hhmrs.healing import evidence as e

NUMBERS = count(1)


class Post:
    """The inbox of agent a1 and who reads it."""

    def __init__(self, root: Path, spec: AgentSpec) -> None:
        self.spec = spec
        self.state = StateDir(root, "f")
        self.state.create()
        self.refused: list[e.Evidence] = []
        clock = SteadyClock()
        self.store = CheckpointStore(self.state)
        self.inbox = Inbox(self.state, self.refused.append, clock)
        self.folder = self.inbox.make("a1", root)
        self.deliveries = Deliveries(self.inbox, self.store, clock)

    def write(self, kind: str, **fields: Any) -> None:
        name = f"{next(NUMBERS):06d}"
        letter = {"kind": kind, "agent": "a1", "attempt": 1, "at": "2026-11-21T10:00:00.000Z"} | fields
        (self.folder / "tmp" / name).write_text(json.dumps(letter))
        os.rename(self.folder / "tmp" / name, self.folder / "new" / name)  # noqa: PTH104 - as agents do it

    def collect(self, most: int | None = MOST) -> Delivered:
        found = self.deliveries.collect(self.spec, lambda: 1, "t1", most=most)
        self.deliveries.acknowledge(found.letters)
        return found

    def waiting(self) -> int:
        return len(list((self.folder / "new").iterdir()))


@pytest.fixture
def post(tmp_path: Path, make_spec: Callable[..., AgentSpec]) -> Post:
    return Post(tmp_path / "state", make_spec())


def _news(found: Delivered) -> list[bool]:
    return [x.new for x in found.evidence if isinstance(x, e.CheckpointReceived)]


def test_checkpoints_that_say_the_same_in_turns_are_no_news(post: Post) -> None:
    for step in ("one", "two", "one", "two", "one"):
        post.write("checkpoint", completed=[step])
    assert _news(post.collect()) == [True, True, False, False, False]
    again = Deliveries(post.inbox, post.store, SteadyClock())
    post.write("checkpoint", completed=["two"])
    post.write("checkpoint", completed=["three"])
    assert _news(again.collect(post.spec, lambda: 1, "t1")) == [False, True], "nor for a new daemon"


def test_a_checkpoint_that_says_nothing_is_no_news(post: Post) -> None:
    post.write("checkpoint", completed=[])
    assert _news(post.collect()) == [False]


def test_a_writer_that_never_pauses_does_not_keep_its_reader(post: Post) -> None:
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            post.write("beat", state="executing")

    with ThreadPoolExecutor(3) as pool:
        for _ in range(2):
            pool.submit(write)
        found = [pool.submit(post.collect).result(30) for _ in range(10)]
        over.set()
    assert max(len(x.letters) for x in found) <= 2 * MOST
    assert any(x.letters for x in found)


@pytest.fixture
def nonsense(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody writes what is no letter, and another one as soon as one was put away."""
    put_away = quarantine

    def and_another(inbox: Path, name: str, reason: str) -> str:
        post.write("nonsense")
        return put_away(inbox, name, reason)

    monkeypatch.setattr(inbox_module, "quarantine", and_another)
    post.write("nonsense")


@pytest.mark.usefixtures("nonsense")
@pytest.mark.timeout(60)
def test_a_writer_of_nonsense_does_not_keep_its_reader(post: Post) -> None:
    for _ in range(3):
        found = post.collect()
        assert found.more, "others are read first"
        assert not found.letters
    assert len(list((post.folder / "bad").iterdir())) <= 2 * (MOST_LETTERS + 1)
    post.write("done", summary="all of it")
    seen: list[e.Evidence] = []
    while not seen:
        seen = post.collect().evidence
    assert isinstance(seen[0], e.DoneReceived)


@pytest.mark.usefixtures("nonsense")
@pytest.mark.timeout(60)
def test_who_writes_on_when_the_agent_is_dead_does_not_keep_its_successor_waiting(post: Post) -> None:
    for n in range(500):
        post.write("beat", state="executing", message=str(n))
    found = post.collect(most=None)
    assert [x.message for x in found.evidence if isinstance(x, e.BeatReceived)] == list(map(str, range(500)))


@pytest.mark.timeout(60)
def test_whoever_beats_on_when_the_agent_is_dead_does_not_either(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = post.inbox.drain

    def and_write_on(agent: str, attempt: int) -> list[Letter]:
        post.write("beat", state="executing", message="late")
        return drain(agent, attempt)

    monkeypatch.setattr(post.inbox, "drain", and_write_on)
    for n in range(500):
        post.write("beat", state="executing", message=str(n))
    said = [x.message for x in post.collect(most=None).evidence if isinstance(x, e.BeatReceived)]
    assert said[:500] == list(map(str, range(500)))


@pytest.mark.parametrize("kind", ["beat", "ask", "done"])
def test_what_a_letter_says_is_told_without_secrets(post: Post, kind: str) -> None:
    said = "I use API_KEY=hunter22 now"
    post.write(kind, state="executing", message=said, question=said, options=[said], summary=said)
    told = repr(post.collect().evidence)
    assert "I use" in told
    assert "hunter22" not in told


def test_two_thousand_quick_beats_all_arrive(post: Post) -> None:
    for n in range(2000):
        post.write("beat", state="executing", message=str(n))
    seen: list[str] = []
    while found := post.collect().evidence:
        seen += [x.message for x in found if isinstance(x, e.BeatReceived)]
    assert seen == [str(n) for n in range(2000)]
    assert post.waiting() == 0


def test_a_decision_is_about_the_child_whose_incident_it_names(post: Post) -> None:
    post.deliveries.ancestors = lambda agent: {"w-i1": ("boss", "a1"), "w": ("boss",)}[agent]
    post.write("decide", incident="w-i1-i3", strategy="restart")
    found = post.collect()
    (said,) = found.evidence
    assert isinstance(said, e.Decided)
    assert (said.agent, said.incident, said.strategy, said.by) == ("w-i1", "w-i1-i3", "restart", "a1")
    assert len(found.letters) == 1


@pytest.mark.parametrize("incident", ["w-i3", "nobody-i1", "a1-i1", "nonsense", "-i1", "\x1b[31m-i1"])
def test_a_decision_about_anybody_elses_child_goes_to_bad_with_the_reason(post: Post, incident: str) -> None:
    post.deliveries.ancestors = lambda agent: {"w": ("boss",), "a1": ("boss",)}.get(agent, ())
    post.write("decide", incident=incident, strategy="restart")
    post.write("beat", state="executing")
    found = post.collect()
    assert [type(x) for x in found.evidence] == [e.BeatReceived], "what came after it is read all the same"
    (refused,) = post.refused
    assert isinstance(refused, e.LetterRefused)
    assert "no ancestor" in refused.reason
    assert "\x1b" not in refused.reason
    assert len(list((post.folder / "bad").glob("*.reason"))) == 1
    assert post.waiting() == 0


def test_a_letter_that_cannot_be_stored_now_waits_and_is_taken_later(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.write("beat", state="executing")
    post.write("checkpoint", completed=["one"])
    post.write("beat", state="executing")

    def full(_: Checkpoint, *, durable: bool) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(post.store, "_write", full)
        found = post.collect()
        assert (len(found.letters), post.waiting()) == (1, 2)
        assert "No space left" in found.stuck
    assert len(post.collect().letters) == 2
    assert post.waiting() == 0
    newest = post.store.last_good("a1", "t1")
    assert newest is not None
    assert newest.completed == ("one",)


def test_letters_and_our_own_checkpoints_at_the_same_time_get_numbers_of_their_own(post: Post) -> None:
    for n in range(60):
        post.write("checkpoint", completed=[str(n)])

    def ours() -> None:
        post.store.add(
            "a1", "t1", lambda before, seq: from_supervisor("a1", before, None, task="t1", attempt=1,
                                                            session=None, seq=seq, created_at="now"),
        )  # fmt: skip

    with ThreadPoolExecutor(4) as pool:
        told = pool.submit(post.collect, None)
        done = [pool.submit(ours) for _ in range(60)]
        assert [x.result(30) for x in done] == [None] * 60
        numbers = [x.seq for x in told.result(30).evidence if isinstance(x, e.CheckpointReceived)]
    assert len(set(numbers)) == 60
    assert post.store.next_seq("a1") == 121
    newest = post.store.last_good("a1", "t1")
    assert newest is not None
    assert newest.completed == ("59",), "ours carry forward what the agent said last"


DIALOG = ScreenRule(name="trust", phase="waiting", pattern=r"Do you trust", lines=3)


def test_a_dialog_keeps_hands_off_at_the_first_look() -> None:
    assert asks((DIALOG,), ["Do you trust this folder?", "> yes", "", "", ""]) == "trust"
    assert asks((DIALOG,), ["Do you trust this folder?", "1", "2", "3"]) == ""


def test_after_a_change_of_daemons_a_screen_that_shows_nothing_is_news() -> None:
    def looks(reader: ScreenReader, *lines: str) -> list[bool]:
        return [reader.look(lines).cleared for _ in range(3)]

    assert looks(ScreenReader((DIALOG,)), "at work") == [False, False, False]
    assert looks(ScreenReader((DIALOG,), unsure=True), "at work") == [False, True, False]
