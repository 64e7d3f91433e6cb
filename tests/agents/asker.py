"""Needs a person.

    python asker.py [--letter | --screen TEXT]

`--letter` (default) sends an `ask` letter; `--screen TEXT` only shows TEXT, as a CLI shows its dialog. Then
it reads one line from its stdin, appends it to `answers.txt`, and goes on: one file every 0.2 s, for ever.
"""

from __future__ import annotations

import sys
import time
from itertools import count
from pathlib import Path

from letters import append_line, letter


def main() -> None:
    if sys.argv[1:2] == ["--screen"]:
        print(sys.argv[2], flush=True)
    else:
        print("May I go on?", flush=True)
        letter("ask", question="May I go on?", options=["yes", "no"])
    append_line(Path("answers.txt"), sys.stdin.readline().strip())
    print("thank you", flush=True)
    for number in count(1):
        Path(f"work-{number % 100:02d}.txt").write_text(f"{number}\n", encoding="utf-8")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
