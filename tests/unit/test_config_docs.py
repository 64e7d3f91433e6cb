"""docs/fleet-file.md is checked against the models: every key, every default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hhmrs.config.durations import parse_age
from hhmrs.config.entries import AGENT_SHAPES
from hhmrs.config.fleet import AgentSpec, Policy
from hhmrs.config.loading import load_fleet
from hhmrs.config.profile_fields import PROFILE_SHAPES
from hhmrs.config.sizes import parse_size

PAGE = (Path(__file__).parents[2] / "docs" / "fleet-file.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.split(r"^##+ ", PAGE.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def value_of(text: str) -> object:
    if "` `" in text:
        return tuple(names(text))
    plain = text.strip("`")
    if plain in ("true", "false"):
        return plain == "true"
    if plain.endswith("%"):
        return float(plain[:-1]) / 100
    try:
        return parse_age(plain)
    except ValueError:
        pass
    try:
        return parse_size(plain)
    except ValueError:
        return float(plain) if plain[0].isdigit() else plain


def flat(policy: Policy) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in policy.model_dump(exclude={"recovery"}).items():
        found |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return found


def test_the_policy_table_has_every_key_with_its_default() -> None:
    told = {names(key)[0]: default for key, default, *_ in rows("Policy")}
    assert told.pop("recovery") == "see below"
    assert {key: value_of(default) for key, default in told.items()} == flat(Policy())


def test_the_ladders_are_the_defaults() -> None:
    told = {
        cause: tuple(ladder.split(", ")) if ladder != "a person" else ()
        for causes, ladder in rows("Ladders")
        for cause in names(causes)
    }
    assert told == Policy().recovery


@pytest.mark.parametrize(("title", "keys"), [("Agents", AGENT_SHAPES), ("Profiles", PROFILE_SHAPES)])
def test_every_key_is_explained(title: str, keys: dict[str, object]) -> None:
    assert sorted(name for key, *_ in rows(title) for name in names(key)) == sorted(keys)


def test_the_defaults_of_agents_are_true() -> None:
    told = {names(key)[0]: default.strip("`") for key, default, _ in rows("Agents")}
    for key in ("decider", "restart"):
        assert told[key] == AgentSpec.model_fields[key].default


def test_the_example_loads(tmp_path: Path) -> None:
    example = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "hhmrs.yaml").write_text(example, encoding="utf-8")
    assert len(load_fleet(tmp_path / "hhmrs.yaml").agents) == 5
