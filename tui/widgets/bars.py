"""The one-line parts around the tree: the orange bar, the headline, the key bar, the head of the agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from ..document import KINDS, Agent, Fleet
from ..interventions import Intervention
from ..keys.key import Key
from ..looks import LOOKS, Glyphs, age
from ..themes import TRON_INK, TRON_ORANGE, TRON_PULSE, palette
from ..tones import Tone
from ..viewmodel import is_affected, tally


class OneLine(Static):
    """A line of Rich text, cut at the edge; never parses markup."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self.auto_links = False
        self.glyphs = glyphs
        self._shown: object = None

    @property
    def colours(self) -> dict[Tone, str]:
        return palette(self.app.current_theme.dark)

    def put_line(self, key: object, make: Callable[[], Text]) -> None:
        """Paint only when `key` differs from the last one."""
        theme = self.app.theme
        if (key, theme, self.size.width) == self._shown:
            return
        self._shown = (key, theme, self.size.width)
        text = make()
        text.no_wrap, text.overflow = True, "ellipsis"
        self.update(text, layout=False)  # each has its height; a new layout paints everything again


class TronBar(OneLine):
    """Interventions only: in sight while there is one to tell, bright for half a second when one is new."""

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(glyphs, id=id)
        self.now: Intervention | None = None
        self._bright = False

    def put(self, line: Intervention | None) -> None:
        fresh = line is not None and (self.now is None or line.seq != self.now.seq)
        self.now = line
        self.display = line is not None
        if fresh:
            self._bright = True
            self.set_timer(0.5, self._dim)
        self._paint()

    def _dim(self) -> None:
        self._bright = False
        self._paint()

    def _paint(self) -> None:
        line = self.now
        if line is not None:
            self.put_line((line, self._bright), lambda: self._text(line))

    def _text(self, line: Intervention) -> Text:
        ground = TRON_PULSE if self._bright else TRON_ORANGE
        self.styles.background = ground
        bolt = "!" if self.glyphs.plain else "⚡"
        strong, calm = Style(color=TRON_INK, bgcolor=ground, bold=True), Style(color=TRON_INK, bgcolor=ground)
        text = Text().append(f" {bolt} TRON  {line.icon} {line.text()}", strong)
        hint = "  x dismiss "
        room = self.app.size.width - text.cell_len - len(hint)
        reason = f"   {line.reason}" if line.reason and room > 20 else ""
        if len(reason) > room:
            reason = reason[: max(0, room - 1)] + "…"
        text.append(reason.ljust(max(0, room)), calm)
        return text.append(hint, calm) if room >= 0 else text


class Headline(OneLine):
    """Fleet, daemon and counts; a banner when no daemon runs."""

    def put(self, fleet: Fleet, needle: str, fault: str) -> None:
        stale = age(fleet.at - _last_seen(fleet)) if not fleet.up and _last_seen(fleet) else ""
        down = not fleet.up or fleet.frozen is not None
        self.set_class(down or bool(fault), "-down")
        counts = tally(fleet.agents, least=-1)
        key = (
            fleet.name,
            fleet.up,
            fleet.frozen,
            fleet.mode,
            age(fleet.uptime),
            fleet.cascade,
            counts,
            needle,
            fault,
            stale,
        )
        self.put_line(key, lambda: self._down(fleet, fault) if fault or down else self._up(fleet, needle))

    def _up(self, fleet: Fleet, needle: str) -> Text:
        colours = self.colours
        text = Text().append(" hhmrs ", Style(color=colours[Tone.BUSY], bold=True))
        text.append(fleet.name, Style(color=colours[Tone.TEXT], bold=True))
        observing = fleet.mode == "observe"
        mode = "observe: decides, does nothing" if observing else fleet.mode
        text.append(f"  {self.glyphs.dot} ", colours[Tone.QUIET])
        text.append(mode, colours[Tone.LIMIT if observing else Tone.GOOD])
        text.append(
            f" {age(fleet.uptime)}  {self.glyphs.dot} {len(fleet.agents)} agents", colours[Tone.QUIET]
        )
        self._counts(text, fleet)
        if fleet.cascade:
            text.append(f"  shared cause: {fleet.cascade}", Style(color=colours[Tone.BAD], bold=True))
        if needle:
            text.append(f"  /{needle}", Style(color=colours[Tone.ASK], bold=True))
        return text

    def _counts(self, text: Text, fleet: Fleet) -> None:
        words = self.app.size.width >= 110
        for phase, count in tally(fleet.agents, least=-1):
            look = LOOKS[phase]
            word = f" {phase.value}" if words else ""
            text.append(f"  {self.glyphs.phase(phase)} {count}{word}", self.colours[look.tone])

    def _down(self, fleet: Fleet, fault: str) -> Text:
        colours = self.colours
        frozen = fleet.frozen is not None
        word = " FAULT " if fault else " DAEMON STOPPED " if frozen else " NO DAEMON "
        text = Text().append(word, Style(color=colours[Tone.BAD], bold=True, reverse=True))
        mend = f"Let it go on: kill -CONT {fleet.frozen}" if frozen else "Start one: hhmrs up"
        said = fault or f" {fleet.name}: last known state, nobody heals it now. {mend}"
        return text.append(f" {said.strip()}", colours[Tone.TEXT])


