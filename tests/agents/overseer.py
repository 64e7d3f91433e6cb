"""A parent agent: works, and answers the alerts about its children.

    python overseer.py [--choose STRATEGY] [--hush]

It writes one file every 0.2 s. Each alert that appears in `alerts/` of its inbox folder is appended to
`alerts.jsonl`, and answered by a `decide` letter when `--choose` names a strategy. Each line that is typed to
it is appended to `typed.txt`. `--hush`: from the first alert on it does nothing any more, for ever.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from itertools import count
from pathlib import Path

from letters import append_line, letter


def listen() -> None:
    for line in sys.stdin:
        append_line(Path("typed.txt"), line.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description="answers for its children")
    parser.add_argument("--choose", default="")
    parser.add_argument("--hush", action="store_true")
    options = parser.parse_args()
    threading.Thread(target=listen, daemon=True).start()
    alerts = Path(os.environ["HHMRS_INBOX"], "alerts")
    known: set[str] = set()
    for number in count(1):
        for path in sorted(alerts.glob("*.json")):
            if path.name in known:
                continue
            known.add(path.name)
            alert = json.loads(path.read_text(encoding="utf-8"))
            append_line(Path("alerts.jsonl"), json.dumps(alert))
            while options.hush:
                signal.pause()
            if options.choose:
                letter("decide", incident=alert["incident"], strategy=options.choose)
        Path(f"work-{number % 100:02d}.txt").write_text(f"{number}\n", encoding="utf-8")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
