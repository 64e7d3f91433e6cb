"""The end of a file, look by look."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hhmrs.controller.workspaces.tails import CHUNK, CHUNKS, Tail


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_text("one\n")
    return path


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_each_line_is_told_once_with_the_time_of_the_file(file: Path) -> None:
    tail = Tail(file, None)
    assert tail.grown() == file.stat().st_mtime
    assert tail.grown() is None
    append(file, "two")
    assert tail.grown() is None, "not before the line is whole"
    append(file, "\n")
    assert tail.grown() is not None
    append(file, "\n  \n")
    assert tail.grown() is None, "blank lines say nothing"


def test_what_is_there_can_be_skipped(file: Path) -> None:
    tail = Tail(file, None)
    tail.skip()
    assert tail.grown() is None


def test_only_lines_that_count(file: Path) -> None:
    tail = Tail(file, re.compile("^did"))
    append(file, "asked: did you?\n")
    assert tail.grown() is None
    append(file, "asked\ndid\n")
    assert tail.grown() is not None


def test_one_cut_short_goes_on_from_its_new_end(file: Path) -> None:
    tail = Tail(file, None)
    append(file, "two\nthree\n")
    tail.grown()
    os.truncate(file, 4)
    assert tail.grown() is None
    append(file, "2\n")
    assert tail.grown() is not None


def test_one_replaced_goes_on_from_its_end(file: Path) -> None:
    tail = Tail(file, None)
    tail.grown()
    new = file.with_name("new")
    new.write_text("one\ntwo\nthree\n")
    new.rename(file)
    assert not tail.there
    assert tail.grown() is None
    append(file, "four\n")
    assert tail.grown() is not None


def test_one_replaced_by_a_link_or_a_pipe_is_not_read(file: Path, tmp_path: Path) -> None:
    tail = Tail(file, None)
    tail.grown()
    other = tmp_path / "other"
    file.rename(other)
    file.symlink_to(other)
    append(other, "two\n")
    assert tail.grown() is None
    file.unlink()
    os.mkfifo(file)
    assert tail.grown() is None
    file.unlink()
    assert tail.grown() is None


def test_a_line_too_long_is_judged_by_its_beginning_and_once(file: Path) -> None:
    tail = Tail(file, re.compile("^did|x{9}"))
    tail.grown()
    append(file, "did" + " " * CHUNK + "x" * 2 * CHUNK)
    assert tail.grown() is not None
    append(file, "x" * 2 * CHUNK)
    assert tail.grown() is None
    append(file, "xxxxxxxxx\nasked\n")
    assert tail.grown() is None
    append(file, "did\n")
    assert tail.grown() is not None


def test_what_is_more_than_a_bound_is_passed_over(file: Path) -> None:
    tail = Tail(file, re.compile("^did"))
    append(file, "asked\n" * (CHUNK * (CHUNKS + 1) // 6) + "did\n" + "asked\n" * CHUNK)
    assert tail.grown() is None
    assert tail.grown() is None
    append(file, "did\n")
    assert tail.grown() is not None


def test_bytes_that_are_no_text_are_lines_all_the_same(file: Path) -> None:
    tail = Tail(file, re.compile("did"))
    file.write_bytes(file.read_bytes() + b"\xff\xfe\0 did\n")
    assert tail.grown() is not None
