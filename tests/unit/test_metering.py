"""Transcripts are read on after they grew, a few a second, and never because time has passed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hhmrs.controller.workspaces import metering
from hhmrs.controller.workspaces.metering import Metering
from hhmrs.controller.workspaces.spending import Meter
from hhmrs.controller.workspaces.turns import Turns
from hhmrs.healing.usage import Tokens

Told = list[tuple[str, Tokens, float | None]]


def line(name: str, sent: int) -> str:
    return json.dumps({"message": {"id": name, "usage": {"input_tokens": sent, "output_tokens": 1}}}) + "\n"


class Rig:
    """A thread of its own, and what it has told. `reads`: which files were opened, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: Told = []
        self.reads: list[str] = []
        self.turns = Turns("test-metering")
        self.metering = Metering(self.turns, self._tell, settles=0.02)
        read, reads = Meter.read, self.reads

        def noted(meter: Meter) -> object:
            reads.append(meter._path.name)
            return read(meter)

        monkeypatch.setattr(Meter, "read", noted)
        self.turns.start(None, lambda: None)

    def _tell(self, path: Path, tokens: Tokens, context_left: float | None) -> None:
        self.told.append((path.name, tokens, context_left))

    def grew(self, path: Path) -> None:
        self.turns.soon(lambda: self.metering.grew(path))


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = Rig(monkeypatch)
    yield made
    made.turns.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "not within ten seconds"
        time.sleep(0.005)


def test_what_is_new_is_told_once_and_a_file_at_rest_is_left_alone(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line("m1", 10))
    for _ in range(20):
        rig.grew(path)  # a turn writes many lines
    until(lambda: rig.told == [("a.jsonl", Tokens(10, 1, None), None)])
    assert len(rig.reads) <= 2
    with path.open("a") as file:
        file.write("no usage in this line\n")
    seen = len(rig.reads)
    rig.grew(path)
    until(lambda: len(rig.reads) > seen)
    with path.open("a") as file:
        file.write(line("m2", 5))
    rig.grew(path)
    until(lambda: rig.told[1:] == [("a.jsonl", Tokens(15, 2, None), None)])


def test_what_cannot_be_read_is_nobodys_trouble(rig: Rig, tmp_path: Path) -> None:
    good, link = tmp_path / "good.jsonl", tmp_path / "link.jsonl"
    good.write_text(line("m1", 10))
    link.symlink_to(good)
    for path in (tmp_path / "gone.jsonl", link, tmp_path, good):
        rig.grew(path)
    until(lambda: rig.told)
    assert [name for name, _, _ in rig.told] == ["good.jsonl"]


def test_one_that_is_nobodys_any_more_is_not_read(rig: Rig, tmp_path: Path) -> None:
    kept, left = tmp_path / "kept.jsonl", tmp_path / "left.jsonl"
    for path in (kept, left):
        path.write_text(line("m1", 10))

    def both_grew_and_one_was_left() -> None:
        rig.metering.grew(left)
        rig.metering.forget(left)
        rig.metering.grew(kept)

    rig.turns.soon(both_grew_and_one_was_left)
    until(lambda: rig.told)
    assert rig.reads == ["kept.jsonl"]


def test_however_many_grow_only_so_many_are_read_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    turns = Turns("never started")
    monkeypatch.setattr(turns, "later", lambda seconds, _: waits.append(seconds))
    many = Metering(turns, lambda *_: None)
    for n in range(1000):
        many.grew(Path(f"/{n}"))
    assert len(waits) == 1000
    last = max(waits)
    assert last == pytest.approx(1000 / metering.READS)
    in_a_second = max(sum(at <= one < at + 1 for one in waits) for at in range(int(last)))
    assert in_a_second <= 2 * metering.READS, "the first of them settle together"
