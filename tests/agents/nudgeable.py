"""Works a little, falls silent, and goes on when something is typed.

    python nudgeable.py [--deaf]

Three files, then silence until a line arrives on stdin, then one file every 0.2 s, for ever. Each line that
arrives is appended to `heard.txt`. `--deaf`: reads the line and stays silent.
"""

from __future__ import annotations

import signal
import sys
import time
from itertools import count
from pathlib import Path

from letters import append_line


def work(number: int) -> None:
    Path(f"work-{number % 100:02d}.txt").write_text(f"{number}\n", encoding="utf-8")
    time.sleep(0.2)


def main() -> None:
    for number in range(3):
        work(number)
    append_line(Path("heard.txt"), sys.stdin.readline().strip())
    while "--deaf" in sys.argv:
        signal.pause()
    print("going on", flush=True)
    for number in count(3):
        work(number)


if __name__ == "__main__":
    main()
