"""Times as the person's own clock shows them: everywhere on the screen, with the zone said once a page. What
is written into files and events stays UTC. Pure but for the zone of this machine."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

from .document import moment

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def local(at: float, shape: str = "%H:%M:%S", zone: tzinfo | None = None) -> str:
    """The moment (epoch seconds) in that shape; a damaged one is no time of day."""
    try:
        return datetime.fromtimestamp(at, zone).astimezone(zone).strftime(shape)
    except (ValueError, OverflowError, OSError):
        return "-"


def zone_name(at: float, zone: tzinfo | None = None) -> str:
    """What the zone is called then: `CET`, or `UTC+03` where it has no name."""
    name = local(at, "%Z", zone)
    return f"UTC{name}" if name.startswith(("+", "-")) and len(name) > 1 else name


def localised(markdown: str, zone: tzinfo | None = None) -> str:
    """A post-mortem to be read here: the moments of its tables by this clock, and their heads say so."""
    lines = markdown.split("\n")
    first = _ISO.search(markdown)
    if first is None:
        return markdown
    began = moment(first[0])
    if began is None:
        return markdown
    told = zone_name(began, zone)
    for number, line in enumerate(lines):
        if line.startswith("|"):
            here = _ISO.sub(lambda found: _here(found[0], zone), line)
            lines[number] = here.replace("| at (UTC) |", f"| at ({told}) |", 1)
    return "\n".join(lines)


def _here(stamp: str, zone: tzinfo | None) -> str:
    at = moment(stamp)  # None: there is no such day
    return stamp if at is None else local(at, "%Y-%m-%d %H:%M:%S", zone)
