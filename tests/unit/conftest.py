"""Fixtures of the unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from hhmrs.config.paths import StateDir


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """The state folder of a fleet, made."""
    made = StateDir(tmp_path, "nightly")
    made.create()
    return made
