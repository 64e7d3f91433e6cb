"""A silent agent whose child works, as a compiler does under a coding agent.

    python builder.py [--idle-child]

Starts one child that uses CPU (`--idle-child`: only sleeps) and waits for it, itself silent: no output, no
file, no letter, no CPU. A busy child is progress for `tool_timeout`, a sleeping one is not even life.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    idle = "--idle-child" in sys.argv
    signal.alarm(600)
    child = os.fork()
    if child == 0:
        signal.alarm(600)  # alarms are not inherited
        while True:
            if idle:
                signal.pause()
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
