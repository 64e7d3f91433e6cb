"""Whether an agent's CLI still runs where its command is a shell above it: `sh -c 'claude; exec sh'`.

A CLI runs shells of its own as tools; those are below it, and it is there. Only a shell that is the agent's
command itself can be what it left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from types import MappingProxyType

from .process_table import ProcessRow

SHELLS = frozenset(
    {"sh", "ash", "bash", "busybox", "csh", "dash", "elvish", "fish", "ksh", "mksh", "nu", "tcsh", "zsh"}
)
NO_CLIS: Mapping[str, Sequence[str]] = MappingProxyType({})
SOON = 10.0
"""Seconds after its start in which a shell that stands alone may still be about to start the CLI."""


class CliWatch:
    """Remembers between looks which CLIs were seen under which shell. Not for two threads at once."""

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}
        self._absent: set[int] = set()

    def look(
        self, families: Mapping[str, Sequence[ProcessRow]], names: Mapping[str, Sequence[str]], clock: float
    ) -> dict[str, str]:
        """`there`, or `gone` when it was so in the look before as well; agents whose command is no shell are
        left out. `families`: root first; `clock`: seconds since boot."""
        found: dict[str, str] = {}
        seen: dict[int, float] = {}
        absent: set[int] = set()
        for agent, rows in families.items():
            root, others = rows[0], rows[1:]
            if root.name not in SHELLS:
                continue
            if any(_called(row.name, names[agent]) for row in others):
                seen[root.pid], found[agent] = root.started, "there"
                continue
            known = self._seen.get(root.pid) == root.started
            if known:
                seen[root.pid] = root.started
            elif others or clock - root.started < SOON:
                continue  # it does something else first
            absent.add(root.pid)
            if root.pid in self._absent:
                found[agent] = "gone"
        self._seen, self._absent = seen, absent
        return found


def heads_of(rows: Sequence[ProcessRow], names: Sequence[str]) -> frozenset[int]:
    """Pids of the CLI itself below the first of `rows`: what a shell has started, or what the CLI's command,
    often a wrapper, has started under its own name. What these do is no more the work of a child than what
    an agent's command does: a spinner costs time as well."""
    if not rows:
        return frozenset()
    if rows[0].name in SHELLS:
        below = (row.pid for row in rows[1:] if row.parent == rows[0].pid and _called(row.name, names))
        heads = set(islice(below, 1))
    else:
        heads = {rows[0].pid} if _called(rows[0].name, names) else set()
    left = [row for row in rows[1:] if _called(row.name, names)] if heads else []
    while found := [row for row in left if row.parent in heads and row.pid not in heads]:
        heads.update(row.pid for row in found)
    return frozenset(heads)


def _called(name: str, names: Sequence[str]) -> bool:
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in names)
