"""Hooks put into a CLI's configuration and taken out: idempotent both ways, everybody else's bytes kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from hhmrs.controller.hooks.editing import wired
from hhmrs.controller.hooks.installing import Refused, Wiring
from hhmrs.controller.hooks.line import command, is_ours
from hhmrs.controller.hooks.records import FOLDER, Records
from hhmrs.controller.hooks.table import KINDS

INSTALLED = [name for name, kind in KINDS.items() if kind.place is not None]
EDITED = [name for name, kind in KINDS.items() if kind.entry is not None]
THEIRS = """{
   "theme" : "dark",   "env": {"N": 1.50e3, "e": "\\u00e9"},
   "hooks": {
      "Stop": [ {"hooks": [ {"type": "command", "command": "say done"} ]} ],
      "Mine": []
   }
}

"""


class Machine:
    """A home and a state root of a test's own."""

    def __init__(self, root: Path) -> None:
        self.home, self.state = root / "home", root / "state"
        self.home.mkdir(exist_ok=True)

    def wiring(self, name: str, **env: str) -> Wiring:
        return Wiring(KINDS[name], {"HOME": str(self.home)} | env, Records(self.state))

    def install(self, name: str, **env: str) -> bool:
        wiring = self.wiring(name, **env)
        plan = wiring.installing()
        wiring.install(plan)
        return plan.changes

    def remove(self, name: str, **env: str) -> bool:
        wiring = self.wiring(name, **env)
        plan = wiring.removing()
        wiring.remove(plan)
        return plan.changes

    def tree(self) -> Mapping[str, tuple[int, bytes | None]]:
        """Every path below the home with its mode and content."""
        return {
            str(path.relative_to(self.home)): (
                path.lstat().st_mode,
                path.read_bytes() if path.is_file() else None,
            )
            for path in sorted(self.home.rglob("*"))
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("name", INSTALLED)
def test_where_there_was_nothing_nothing_is_left(machine: Machine, name: str) -> None:
    assert machine.install(name)
    assert machine.wiring(name).wired() == list(KINDS[name].wired)
    once = machine.tree()
    assert not machine.install(name)
    assert machine.tree() == once, "twice is once"
    assert machine.remove(name)
    assert machine.tree() == {}
    assert not (machine.state / FOLDER).exists()
    assert not machine.remove(name)
    assert machine.wiring(name).wired() == []


@pytest.mark.parametrize("name", EDITED)
def test_a_file_comes_back_byte_for_byte_with_its_mode(machine: Machine, name: str) -> None:
    path = machine.wiring(name).path
    path.parent.mkdir(parents=True)
    path.write_text(THEIRS)
    path.chmod(0o640)
    before = machine.tree()
    machine.install(name)
    text = path.read_text()
    assert text.startswith(THEIRS[: THEIRS.index('"Stop"')]), "what stands before ours is as it was"
    assert wired(text) == sorted(wired(text), key=list(json.loads(text)["hooks"]).index)
    assert set(wired(text)) == set(KINDS[name].wired)
    assert path.stat().st_mode & 0o777 == 0o640
    machine.install(name)
    machine.remove(name)
    assert machine.tree() == before


@pytest.mark.parametrize("name", EDITED)
def test_what_was_changed_since_keeps_its_changes_and_nothing_of_ours(machine: Machine, name: str) -> None:
    path = machine.wiring(name).path
    path.parent.mkdir(parents=True)
    path.write_text(THEIRS)
    machine.install(name)
    changed = json.loads(path.read_text())
    changed["theme"] = "light"
    changed["hooks"]["Stop"].append({"hooks": [{"type": "command", "command": "later"}]})
    path.write_text(json.dumps(changed, indent=4))
    assert machine.remove(name)
    wanted = json.loads(THEIRS)
    wanted["theme"] = "light"
    wanted["hooks"]["Stop"].append({"hooks": [{"type": "command", "command": "later"}]})
    assert json.loads(path.read_text()) == wanted
    assert not (machine.state / FOLDER).exists()


def test_a_group_that_somebody_shares_with_us_loses_our_line_alone(machine: Machine) -> None:
    machine.install("claude")
    path = machine.wiring("claude").path
    changed = json.loads(path.read_text())
    changed["hooks"]["Stop"][0]["hooks"].insert(0, {"type": "command", "command": "mine"})
    path.write_text(json.dumps(changed))
    machine.remove("claude")
    assert json.loads(path.read_text()) == {
        "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "mine"}]}]}
    }


def test_without_our_record_our_entries_still_go(machine: Machine) -> None:
    path = machine.wiring("qwen").path
    path.parent.mkdir(parents=True)
    path.write_text(THEIRS)
    machine.install("qwen")
    for file in (machine.state / FOLDER).iterdir():
        file.write_text("damaged")
    machine.remove("qwen")
    assert json.loads(path.read_text()) == json.loads(THEIRS)
    assert not (machine.state / FOLDER).exists()


def test_an_older_line_is_replaced_and_never_comes_back(machine: Machine) -> None:
    path = machine.wiring("claude").path
    path.parent.mkdir(parents=True)
    older = command("claude", "Gone").replace("umask 077; ", "")
    assert is_ours(older)
    path.write_text(
        json.dumps({"a": 1, "hooks": {"Gone": [{"hooks": [{"type": "command", "command": older}]}]}})
    )
    machine.install("claude")
    assert "Gone" not in json.loads(path.read_text())["hooks"]
    machine.remove("claude")
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ('{\n  // mine\n  "a": 1}', ":2:3:", "a comment"),
        ('{"a": 1,}', ":1:", "no JSON"),
        ('{"a": 1, "a": 2}', ":1:1:", "given twice"),
        ('{\n "hooks": 3}', ":2:11:", "hooks is not an object"),
        ('{"hooks": {"Stop": {}}}', ":1:20:", "hooks.Stop is not a list"),
        ("[1]", ":1:1:", "not an object"),
        ("[" * 100_000, ":1:", "nested deeper|no JSON"),
    ],
)
def test_what_cannot_be_changed_safely_is_refused_with_its_place(
    machine: Machine, text: str, place: str, why: str
) -> None:
    path = machine.wiring("gemini").path
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(Refused, match=why) as refused:
        machine.install("gemini")
    assert f"{path}{place}" in str(refused.value)
    assert path.read_text() == text
    assert machine.wiring("gemini").wired() == []


