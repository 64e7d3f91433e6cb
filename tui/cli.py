"""The one entry of `hhmrs` and `hhmrs-tui`.

An agent calls `beat` and its kin often, so this file imports nothing before it knows the command; not even
`__future__`, which would cost as much as the rest of it.
"""

import sys

LETTERS = frozenset({"beat", "checkpoint", "done", "fail", "ask"})
"""Commands that only write a letter into an agent's inbox."""


def main(argv: list[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code (contract section 2)."""
    words = sys.argv[1:] if argv is None else argv
    if words and (words[0] in LETTERS or (words[0] == "decide" and _as_agent(words))):
        from .letters import letter_main

        return letter_main(words)
    from .commands.run import run

    return run(words)


def _as_agent(words: list[str]) -> bool:
    """`decide` is a parent agent's letter inside an agent, and a person's order anywhere else."""
    from os import environ

    place = ("--config", "--fleet")
    return "HHMRS_INBOX" in environ and not any(word.startswith(place) for word in words)
