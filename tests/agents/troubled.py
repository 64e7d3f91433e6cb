"""Comes into one kind of trouble, attempt after attempt, and then works.

    python troubled.py KIND [--attempts N]

In the first N attempts (default 1) it ends, or stops, in the way of KIND; the first time after it has written
one file. Later it works: one file every 0.5 s, for ever. KIND:

    STATUS          a number: exits with it          SIGNAL    a name (KILL): sends itself that signal
    say STATUS TEXT prints TEXT, exits with STATUS   show TEXT shows TEXT as its last line, and stays
    oom FILE        the kernel's words into FILE, then SIGKILL
    loop            prints the same and beats; an interrupt is written down in saved.txt
    silent          SIGSTOP to itself                leave     lives for 2.5 s, then exits with 0
    git, tests      what the real tool does when it fails
    fail TEXT       a `fail` letter with TEXT, then stays
    complain TEXT   a line of its transcript (in ~/logs) says TEXT; then stays
    quote           writes of all kinds of errors and works on from its first attempt
    prose           the same, and then exits with 0
    slow            works all along
    wait            stays, silent
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NoReturn

from letters import append_line, attempt, letter

PROSE = (
    "api error: the old parser failed with it",
    "permission denied, rate limit, usage limit reached, Prompt is too long: all handled now",
    "I see ■ API Error: 500 and ■ not logged in in the log of yesterday",
    "fatal: not a git repository",
    "FAILED (failures=1)",
)
FAILING = "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): self.fail('no')\n"


def work(every: float = 0.5) -> NoReturn:
    for number in count(1):
        Path(f"work-{number % 100:02d}.txt").write_text(f"{number}\n", encoding="utf-8")
        time.sleep(every)
    raise AssertionError


def stay() -> NoReturn:
    while True:
        signal.pause()


def say(text: str) -> None:
    print(text, flush=True)


def loop() -> NoReturn:
    def saved(*_: object) -> NoReturn:
        append_line(Path("saved.txt"), f"attempt {attempt()}")
        sys.exit(130)

    signal.signal(signal.SIGINT, saved)
    while True:
        say("thinking about it")
        letter("beat", state="executing")
        time.sleep(0.2)


def complain(text: str) -> NoReturn:
    folder = re.sub(r"[^A-Za-z0-9]", "-", os.path.realpath("."))
    transcript = Path.home() / "logs" / f"{folder}.jsonl"
    transcript.parent.mkdir(exist_ok=True)
    if attempt() == 1:
        append_line(transcript, "did something")
    time.sleep(1.5)
    append_line(transcript, text)
    stay()


def out_of_memory(log: str) -> NoReturn:
    killed = f"Out of memory: Killed process {os.getpid()} (python3) total-vm:9kB, UID:0 oom_score_adj:0"
    append_line(Path(log), f"Nov 21 17:00:00 host kernel: [18420.241042] {killed}")
    os.kill(os.getpid(), signal.SIGKILL)
    stay()


def run(*words: str) -> NoReturn:
    os.execvp(words[0], words)  # noqa: S606 - no shell is wanted


def failing_tests() -> NoReturn:
    if attempt() == 1:
        Path("test_it.py").write_text(FAILING, encoding="utf-8")
    run(sys.executable, "-B", "-m", "unittest", "test_it")


def shown(text: str) -> NoReturn:
    say(text)
    stay()


def said(status: str, text: str) -> NoReturn:
    say(text)
    sys.exit(int(status))


def failed(text: str) -> NoReturn:
    letter("fail", summary=text)
    stay()


def leave() -> NoReturn:
    time.sleep(2.5)
    sys.exit(0)


TROUBLES: dict[str, Callable[..., object]] = {
    "say": said,
    "show": shown,
    "oom": out_of_memory,
    "loop": loop,
    "silent": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "leave": leave,
    "git": lambda: run("git", "rev-parse", "HEAD"),
    "tests": failing_tests,
    "fail": failed,
    "complain": complain,
    "wait": stay,
}


def trouble(kind: str, words: list[str]) -> None:
    if kind in TROUBLES:
        TROUBLES[kind](*words)
    elif kind.isdecimal():
        sys.exit(int(kind))
    else:
        os.kill(os.getpid(), signal.Signals[f"SIG{kind}"])


def main() -> None:
    words = sys.argv[1:]
    lasting = 1
    if "--attempts" in words:
        at = words.index("--attempts")
        lasting = int(words[at + 1])
        del words[at : at + 2]
    kind, *more = words
    if kind in ("quote", "prose"):
        for line in PROSE:
            say(line)
        if kind == "prose":
            sys.exit(0)
    elif kind != "slow" and attempt() <= lasting:
        if attempt() == 1:
            Path("begun.txt").write_text("begun\n", encoding="utf-8")
            time.sleep(0.3)
        trouble(kind, more)
    work()


if __name__ == "__main__":
    main()
