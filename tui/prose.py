"""The timeline and the explanation as coloured lines that fit their width. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from .interventions import Moment
from .looks import age, clean
from .tones import Tone

Line = tuple[tuple[str, Tone], ...]
"""Pieces of text, each with its tone."""

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
        first, *rest = _broken(moment.why, width - indent)
        if indent + len(first) > width:
            indent = len(head) + len(moment.icon) + 1
            first, rest = "", _broken(moment.why, width - indent)
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
        first, *rest = _broken(text.lstrip(), width - indent)
        lines.append(((" " * indent + first, tone),))
        lines += [((" " * (indent + 2) + more, tone),) for more in rest]
    return lines


def _broken(text: str, width: int) -> list[str]:
    if width < NARROWEST:
        return [text]
    return textwrap.wrap(text, width - 2, break_on_hyphens=False) or [""]
