"""Prints for ever and does nothing else: no file, no letter (unless `--beat`). Only `prose` is progress.

    python printer.py KIND [--every 0.2] [--beat]

KIND:
    same      one and the same line
    counter   a line that differs in a number only
    clock     a line that differs in a time of day only
    hex       a line that differs in a hex id only
    spinner   repaints one line with a spinner, by carriage return
    repaint   clears the screen and draws the same page again
    prose     a new sentence each time: progress by output, for at most `progress_timeout`
    silent    one line, then nothing
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable
from itertools import count

from letters import letter

WHO = ("the parser", "a reader", "our index", "the old test", "some cache", "every page", "the lexer")
DOES = ("finds", "drops", "renames", "compares", "rebuilds", "questions", "explains", "forgets", "admires")
WHAT = ("a branch", "two letters", "the header", "its neighbour", "a rule", "the last answer", "an old note",
        "the margin", "a quiet corner", "the third wheel", "that promise")  # fmt: skip


WHEEL = "|/-\\"


def prose(n: int) -> str:
    who, does, what = WHO[n % len(WHO)], DOES[n // 7 % len(DOES)], WHAT[n // 63 % len(WHAT)]
    return f"{who} {does} {what}\n"


def hexed(n: int) -> str:
    return f"visited object {hashlib.sha256(str(n).encode()).hexdigest()[:12]}\n"


KINDS: dict[str, Callable[[int], str]] = {
    "same": lambda _: "trying again\n",
    "counter": lambda n: f"attempt {n} of many\n",
    "clock": lambda n: f"still here at {n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}\n",
    "hex": hexed,
    "spinner": lambda n: f"\r{WHEEL[n % len(WHEEL)]} thinking",
    "repaint": lambda _: "\x1b[2J\x1b[Hmenu\n  1 start\n  2 stop\n",
    "prose": prose,
    "silent": lambda n: "ready\n" if n == 0 else "",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="prints for ever")
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two lines")
    parser.add_argument("--beat", action="store_true", help="send a beat with every line")
    options = parser.parse_args()
    for n in count():
        if text := KINDS[options.kind](n):
            print(text, end="", flush=True)
        if options.beat:
            letter("beat", state="executing", message="printing")
        time.sleep(options.every)


if __name__ == "__main__":
    main()
