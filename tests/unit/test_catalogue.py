"""The list of profiles: real programs on a PATH of the test's own are asked for their versions."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from hhmrs.config.fleet import Profile
from hhmrs.config.profiles import BUILTIN, builtin_profiles
from hhmrs.controller.reports.catalogue import Entry, catalogue


def install(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def listed(folder: Path, patience: float = 10.0, hooked: tuple[str, ...] = ()) -> dict[str, Entry]:
    environ = {"PATH": f"{folder}{os.pathsep}{os.defpath}", "SECRET_OF_MINE": "x"}
    return {entry.name: entry for entry in catalogue(builtin_profiles(), environ, hooked, patience)}


def test_every_built_in_profile_is_there_in_order(tmp_path: Path) -> None:
    found = listed(tmp_path)
    assert tuple(found) == BUILTIN
    assert {name: entry.resume for name, entry in found.items()} == {
        "claude": "own id", "codex": "discovered", "gemini": "own id", "qwen": "own id", "copilot": "own id",
        "opencode": "none", "aider": "newest",
        "goose": "own id", "crush": "newest", "cursor": "none", "amp": "none", "shell": "none",
    }  # fmt: skip
    assert {found[name].checked for name in ("goose", "crush", "cursor", "amp", "claude")} == {"documented"}
    assert all(entry.version for entry in found.values() if entry.checked == "verified" and entry.program)
    assert not any(entry.path or entry.found for entry in found.values())


def test_a_cli_whose_hooks_tell_its_id_says_so(tmp_path: Path) -> None:
    found = listed(tmp_path, hooked=("opencode", "claude"))
    assert (found["opencode"].resume, found["opencode"].hooks) == ("by hooks", True)
    assert (found["claude"].resume, found["claude"].hooks) == ("own id", True)
    assert (found["amp"].resume, found["amp"].hooks) == ("none", False)


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ("echo codex-cli 0.169.0", "0.169.0"),
        ("echo '2.1.240 (Claude Code)'", "2.1.240"),
        ("echo v1.50.0-rc.1; echo 9.9.9", "1.50.0-rc.1"),
        ("echo nothing of the sort", None),
        ("exit 3", None),
        ("printf '\\033]0;owned\\007 1.2.3'", "1.2.3"),
        ('test -z "$SECRET_OF_MINE" && echo 1.0.0', "1.0.0"),
    ],
)
def test_an_installed_program_tells_its_version(tmp_path: Path, body: str, version: str | None) -> None:
    install(tmp_path, "codex", f'test "$1" = --version || exit 9\n{body}')
    entry = listed(tmp_path)["codex"]
    assert (entry.path, entry.found) == (str(tmp_path / "codex"), version)


def test_a_program_that_does_not_answer_is_ended_with_all_it_started(tmp_path: Path) -> None:
    install(tmp_path, "gemini", f"echo $$ > {tmp_path}/pid; sleep 300 & echo $! > {tmp_path}/child; wait")
    began = time.monotonic()
    entry = listed(tmp_path, patience=0.5)["gemini"]
    assert time.monotonic() - began < 8
    assert (entry.path, entry.found) == (str(tmp_path / "gemini"), None)
    for name in ("pid", "child"):
        pid = int((tmp_path / name).read_text())
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_what_is_no_program_is_there_without_a_version(tmp_path: Path) -> None:
    (tmp_path / "crush").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "crush").chmod(0o755)
    assert (listed(tmp_path)["crush"].path, listed(tmp_path)["crush"].found) == (
        str(tmp_path / "crush"),
        None,
    )


def test_profiles_of_a_fleet_file_are_told_apart() -> None:
    known = builtin_profiles()
    mine = {
        **known,
        "codex": known["codex"].model_copy(update={"command": ("other",)}),
        "own": Profile(name="own"),
    }
    sources = {entry.name: entry.source for entry in catalogue(mine, {"PATH": "/nowhere"})}
    assert (sources["codex"], sources["own"], sources["claude"]) == ("changed", "fleet file", "built-in")
