"""Which pieces of the tree's lines lead from an agent under intervention to who answers for it. Pure.

That is its parent at level 1 of the ladder, and its grandparent at level 2. They are painted orange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Branch(Protocol):
    """A line of the tree. `rails`: one for each level above it; `affected`: an intervention is under way;
    `level`: who answers for it, 1 its parent, 2 its grandparent."""

    @property
    def rails(self) -> tuple[bool, ...]: ...
    @property
    def affected(self) -> bool: ...
    @property
    def level(self) -> int: ...


NONE: tuple[int, ...] = ()


def alerted(lines: Sequence[Branch]) -> tuple[int, ...]:
    """For each line the columns of its rails that belong to such a way, as bits: bit k is the rail of the
    k-th level. Bit `len(rails)`: such a way ends at this line. The bit above it: one begins here, so that the
    branch to the line belongs to it and not only what passes by. Empty where there is none at all.

    From the last line to the first: a way goes up in its column until the line that stands left of it."""
    if not any(line.affected for line in lines):
        return NONE
    found = [0] * len(lines)
    open_ways = 0
    rising = 0
    """Columns of `open_ways` whose way goes on to the grandparent."""
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        depth = len(line.rails)
        here = 1 << depth
        passing = open_ways & (here - 1)
        found[index] = passing | (open_ways & here)
        goes_on = bool(rising & here)
        open_ways, rising = passing, rising & (here - 1)
        if depth and (line.affected or goes_on):
            column = here >> 1
            found[index] |= column | here << 1
            open_ways |= column
            if line.affected and line.level >= 2 and depth >= 2:
                rising |= column
    return tuple(found)
