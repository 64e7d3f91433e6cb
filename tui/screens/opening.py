"""Keys that open another screen, and the one that leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..keys.fleet import KEYS
from .acting import Acting
from .help import HelpScreen

if TYPE_CHECKING:
    from .past import Lookback


class Opening(Acting):
    """The ways from the fleet's screen to the others."""

    def reveal(self, agent: str) -> None:
        """Select an agent wherever it is; the room of moving knows how."""
        raise NotImplementedError

    def action_numbers(self) -> None:
        from .numbers import NumbersScreen

        _ = self.app.push_screen(NumbersScreen(self._past()))

    def action_incidents(self) -> None:
        from .incidents import IncidentsScreen

        _ = self.app.push_screen(IncidentsScreen(self._past()))

    def _past(self) -> Lookback:
        from .past import Lookback

        def titles() -> dict[str, str]:
            return {agent.id: agent.title for agent in self.fleet.agents}

        def named() -> str:
            return self.fleet.name

        return Lookback(self.source.numbers, self.glyphs, named, titles, self._come_back)

    def _come_back(self, agent: str) -> bool:
        """Close what lies over this screen and select the agent; False where it has none of that name."""
        if self.fleet.agent(agent) is None:
            return False
        while self.app.screen is not self:
            _ = self.app.pop_screen()
        self.reveal(agent)
        return True

    def action_settings(self) -> None:
        from .settings import SettingsScreen  # what it needs is not needed for the first paint

        _ = self.app.push_screen(SettingsScreen(self.source.settings, self.glyphs, self.agents.agent))

    def action_help(self) -> None:
        reasons = {key.id: why for key in KEYS if (why := self.off(key.order, key.id)) is not None}
        _ = self.app.push_screen(HelpScreen(self.glyphs, reasons))

    def action_press_key(self, key: str) -> None:
        self.app.simulate_key(key)

    def action_quit_screen(self) -> None:
        self.app.exit(0)
