"""The one way in which a command says no: lines for stderr and an exit code."""

from __future__ import annotations

UNHEALTHY, USAGE, NO_DAEMON, INTERRUPTED = 1, 2, 3, 130


class Refusal(Exception):
    """`lines` say what happened, where, and what to do next; `code` is an exit code of contract section 2."""

    def __init__(self, code: int, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.code = code
        self.lines = lines


def usage(*lines: str) -> Refusal:
    return Refusal(USAGE, *lines)


class NoFleetFile(Refusal):
    """No fleet file was named and none was found."""

    def __init__(self, line: str) -> None:
        super().__init__(USAGE, line)
