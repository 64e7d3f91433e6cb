"""Whose child each process is, in one look at the table, wherever it went meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .cgroups import upwards, within
from .process_table import ProcessRow, Table, below, children_of

ASKED_TWICE = 2
"""A process in the middle of an exec has no environment; one that has none twice never had one."""

Families = dict[str, list[ProcessRow]]
"""Agent -> its root, then everything living that belongs to it."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What a process carries that says whose it is. `group` gives the path of its cgroup, "" for none that
    could be an agent's own; `tag` the value of HHMRS_TOKEN, "" for none, None while nobody can tell."""

    group: Callable[[int], str]
    tag: Callable[[int], str | None]


@dataclass(slots=True)
class _Kin:
    """What is remembered of one attempt: its root, the root's cgroup, and pid -> start of its children."""

    root: ProcessRow
    group: str
    members: dict[int, float] = field(default_factory=dict)


class Kinship:
    """Remembers between looks. Not for two threads at once.

    A child belongs to the agent because its parent does. When it left the tree (its parent died, it made a
    session of its own), it still does: because it was once seen in the tree, or by the agent's own cgroup, or
    by the tag in its environment. A process is asked for its marks once, when it is first seen, so that a
    look costs no more on a machine where ten thousand others run."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._kin: dict[str, _Kin] = {}
        self._by_root: dict[int, _Kin] = {}
        self._strangers: dict[int, tuple[float, int]] = {}
        self._grouped = False

    def sort(
        self, roots: Mapping[str, ProcessRow], table: Table, own: int, tag: Callable[[str], str] | None
    ) -> Families:
        """Who belongs to whom. `own` is our own pid; `tag` gives an agent's tag, None: tags say nothing."""
        children = children_of(table)
        servers = [row.pid for row in table.values() if row.server]
        # A fleet that an agent started is not the agent's work, nor is what we ourselves run.
        seen = {own, *servers, *(root.pid for root in roots.values())}
        trees = {name: below(root.pid, children, seen) for name, root in roots.items()}
        self._recall(roots)
        for name, tree in trees.items():
            for pid in self._remembered(name, table):
                if pid not in seen:
                    tree += below(pid, children, seen)
            for pid in _let_go(roots[name], table, children, servers):
                if pid not in seen:
                    tree += below(pid, children, seen)
        for top in (own, *servers):
            below(top, children, seen)
        groups = self._own_groups((own, *servers))
        self._grouped = len(groups) == len(roots) > 0
        for pid, name in self._strays(roots, table, seen, groups, tag).items():
            if pid not in seen:
                trees[name] += below(pid, children, seen)
        return {name: self._remember(name, tree, table) for name, tree in trees.items()}

    @property
    def grouped(self) -> bool:
        """Whether agents have cgroups of their own."""
        return self._grouped

    def left(self, root: ProcessRow, table: Table) -> list[int]:
        """Pids of those living that were seen as children of that very root. For any thread."""
        kin = self._by_root.get(root.pid)
        if kin is None or kin.root.started != root.started:
            return []
        rows = [(table.get(pid), begun) for pid, begun in kin.members.items()]
        return [row.pid for row, begun in rows if row and row.started == begun and not row.gone]

    def _recall(self, roots: Mapping[str, ProcessRow]) -> None:
        """Forget attempts that are over; learn the cgroups of new ones."""
        kept: dict[str, _Kin] = {}
        for name, root in roots.items():
            kin = self._kin.get(name)
            same = kin is not None and (kin.root.pid, kin.root.started) == (root.pid, root.started)
            kept[name] = kin if kin and same else _Kin(root, self._marks.group(root.pid))
        self._kin, self._by_root = kept, {kin.root.pid: kin for kin in kept.values()}

    def _remembered(self, name: str, table: Table) -> list[int]:
        members = self._kin[name].members.items()
        return [pid for pid, started in members if (row := table.get(pid)) and row.started == started]

    def _remember(self, name: str, tree: list[int], table: Table) -> list[ProcessRow]:
        rows = [row for pid in tree if not (row := table[pid]).gone]
        # A new mapping each time: `left` may be reading the old one.
        self._kin[name].members = {row.pid: row.started for row in rows[1:]}
        return rows

    def _strays(
        self,
        roots: Mapping[str, ProcessRow],
        table: Table,
        seen: set[int],
        groups: Mapping[str, str],
        tag: Callable[[str], str] | None,
    ) -> dict[int, str]:
        """pid -> agent, of those that nobody else owns and that carry an agent's mark."""
        tags = {tag(name): name for name in roots} if tag else {}
        found: dict[int, str] = {}
        strangers: dict[int, tuple[float, int]] = {}
        for pid, row in table.items():
            if pid in seen or row.gone:
                continue
            started, asked = self._strangers.get(pid, (row.started, 0))
            if started != row.started:
                asked = 0
            if asked < ASKED_TWICE:
                carried = self._marks.tag(pid) if tags else ""
                grouped = within(self._marks.group(pid), groups) if groups else None
                name = grouped or tags.get(carried or "")
                # What began before the agent did was left by an earlier attempt: not this one's work.
                if name is not None and row.started >= roots[name].started:
                    found[pid] = name
                    continue
                asked = asked + 1 if carried is None else ASKED_TWICE
            strangers[pid] = (row.started, asked)
        self._strangers = strangers
        return found

    def _own_groups(self, others: Iterable[int]) -> dict[str, str]:
        """cgroup -> the one agent that lives in it. What is shared with others says nothing."""
        counts: dict[str, list[str]] = {}
        for name, kin in self._kin.items():
            if kin.group:
                counts.setdefault(kin.group, []).append(name)
        shared = {group for pid in others if counts for group in upwards(self._marks.group(pid))}
        return {g: names[0] for g, names in counts.items() if len(names) == 1 and g not in shared}


def _let_go(
    root: ProcessRow, table: Table, children: Mapping[int, list[int]], servers: Sequence[int]
) -> list[int]:
    """What the agent let go, and its launcher inherited (launcher.py), which is the pane's own process."""
    launcher = table.get(root.parent)
    if launcher is None or launcher.parent not in servers:
        return []
    return [pid for pid in children.get(launcher.pid, ()) if pid != root.pid]
