"""The head of the selected agent's views."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from ..document import KINDS, Agent, Fleet
from ..looks import LOOKS, age
from ..rows import is_affected
from ..tones import Tone
from .bars import OneLine, old

BESIDE = 24
"""Cells for the evidence or the process, beside the names of all tabs."""


class AgentHead(OneLine):
    """Who is selected, where it stands, how old each kind of evidence is, and the tabs."""

    TABS = ("pane", "timeline", "explain", "work", "checkpoints", "tasks", "usage")

    def put(self, agent: Agent | None, fleet: Fleet, tab: str, wide: bool) -> None:
        if agent is None:
            self.put_line((None, tab), lambda: Text(" no agent selected", self.colours[Tone.QUIET]))
            return
        since = None if agent.since is None else int(fleet.at - agent.since)
        ages = tuple((kind, old(agent.trace.get(kind), fleet.at)) for kind in KINDS)
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
        self._tabs(text, tab)
        text.append("  ")
        return self._vitals(text, agent) if wide else self._evidence(text, ages)

    def _tabs(self, text: Text, tab: str) -> None:
        """All by name where there is room for that and for what stands beside them, else the one in sight."""
        named = sum(len(name) + 4 for name in self.TABS) + BESIDE <= self.size.width
        for number, name in enumerate(self.TABS, 1):
            click = Style(meta={"@click": f"screen.tab('{name}')"})
            here = name == tab
            text.append(" ").append(f"{number}", Style(color=self.colours[Tone.BUSY], bold=here) + click)
            if named or here:
                colour = self.colours[Tone.TEXT if here else Tone.QUIET]
                word = Style(color=colour, bold=here, underline=here) + click
                text.append(" ").append(name, word).append(" ")

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
        for kind, told in ages:
            if told != "-":
                text.append(f" {kind} ", colours[Tone.QUIET]).append(told + " ", colours[Tone.TEXT])
        return text
