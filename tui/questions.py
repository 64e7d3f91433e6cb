"""What a waiting agent asks, and the ways to answer it. Pure: lines of its pane and its letter in, words out.

A menu is answered by one key, without an Enter: pasted text does nothing in one, and the Enter behind it
would take whatever is highlighted. A line that is read is answered by text and Enter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..controller.letters.letterforms import KEY
from ..controller.ports import Event
from ..healing.repeats import mask
from .looks import clean

SHOWN = 14
"""Lines of the bottom of the pane that are shown."""
WIDE = 160
MOST = 9
LONGEST_ANSWER = 4000

_NUMBERED = re.compile(r"^[\s│┃|]*(?:(?P<mark>[❯›>▶●])\s*)?(?P<n>[1-9])[.)]\s+(?P<words>\S.*?)[\s│┃|]*$")
_CHOICE = re.compile(r"[\[(]\s*(\w[\w -]{0,19}(?:\s*[/,|]\s*\w[\w -]{0,19}){1,5})\s*[\])]")
_SPLIT = re.compile(r"\s*[/,|]\s*")


@dataclass(frozen=True, slots=True)
class Reply:
    """One way to answer. `key`: pressed alone, without an Enter."""

    label: str
    text: str
    key: bool = False

    @property
    def args(self) -> Mapping[str, str]:
        """Of the letter."""
        return {"text": self.text, "answer": "1"} | ({"key": "1"} if self.key else {})

    @property
    def does(self) -> str:
        """What exactly will be typed."""
        if self.key:
            return f"presses the key {self.text}, and no Enter"
        return f"types {clean(self.text, WIDE)!r}, then Enter"


@dataclass(frozen=True, slots=True)
class Question:
    """`asked`: the agent's own words, from its letter; `lines`: the bottom of its screen; `fault`: why that
    cannot be read."""

    asked: str
    lines: tuple[str, ...]
    replies: tuple[Reply, ...]
    fault: str = ""

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """The same as long as the same is asked: what merely ticks is masked."""
        return (self.asked, *(mask(line) for line in self.lines), *(r.label for r in self.replies))


def question(pane: Sequence[str], letter: Event | None = None, fault: str = "") -> Question:
    """`pane`: its lines, escapes included; `letter`: its newest `agent_asked`, if that is still open."""
    lines = bottom(pane)
    asked: str = ""
    options: tuple[str, ...] = ()
    if letter is not None:
        asked = clean(letter.data.get("question", ""), 400)
        given = letter.data.get("options")
        options = tuple(clean(o, WIDE) for o in given if str(o).strip()) if isinstance(given, list) else ()
    replies: tuple[Reply, ...] = tuple(Reply(option, option) for option in options[:MOST])
    return Question(asked, lines, replies or _on_screen(lines), fault)


def bottom(pane: Sequence[str]) -> tuple[str, ...]:
    """The last lines with something in them, inert."""
    lines = [clean(line, WIDE, keep_indent=True) for line in pane[-4 * SHOWN :]]
    while lines and not lines[-1].strip():
        lines.pop()
    kept: list[str] = []
    for line in lines:
        if line.strip() or (kept and kept[-1].strip()):
            kept.append(line)
    return tuple(kept[-SHOWN:])


def open_letter(events: Iterable[Event], agent: str) -> Event | None:
    """The question of the agent's last letter, unless it was answered or a new attempt began since."""
    found: Event | None = None
    for event in events:
        if event.agent != agent:
            continue
        if event.type == "agent_asked":
            found = event
        elif event.type == "agent_started" or _left_waiting(event):
            found = None
    return found


def _left_waiting(event: Event) -> bool:
    return event.type == "agent_phase" and event.data.get("from") == "waiting"


def _on_screen(lines: Sequence[str]) -> tuple[Reply, ...]:
    listed = _listed(lines)
    if listed and listed[0].key:
        return (*listed, Reply("esc: leave it without an answer", "Escape", key=True))
    if listed:
        return listed
    for line in reversed(lines[-4:]):
        found = _CHOICE.search(line)
        if found is not None:
            return tuple(Reply(word, word) for word in _SPLIT.split(found[1].strip())[:MOST])
    return ()


def _listed(lines: Sequence[str]) -> tuple[Reply, ...]:
    """The last run of lines numbered 1, 2, ...; a lone number is prose. Where one of them is pointed at, it
    is a menu; else a line is read."""
    best: list[Reply] = []
    run: list[Reply] = []
    menu = False
    for line in lines:
        found = _NUMBERED.match(line)
        if found is None:
            continue
        number = int(found["n"])
        if number == 1:
            run, menu = [], False
        menu = menu or found["mark"] is not None
        if number != len(run) + 1:
            run = []
            continue
        run.append(Reply(f"{number}. {clean(found['words'], WIDE)}", str(number)))
        if len(run) > 1:
            best = [replace(one, key=menu) for one in run]
    return tuple(best)


def typed(text: str, *, key: bool) -> Reply | str:
    """What a person typed as an answer, or why it cannot be one."""
    shown = clean(text, LONGEST_ANSWER)
    if not shown:
        return "there is nothing to type"
    if key and not KEY.fullmatch(shown):
        return f"{clean(shown, 20)!r} is not one key, such as 2, y or Escape"
    return Reply(shown, shown, key)
