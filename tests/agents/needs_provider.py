"""Works, as long as its provider does: appends a line to a file now and then, and dies of an API error while
the file named on the command line exists.

    python needs_provider.py OUTAGE [--pace SECONDS]

Each line names the attempt and what came before it, so that a test sees whether work went on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("outage", type=Path)
    given.add_argument("--pace", type=float, default=0.2)
    words = given.parse_args()
    done = Path("done.txt")
    from_checkpoint = 0
    if path := os.environ.get("HHMRS_CHECKPOINT"):
        from_checkpoint = int(json.loads(Path(path).read_text())["seq"])
    with Path("attempts.txt").open("a") as attempts:
        attempts.write(f"{os.environ['HHMRS_ATTEMPT']} {from_checkpoint}\n")
    while True:
        if words.outage.exists():
            print("API error 529: overloaded", flush=True)
            return 1
        with done.open("a") as work:
            work.write(f"{os.environ['HHMRS_ATTEMPT']}\n")
        time.sleep(words.pace)


if __name__ == "__main__":
    sys.exit(main())
