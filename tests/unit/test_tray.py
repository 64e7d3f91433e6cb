"""A letter is removed only after what it said is committed; many share a commit."""

from __future__ import annotations

import asyncio

from hhmrs.controller.daemon.tray import HOLD, MOST, Tray
from hhmrs.controller.ports import Letter


def _letter(agent: str, id: str) -> Letter:
    return Letter("beat", agent, 1, "", id, {})


def test_what_changes_nothing_vital_waits_for_a_commit_but_not_for_long() -> None:
    tray = Tray(lambda _: None)
    assert tray.due() is None
    first, second = _letter("a", "1"), _letter("b", "2")
    tray.hold([first], 10.0)
    tray.hold([second], 10.3)
    assert tray.due() == 10.0 + HOLD
    assert tray.take(["a", "nobody"]) == [first]
    assert tray.due() == 10.3 + HOLD
    assert tray.take() == [second]
    assert tray.due() is None


def test_many_are_worth_a_commit_at_once() -> None:
    tray = Tray(lambda _: None)
    tray.hold([_letter("a", str(n)) for n in range(MOST)], 10.0)
    assert tray.due() == 10.0


async def test_ids_are_told_with_every_commit_until_the_letters_are_gone() -> None:
    removed: list[Letter] = []
    tray = Tray(removed.extend)
    first, second = _letter("a", "1"), _letter("a", "2")
    assert tray.ids([first]) == {"a": ("1",)}
    assert tray.ids([second]) == {"a": ("1", "2")}
    tray.committed([first])
    await tray.close()
    assert removed == [first]
    assert tray.ids([_letter("a", "3")]) == {"a": ("2", "3")}


async def test_the_loop_goes_on_while_letters_are_removed_and_all_of_them_are() -> None:
    removed: list[Letter] = []
    tray = Tray(removed.extend)
    for number in range(50):
        tray.committed([_letter("a", str(number))])
        await asyncio.sleep(0)
    await tray.close()
    assert [letter.id for letter in removed] == [str(number) for number in range(50)]
