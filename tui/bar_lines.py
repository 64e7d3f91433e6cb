"""The headline and the key bar as lines of text: the same for the screen and for its early frame. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from ..healing.agent import Phase
from .colours import TRON_INK
from .document import Agent, Fleet
from .interventions import Intervention
from .keymap import in_bar
from .keys.key import Key
from .listing import Listing, View
from .looks import LOOKS, Glyphs, age
from .tones import Tone
from .tree import tally

LEAST_CELLS = (40, 10)
"""Columns and rows below which a dialog cannot be read; down to 60x20 nothing is lost."""
BROAD = 110
"""Cells from which on the orange bar counts its events: others and the reason go before that."""
MORE = "more: ?"
"""Behind the keys of the bar where there is no room for all."""
NEEDS = {
    Phase.WAITING: "answer",
    Phase.ESCALATED: "clear",
    Phase.PAUSED: "unpause",
    Phase.STOPPED: "start",
    Phase.DONE: "start",
}
"""Phase -> the order that an agent in it waits for."""

Colours = Mapping[Tone, str]


def headline(
    fleet: Fleet, words: Sequence[tuple[str, Tone]], glyphs: Glyphs, colours: Colours, width: int
) -> Text:
    """Fleet, daemon and counts; before the first look, that there was none. `width`: cells of the screen."""
    text = Text().append(" hhmrs ", Style(color=colours[Tone.BUSY], bold=True))
    if not fleet.name:
        return text.append("reading the fleet ...", colours[Tone.TEXT])
    text.append(fleet.name, Style(color=colours[Tone.TEXT], bold=True))
    text.append(f"  {glyphs.dot} ", colours[Tone.QUIET])
    if quiet := unseen(fleet):
        text.append("unsupervised", colours[Tone.BAD])
        text.append(f", last change {quiet} ago", colours[Tone.QUIET])
    else:
        observing = fleet.mode == "observe"
        mode = "observe: decides, does nothing" if observing else fleet.mode
        text.append(mode, colours[Tone.LIMIT if observing else Tone.GOOD])
        text.append(f" {age(fleet.uptime)}", colours[Tone.QUIET])
    text.append(f"  {glyphs.dot} {_agents(len(fleet.agents))}", colours[Tone.QUIET])
    for word, tone in words:  # before the counts, which a narrow screen cuts off
        text.append(f"  {glyphs.dot} ", colours[Tone.QUIET])
        text.append(word, Style(color=colours[tone], bold=True))
    for phase, count in tally(fleet.agents, least=-1):
        word = f" {phase.value}" if width >= 110 else ""
        text.append(f"  {glyphs.phase(phase)} {count}{word}", colours[LOOKS[phase].tone])
    if fleet.cascade:
        text.append(f"  shared cause: {fleet.cascade}", Style(color=colours[Tone.BAD], bold=True))
    return text


def unseen(fleet: Fleet) -> str:
    """How long ago something changed, where nobody supervises the fleet; else empty."""
    if fleet.up and fleet.frozen is None:
        return ""
    return old(max((agent.since or 0.0 for agent in fleet.agents), default=0.0), fleet.at)


def _agents(count: int) -> str:
    return f"{count} agent" + ("s" if count != 1 else "")


def bar_keys(agent: Agent | None, listing: Listing, marked: bool) -> Iterator[tuple[Key, str]]:
    """The keys of the bar for the selected agent, each with what it is called now."""
    for key in in_bar(NEEDS.get(agent.phase) if agent is not None else None):
        label = key.label
        if key.order == "pause" and not marked:
            label = turn("pause", agent)
        if key.id == "view.turn" and listing.view is View.PROBLEMS:
            label = View.TREE.value
        yield key, label


def turn(order: str, agent: Agent | None) -> str:
    """The pause key unpauses a paused agent."""
    return "unpause" if order == "pause" and agent is not None and agent.phase is Phase.PAUSED else order


def bar_line(keys: Sequence[tuple[Key, str, bool]], colours: Colours, width: int) -> Text:
    """As many as there is room for, and then where the others are told; those that are off (third value) are
    struck out. Each can be clicked."""
    text, room = Text(" "), width - 1
    sizes = [len(key.shown) + len(label) + 3 for key, label, _ in keys]
    for number, (key, label, on) in enumerate(keys):
        last = sum(sizes[number:]) <= room
        if not last and sizes[number] > room - len(MORE):
            if room >= len(MORE):
                click = Style(meta={"@click": "screen.press_key('question_mark')"})
                text.append(MORE, Style(color=colours[Tone.BUSY]) + click)
            break
        room -= sizes[number]
        click = Style(meta={"@click": f"screen.press_key('{key.keys[0]}')"})
        cap = Style(color=colours[Tone.BUSY if on else Tone.QUIET], bold=on)
        word = Style(color=colours[Tone.TEXT if on else Tone.QUIET], strike=not on)
        text.append(key.shown, cap + click).append(" ").append(label, word + click).append("  ")
    return text


def old(at: float | None, now: float) -> str:
    """How long ago that was, both in epoch seconds."""
    return age(None if at is None else now - at)


def tron_line(line: Intervention, now: float, ground: str, glyphs: Glyphs, width: int) -> Text:
    """The orange bar as of `now` (epoch seconds): the newest event, the others, its reason, the key."""
    strong, calm = Style(color=TRON_INK, bgcolor=ground, bold=True), Style(color=TRON_INK, bgcolor=ground)
    bolt = "!" if glyphs.plain else "⚡"
    newest = line.text(now, glyphs.dot, brief=width < BROAD)
    text = Text().append(f" {bolt} TRON  {line.told[0].icon} {newest}", strong)
    hint = "  x dismiss "
    room = width - text.cell_len - len(hint)
    if room < 0:
        return text
    text.append(others := line.others(now, room), calm)
    room -= cell_len(others)
    why = line.told[0].reason
    text.append(set_cell_size(f"   {_cut(why, room - 3)}" if why and room > 20 else "", room), calm)
    return text.append(hint, calm + Style(meta={"@click": "screen.hush"}))


def _cut(line: str, width: int) -> str:
    return line if cell_len(line) <= width else set_cell_size(line, max(0, width - 1)) + "…"
