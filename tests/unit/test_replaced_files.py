"""A fleet file is replaced whole or not at all, and never over somebody else's change."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from hhmrs.config import files
from hhmrs.config.files import BOM, FileChanged, as_bytes, as_text, replace_file

BEFORE, AFTER = b"fleet: n\n", b"fleet: n # changed\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hhmrs.yaml"
    path.write_bytes(BEFORE)
    path.chmod(0o640)
    return path


def test_content_goes_and_mode_stays(file: Path) -> None:
    replace_file(file, BEFORE, AFTER)
    assert file.read_bytes() == AFTER
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [entry.name for entry in file.parent.iterdir()] == ["hhmrs.yaml"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = elsewhere / "hhmrs.yaml"
    link.symlink_to(file)
    replace_file(link, BEFORE, AFTER)
    assert link.is_symlink()
    assert file.read_bytes() == AFTER
    assert [entry.name for entry in elsewhere.iterdir()] == ["hhmrs.yaml"]


def test_a_change_of_somebody_else_is_not_written_over(file: Path) -> None:
    file.write_bytes(b"fleet: other\n")
    with pytest.raises(FileChanged, match="changed meanwhile"):
        replace_file(file, BEFORE, AFTER)
    assert file.read_bytes() == b"fleet: other\n"


def test_a_change_while_ours_is_being_written_is_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = files._write

    def slowly(draft: Path, content: bytes, like: os.stat_result) -> None:
        write(draft, content, like)
        file.write_bytes(b"fleet: other\n")

    monkeypatch.setattr(files, "_write", slowly)
    with pytest.raises(FileChanged):
        replace_file(file, BEFORE, AFTER)
    assert file.read_bytes() == b"fleet: other\n"
    assert [entry.name for entry in file.parent.iterdir()] == ["hhmrs.yaml"], "the draft is gone"


def test_a_full_disk_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(file, BEFORE, AFTER)
    assert file.read_bytes() == BEFORE
    assert [entry.name for entry in file.parent.iterdir()] == ["hhmrs.yaml"]


def test_two_of_us_do_not_write_at_once(file: Path) -> None:
    with file.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(FileChanged, match="another hhmrs"):
            replace_file(file, BEFORE, AFTER)
    replace_file(file, BEFORE, AFTER)


def test_a_file_that_is_gone_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "none.yaml", BEFORE, AFTER)


def test_a_byte_order_mark_stays(file: Path) -> None:
    raw = BOM + BEFORE
    assert as_bytes(as_text(file, raw), raw) == raw
    assert as_bytes(as_text(file, BEFORE), BEFORE) == BEFORE
