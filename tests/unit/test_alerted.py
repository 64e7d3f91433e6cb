"""The orange line from an agent under intervention to who answers for it, drawn as letters."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from hhmrs.tui.alerted import alerted


@dataclass(frozen=True)
class Line:
    rails: tuple[bool, ...]
    affected: bool = False
    level: int = 1


def tree(*words: str) -> list[Line]:
    """`name`, two blanks before it for each level; `!` is affected, `!!` at level 2."""
    depths = [(len(word) - len(word.lstrip())) // 2 for word in words]
    lines: list[Line] = []
    for index, word in enumerate(words):
        rails = tuple(_goes_on(depths, index, level) for level in range(1, depths[index] + 1))
        lines.append(Line(rails, "!" in word, word.count("!") or 1))
    return lines


def _goes_on(depths: list[int], index: int, level: int) -> bool:
    """Whether a line of that level comes after the branch that the line is in."""
    for depth in depths[index + 1 :]:
        if depth <= level:
            return depth == level
    return False


def drawn(*words: str) -> list[str]:
    """Per line `#` where its rails are orange, `o` where the way ends, `>` where one begins."""
    lines = tree(*words)
    picture = []
    for line, bits in zip(lines, alerted(lines), strict=True):
        depth = len(line.rails)
        rails = "".join("#" if bits >> level & 1 else "." for level in range(depth))
        picture.append(rails + ("o" if bits >> depth & 1 else "") + (">" if bits >> depth + 1 & 1 else ""))
    return picture


def test_nothing_is_orange_where_nothing_is_done() -> None:
    assert alerted(tree("root", "  a", "    b")) == ()
    assert alerted([]) == ()


def test_the_way_goes_from_the_agent_past_its_sisters_to_its_parent() -> None:
    assert drawn("root", "  a", "    a1", "    a2 !", "    a3", "  b") == [
        "", ".o", ".#", ".#>", "..", ".",
    ]  # fmt: skip


def test_it_passes_by_the_children_of_sisters() -> None:
    assert drawn("root", "  a", "    a1", "      deep", "  b !") == ["o", "#", "#.", "#..", "#>"]


def test_at_level_two_it_goes_on_to_the_grandparent() -> None:
    assert drawn("root", "  a", "  b", "    b1", "    b2 !!") == ["o", "#", "#o>", ".#", ".#>"]


def test_a_top_agent_has_nobody_above_it() -> None:
    assert drawn("root !", "  a") == ["", "."]
    assert drawn("root", "  a !!") == ["o", "#>"]


def test_ways_of_several_agents_do_not_disturb_each_other() -> None:
    assert drawn("one", "  a !", "two", "  b", "    c !", "  d") == ["o", "#>", "", ".o", ".#>", "."]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=40))
def test_every_way_is_whole(shape: list[tuple[int, int]]) -> None:
    """From each affected line upward, its column is orange without a gap to the line it hangs on."""
    lines: list[Line] = []
    depth = 0
    for wanted, mark in shape:
        depth = min(wanted, depth + 1) if lines else 0
        lines.append(Line((True,) * depth, mark > 0, mark or 1))
    bits = alerted(lines)
    if not any(line.affected for line in lines):
        assert bits == ()
        return
    for index, line in enumerate(lines):
        here, column = len(line.rails), len(line.rails) - 1
        begins = bits[index] >> (here + 1) & 1
        assert begins or not (line.affected and here)
        above = index
        while begins and column >= 0:
            assert bits[above] >> column & 1, (index, above)
            above -= 1
            if len(lines[above].rails) == column:
                break
        assert not begins or bits[above] >> column & 1, "the way ends at the line it hangs on"
