"""The doctor finds what is wrong with a machine and says how to mend it; real folders, real programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hhmrs.config.fleet import FleetSpec
from hhmrs.config.loading import load_fleet
from hhmrs.config.paths import StateDir
from hhmrs.config.profiles import builtin_profiles
from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Row
from hhmrs.controller.reports.doctor import Finding, Machine, examine, file_system, nearest, version_pair
from hhmrs.healing.agent import AgentState
from hhmrs.healing.codec import dump_state


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with a good tmux and git, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    install(folder, "tmux", "echo tmux 3.6b")
    install(folder, "git", "echo git version 2.39.5")
    return folder


def install(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def machine(tmp_path: Path, programs: Path, fleet: FleetSpec | None = None, **environ: str) -> Machine:
    limits = tmp_path / "proc/sys/fs/inotify"
    limits.mkdir(parents=True, exist_ok=True)
    for name, value in (("max_user_watches", "524288"), ("max_user_instances", "512")):
        if not (limits / name).exists():
            (limits / name).write_text(f"{value}\n")
    sockets = tmp_path / "sockets"
    sockets.mkdir(exist_ok=True)
    env = {"PATH": str(programs), "LANG": "C.UTF-8", "TMUX_TMPDIR": str(sockets), **environ}
    return Machine(env, tmp_path / "state", fleet, builtin_profiles(), tmp_path / "proc")


def about(topic: str, findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.topic == topic]


def only(topic: str, findings: list[Finding]) -> Finding:
    found = about(topic, findings)
    assert len(found) == 1, found
    return found[0]


def test_a_sound_machine_has_nothing_to_mend(tmp_path: Path, programs: Path) -> None:
    install(programs, "claude", "exit 0")
    findings = examine(machine(tmp_path, programs))
    wrong = [f for f in findings if f.level != "ok" and f.topic not in ("disk", "open files")]
    assert not wrong
    assert all(not f.mend for f in findings if f.level == "ok")


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ("tmux 3.1c", "fail"),
        ("tmux 3.2a", "warn"),
        ("tmux 3.5a", "warn"),
        ("tmux 3.6", "ok"),
        ("tmux next-3.8", "ok"),
        ("tmux master", "ok"),
    ],
)
def test_tmux_is_judged_by_its_version(tmp_path: Path, programs: Path, said: str, level: str) -> None:
    install(programs, "tmux", f"echo {said}")
    finding = only("tmux", examine(machine(tmp_path, programs)))
    assert finding.level == level
    assert said in finding.what
    assert bool(finding.mend) == (level != "ok")


@pytest.mark.parametrize("name", ["tmux", "git"])
def test_what_is_not_installed_is_a_failure(tmp_path: Path, programs: Path, name: str) -> None:
    (programs / name).unlink()
    finding = only(name, examine(machine(tmp_path, programs)))
    assert finding.level == "fail"
    assert "not on PATH" in finding.what
    assert "install" in finding.mend


def test_a_program_that_cannot_be_asked_is_a_warning_not_a_crash(tmp_path: Path, programs: Path) -> None:
    (programs / "git").write_text("not a program")
    assert only("git", examine(machine(tmp_path, programs))).level == "warn"


def fleet_of(tmp_path: Path, text: str) -> FleetSpec:
    (tmp_path / "hhmrs.yaml").write_text(text)
    return load_fleet(tmp_path / "hhmrs.yaml")


def test_agents_of_the_fleet_are_looked_for_where_they_will_run(tmp_path: Path, programs: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    install(work, "tool", "exit 0")
    install(programs, "claude", "exit 0")
    fleet = fleet_of(
        tmp_path,
        "fleet: f\nagents:\n"
        "  here: {profile: shell, command: [./tool], workspace: work}\n"
        "  gone: {profile: shell, command: [no-such-program], workspace: work}\n"
        "  one: {profile: claude, alternates: [{profile: codex}]}\n",
    )
    found = {
        f.what.partition(":")[0] + f.level: f
        for f in about("agents", examine(machine(tmp_path, programs, fleet)))
    }
    assert set(found) == {"shellok", "shellfail", "claudeok", "codex (an alternate)warn"}
    assert "no-such-program" in found["shellfail"].what
    assert "gone" in found["shellfail"].mend


ABROAD = """\
fleet: f
notify: ["json://${HOOK_HOST}/x", "json://localhost"]
profiles:
  other: {like: claude, env: {ANTHROPIC_AUTH_TOKEN: "${OTHER_TOKEN}"}}
agents:
  a: {profile: claude, alternates: [{profile: other}]}
  b: {profile: other}
  c: {profile: claude, env: {X: "${OWN}"}}
