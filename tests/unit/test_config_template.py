from __future__ import annotations

import re
from pathlib import Path

import pytest

from hhmrs.config.loading import FLEET_NAME, load_fleet
from hhmrs.config.profiles import BUILTIN, builtin_profiles
from hhmrs.config.template import default_fleet_name, init_text

CLIS = [name for name in BUILTIN if name != "shell"]


@pytest.mark.parametrize("found", [[], ["nobody-knows-it"], *([name] for name in CLIS), CLIS, CLIS[::-1]])
def test_the_first_file_loads_without_problems(tmp_path: Path, found: list[str]) -> None:
    text = init_text("app-0123ab", found)
    (tmp_path / "hhmrs.yaml").write_text(text, encoding="utf-8")
    spec = load_fleet(tmp_path / "hhmrs.yaml")
    known = [name for name in found if name in CLIS] or ["shell"]
    used = {seat.profile.name for agent in spec.agents.values() for seat in agent.seats}
    assert spec.fleet == "app-0123ab"
    assert used == set(known)


@pytest.mark.parametrize("name", CLIS)
def test_what_it_offers_in_comments_loads_too(tmp_path: Path, name: str) -> None:
    offered = re.compile(r"^( *)# (notify|model|command|env|prompt|alternates|[a-z_]+:.*[0-9])", re.MULTILINE)
    text = offered.sub(r"\1\2", init_text("f", [name]))
    (tmp_path / "hhmrs.yaml").write_text(text, encoding="utf-8")
    spec = load_fleet(tmp_path / "hhmrs.yaml")
    assert spec.notify
    assert spec.agents["architect"].prompt
    assert len(spec.agents["coder"].seats) == 2
    seat, built_in = spec.agents["architect"].seats[0], builtin_profiles()[name]
    assert (seat.command or built_in.command)[0] == built_in.command[0]
    assert {*seat.command} & {*built_in.autonomy_args} or (name, seat.env) == (
        "goose",
        {"GOOSE_MODE": "auto"},
    )


@pytest.mark.parametrize("name", ["App", "-- x", "日本", "a" * 100, "a" * 24 + "---b", "x_y.z", "é"])
def test_a_fleet_is_named_after_its_folder(tmp_path: Path, name: str) -> None:
    found = default_fleet_name(tmp_path / name)
    assert FLEET_NAME.fullmatch(found)
    assert re.search(r"-[0-9a-f]{6}$", found)
    assert found == default_fleet_name(tmp_path / name) != default_fleet_name(tmp_path / "other" / name)
