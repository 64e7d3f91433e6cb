"""Ends badly, at once or later.

    python crasher.py [--status 1 | --signal KILL] [--after 0.0] [--say TEXT] [--in-attempts N]

Prints `--say` (if given), waits `--after` seconds, then exits with `--status` or sends itself `--signal`.
In later attempts than N (default: never) it works: one file `work-NN.txt` every 0.2 s, for ever.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from itertools import count
from pathlib import Path

from letters import attempt


def main() -> None:
    parser = argparse.ArgumentParser(description="ends badly")
    parser.add_argument("--status", type=int, default=1)
    parser.add_argument("--signal", default="")
    parser.add_argument("--after", type=float, default=0.0)
    parser.add_argument("--say", default="")
    parser.add_argument("--in-attempts", type=int, default=sys.maxsize)
    options = parser.parse_args()
    if attempt() > options.in_attempts:
        for number in count(1):
            Path(f"work-{number % 100:02d}.txt").write_text(f"{number}\n", encoding="utf-8")
            time.sleep(0.2)
    if options.say:
        print(options.say, flush=True)
    time.sleep(options.after)
    if options.signal:
        os.kill(os.getpid(), signal.Signals[f"SIG{options.signal}"])
        signal.pause()
    sys.exit(options.status)


if __name__ == "__main__":
    main()
