"""`python -m hhmrs.controller.scripted_model --port N`: the server alone, until it is interrupted."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from . import script
from .server import ScriptedModel


def main(words: list[str] | None = None) -> int:
    """Print the port, serve; 0 when ended by INT or TERM, 2 when it could not listen."""
    told = argparse.ArgumentParser(
        prog="python -m hhmrs.controller.scripted_model",
        description=script.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    told.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    port = told.parse_args(words).port
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        model = ScriptedModel(port)
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"cannot listen on port {port}: {error}; try --port 0\n")
        return 2
    with model:
        sys.stdout.write(f"{model.port}\n")
        sys.stdout.flush()
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
