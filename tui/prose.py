"""The timeline and the explanation as coloured lines that fit their width. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .interventions import Moment
from .looks import age, clean
from .tones import Tone

Line = tuple[tuple[str, Tone], ...]
"""Pieces of text, each with its tone."""


@dataclass(frozen=True, slots=True)
class Page:
    """Lines to be read. `picks`: the number of a line, and what is meant by choosing it. `places`: a name,
    and the number of the line where what it names begins."""

    lines: tuple[Line, ...]
    picks: Mapping[int, object] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)


NARROWEST = 24
"""Below this many cells a text is cut by the edge rather than broken into crumbs."""


def timeline_lines(moments: Iterable[Moment], width: int) -> list[Line]:
    """One line a moment; a long reason goes on below, under its own beginning, or where there is no room for
    that, under what happened."""
    lines: list[Line] = []
    for moment in moments:
        head = f"{moment.clock}  {age(moment.seconds):>4}  "
        mark = f"{moment.icon} {moment.what:<16} "
        indent = len(head) + len(mark)
        first, *rest = broken(moment.why, width - indent)
        if indent + len(first) > width:
            indent = len(head) + len(moment.icon) + 1
            first, rest = "", broken(moment.why, width - indent)
        lines.append(((head, Tone.QUIET), (mark, moment.tone), (first, Tone.TEXT)))
        lines += [((" " * indent + more, Tone.TEXT),) for more in rest]
    return lines or [(("nothing has happened to it yet", Tone.QUIET),)]


def explain_lines(told: Iterable[str], width: int) -> list[Line]:
    """The first line in strong words, what comes next in the colour of what is busy."""
    lines: list[Line] = []
    for number, raw in enumerate(told):
        text = clean(raw, 400, keep_indent=True)
        indent = len(text) - len(text.lstrip())
        tone = Tone.BUSY if text.startswith("next:") else Tone.TEXT if number == 0 else Tone.QUIET
        first, *rest = broken(text.lstrip(), width - indent)
        lines.append(((" " * indent + first, tone),))
        lines += [((" " * (indent + 2) + more, tone),) for more in rest]
    return lines


def broken(text: str, width: int) -> list[str]:
    """The text in lines that leave two cells of `width` free; one line at least."""
    if width < NARROWEST:
        return [text]
    return textwrap.wrap(text, width - 2, break_on_hyphens=False) or [""]
