"""By which means a source sees: the quick one, or a slower one that stepped in, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Means:
    """`source`: what is watched (output, deaths, files, letters, processes...). `how`: in words, for people.

    `full` False: a slower means stands in for the usual one; `why` says what is missing and how to mend it."""

    source: str
    how: str
    full: bool = True
    why: str = ""
