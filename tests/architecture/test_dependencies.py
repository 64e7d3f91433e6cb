"""pyproject.toml, docs/dependencies.md and the two locks tell the same story."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TABLES = [
    ("run", "Run time"),
    ("mcp", "Extra: mcp"),
    ("notify", "Extra: notify"),
    ("serve", "Extra: serve"),
    ("dev", "Development"),
]
"""Parts of pyproject.toml, and the headings of their tables in docs/dependencies.md."""
LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def asked(project: dict[str, Any], part: str) -> dict[str, Requirement]:
    """What pyproject.toml asks for: `run`, an extra or `dev`, by canonical name."""
    groups = project["dependency-groups"]
    lines = {
        "run": project["project"]["dependencies"],
        "mcp": project["project"]["optional-dependencies"]["mcp"],
        "notify": project["project"]["optional-dependencies"]["notify"],
        "serve": project["project"]["optional-dependencies"]["serve"],
        "dev": groups["build"] + [line for line in groups["dev"] if isinstance(line, str)],
    }[part]
    return {canonicalize_name(found.name): found for found in map(Requirement, lines)}


def pins(root: Path, lock: str) -> dict[str, str]:
    return {canonicalize_name(pin["name"]): pin["version"] for pin in PIN.finditer((root / lock).read_text())}


def described(root: Path, heading: str) -> set[str]:
    """The names in the first column of the table under `## heading`."""
    text = (root / "docs" / "dependencies.md").read_text()
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)
    assert all(len(reason) > 20 for _, reason in rows), "a reason is a sentence"
    return {canonicalize_name(name) for name, _ in rows}


@pytest.mark.parametrize(("part", "heading"), TABLES)
def test_every_dependency_has_its_reason(root: Path, part: str, heading: str) -> None:
    assert described(root, heading) == set(asked(pyproject(root), part))


def unmet(wanted: dict[str, Requirement], pinned: dict[str, str]) -> set[str]:
    return {str(found) for name, found in wanted.items() if pinned.get(name, "0") not in found.specifier}


def test_the_locks_pin_what_is_asked_for(root: Path) -> None:
    project = pyproject(root)
    run, dev = pins(root, LOCKS[0]), pins(root, LOCKS[1])
    everything = {name: one for part, _ in TABLES for name, one in asked(project, part).items()}

    assert everything.keys() <= dev.keys()
    assert asked(project, "run").keys() <= run.keys()
    assert unmet(everything, dev) == set()
    assert unmet(asked(project, "run"), run) == set()
    assert {"pip", "setuptools"} <= run.keys(), "our own package is installed and built with locked tools"


def test_tests_run_on_the_versions_that_users_get(root: Path) -> None:
    run, dev = pins(root, LOCKS[0]), pins(root, LOCKS[1])

    assert {name: version for name, version in run.items() if dev.get(name) != version} == {}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_address(root: Path, lock: str) -> None:
    text = (root / lock).read_text()
    entries = re.split(r"\n(?=[A-Za-z])", text)

    assert "://" not in text
    assert "index-url" not in text
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
