"""By which means the agents are seen: as the running daemon says, else as this machine would permit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...config.paths import StateDir
from ..inotify import Inotify
from ..ledger.lock import read_holder
from ..means import Means, published
from ..processes import cgroups
from ..processes.kernel_log import KernelLog
from ..processes.processes import ProcessTable
from .findings import Finding, Machine


def sight(machine: Machine) -> Iterable[Finding]:
    """One finding for each source. Those of a daemon say what it sees by at this moment."""
    state = StateDir(machine.state_root, machine.fleet.fleet) if machine.fleet else None
    holder = read_holder(state) if state else None
    if state is None or holder is None:
        yield from (_finding(one, "on offer") for one in offered())
        return
    told = published(state.means, holder.pid)
    if told is None:
        yield Finding("warn", "sight", f"the {holder.describe()} does not say by which means it sees",
                      "wait a few seconds and ask again; an older daemon must be stopped and "
                      "started: `hhmrs down`, `hhmrs up`")  # fmt: skip
        return
    yield from (_finding(one, "in use") for one in told)


def _finding(means: Means, standing: str) -> Finding:
    what = f"{standing}: {means.how}"
    return Finding("ok", means.source, what) if means.full else Finding("warn", means.source, what, means.why)


def offered() -> Iterator[Means]:
    """What a daemon started now could see by."""
    yield _output()
    yield _deaths()
    yield from ProcessTable().means()
    yield _cgroups()
    yield _kernel()


def _output() -> Means:
    try:
        Inotify().close()
        if Path("/dev/pts").is_dir():
            return Means("output", "notices of the kernel for each terminal (inotify)")
        why = "terminals are not files under /dev/pts here"
    except OSError as error:
        why = f"no inotify: {error.strerror or error}; raise fs.inotify.max_user_instances if it is used up"
    return Means("output", "a list of all panes several times a second", False, why)


def _deaths() -> Means:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        why = "no pidfd; it needs Linux 5.3 or newer, and a sandbox that permits the call"
        return Means("deaths", "looking after each process again and again", False, why)
    return Means("deaths", "the kernel's word for each process (pidfd)")


def _kernel() -> Means:
    log = KernelLog()
    try:
        return log.means()
    finally:
        log.close()


def _cgroups() -> Means:
    """Whether agents may get cgroups of their own; without them nothing is lost but a second opinion."""
    top = cgroups.hierarchy()
    if top is None:
        return Means("cgroups", "none of the second version; children that left are found without")
    here = cgroups.group_of(os.getpid())
    if here.startswith("/") and cgroups.delegated(top / here.lstrip("/")):
        return Means("cgroups", "one for each agent, in that which is delegated to you")
    return Means(
        "cgroups", "only those that tmux makes for its panes, where it does; none is delegated to you"
    )
