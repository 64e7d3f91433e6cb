"""Stops itself with SIGSTOP before it printed or wrote anything: alive as a process, never ready.

    python sleeper.py [--in-attempts N]

In later attempts than N (default: in none) it works: one file `work-NN.txt` every 0.2 s, for ever.
Under SIGCONT it goes on working too, so a kill of it has to be a real one (TERM is not delivered while
stopped).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from itertools import count
from pathlib import Path

from letters import attempt


def main() -> None:
    limit = int(sys.argv[2]) if sys.argv[1:2] == ["--in-attempts"] else sys.maxsize
    if attempt() <= limit:
        os.kill(os.getpid(), signal.SIGSTOP)
    for number in count(1):
        Path(f"work-{number % 100:02d}.txt").write_text(f"{number}\n", encoding="utf-8")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
