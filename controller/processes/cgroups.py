"""The cgroup of an agent's own, where there is one: what is born in it stays in it, whatever it does.

One is there where tmux puts each pane into a scope of its own (3.4 and newer, built with systemd), where the
agent's command makes one (`systemd-run --scope`), and where a tree of cgroups was delegated to our user:
`make_own` makes a group for each attempt in it. Elsewhere children that left are found by their environment.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

OWN = re.compile(r"(tmux-spawn-.+\.scope|hhmrs-.+\.agent)")
"""Names of groups that hold one agent and nothing else."""
_MOUNTS = Path("/proc/self/mountinfo")


def group_of(pid: int) -> str:
    """The cgroup a process is in, as `/path`, or `systemd:/path` where systemd still keeps the first version
    of cgroups; "" when it is in none but the outermost, or nobody can tell."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for prefix, mark in (("0::", ""), (":name=systemd:", "systemd:")):
        for line in lines:
            head, found, path = line.partition(prefix)
            if found and (not head or head.isdecimal()) and path not in ("", "/"):
                return mark + path
    return ""


def upwards(group: str) -> Iterator[str]:
    """The group and all that it lies in, without the outermost."""
    while group and not group.endswith(("/", ":")):
        yield group
        group = group.rpartition("/")[0]


def within(group: str, groups: Mapping[str, T]) -> T | None:
    """What the innermost of `groups` that `group` lies in stands for."""
    return next((groups[one] for one in upwards(group) if one in groups), None)


def own_group(pid: int) -> str:
    """The group that is by its name one agent's own and holds the process; "" when there is none."""
    return next((one for one in upwards(group_of(pid)) if OWN.fullmatch(one.rpartition("/")[2])), "")


def members(group: str) -> list[int]:
    """Pids in the group and in those below it; none when it cannot be read."""
    top = _folder(group)
    if top is None:
        return []
    found: list[int] = []
    for folder, _, _ in os.walk(top):
        with contextlib.suppress(OSError, ValueError):
            found += map(int, Path(folder, "cgroup.procs").read_text().split())
    return found


def oom_kills(group: str) -> int | None:
    """How many processes in the group and below the kernel has killed for want of memory; None: not told."""
    folder = _folder(group)
    try:
        lines = (folder / "memory.events").read_text(encoding="ascii").splitlines() if folder else []
    except (OSError, UnicodeDecodeError):
        return None
    said = dict(line.split(" ", 1) for line in lines if " " in line)
    return int(said["oom_kill"]) if said.get("oom_kill", "").isdecimal() else None


def make_own(pid: int, name: str) -> str:
    """Put the process, and so what it starts from now on, into a new group below the one it is in: that
    changes nothing of who may limit or end it. `name` is made of letters, digits, `.`, `_` and `-`.

    Returns the group, "" when it has its own already or none may be made: that is no error."""
    here = group_of(pid)
    folder = _folder(here)
    if folder is None or own_group(pid) or not delegated(folder):
        return ""
    for old in folder.iterdir():
        if re.fullmatch(rf"hhmrs-{re.escape(name)}-\d+\.agent", old.name):
            drop(f"{here}/{old.name}")
    made = folder / f"hhmrs-{name}-{pid}.agent"
    try:
        made.mkdir(mode=0o755, exist_ok=True)
        (made / "cgroup.procs").write_text(f"{pid}\n")
    except OSError:
        with contextlib.suppress(OSError):
            made.rmdir()
        return ""
    return f"{here}/{made.name}"


def drop(group: str) -> None:
    """Remove a group of ours that nobody is in any more; one that is inhabited stays."""
    folder = _folder(group)
    if folder is not None and OWN.fullmatch(folder.name) and folder.name.startswith("hhmrs-"):
        with contextlib.suppress(OSError):
            folder.rmdir()


def delegated(folder: Path) -> bool:
    """Whether the cgroup is ours to divide: it belongs to our user or was marked as delegated to root."""
    try:
        if os.geteuid() == 0:
            # Everything belongs to root; systemd marks what it leaves to others.
            return any(_marked(one) for one in (folder, *folder.parents))
        return folder.stat().st_uid == os.geteuid() and os.access(folder / "cgroup.procs", os.W_OK)
    except OSError:
        return False


def _marked(folder: Path) -> bool:
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError, AttributeError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def hierarchy() -> Path | None:
    """Where the second version of cgroups is mounted, from its outermost group on; None: nowhere."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        fields, _, kind = line.partition(" - ")
        words = fields.split()
        if kind.split(" ", 1)[0] == "cgroup2" and len(words) > 4 and words[3] == "/":
            return Path(words[4].replace("\\040", " "))
    return None


def _folder(group: str) -> Path | None:
    """The folder of a group of the second version; None for others, and for what leads out of it."""
    top = hierarchy() if group.startswith("/") and ".." not in group.split("/") else None
    folder = top / group.lstrip("/") if top else None
    return folder if folder is not None and folder.is_dir() else None
