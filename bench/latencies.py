"""From what happened and what was noted of it: how long that took."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

NAMES = {"line": "output", "title": "title", "death": "death"}


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that happened to an agent's pane. `kind`: one of NAMES; `at`: seconds, monotonic."""

    kind: str
    agent: str
    at: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """Somebody knew it. `of`: when that was which they knew of. `signal`: of a death, whether it is known by
    which signal."""

    kind: str
    at: float
    of: float
    title: str | None = None
    signal: bool = False


def lines(path: Path) -> list[dict[str, Any]]:
    """The notes in a file; none when there is none yet."""
    with suppress(FileNotFoundError):
        return [json.loads(line) for line in path.read_text().splitlines()]
    return []


def printed(path: Path) -> list[Sign]:
    """What the probes did (prober.py)."""
    return [Sign(x["kind"], x["agent"], x["at"], x["text"]) for x in lines(path)]


def noted(path: Path, kinds: Mapping[str, str]) -> dict[str, list[News]]:
    """What was noted, by agent; `kinds`: the note's word for it -> ours."""
    found: dict[str, list[News]] = {}
    for x in lines(path):
        if x["kind"] in kinds:
            news = News(
                kinds[x["kind"]], x["at"], x.get("of", x["at"]), x.get("title"), bool(x.get("signal"))
            )
            found.setdefault(x["agent"], []).append(news)
    return found


def delays(signs: Sequence[Sign], news: Mapping[str, Sequence[News]]) -> dict[str, Any]:
    """For each kind, the spread of milliseconds from sign to news."""
    found: dict[str, list[float | None]] = {kind: [] for kind in NAMES}
    for sign in signs:
        found[sign.kind].append(_delay(sign, news.get(sign.agent, ())))
    return {f"{NAMES[kind]}_ms": spread(values) for kind, values in found.items()}


def _delay(sign: Sign, news: Sequence[News]) -> float | None:
    for one in news:
        # A line printed just before may be told just after; half a millisecond is what the clocks differ by.
        later = one.at >= sign.at and (sign.kind != "line" or one.of >= sign.at - 0.0005)
        if one.kind == sign.kind and later and one.title in (None, sign.text):
            return (one.at - sign.at) * 1000
    return None


def unexplained(signs: Sequence[Sign], news: Mapping[str, Sequence[News]]) -> int:
    """Deaths of which it was never known by which signal."""
    dead = [sign.agent for sign in signs if sign.kind == "death"]
    return sum(not any(one.kind == "death" and one.signal for one in news.get(agent, ())) for agent in dead)


def spread(delays: Sequence[float | None]) -> dict[str, float | int | None]:
    """`never`: signs that nobody took notice of; they are in no other figure but `count`."""
    values = [x for x in delays if x is not None]
    return {
        "count": len(delays),
        "p50": round(median(values), 2) if values else None,
        "p99": round(quantiles(values, n=100, method="inclusive")[98], 2) if len(values) > 1 else None,
        "worst": round(max(values), 2) if values else None,
        "never": len(delays) - len(values),
    }
