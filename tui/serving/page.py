"""The process of one page: the screen of a fleet, spoken over pipes to the web server that started it.

Run as `python -P -m hhmrs.tui.serving.page --config FILE`. A thin client of the one daemon: it starts none,
so a page that is opened after `hhmrs down` shows that there is no daemon, and does not bring it back."""

from __future__ import annotations

import os
import sys

from ..commands.output import inert
from ..commands.parsing import parse
from ..commands.place import Place, find_place
from ..commands.refusal import Refusal

BEGINS = b"__GANGLION__\n"
"""How textual-serve knows that an app has begun to speak."""


def main(words: list[str]) -> int:
    """Show the screen until the page is closed; the exit code. What goes wrong is told in the page."""
    from ...config.problems import ConfigError
    from ...controller.ledger.errors import LedgerError
    from ...controller.ports import TerminalsError

    try:
        place = find_place(parse(words), Place.is_supervised)
        return _show(place)
    except Refusal as no:
        return _tell(*no.lines)
    except ConfigError as error:
        return _tell(*(inert(problem, 1000) for problem in error.problems))
    except (LedgerError, TerminalsError, OSError) as error:
        return _tell(inert(error, 1000))


def _show(place: Place) -> int:
    from ..app import HhmrsApp
    from ..commands.panes import terminals_of
    from ..daemon_source import DaemonSource
    from ..early import fitting_glyphs

    app = HhmrsApp(DaemonSource(place.state, place.need_spec(), terminals_of(place)), fitting_glyphs())
    _ = app.run()
    return app.return_code or 0


def _tell(*lines: str) -> int:
    """Words in place of the screen, in the packets that textual-serve understands."""
    text = "".join(f"{line}\r\n" for line in lines).encode()
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
        out.write(BEGINS + _packet(b"D", text) + _packet(b"M", b'{"type": "exit"}'))
    return 2


def _packet(kind: bytes, payload: bytes) -> bytes:
    return kind + len(payload).to_bytes(4, "big") + payload


if __name__ == "__main__":
    # Nothing but packets may come out of here; what a library says goes where the server's own words go.
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # A look that hangs in tmux keeps a thread alive; the page is closed all the same.
    os._exit(code)
