"""Asks as the menus of coding agents do: it takes single keys, and what is pasted does nothing.

    python menu.py

Shows three numbered answers, the first of them pointed at. A digit alone takes its answer at once; Enter
takes the one that is pointed at; a bracketed paste is passed over. What was taken goes to `taken.txt`; then
one file every 0.2 s, for ever.
"""

from __future__ import annotations

import os
import sys
import termios
import time
import tty
from itertools import count
from pathlib import Path

MENU = (
    "Bash command: rm -rf build\r\n Do you want to proceed?\r\n > 1. Yes\r\n   2. Yes, always\r\n   3. No\r\n"
)
PASTE = (b"\x1b[200~", b"\x1b[201~")


def take(keys: int) -> str:
    """The first answer that is given."""
    while True:
        read = os.read(keys, 4096)
        while PASTE[0] in read:
            before, _, rest = read.partition(PASTE[0])
            while PASTE[1] not in rest:
                rest += os.read(keys, 4096)
            read = before + rest.partition(PASTE[1])[2]
        for key in read.decode("ascii", "replace"):
            if key in "123":
                return key
            if key in "\r\n":
                return "1"


def main() -> None:
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    tty.setraw(keys)
    sys.stdout.write("\x1b[?2004h" + MENU)
    sys.stdout.flush()
    taken = take(keys)
    sys.stdout.write("\x1b[?2004l\x1b[2J\x1b[H")
    termios.tcsetattr(keys, termios.TCSADRAIN, before)
    Path("taken.txt").write_text(taken, encoding="utf-8")
    print("going on", flush=True)
    for number in count(1):
        Path(f"work-{number % 100:02d}.txt").write_text(f"{number}\n", encoding="utf-8")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
