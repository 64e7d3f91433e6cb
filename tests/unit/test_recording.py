"""Which files can be played, what is said of the others, and that a large one is no trouble."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.timestamps import to_iso
from hhmrs.healing.agent import Happening, Phase
from hhmrs.tui.commands.parsing import parse
from hhmrs.tui.commands.refusal import Refusal
from hhmrs.tui.looks import age
from hhmrs.tui.player import SPEEDS, Player, fitting_speed
from hhmrs.tui.sources.recording import PAGE, RecordingError, open_recording
from hhmrs.tui.sources.retelling import Told
from hhmrs.tui.widgets.replay_bar import track

T0 = 1_795_255_200.0


def write(path: Path, happenings: Sequence[Happening]) -> Path:
    book = SqliteLedger(path)
    book.append([Row(h.agent, None, (h,)) for h in happenings])
    book.close()
    return path


def phases(count: int) -> list[Happening]:
    dice, words = Random(7), ("working", "idle", "stalled", "waiting")
    return [
        Happening("agent_phase", f"a{dice.randrange(100):03}", T0 + n, None, {"to": dice.choice(words)})
        for n in range(count)
    ]


def refused(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        open_recording(path)
    return str(caught.value)


def test_a_file_that_is_not_there_and_one_that_is_none(tmp_path: Path) -> None:
    assert "is not there" in refused(tmp_path / "gone.db")
    (tmp_path / "folder").mkdir()
    assert "is not there" in refused(tmp_path / "folder")
    assert "no regular file" in refused(Path("/dev/null"))


def test_a_text_file_and_a_database_of_another_program(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("these are my notes\n" * 100)
    assert "is no ledger of hhmrs" in refused(text)
    for statement in ("CREATE TABLE x(y)", "CREATE TABLE meta(key TEXT, value TEXT)", "CREATE TABLE meta(z)"):
        other = tmp_path / "other.db"
        other.unlink(missing_ok=True)
        conn = sqlite3.connect(other)
        conn.execute(statement)
        conn.commit()
        conn.close()
        said = refused(other)
        assert "is no ledger" in said or "cannot be played" in said, said


def test_a_ledger_without_events(tmp_path: Path) -> None:
    SqliteLedger(tmp_path / "ledger.db").close()
    assert "holds no events" in refused(tmp_path / "ledger.db")
    assert "holds no events" in refused(tmp_path)


def test_a_damaged_ledger_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "ledger.db", phases(3 * PAGE))
    raw = bytearray(path.read_bytes())
    half = len(raw) * 2 // 3
    raw[half : half + 65_536] = b"\xa5" * 65_536
    path.write_bytes(raw)
    opened = open_recording(path)
    assert 0 < len(opened) < 3 * PAGE
    assert "damaged" in opened.note
    assert len(opened.seek(len(opened)).agents) > 50
    assert opened.newest(len(opened), 5)
    opened.close()


def test_a_ledger_of_a_newer_version_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "ledger.db", phases(3))
    conn = sqlite3.connect(path)
    conn.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    conn.commit()
    conn.close()
    assert "newer hhmrs" in refused(path)


def test_hostile_events_are_told_inert_and_never_stop_it(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07[red]x[/]"
    odd: list[Happening] = [
        Happening("agent_phase", evil, T0, None, {"to": evil, "why": evil}),
        Happening("agent_phase", "a", T0 + 1, None, {"to": ["list"], "why": {"a": 1}}),
        Happening("agent_started", "a", T0 + 2, None, {"attempt": "two", "pid": [], "profile": 7}),
        Happening("hhmrs_restart", "a", T0 + 3, "i", {"n": "x", "restart_count": None}),
        Happening("agent_incident", "a", T0 + 4, evil, {"cause": evil, "detail": 5}),
        Happening("hhmrs_reassign", "a", T0 + 5, evil, {"n": 1, "new_profile": None, "strategy": evil}),
        Happening("hhmrs_cascade", "", T0 + 6, None, {"cascade": [1], "agents": 3}),
        Happening("agent_decider_asked", "a", T0 + 7, evil, {"within": "soon"}),
    ]
    opened = open_recording(write(tmp_path / "ledger.db", odd))
    fleet = opened.seek(len(odd)).fleet(opened.fleet, opened.end)
    assert {agent.phase for agent in fleet.agents} == {Phase.UNKNOWN}
    for agent in fleet.agents:
        assert "\x1b" not in f"{agent.title}{agent.message}{agent.profile}{agent.doing}"
    for one in fleet.troubles:
        assert "\x1b" not in "".join((one.id, one.cause, one.detail, *(t.strategy for t in one.tries)))
    assert len(fleet.troubles) == 1
    opened.close()


def test_a_hundred_thousand_events_open_and_are_sought_in_quickly(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqliteLedger(path).close()
    conn = sqlite3.connect(path)  # the writer of the ledger would take ten seconds for as many
    rows = [(to_iso(h.at), h.type, h.agent, json.dumps(h.fields)) for h in phases(100_000)]
    conn.executemany("INSERT INTO events(at, type, agent, run, data) VALUES (?, ?, ?, 'r', ?)", rows)
    conn.commit()
    conn.close()
    told: list[tuple[int, int]] = []
    began = time.process_time()
    opened = open_recording(path, lambda done, whole: told.append((done, whole)))
    assert time.process_time() - began < 6.0  # some 1.2 s of processor time on an idle machine
    assert told[-1] == (100_000, 100_000)
    assert len(told) == 100_000 // PAGE
    began = time.process_time()
    for position in (99_999, 1, 50_000, 77_777, 3):
        assert opened.seek(position).agents
        assert opened.newest(position, 400)
    assert time.process_time() - began < 1.0
    opened.close()


def test_a_clock_that_was_set_back_does_not_turn_the_order_round(tmp_path: Path) -> None:
    back = [
        Happening("agent_phase", "a", T0 + at, None, {"to": to})
        for at, to in ((0, "working"), (100, "idle"), (40, "waiting"), (120, "paused"))
    ]
    opened = open_recording(write(tmp_path / "ledger.db", back))
    assert [opened.position(T0 + at) for at in (0, 50, 99, 100, 119, 120)] == [1, 1, 1, 3, 3, 4]
    opened.close()


def test_the_fleet_is_unknown_before_its_first_event() -> None:
    assert Told().fleet("nightly", T0).agents == ()


def test_the_first_speed_shows_a_night_in_two_minutes() -> None:
    assert fitting_speed(30) == 1
    assert fitting_speed(8 * 3600) == 300
    assert fitting_speed(1e9) == SPEEDS[-1]


def test_a_player_stays_between_its_ends() -> None:
    now = 0.0
    player = Player(100.0, 200.0, speed=10, clock=lambda: now)
    now = 5.0
    assert player.now == 150.0
    player.seek(9999.0)
    assert (player.now, player.playing, player.share) == (200.0, False, 1.0)
    player.seek(-1.0)
    assert (player.now, player.playing) == (100.0, True)
    now = 1.0  # a clock that goes back
    assert player.now == 100.0


def test_the_track_has_every_trouble_and_one_place() -> None:
    cells = track(0.5, [0.0, 95.0, 100.0], 0.0, 100.0, 20)
    assert cells.count("here") == 1
    assert [n for n, cell in enumerate(cells) if cell == "mark"] == [0, 19]
    assert cells[:10].count("past") == 9
    assert track(1.0, [], 5.0, 5.0, 3)[-1] == "here"
    assert track(0.3, [], 0.0, 1.0, 0) == []


@pytest.mark.parametrize(
    "words", [["--replay", "x.db", "--speed", "60"], ["--replay=x.db", "--speed", "60x"]]
)
def test_both_spellings_are_understood(words: list[str]) -> None:
    call = parse(words)
    assert (call.command.name, call.get("ledger"), call.get("speed")) == ("--replay", "x.db", 60)


@pytest.mark.parametrize("speed", ["0", "4000", "fast"])
def test_an_impossible_speed_is_refused(speed: str) -> None:
    with pytest.raises(Refusal):
        parse(["--replay", "x.db", "--speed", speed])


ODD_TIMES = ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00", "1e300", "-5", "NaN", "", "10000-01-01T00:00:00Z")


def test_absurd_times_neither_stretch_the_recording_nor_hide_what_came_after(tmp_path: Path) -> None:
    path = write(tmp_path / "ledger.db", phases(100))
    conn = sqlite3.connect(path)
    for seq, at in enumerate((*ODD_TIMES, *ODD_TIMES), 20):
        conn.execute("UPDATE events SET at = ? WHERE seq = ?", (at, seq))
    conn.execute("UPDATE events SET at = '' WHERE seq = 1")
    conn.commit()
    conn.close()
    with_odd = open_recording(path)
    assert (with_odd.begin, with_odd.end) == (T0 + 1, T0 + 99)
    assert with_odd.position(T0 + 60) == 61
    assert "15 events bear no time that can be" in with_odd.note
    assert open_recording(write(tmp_path / "sound.db", phases(100))).note == ""


def test_one_event_that_says_nothing_readable_hides_no_other(tmp_path: Path) -> None:
    path = write(tmp_path / "ledger.db", phases(100))
    conn = sqlite3.connect(path)
    odd = ("[]", "3", "null", '"x"', "{", "", "[" * 100_000, b"\xff", '{"to": [], "within": 1e400}')
    for seq, data in enumerate(odd, 10):
        conn.execute(
            "UPDATE events SET data = ?, agent = ?, parent = ? WHERE seq = ?", (data, b"\xff", b"a\xfe", seq)
        )
    for seq, kind in enumerate(("agent_started", "agent_asked", "agent_decider_asked", "hhmrs_cascade"), 30):
        conn.execute("UPDATE events SET data = '[1]', type = ? WHERE seq = ?", (kind, seq))
    asks = json.dumps({"decider": "x", "within": 10**400})
    conn.execute("UPDATE events SET data = ?, type = 'agent_decider_asked' WHERE seq = 40", (asks,))
    conn.commit()
    conn.close()
    played = open_recording(path)
    assert len(played) == 100
    assert "\ufffd" in played.seek(100).agents
    assert len(played.newest(100, 100)) == 100


def test_an_age_that_is_no_number_of_seconds() -> None:
    assert [age(odd) for odd in (float("nan"), float("inf"), -5.0, 1e300)] == ["-", "-", "0s", "999d"]
