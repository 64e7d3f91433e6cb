"""An agent that prints, now and then, and notes when: `python prober.py GO MOMENTS`.

While the file GO is there, at moments drawn by chance, so that they fall in step with nobody's looking, it
prints one line or sets its terminal's title. Each is a line of JSON in MOMENTS: kind, agent, text, and the
moment just before the write, by the clock that all processes share.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import time
from pathlib import Path

BETWEEN = (2.5, 5.0)
"""Seconds from one sign to the next: long enough for each to be the first after a quiet while."""


def main(go: Path, moments: Path) -> None:
    chance = random.SystemRandom()
    out = os.open(moments, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for number in itertools.count():
        time.sleep(chance.uniform(*BETWEEN))
        if not go.exists():
            continue
        kind = chance.choice(("line", "line", "title"))
        text = f"sign {number} of {os.getpid()}"
        shown = f"{text}\n" if kind == "line" else f"\033]2;{text}\033\\"
        moment = time.monotonic()
        os.write(1, shown.encode())
        sign = {"kind": kind, "agent": os.environ["HHMRS_AGENT"], "text": text, "at": moment}
        os.write(out, json.dumps(sign).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
