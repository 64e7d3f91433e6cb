"""What newcomers copy must work: the fleets in examples/, and the fleet, links and commands of the README."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmrs.config.fleet import FleetSpec
from hhmrs.config.loading import load_fleet
from hhmrs.tui.commands.table import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
README = (ROOT / "README.md").read_text(encoding="utf-8")
Load = Callable[[str], FleetSpec]
NAMES = ("solo", "pair", "pas-tree", "servers", "overnight")


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(name: str) -> FleetSpec:
        # A copy, as a user makes one: loading must not depend on where the file lies.
        return load_fleet(Path(shutil.copy(EXAMPLES / f"{name}.yaml", tmp_path / "hhmrs.yaml")))

    return loaded


def test_no_example_is_left_out_here() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.yaml")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_and_is_named_after_its_file(load: Load, name: str) -> None:
    assert load(name).fleet == name


@pytest.mark.parametrize("name", NAMES)
def test_it_is_commented(name: str) -> None:
    lines = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert sum("# " in line for line in lines) >= 3
    assert max(len(line) for line in lines) <= 120


def test_the_pair_can_change_its_seat(load: Load) -> None:
    coder = load("pair").agents["coder"]
    assert [seat.profile.name for seat in coder.seats] == ["claude", "codex"]
    assert coder.parent == "lead"


def test_the_pas_tree_is_the_older_system_s(load: Load) -> None:
    fleet = load("pas-tree")
    kinds = {
        prefix: [a for a in fleet.agents if a.startswith(prefix)] for prefix in ("dir-", "mgr-", "prog-")
    }
    assert {prefix: len(found) for prefix, found in kinds.items()} == {"dir-": 5, "mgr-": 7, "prog-": 10}
    assert len([a for a in kinds["mgr-"] if a.startswith("mgr-code-")]) == 3
    assert fleet.children(None) == ["pas-root"]
    assert [fleet.agents[a].title for a in ("pas-root", "dir-code", "dir-devsecops")] == [
        "PAS Root",
        "Dir-Code",
        "Dir-DevSecOps",
    ]
    models = {a: fleet.agents[a].seats[0].model for a in kinds["dir-"]}
    assert models == {
        "dir-code": "gemini-2.5-flash",
        "dir-models": "claude-sonnet-4-5",
        "dir-data": "claude-sonnet-4-5",
        "dir-devsecops": "gemini-2.5-flash",
        "dir-docs": "claude-sonnet-4-5",
    }


def test_the_servers_are_proved_by_being_up(load: Load) -> None:
    pages = load("servers").agents["pages"]
    assert pages.liveness == ("process",)
    assert pages.ready is not None
    assert pages.ready.port == 8000


def test_the_night_is_patient(load: Load) -> None:
    policy = load("overnight").policy
    assert policy.silence == 180.0
    assert policy.task_deadline == 8 * 3600.0
    assert policy.recovery["looping"] == ("restart", "reassign")


def test_the_first_fleet_of_the_readme_loads(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert found is not None
    (tmp_path / "hhmrs.yaml").write_text(found.group(1), encoding="utf-8")
    assert list(load_fleet(tmp_path / "hhmrs.yaml").agents) == ["architect", "coder"]


def test_every_command_that_the_readme_names_exists() -> None:
    section = README.partition("## Commands")[2].partition("##")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    named = {word.split()[0] for row in rows for word in re.findall(r"`([^`]+)`", row)} - {"hhmrs-tui"}
    assert sorted(named - {command.name for command in COMMANDS}) == []
    assert len(named) > 20
    shown = set(re.findall(r"^\$ hhmrs ([a-z]+)", README, re.MULTILINE)) | set(
        re.findall(r"`hhmrs ([a-z]+)", README)
    )
    assert sorted(shown - {command.name for command in COMMANDS}) == []


@pytest.mark.parametrize("page", ["README.md", "docs/concepts.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_the_readme_states_all_eight_promises_and_every_strategy() -> None:
    assert len(re.findall(r"^\d\. \*\*", README, re.MULTILINE)) == 8
    assert [
        name for name in ("nudge", "resume", "restart", "reassign", "escalate") if f"*{name}*" not in README
    ] == []
