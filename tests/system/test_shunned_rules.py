"""A repository whose rules of ignoring cannot be read in time keeps no other workspace waiting."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.git import git
from hhmrs.controller.workspaces import ignoring
from hhmrs.controller.workspaces.ignoring import GitIgnores


def test_a_pipe_in_place_of_its_rules_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path | None] = []

    def counted(args: list[str], *, cwd: Path | None = None, **more: Any) -> bytes:
        asked.append(cwd)
        return git(args, cwd=cwd, **more)

    monkeypatch.setattr(ignoring, "git", counted)
    monkeypatch.setattr(ignoring, "TIMEOUT", 1.5)
    stuck, sound = tmp_path / "stuck", tmp_path / "sound"
    for place in (stuck, sound):
        git(["init", "-q", str(place)], home=tmp_path)
    os.mkfifo(stuck / ".gitignore")
    (sound / ".gitignore").write_text("*.o\n")
    ignores = GitIgnores()
    for n in range(5):
        paths = [str(stuck / f"{n}.o"), str(sound / f"{n}.o"), str(sound / f"{n}.c")]
        assert ignores.ignored(paths) == {str(sound / f"{n}.o")}
    assert asked.count(stuck) == 1
    assert asked.count(sound) == 5
