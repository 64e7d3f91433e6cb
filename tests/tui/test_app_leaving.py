"""Who leaves the screen leaves at once, whatever is being read just then."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.ledger.reader import LedgerReader
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.tui.aside import aside, tell
from hhmrs.tui.feed import Feed, FleetSeen

LEAVES = """
import asyncio, sys, threading, time
from hhmrs.tests.tui.conftest import ScriptedSource
from hhmrs.tests.tui.hands import Hands
from hhmrs.tui.app import HhmrsApp
from hhmrs.tui.looks import Glyphs

source, hangs = ScriptedSource(), threading.Event()
def hang(*_, **__):
    hangs.set()
    time.sleep(60)
WHERE, KEYS = sys.argv[1], sys.argv[2].split(",")
if WHERE == "numbers":
    source.numbers = type("Slow", (), {"__getattr__": lambda self, name: hang})()
elif WHERE == "hands":
    source.hands.preview = hang
elif WHERE == "settings":
    source.settings.read = hang
elif WHERE == "pane":
    source.pane = hang
elif WHERE == "work":
    source.work.files = hang

async def look():
    app = HhmrsApp(source, Glyphs())
    async with app.run_test(size=(100, 30)) as pilot:
        person = Hands(app, pilot)
        await person.until(lambda: bool(app.fleet_screen.fleet.agents))
        if KEYS != [""]:
            await person.press(*KEYS)
        await person.until(hangs.is_set)
        global began
        began = time.monotonic()
        app.exit(0)
asyncio.run(look())
print(f"left after {time.monotonic() - began:.3f}")
"""


@pytest.mark.parametrize(
    ("where", "keys"),
    [("numbers", "i"), ("numbers", "d"), ("hands", "r"), ("settings", "comma"), ("pane", ""), ("work", "4")],
)
def test_a_read_that_hangs_keeps_nobody_from_leaving(where: str, keys: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVES, where, keys],
        env={**os.environ, "TZ": "UTC"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.rpartition(" ")[2]) < 2.0, (
        "the machine of the tests may be busy; alone it is 0.2"
    )
    assert done.stderr == ""


def test_nothing_is_told_to_a_loop_that_is_closed(scripted: Any, recwarn: pytest.WarningsRecorder) -> None:
    told: list[object] = []

    def closed(message: object) -> None:
        told.append(message)
        raise RuntimeError("Event loop is closed")

    feed = Feed(scripted, closed)
    feed._look_at_fleet()
    assert isinstance(told[0], FleetSeen)
    tell(closed, FleetSeen(scripted.snapshot(None)))
    over = threading.Event()

    def read() -> None:
        try:
            closed("late")
        finally:
            over.set()

    aside(read, "late")
    assert over.wait(10)
    assert not [one for one in recwarn if "thread" in str(one.message).casefold()]


def test_what_is_being_read_is_no_reason_to_wait(tmp_path: Path) -> None:
    SqliteLedger(tmp_path / "ledger.db").close()
    reader = LedgerReader(tmp_path / "ledger.db")
    begun, go_on, found = threading.Event(), threading.Event(), list[object]()

    def read() -> None:
        with reader.at_once():
            begun.set()
            assert go_on.wait(20)
            found.append(reader.agents())

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(10)
    reader.close(wait=False)
    go_on.set()
    thread.join(20)
    assert found == [[]]
    reader.close()
