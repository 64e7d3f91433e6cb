"""A page is written whole, where a person said, and over nothing they were not told of."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hhmrs.tui.exporting import ExportError, FileThere, Printout, export

PAGE = Printout("hhmrs-nightly", lambda: "# page\n", lambda: "<svg/>")


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_ending_says_the_form_and_the_whole_path_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert export(PAGE, "a.md") == tmp_path / "a.md"
    assert export(PAGE, "~/a.SVG") == tmp_path / "a.SVG"
    assert [(tmp_path / name).read_text() for name in ("a.md", "a.SVG")] == ["# page\n", "<svg/>"]
    assert stat.S_IMODE((tmp_path / "a.md").stat().st_mode) == 0o600
    assert left_behind(tmp_path) == ["a.SVG", "a.md"], "no draft stays"


def test_a_file_that_is_there_is_kept_until_that_was_said(tmp_path: Path) -> None:
    mine = tmp_path / "mine.md"
    mine.write_text("my own notes")
    with pytest.raises(FileThere, match=r"mine\.md is there already"):
        export(PAGE, str(mine))
    assert mine.read_text() == "my own notes"
    assert export(PAGE, str(mine), over=True) == mine
    assert mine.read_text() == "# page\n"
    assert left_behind(tmp_path) == ["mine.md"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "far").write_text("far away")
    (tmp_path / "link.md").symlink_to(tmp_path / "far")
    (tmp_path / "loose.md").symlink_to(tmp_path / "nowhere")
    for name in ("link.md", "loose.md"):
        with pytest.raises(FileThere):
            export(PAGE, str(tmp_path / name))
        export(PAGE, str(tmp_path / name), over=True)
        assert not (tmp_path / name).is_symlink()
    assert (tmp_path / "far").read_text() == "far away"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", "no file is named"),
        ("a\0b.md", "no file is named"),
        ("page.txt", "must end in .md or .svg"),
        ("none/page.md", "there is no folder"),
        ("folder.md", "is a folder"),
        ("~nobody-of-that-name/x.md", "nothing was written"),
    ],
)
def test_what_cannot_be_written_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(ExportError, match=words.replace(".", r"\.")):
        export(PAGE, place)
    assert left_behind(tmp_path) == ["folder.md"]


def test_a_page_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> str:
        raise LookupError("the ledger knows no such incident")

    with pytest.raises(LookupError):
        export(Printout("x", broken, broken), str(tmp_path / "x.md"))
    assert left_behind(tmp_path) == []


def test_a_file_system_without_links_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert export(PAGE, str(tmp_path / "a.md")).read_text() == "# page\n"
    with pytest.raises(FileThere):
        export(PAGE, str(tmp_path / "a.md"))
    assert left_behind(tmp_path) == ["a.md"]


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match="No space left on device; choose another place"):
        export(PAGE, str(tmp_path / "a.md"))
    assert left_behind(tmp_path) == []
