"""Engine time <-> the ISO 8601 text that stands on disk and in JSON: `2026-11-21T10:00:00.123Z`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def to_iso(at: float) -> str:
    """UTC with milliseconds and Z; texts sort as times do. Raises ValueError beyond year 9999."""
    try:
        moment = datetime.fromtimestamp(round(at, 3), UTC)
    except (OverflowError, OSError) as exc:
        raise ValueError(f"{at!r} is no time of day") from exc
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> float:
    """Seconds since the epoch. A time without a zone is UTC. Raises ValueError on anything else."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def day_of(at: float) -> tuple[float, float]:
    """First moment of the UTC day that holds `at`, and of the day after it."""
    start = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return start.timestamp(), (start + timedelta(days=1)).timestamp()