def test_a_link_inside_the_home_is_followed_and_stays(machine: Machine) -> None:
    real = machine.home / "dotfiles" / "claude.json"
    real.parent.mkdir()
    real.write_text(THEIRS)
    (machine.home / ".claude").mkdir()
    link = machine.home / ".claude" / "settings.json"
    link.symlink_to(real)
    machine.install("claude")
    assert link.is_symlink()
    assert wired(real.read_text())
    machine.remove("claude")
    assert real.read_text() == THEIRS


def test_a_link_that_leads_out_of_the_home_is_refused(machine: Machine, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(THEIRS)
    (machine.home / ".claude").mkdir()
    (machine.home / ".claude" / "settings.json").symlink_to(elsewhere)
    with pytest.raises(Refused, match="outside your home"):
        machine.install("claude")
    assert elsewhere.read_text() == THEIRS


def test_pipes_and_giants_are_refused(machine: Machine) -> None:
    path = machine.wiring("claude").path
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(Refused, match="no plain file"):
        machine.install("claude")
    path.unlink()
    path.write_text(" " * 300_000)
    with pytest.raises(Refused, match="larger than"):
        machine.install("claude")


@pytest.mark.parametrize("name", ["copilot", "opencode"])
def test_somebody_elses_file_under_the_name_of_ours_is_left(machine: Machine, name: str) -> None:
    path = machine.wiring(name).path
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(Refused, match="somebody else's"):
        machine.install(name)
    assert not machine.remove(name)
    assert path.read_text() == "{}"


def test_each_cli_is_looked_for_where_it_looks_itself(machine: Machine, tmp_path: Path) -> None:
    own = str(tmp_path / "own")
    places = {
        ("claude", "CLAUDE_CONFIG_DIR"): "settings.json",
        ("codex", "CODEX_HOME"): "hooks.json",
        ("gemini", "GEMINI_CLI_HOME"): ".gemini/settings.json",
        ("qwen", "QWEN_HOME"): "settings.json",
        ("copilot", "COPILOT_HOME"): "hooks/hhmrs.json",
        ("opencode", "XDG_CONFIG_HOME"): "opencode/plugins/hhmrs.js",
    }
    for (name, variable), below in places.items():
        assert machine.wiring(name, **{variable: own}).path == Path(own) / below
        assert machine.home in machine.wiring(name).path.parents


def test_who_writes_at_the_same_moment_wins(machine: Machine) -> None:
    path = machine.wiring("claude").path
    path.parent.mkdir()
    path.write_text(THEIRS)
    wiring = machine.wiring("claude")
    plan = wiring.installing()
    path.write_text("{}")
    with pytest.raises(Refused, match="this very moment"):
        wiring.install(plan)
    assert path.read_text() == "{}"


def test_the_record_is_the_owners_alone(machine: Machine) -> None:
    machine.install("claude")
    (record,) = (machine.state / FOLDER).iterdir()
    assert record.stat().st_mode & 0o777 == 0o600
    assert (machine.state / FOLDER).stat().st_mode & 0o777 == 0o700
