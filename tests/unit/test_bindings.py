"""What is bound anywhere on the screen stands in the key table, and what stands there is bound."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest
from textual.binding import Binding, BindingType
from textual.dom import DOMNode

from hhmrs import tui
from hhmrs.tui.face import Face
from hhmrs.tui.keymap import PLACES
from hhmrs.tui.keys.key import Key
from hhmrs.tui.screens.fleet import FleetScreen
from hhmrs.tui.screens.typing import TypingScreen

PASSED_ON = {"Face._on_key"}
"""Goes by the bindings, and gives a character that nobody took to the line it was typed for."""
PALETTE = "app.palette"
"""Textual binds it itself, in every program that has a palette."""


def classes() -> Iterator[type[DOMNode]]:
    """Every part of the screen that is ours."""
    for module in walk_packages(tui.__path__, "hhmrs.tui."):
        if not module.name.endswith("__main__"):
            for one in vars(import_module(module.name)).values():
                if isinstance(one, type) and issubclass(one, DOMNode) and one.__module__ == module.name:
                    yield one


def strays(bound: list[BindingType], name: str) -> list[str]:
    """Bindings that are no row of the table."""
    rows = {(",".join(key.keys), key.action, key.id) for _, keys in PLACES.values() for key in keys}
    return [
        f"{name}: {one}"
        for one in bound
        if not (isinstance(one, Binding) and (one.key, one.action, one.id) in rows)
    ]


def test_every_binding_is_a_row_of_the_table() -> None:
    assert {FleetScreen, TypingScreen, Face} <= set(classes())
    assert [
        stray for one in classes() for stray in strays(list(vars(one).get("BINDINGS", ())), one.__name__)
    ] == []


def test_a_binding_beside_the_table_would_be_found() -> None:
    assert strays([Binding("f12", "leave", "back")], "Some") and strays([("f12", "leave", "back")], "Some")
    row = PLACES["typing"][1][0]
    assert strays([Binding("f12", row.action, row.label, id=row.id)], "Some")


def test_every_place_is_a_screen_of_its_own() -> None:
    bound = [
        {str(one.id) for one in vars(each).get("BINDINGS", ()) if isinstance(one, Binding)}
        for each in classes()
    ]
    for place, (_, keys) in PLACES.items():
        assert bound.count({key.id for key in keys} - {PALETTE}) == 1, place


def test_no_part_takes_keys_past_the_table() -> None:
    ways = ("on_key", "_on_key", "key_")
    found = {f"{one.__name__}.{name}" for one in classes() for name in vars(one) if name.startswith(ways)}
    assert found - PASSED_ON == set()


@pytest.mark.parametrize("place", PLACES)
def test_every_action_is_a_method_of_its_screen(place: str) -> None:
    keys: tuple[Key, ...] = PLACES[place][1]
    ids = {key.id for key in keys} - {PALETTE}
    screen = next(
        one for one in classes() if ids == {getattr(b, "id", "") for b in vars(one).get("BINDINGS", ())}
    )
    for key in keys:
        where, _, name = key.action.partition("(")[0].rpartition(".")
        assert callable(getattr(Face if where == "app" else screen, f"action_{name}", None)), key.id
