"""By which means agents are seen is told to other processes, and the doctor shows it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hhmrs.config.loading import load_fleet
from hhmrs.config.paths import StateDir
from hhmrs.config.profiles import builtin_profiles
from hhmrs.controller.ledger.lock import DaemonLock, Holder
from hhmrs.controller.means import Means, publish, published
from hhmrs.controller.processes.processes import identify
from hhmrs.controller.reports.doctor import Finding, Machine, examine
from hhmrs.controller.reports.sight import offered, sight

MEANS = (
    Means("output", "inotify on each terminal"),
    Means("letters", "all inboxes looked at every 1 s", False, "raise fs.inotify.max_user_instances"),
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    path = tmp_path / "hhmrs.yaml"
    path.write_text("fleet: f\nagents: {a: {profile: shell, command: [sh]}}\n")
    (tmp_path / "state").mkdir(mode=0o700)
    return Machine(dict(os.environ), tmp_path / "state", load_fleet(path), builtin_profiles())


@pytest.fixture
def daemon(machine: Machine) -> Iterator[StateDir]:
    """This very process holds the fleet."""
    state = StateDir(machine.state_root, "f")
    state.create()
    lock, me = DaemonLock(state), identify(os.getpid())
    assert me is not None
    lock.acquire(Holder(me.pid, me.created, "here", "0", "hhmrs.yaml", "armed", time.time(), ready=True))
    yield state
    lock.release()


def topics(found: list[Finding]) -> dict[str, Finding]:
    return {finding.topic: finding for finding in found}


def test_means_are_told_whole_and_privately(tmp_path: Path) -> None:
    path = tmp_path / "means.json"
    assert published(path, os.getpid()) is None
    publish(path, MEANS[:1])
    publish(path, MEANS)
    assert published(path, os.getpid()) == MEANS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["means.json"]
    assert published(path, os.getpid() + 1) is None, "what another daemon said says nothing of this one"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        '{"pid": 1}',
        '{"pid": %d, "means": [1]}',
        '{"pid": %d, "means": 5}',
        '{"pid": %d, "means": [{"source": 1}]}',
    ],
)
def test_what_cannot_be_read_is_no_word_at_all(tmp_path: Path, text: str) -> None:
    path = tmp_path / "means.json"
    path.write_text(text % os.getpid() if "%d" in text else text)
    assert published(path, os.getpid()) is None


def test_a_link_or_a_pipe_in_its_place_is_not_followed(tmp_path: Path) -> None:
    publish(tmp_path / "real.json", MEANS)
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    os.mkfifo(tmp_path / "pipe.json")
    assert published(tmp_path / "link.json", os.getpid()) is None
    assert published(tmp_path / "pipe.json", os.getpid()) is None


def test_the_doctor_shows_what_the_running_daemon_sees_by(machine: Machine, daemon: StateDir) -> None:
    publish(daemon.means, MEANS)
    found = topics(list(examine(machine)))
    assert (found["output"].level, found["output"].what) == ("ok", "in use: inotify on each terminal")
    assert found["letters"].level == "warn"
    assert found["letters"].mend == "raise fs.inotify.max_user_instances"
    assert "deaths" not in found, "the daemon said nothing of it"


def test_a_daemon_that_does_not_say_is_a_warning(machine: Machine, daemon: StateDir) -> None:
    (finding,) = sight(machine)
    assert (finding.level, finding.topic) == ("warn", "sight")
    assert str(os.getpid()) in finding.what
    assert finding.mend


def test_without_a_daemon_the_doctor_shows_what_the_machine_offers(machine: Machine) -> None:
    publish_nothing_yet = StateDir(machine.state_root, "f").means
    assert not publish_nothing_yet.exists()
    found = topics(list(sight(machine)))
    assert {"output", "deaths", "processes", "cgroups", "kernel"} == set(found)
    assert all(one.what.startswith("on offer: ") for one in found.values())


def test_a_means_that_is_not_the_full_one_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    deaths = next(one for one in offered() if one.source == "deaths")
    assert not deaths.full
    assert "Linux 5.3" in deaths.why