"""


def test_what_the_environment_lacks_is_told_before_the_night(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hhmrs.yaml").write_text(ABROAD)
    fleet = load_fleet(tmp_path / "hhmrs.yaml")
    monkeypatch.setitem(sys.modules, "apprise", None)
    findings = examine(machine(tmp_path, programs, fleet, OWN="mine"))
    found = about("environment", findings)
    assert [(one.level, one.what[:8]) for one in found] == [("warn", "agent a:"), ("fail", "agent b:")]
    assert found[0].mend.startswith("export OTHER_TOKEN before the daemon starts")
    assert "ANTHROPIC_AUTH_TOKEN of other needs ${OTHER_TOKEN}" in found[0].what
    assert "Apprise is not installed" in only("notify", findings).what
    monkeypatch.delitem(sys.modules, "apprise")
    missing = only("notify", examine(machine(tmp_path, programs, fleet, OTHER_TOKEN="secret-token-of-mine")))
    assert missing.level == "fail"
    assert "entry 1 needs ${HOOK_HOST}" in missing.what
    well = examine(machine(tmp_path, programs, fleet, OWN="1", OTHER_TOKEN="secret-of-mine", HOOK_HOST="h"))
    assert (only("notify", well).level, about("environment", well)) == ("ok", [])
    assert "secret-of-mine" not in str(well)


def test_an_agent_that_cannot_start_for_want_of_a_variable_is_a_failure(
    tmp_path: Path, programs: Path
) -> None:
    (tmp_path / "hhmrs.yaml").write_text(ABROAD)
    findings = examine(machine(tmp_path, programs, load_fleet(tmp_path / "hhmrs.yaml"), OTHER_TOKEN="1"))
    (found,) = about("environment", findings)
    assert (found.level, "agent c: X of claude needs ${OWN}" in found.what) == ("fail", True)


def test_low_inotify_limits_are_named_with_their_remedy(tmp_path: Path, programs: Path) -> None:
    limits = tmp_path / "proc/sys/fs/inotify"
    limits.mkdir(parents=True)
    (limits / "max_user_watches").write_text("8192\n")
    findings = {f.what.split()[0]: f for f in about("inotify", examine(machine(tmp_path, programs)))}
    assert findings["fs.inotify.max_user_watches"].level == "warn"
    assert "sysctl fs.inotify.max_user_watches=" in findings["fs.inotify.max_user_watches"].mend
    assert findings["fs.inotify.max_user_instances"].level == "ok"


def test_a_state_folder_that_others_may_read_is_a_failure(tmp_path: Path, programs: Path) -> None:
    fleet = fleet_of(tmp_path, "fleet: f\nagents: {a: {profile: shell, command: [sh]}}\n")
    folder = tmp_path / "state" / "f"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o755)
    folder.chmod(0o750)
    found = {f.level: f for f in about("state", examine(machine(tmp_path, programs, fleet)))}
    assert "chmod 700" in found["fail"].mend
    assert str(folder) in found["fail"].what
    folder.chmod(0o700)
    assert {f.level for f in about("state", examine(machine(tmp_path, programs, fleet)))} == {"ok"}


def test_a_state_folder_behind_a_link_is_a_failure(tmp_path: Path, programs: Path) -> None:
    fleet = fleet_of(tmp_path, "fleet: f\nagents: {a: {profile: shell, command: [sh]}}\n")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "f").symlink_to(tmp_path / "elsewhere")
    assert "fail" in {f.level for f in about("state", examine(machine(tmp_path, programs, fleet)))}


def test_a_tmux_folder_that_others_may_enter_is_a_failure(tmp_path: Path, programs: Path) -> None:
    folder = tmp_path / "sockets" / f"tmux-{os.getuid()}"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    finding = only("tmux sockets", examine(machine(tmp_path, programs)))
    assert finding.level == "fail"
    assert f"chmod 700 {folder}" in finding.mend


def test_a_ledger_on_a_network_disk_is_a_failure(tmp_path: Path, programs: Path) -> None:
    mounts = tmp_path / "proc/self/mounts"
    mounts.parent.mkdir(parents=True)
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    assert file_system(tmp_path / "state", tmp_path / "proc") == "nfs4"
    failed = [f for f in about("disk", examine(machine(tmp_path, programs))) if f.level == "fail"]
    assert len(failed) == 1
    assert "nfs4" in failed[0].what


def test_a_locale_without_utf8_is_a_warning(tmp_path: Path, programs: Path) -> None:
    assert only("locale", examine(machine(tmp_path, programs, LC_ALL="POSIX"))).level == "warn"
    assert only("locale", examine(machine(tmp_path, programs, LC_ALL="de_DE.utf8"))).level == "ok"


def test_small_helps() -> None:
    assert version_pair("git version 2.39.2.windows.1") == (2, 39)
    assert version_pair("tmux master") is None
    assert nearest(Path("/no/such/folder/at/all")) == Path("/")


def test_work_that_is_in_no_snapshot_is_told(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "hhmrs.yaml").write_text(
        "fleet: f\nagents:\n  a: {profile: shell, command: [ls]}\n  b: {profile: shell, command: [ls]}\n"
        "  c: {profile: shell, command: [ls]}\n"
    )
    fleet = load_fleet(tmp_path / "hhmrs.yaml")
    assert not about("snapshots", examine(machine(tmp_path, programs, fleet)))
    state = StateDir(tmp_path / "state", "f")
    state.create()
    ledger = SqliteLedger(state.ledger)
    said = "not in the snapshot: 1 larger than keep.file_size (10MB): model.bin"
    states = [AgentState("a", checkpoint=3, unsaved=said), AgentState("b", checkpoint=1), AgentState("c")]
    ledger.append([Row(one.id, dump_state(one), ()) for one in states])
    ledger.close()
    bad, good = about("snapshots", examine(machine(tmp_path, programs, fleet)))
    assert (bad.level, bad.what) == ("warn", f"a: {said}")
    assert "keep.file_size" in bad.mend
    assert (good.level, good.what) == ("ok", "the newest checkpoints of 1 agents hold all of their work")
