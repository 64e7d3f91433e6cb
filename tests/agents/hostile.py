"""Says things that want to be more than text, in every way an agent can.

    python hostile.py work | ask | fail

Prints them, a line of a megabyte among them, and says them in beats, checkpoints, questions and summaries;
names of its files and what stands in them are such texts as well. `ask` then asks a person and waits; `fail`
gives up; `work` prints on, jumping about its screen, and makes a file every 0.2 s.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

from letters import letter

MARKUP = "[red]no markup[/] [@click=app.quit]x[/] [/] "
SAID = [
    "\x1b]52;c;cHduZWQ=\x07clipboard",
    "\x1bPtmux;\x1b\x1b]52;c;cHduZWQ=\x07\x1b\\passed through",
    "\x1b]0;EVIL\x07 \x1b]2;EVIL\x1b\\ \x1bkEVIL\x1b\\titles",
    "\x1bPq#0;2;0;0;0#0~~\x1b\\sixel",
    "\x1b_Ga=T;EVIL\x1b\\apc \x1b^EVIL\x1b\\pm \x1bXEVIL\x1b\\sos",
    "\x1b[200~paste\x1b[201~end",
    "\x1b]8;;http://evil.example/EVIL\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]777;notify;EVIL;EVIL\x1b\\rxvt",
    "\x1b]9;EVIL\x07iterm \x1b]99;;EVIL\x1b\\kitty",
    "\u202eright to left\u202c \u2066apart\u2069",
    "z\u200be\u200dr\u2060o\ufeff w\u00adid\U000e0041th",
    "two\u2028lines\u2029three\x85four",
    "\u009b31mC1\u009b0m \u009d0;EVIL\u009c",
    "Z" + "\u0301" * 300 + "algo" + "\u0903" * 40,
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea\U0001f1eb",
    "\U0001f44d\U0001f3fd \u2764\ufe0f",
    "1\ufe0f\u20e3 \u2630 \U0001d360 \u3164\uffa0 \u0939\u093f\u0928\u094d\u0926\u0940",
    "\ufdfd \U0001242b \u6f22",
    "nul\x00 bel\x07 so\x0e si\x0f bs\x08\x08 vt\x0b ff\x0c del\x7f",
    "\x1b[?1049h\x1b[?25l\x1b[5;8;7mstyled\x1b[0m",
    "\x1b[6n\x1b[c\x1b[21t\x1b[18t\x1b[?2026$p\x05asked",
    "\x1b[2J\x1b[3J\x1b[H\x1b[1;1r\x1b[20Tmoved\x1b[r",
    "\x1b(0lqqk\x1b(B \x1b[?7h\x1b#8 \x1bcreset", MARKUP,
    "\x1b",
    "\x1b[",
    "\x1b]",
    "\x1bP",
    "\x1b[38;2;",
    "last",
]  # fmt: skip
RAW = [b"\x9b2J\x9d0;EVIL\x9c raw", b"\xff\xfe\xc0\xaf no text", b"\xed\xa0\x80 half", b"\xf0\x9f\x91 cut"]
LINES = [text.encode() for text in SAID] + RAW
WHOLE = " ".join(SAID)


def show(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def write(name: bytes) -> None:
    name = name.replace(b"/", b"_").replace(b"\0", b"_")[:255]
    Path(os.fsdecode(name)).write_bytes(b"\n".join(LINES) + b"\n" + name)


def main() -> None:
    how = sys.argv[1]
    for line in LINES:
        show(line)
        write(line)
    write(b"\n\xff" + b"x" * 300)
    show(b"L" * (1 << 20))
    letter("beat", state="executing", progress=0.5, message=WHOLE, metadata={"k": WHOLE})
    letter("checkpoint", completed=SAID, files=SAID, next=SAID, data={"k": SAID})
    if how == "ask":
        letter("ask", question=WHOLE, options=SAID[-8:] + SAID[:4])
        show(f"1. {MARKUP}\u202e".encode())
        time.sleep(600)
    elif how == "fail":
        letter("fail", summary=WHOLE, exit_code=3)
    for number in itertools.count():
        time.sleep(0.2)
        if number % 2:
            os.write(1, b"\x1b[1;1H")
        show(LINES[number % len(LINES)])
        write(b"%d %s" % (number % 40, LINES[number % len(LINES)]))


if __name__ == "__main__":
    main()
