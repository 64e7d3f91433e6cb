from __future__ import annotations

from pathlib import Path

import pytest

from hhmrs.config.loading import load_fleet
from hhmrs.config.problems import ConfigError
from hhmrs.config.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0B", 0),
        ("999B", 999),
        ("500KB", 500_000),
        ("10MB", 10_000_000),
        ("1.5GB", 1_500_000_000),
        ("64MiB", 64 << 20),
        ("1.25KiB", 1280),
        ("1000GB", 10**12),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "10", "10 MB", "10mb", "MB", "-1MB", "1e3MB", "1.MB", "9" * 99 + "B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="10MB, 2GB"):
        parse_size(text)


def test_slips_of_the_finger_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1000GB"):
        parse_size("1001GB")


@pytest.mark.parametrize("text", ["0B", "999B", "1KB", "10.5MB", "2GB", "1000GB"])
def test_sizes_are_written_as_they_are_read(text: str) -> None:
    assert format_size(parse_size(text)) == text


def test_a_size_is_rounded_into_the_next_unit_only_when_it_reaches_it() -> None:
    assert format_size(999_949) == "999.9KB"
    assert format_size(999) == "999B"
    assert format_size(1 << 20) == "1MB"


def fleet(tmp_path: Path, keep: str, own: str = "{}") -> Path:
    path = tmp_path / "hhmrs.yaml"
    agent = f"{{profile: shell, command: [sleep, '1'], policy: {{keep: {own}}}}}"
    path.write_text(f"fleet: f\npolicy: {{keep: {keep}}}\nagents: {{a: {agent}}}\n", encoding="utf-8")
    return path


def test_an_agents_keep_is_laid_over_the_fleets(tmp_path: Path) -> None:
    path = fleet(tmp_path, "{snapshots: 7, file_size: 1MB, age: 3d}", "{file_size: 2MiB}")
    keep = load_fleet(path).agents["a"].policy.keep
    assert (keep.snapshots, keep.file_size, keep.age, keep.checkpoints) == (7, 2 << 20, 3 * 86_400.0, 50)


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ("{file_size: 10}", "policy.keep.file_size: found '10', expected a size with its unit"),
        ("{file_size: 0B}", "policy.keep.file_size: found '0B', expected more than 0"),
        ("{total_size: 5000GB}", "expected at most 1000GB"),
        (
            "{age: 14}",
            "policy.keep.age: '14' has no unit, expected a duration with its unit, such as 14d, 500ms",
        ),
        ("{age: 417d}", "policy.keep.age: found '417d', expected at most 416d"),
        ("{age: 0d}", "policy.keep.age: found '0d', expected more than 0"),
        ("{snapshots: 1}", "policy.keep.snapshots: found '1', expected a whole number from 2"),
        ("{file-size: 1MB}", "did you mean"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, keep: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"hhmrs\.yaml:2:") as caught:
        load_fleet(fleet(tmp_path, keep))
    assert said in str(caught.value)