def _last_seen(fleet: Fleet) -> float:
    return max((agent.since or 0.0 for agent in fleet.agents), default=0.0)


@dataclass(frozen=True, slots=True)
class Offer:
    """A key in the bar and, when it is off, why."""

    key: Key
    label: str
    reason: str | None = None


class KeyBar(OneLine):
    """The keys that matter now; those that are off stay in sight, struck out. Each can be clicked."""

    def put(self, offers: Sequence[Offer]) -> None:
        self.put_line(
            tuple((o.key.id, o.label, o.reason is None) for o in offers), lambda: self._text(offers)
        )

    def _text(self, offers: Sequence[Offer]) -> Text:
        colours, text, room = self.colours, Text(" "), self.app.size.width - 1
        for offer in offers:
            size = len(offer.key.shown) + len(offer.label) + 3
            if size > room:
                break
            room -= size
            click = Style(meta={"@click": f"screen.press_key('{offer.key.keys[0]}')"})
            off = offer.reason is not None
            cap = Style(color=colours[Tone.QUIET if off else Tone.BUSY], bold=not off, dim=off)
            word = Style(color=colours[Tone.QUIET if off else Tone.TEXT], dim=off, strike=off)
            text.append(offer.key.shown, cap + click).append(" ").append(offer.label, word + click).append(
                "  "
            )
        return text


class AgentHead(OneLine):
    """Who is selected, where it stands, how old each kind of evidence is, and the three tabs."""

    TABS = ("pane", "timeline", "explain")

    def put(self, agent: Agent | None, fleet: Fleet, tab: str, wide: bool) -> None:
        if agent is None:
            self.put_line((None, tab), lambda: Text(" no agent selected", self.colours[Tone.QUIET]))
            return
        since = None if agent.since is None else int(fleet.at - agent.since)
        ages = tuple((kind, _old(agent.trace.get(kind), fleet.at)) for kind in KINDS)
        troubled = fleet.trouble(agent.id) is not None
        key = (
            agent.id,
            agent.title,
            agent.phase,
            age(since),
            agent.attempt,
            agent.seat,
            agent.pid,
            ages,
            tab,
            wide,
            round(agent.cpu_pct),
            round(agent.memory_mb),
            troubled,
            fleet.up,
        )
        self.put_line(key, lambda: self._text(agent, since, ages, tab, wide, troubled))

    def _text(
        self,
        agent: Agent,
        since: int | None,
        ages: Sequence[tuple[str, str]],
        tab: str,
        wide: bool,
        troubled: bool,
    ) -> Text:
        """Narrow: who and where; tabs and evidence. Wide: the evidence has a line of its own."""
        text = self._who(agent, since, troubled).append("\n")
        if wide:
            self._evidence(text, ages).append("\n")
        for number, name in enumerate(self.TABS, 1):
            click = Style(meta={"@click": f"screen.tab('{name}')"})
            here = name == tab
            text.append(" ").append(f"{number}", Style(color=self.colours[Tone.BUSY], bold=here) + click)
            colour = self.colours[Tone.TEXT if here else Tone.QUIET]
            text.append(" ").append(name, Style(color=colour, bold=here, underline=here) + click).append(" ")
        text.append("  ")
        return self._vitals(text, agent) if wide else self._evidence(text, ages)

    def _who(self, agent: Agent, since: int | None, troubled: bool) -> Text:
        colours, dot = self.colours, self.glyphs.dot
        text = Text().append(" " + agent.title, Style(color=colours[Tone.TEXT], bold=True))
        tone = Tone.TRON if is_affected(agent, troubled) else LOOKS[agent.phase].tone
        mark = f"  {self.glyphs.phase(agent.phase)} {agent.phase.value} {age(since)}"
        text.append(mark, Style(color=colours[tone], bold=True))
        parts = [agent.seat, f"attempt {agent.attempt}"]
        return text.append(f"  {dot} " + f" {dot} ".join(part for part in parts if part), colours[Tone.QUIET])

    def _vitals(self, text: Text, agent: Agent) -> Text:
        if agent.pid is None:
            return text
        dot = self.glyphs.dot
        line = f"pid {agent.pid} {dot} {agent.cpu_pct:.0f}% cpu {dot} {agent.memory_mb:.0f} MB"
        return text.append(line, self.colours[Tone.QUIET])

    def _evidence(self, text: Text, ages: Sequence[tuple[str, str]]) -> Text:
        """How old the newest of each kind is; kinds that never came are left out."""
        colours = self.colours
        for kind, old in ages:
            if old != "-":
                text.append(f" {kind} ", colours[Tone.QUIET]).append(old + " ", colours[Tone.TEXT])
        return text


def _old(at: float | None, now: float) -> str:
    return age(None if at is None else now - at)
