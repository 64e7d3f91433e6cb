"""Before there is a fleet to open: the first run, and a fleet file with problems. For terminals only."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .output import Screen, inert
from .parsing import parse
from .place import Place
from .refusal import USAGE, Refusal

if TYPE_CHECKING:
    from ...config.problems import ConfigError
    from ..introducing import Began

_NAME = re.compile(r"^fleet:[ \t]*([a-z0-9][a-z0-9-]{0,31})[ \t]*(?:#.*)?$", re.MULTILINE)


def first_run(screen: Screen) -> str:
    """What the person wants next: `open`, or nothing. The demo is played here."""
    from ..welcome import run_welcome

    wish = run_welcome(Path.cwd(), write_first)
    if wish == "demo":
        from .screen import demo

        demo(parse(["demo"]), screen)
        return ""
    return wish


def write_first() -> Began:
    """As `hhmrs init` in this folder, and its own words."""
    from ..introducing import Began
    from .fleetfile import init

    said = io.StringIO()
    try:
        ok = init(parse(["init"]), Screen(said)) == 0
    except Refusal as no:
        return Began(False, no.lines)
    wrote, *rest = said.getvalue().splitlines()
    return Began(ok, (wrote, *(line for line in rest if not line.startswith("next:"))))


def mend_first(error: ConfigError) -> int | None:
    """Show the problems until they are mended (None: go on) or the screen is left (the exit code)."""
    from ..welcome import run_broken

    path = error.problems[0].path
    seen = _stamp(path)

    def read(anyway: bool) -> Sequence[str] | None:
        nonlocal seen
        now = _stamp(path)
        if now == seen and not anyway:
            return None
        seen = now
        return problems_of(path)

    wish = run_broken([inert(problem, 1000) for problem in error.problems], read)
    return None if wish == "open" else USAGE


def problems_of(path: Path) -> list[str]:
    """What is wrong with the file now."""
    from ...config.loading import load_fleet
    from ...config.problems import ConfigError

    try:
        load_fleet(path, moved=[])
    except ConfigError as error:
        return [inert(problem, 1000) for problem in error.problems]
    return []


def known_place(error: ConfigError) -> Place | None:
    """The fleet that a broken file belongs to, if a daemon ran by it: it can still be looked at."""
    from ...config.files import read_bytes
    from ...config.paths import StateDir, state_root
    from ...config.problems import ConfigError
    from ...controller.ledger.errors import LedgerError

    path = error.problems[0].path.resolve()
    try:
        named = _NAME.search(read_bytes(path).decode("utf-8", "replace"))
        if named is None:
            return None
        found = tuple(inert(problem, 1000) for problem in error.problems)
        place = Place(StateDir(state_root(), named[1]), path, None, found)
        reader = place.reader()
        recorded = reader.meta().get("config") if reader is not None else None
    except (ConfigError, LedgerError, OSError):
        return None
    return place if recorded == str(path) else None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size
