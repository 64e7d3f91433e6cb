"""`--export FILE`: the same page that the screen's own export writes."""

from __future__ import annotations

from ..exporting import ExportError, FileThere, Printout, export
from .output import Screen, inert
from .parsing import PROGRAM, Call
from .refusal import UNHEALTHY, Refusal, usage


def write_out(page: Printout, call: Call, screen: Screen) -> int:
    """Write it where `--export` says and print the path. Raises Refusal: 1 where a file stands, 2 for a place
    where none can be."""
    spoken = f"{PROGRAM} {call.command.name}"
    try:
        path = export(page, call.get("export"), over=bool(call.get("force")))
    except FileThere as error:
        raise Refusal(UNHEALTHY, f"{spoken}: {inert(error)}; --force writes over it") from error
    except ExportError as error:
        raise usage(f"{spoken}: {inert(error)}") from error
    if call.json:
        screen.document({"written": str(path)})
    else:
        screen.say(f"written: {inert(path, 4096)}")
    return 0
