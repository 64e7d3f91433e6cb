"""The peer of bench/screen.py: the same fleet in Textual's own DataTable, cells updated as they change.

table.py FLEETFILE STATE_DIR
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

from hhmrs.config.loading import load_fleet
from hhmrs.config.paths import StateDir
from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.tui.daemon_source import DaemonSource
from hhmrs.tui.feed import Feed, FleetSeen
from hhmrs.tui.viewmodel import rows

COLUMNS: dict[str, Callable[[Any], str]] = {
    "agent": lambda row: row.title,
    "phase": lambda row: row.phase.value,
    "seen": lambda row: str(row.seen),
    "tries": lambda row: str(row.tries),
    "progress": lambda row: str(row.percent),
    "message": lambda row: row.message,
}


class Table(App[None]):
    def __init__(self, source: DaemonSource) -> None:
        super().__init__()
        self._feed = Feed(source, self.post_message)
        self._cells: dict[tuple[str, str], str] = {}

    def compose(self) -> ComposeResult:
        yield Static("", id="head", markup=False)
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        table: DataTable[str] = self.query_one(DataTable)
        for name in COLUMNS:
            table.add_column(name, key=name, width=24 if name in ("agent", "message") else 12)
        self._feed.start()

    def on_unmount(self) -> None:
        self._feed.stop()

    def on_fleet_seen(self, message: FleetSeen) -> None:
        table: DataTable[str] = self.query_one(DataTable)
        for row in rows(message.snapshot.fleet):
            cells = {name: draw(row) for name, draw in COLUMNS.items()}
            if (row.agent, "agent") not in self._cells:
                table.add_row(*cells.values(), key=row.agent)
            else:
                for name, cell in cells.items():
                    if self._cells[row.agent, name] != cell:
                        table.update_cell(row.agent, name, cell)
            self._cells |= {(row.agent, name): cell for name, cell in cells.items()}

    def on_data_table_row_highlighted(self, message: DataTable.RowHighlighted) -> None:
        self.query_one("#head", Static).update(f"» {message.row_key.value}")


def main() -> None:
    config, state = sys.argv[1:]
    fleet = load_fleet(Path(config))
    folder = StateDir(Path(state), fleet.fleet)
    Table(DaemonSource(folder, fleet, TmuxTerminals(f"hhmrs-{fleet.fleet}", folder.tmux_conf))).run()


if __name__ == "__main__":
    main()
