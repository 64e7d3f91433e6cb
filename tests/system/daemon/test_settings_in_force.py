"""A setting that is changed while the daemon runs is in force without a restart of anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hhmrs.tui.settings import Change, rows
from hhmrs.tui.sources.settings import FleetFile

Script = Callable[..., list[str]]
CALM = {"heartbeat_interval": "30s", "missed_heartbeats": 4, "recovery": {"stalled": []}}


def test_a_shorter_silence_counts_for_the_agent_that_runs(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet({"quiet": {"command": script("sleeper")}}, policy=CALM)
    fleet.up()
    fleet.wait(
        lambda: fleet.phase("quiet") in ("working", "idle", "starting") and fleet.agent("quiet")["pid"]
    )
    daemon, agent = fleet.holder().pid, fleet.pid("quiet")
    desk = FleetFile(fleet.state, fleet.config)
    sheet = desk.read()
    assert (sheet.up, sheet.stale) == (True, False)
    comment = "# a comment of mine\n"
    fleet.config.write_text(comment + fleet.config.read_text())
    assert desk.read().stale, "the file was written after the daemon had read it"

    change = Change("quicker", ("agents", "quiet", "policy", "heartbeat_interval"), "500ms")
    shown = desk.preview(desk.read(), change)
    assert shown.problems == ()
    applied = desk.apply(shown)

    assert (applied.written, applied.in_force) == (True, True), applied.words
    assert fleet.events("operator_reloaded")
    assert not desk.read().stale
    assert fleet.config.read_text().startswith(comment)
    fleet.wait(lambda: fleet.phase("quiet") == "escalated", what="half a second is soon over")
    assert (fleet.holder().pid, fleet.pid("quiet")) == (daemon, agent), "nothing was started anew"
    own = next(row for row in rows(desk.read(), "quiet") if row.setting.key == "heartbeat_interval")
    assert (own.value, own.own) == ("500ms", True)


def test_the_command_sets_the_mode_and_everybody_sees_it(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet({"quiet": {"command": script("sleeper")}}, policy=CALM)
    done = fleet.run("set", "mode", "observe", "--json")
    assert (done.returncode, json.loads(done.stdout)["in_force"]) == (0, None), "no daemon runs yet"
    fleet.up()
    assert fleet.status()["daemon"]["mode"] == "observe"
    done = fleet.run("set", "mode", "--default", "--json")
    assert (done.returncode, json.loads(done.stdout)["in_force"]) == (0, True), done.stderr
    assert fleet.status()["daemon"]["mode"] == "armed"
    settings = json.loads(fleet.run("settings", "--json").stdout)
    assert settings["in_force"] is True
    assert settings["settings"]["mode"]["from"] == "default"


def test_what_the_daemon_does_not_take_is_told(make_fleet: Any, script: Script) -> None:
    fleet = make_fleet({"quiet": {"command": script("sleeper")}}, policy=CALM)
    fleet.up()
    before = fleet.config.read_text()
    fleet.config.write_text(before.replace(fleet.name, f"{fleet.name}-b"))
    told = FleetFile(fleet.state, fleet.config).reload()
    assert told.in_force is False
    assert "cannot be renamed" in told.words
    assert "stays in force" in told.words
    assert fleet.events("operator_reload_refused")
    fleet.config.write_text(before)
    assert FleetFile(fleet.state, fleet.config).reload().in_force is True
