"""Every key of the fleet file's policy can be looked up, is told in words, and is read by somebody."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hhmrs.config.fleet import CAUSES, Policy
from hhmrs.config.loading import TOP_SHAPES
from hhmrs.config.meanings import MEANINGS, OF_THE_FLEET
from hhmrs.config.settings import Setting, as_typed, policy_table, settings
from hhmrs.healing.nudges import ON_STATUS_FILES

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"fleet", "policy", "agents", "profiles"}
"""Keys of the top level that are no settings of their own."""


def leaves() -> set[str]:
    found: set[str] = set()
    for key, value in Policy().model_dump().items():
        found |= {f"{key}.{inner}" for inner in value} if isinstance(value, dict) else {key}
    return found


def test_every_key_is_a_setting_and_every_setting_a_key() -> None:
    assert set(settings()) == leaves() | (set(TOP_SHAPES) - ELSEWHERE)
    assert {f"recovery.{cause}" for cause in CAUSES} <= set(settings())


def test_every_setting_is_told_in_words() -> None:
    assert set(MEANINGS) == set(settings())
    assert set(settings()) >= OF_THE_FLEET
    for one in settings().values():
        assert one.about, one.key
        assert one.live, one.key
        assert one.legal, one.key
        assert "\n" not in one.about + one.legal + one.live


def test_the_table_of_the_documentation_is_made_of_it() -> None:
    page = (ROOT / "docs" / "fleet-file.md").read_text(encoding="utf-8")
    assert policy_table() in page, "run `python -m hhmrs.config.settings` and put it into docs/fleet-file.md"


@pytest.mark.parametrize("setting", settings().values(), ids=lambda one: one.key)
def test_its_default_is_legal_and_nonsense_is_not(setting: Setting) -> None:
    assert setting.why_not(setting.default) == ""
    assert setting.value_of(as_typed(setting.default)) == setting.default
    nonsense = setting.value_of("no such thing, surely")
    if setting.top:
        assert setting.why_not(("",)), "an empty text is no URL"
    else:
        assert "expected" in setting.why_not(nonsense)
    for choice in setting.choices if setting.kind == "choice" else ():
        assert setting.why_not(choice) == ""


@pytest.mark.parametrize("setting", settings().values(), ids=lambda one: one.key)
def test_the_range_that_is_told_is_the_range_that_counts(setting: Setting) -> None:
    found = re.match(r"([0-9.]+)(%?) to ([0-9.]+)%?$", setting.legal)
    if found is None:
        return
    low, unit, high = float(found[1]), found[2], float(found[3])
    for fits in (low, high):
        assert setting.why_not(f"{fits:g}{unit}") == "", fits
    for beyond in (low - 1, high + 1):
        assert setting.why_not(f"{beyond:.0f}{unit}") != "", beyond


def test_a_list_may_be_typed_in_many_ways() -> None:
    ladder = settings()["recovery.crash"]
    for typed in ("resume, restart", "resume restart", "[resume, restart]", '["resume",restart]'):
        assert ladder.value_of(typed) == ("resume", "restart")
    assert ladder.value_of("[]") == ladder.value_of("") == ()
    assert "stands twice" in ladder.why_not(("nudge", "nudge"))
    assert "person" in settings()["recovery.deadline"].why_not(("restart",))


# -- every policy key is read --------------------------------------------------------------------------------


def reads() -> Iterator[str]:
    """Every attribute that the program reads, with what stands before it: `policy.backoff.max`."""
    for room in ("healing", "controller", "tui", "config"):
        for file in sorted((ROOT / room).rglob("*.py")):
            if file.name in ("settings.py", "meanings.py", "fleet.py") or "simulate" in file.parts:
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    yield ast.unparse(node)


CALLED = {"alerts": "rule", "nudge": "flags", "": "policy"}
"""What a group of keys is called where it is read, if not by its name."""


def test_every_policy_key_is_read() -> None:
    """By what it is read from too: many things have a `mode`, or a `share`."""
    read = {".".join(name.split(".")[-2:]) for name in reads()}
    unread = []
    for key in leaves():
        group, _, leaf = key.rpartition(".")
        wanted = "recovery.get" if group == "recovery" else f"{CALLED.get(group, group)}.{leaf}"
        by_name = group == "nudge" and leaf in ON_STATUS_FILES  # by getattr
        if wanted not in read and not by_name:
            unread.append(key)
    assert unread == []
