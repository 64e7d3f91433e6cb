"""The command palette: every key of the table and every agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape
from textual.style import Style

from .keymap import grouped
from .keys.key import MOVE
from .screens.fleet import FleetScreen


class FleetCommands(Provider):
    """Commands that cannot be used now are listed with the reason."""

    def _all(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        screen = self.screen
        if not isinstance(screen, FleetScreen):
            return
        for key in (key for group, keys in grouped() if group != MOVE for key in keys):
            if key.id in ("app.palette", "view.back"):
                continue
            off = screen.off(key.order, key.id)
            about = f"off: {off}" if off else key.about
            yield f"{key.label.capitalize()}  ({key.shown})", about, partial(screen.run_action, key.action)
        for agent in screen.fleet.agents:
            yield (
                f"Go to {agent.title}",
                f"{agent.phase.value}  {agent.seat}",
                partial(screen.reveal, agent.id),
            )

    async def discover(self) -> Hits:
        for name, about, run in self._all():
            yield DiscoveryHit(Content(name), run, text=name, help=escape(about))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, about, run in self._all():
            score, places = matcher.fuzzy_search.match(query, name)
            if score > 0:
                yield Hit(
                    score, _marked(name, places, matcher.match_style), run, text=name, help=escape(about)
                )


def _marked(name: str, places: Sequence[int], style: Style) -> Content:
    """The matched letters set off. Titles come from the fleet file, so that a bracket in one is no markup."""
    content = Content(name)
    for place in places:
        content = content.stylize(style, place, place + 1)
    return content
