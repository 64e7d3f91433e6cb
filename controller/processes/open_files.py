"""How many files may be open at once: many for the daemon, as many as before for what it starts.

Three are needed per agent. A soft limit of 1024 is the usual one, kept low for programs that use select();
agents may be such programs, so the tmux servers they live in start with the limit the daemon was given.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence

ENOUGH = 65_536
_given: list[int] = []
"""The soft limit this process was started with, once it was raised."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one (at most ENOUGH); the limit in force now. Never fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):
        return soft
    _given[:] = [soft]
    return most


def with_given_limit(argv: Sequence[str]) -> list[str]:
    """`argv` so that it runs under the soft limit from before `raise_limit`."""
    if not _given:
        return list(argv)
    # A pre-exec function would run our code between fork and exec, which is not safe beside threads.
    return ["/bin/sh", "-c", 'ulimit -S -n "$0" && exec "$@"', str(_given[0]), *argv]
