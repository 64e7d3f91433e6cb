"""What is wrong with a fleet file, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One line for a person: `FILE:LINE:COL: what is wrong, what was expected`. `line` and `col` from 1."""

    path: Path
    line: int
    col: int
    message: str

    def __str__(self) -> str:
        return f"{inert(str(self.path), 4096)}:{self.line}:{self.col}: {self.message}"


class ConfigError(Exception):
    """The fleet file cannot be used. `problems` holds all that is wrong with it, sorted by place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def inert(text: str, limit: int = 60) -> str:
    """`text` safe to print: at most `limit` characters, what a terminal might act on as escapes."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)


def closest(name: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` when `name` is nearly one of `known`, else nothing."""
    if len(name) > 80:
        return ""
    import difflib

    by_case = {candidate.lower(): candidate for candidate in reversed(known[:500])}
    near = difflib.get_close_matches(name.lower(), by_case, n=1, cutoff=0.6)
    return f"; did you mean {by_case[near[0]]!r}?" if near else ""
