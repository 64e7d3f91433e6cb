"""The reading side of the only door in: maildirs `inbox/<agent>/{tmp,new,bad}` (contract.md section 4).

A letter lies in new/ until `ack`: a daemon killed between reading and committing reads it again, under the
same id. What cannot be taken is moved to bad/ with the reason beside it, and reported."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import nsmallest
from pathlib import Path
from typing import Self

from ..config.paths import OPERATOR, StateDir
from ..healing.evidence import LetterRefused
from . import letterforms as forms
from .inbox_watch import InboxWatch
from .ports import Clock, Emit, Letter
from .quarantine import PLAIN_NAME, quarantine

__all__ = ["BATCH", "OPERATOR", "Inbox"]

BATCH = 200
STALE_DRAFT = 36 * 3600.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HOPELESS = frozenset({errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV})
"""Any other failure to open, such as too many open files, says nothing about the letter."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(slots=True)
class _Box:
    """One agent's maildir. `unread` maps the ids handed out and not yet acknowledged to their file names."""

    folder: Path
    workspace: Path | None = None
    unread: dict[str, str] = field(default_factory=dict)
    broken: bool = False


class Inbox:
    """All inboxes of one fleet; `emit` gets a LetterRefused for each letter moved to bad/.

    Any thread may call it. Drain all agents now and then, not only when the watch wakes you."""

    def __init__(self, state: StateDir, emit: Emit, clock: Clock, watch: InboxWatch | None = None) -> None:
        self._state = state
        self._emit = emit
        self._clock = clock
        self._watch = watch
        self._boxes: dict[str, _Box] = {}
        self._lock = threading.RLock()

    def make(self, agent: str, workspace: Path | None = None) -> Path:
        """Create the agent's maildir (0700) and watch it; returns its folder, the value of HHMRS_INBOX.

        `files` and `artifacts` of its letters must lie inside `workspace`. Raises OSError, ValueError."""
        if not forms.AGENT_NAME.fullmatch(agent):
            raise ValueError(f"{agent!r} is not the name of an agent")
        with self._lock:
            return self._make(agent, self._state.inbox_of(agent), workspace)

    def make_operator(self) -> Path:
        """Create the inbox of the people who give orders."""
        with self._lock:
            return self._make(OPERATOR, self._state.operator_inbox, None)

    def drain(self, agent: str, attempt: int, *, limit: int = BATCH) -> list[Letter]:
        """Up to `limit` letters not handed out before, oldest first; `ack` each once it is committed.

        Empty means that nothing waits now. A letter whose attempt is not `attempt` goes to bad/.
        Raises KeyError for an agent without `make`."""
        with self._lock:
            return self._drain(agent, attempt, limit)

    def orders(self, *, limit: int = BATCH) -> list[Letter]:
        """As `drain`, for orders: kind `order`, agent `_operator`, fields id order agent by args expires.

        Whom an order is for stands in `fields["agent"]`, "" for the whole fleet."""
        with self._lock:
            return self._drain(OPERATOR, 0, limit)

    def put_back(self, letters: list[Letter]) -> None:
        """They could not be taken now: hand them out again the next time."""
        with self._lock:
            for letter in letters:
                self._boxes[letter.agent].unread.pop(letter.id, None)

    def ack(self, letter: Letter) -> None:
        """The letter is in the ledger: remove it. A later letter of the same name is left alone."""
        with self._lock:
            box = self._boxes[letter.agent]
            name = box.unread.pop(letter.id, None)
            if name is None:
                return
            try:
                with _Opened(box.folder / "new") as folder:
                    if _identity(name, os.stat(name, dir_fd=folder.fd, follow_symlinks=False)) == letter.id:
                        os.unlink(name, dir_fd=folder.fd)
            except OSError:
                return  # it stays or is gone already; the ledger knows its id either way

    def _drain(self, agent: str, attempt: int, limit: int) -> list[Letter]:
        box = self._boxes[agent]
        letters: list[Letter] = []
        # Refused ones must not make a full batch look like an empty inbox.
        while not letters and (arrivals := self._arrivals(agent, box, limit)):
            for name, identity, raw in arrivals:
                try:
                    if isinstance(raw, forms.Refused):
                        raise raw
                    letter = self._letter(agent, attempt, identity, raw)
                except forms.Refused as why:
                    self._refuse(agent, box, name, str(why))
                else:
                    self._keep_inside(agent, box.workspace, letter)
                    box.unread[identity] = name
                    letters.append(letter)
        return letters

    def _make(self, agent: str, folder: Path, workspace: Path | None) -> Path:
        for part in (folder, folder / "tmp", folder / "new", folder / "bad"):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _Opened(part) as opened:
                os.fchmod(opened.fd, 0o700)
        known = self._boxes.get(agent)
        if known is None:
            self._boxes[agent] = _Box(folder, workspace)
        else:
            known.workspace, known.broken = workspace, False
        _sweep_drafts(folder / "tmp")
        if self._watch:
            self._watch.add(agent, folder / "new")
        return folder

    def _arrivals(self, agent: str, box: _Box, limit: int) -> list[tuple[str, str, bytes | forms.Refused]]:
        found: list[tuple[str, str, bytes | forms.Refused]] = []
        try:
            with _Opened(box.folder / "new") as folder:
                for name, identity in _waiting(folder.fd, box.unread.keys(), limit):
                    raw = _read(folder.fd, name)
                    if raw is not None:
                        found.append((name, identity, raw))
        except OSError as why:
            self._mend(agent, box, why)
        return found

    def _mend(self, agent: str, box: _Box, why: OSError) -> None:
        """The maildir was removed or replaced by something else: make it anew, or say so once."""
        if why.errno == errno.ENOENT:
            try:
                self._make(agent, box.folder, box.workspace)
                return
            except OSError as again:
                why = again
        if not box.broken:
            box.broken = True
            self._tell(agent, f"its inbox cannot be read ({why.strerror}): remove {box.folder} and reload")

    def _letter(self, agent: str, attempt: int, identity: str, raw: bytes) -> Letter:
        found = forms.parse(raw)
        if agent == OPERATOR:
            return self._order(identity, found)
        kind = found.get("kind")
        if kind == "order":
            raise forms.Refused("an agent's inbox takes no orders")
        if not isinstance(kind, str):
            raise forms.Refused("kind is missing")
        if found.get("agent") != agent:
            raise forms.Refused(f"it is for {forms.clean(str(found.get('agent')), 80)!r}, not for {agent}")
        number = found.get("attempt")
        if isinstance(number, bool) or not isinstance(number, int):
            raise forms.Refused("attempt must be a whole number")
        if number != attempt:
            raise forms.Refused(f"it is from attempt {str(number)[:20]}, and attempt {attempt} is under way")
        at = _iso(forms.moment(found, "at"))
        return Letter(kind, agent, number, at, identity, forms.checked(kind, found))

    def _order(self, identity: str, found: dict[str, object]) -> Letter:
        fields = forms.order(found)
        at, expires = forms.moment(found, "at"), forms.moment(found, "expires")
        if expires.timestamp() < self._clock.now():
            raise forms.Refused(f"it expired at {_iso(expires)}")
        return Letter("order", OPERATOR, 0, _iso(at), identity, fields | {"expires": _iso(expires)})

    def _keep_inside(self, agent: str, workspace: Path | None, letter: Letter) -> None:
        """Drop the paths that leave the workspace, and say which."""
        for name in ("files", "artifacts"):
            paths = letter.fields.get(name)
            if workspace is None or not paths:
                continue
            root = os.path.realpath(workspace)
            inside = [(path, _relative(root, path)) for path in paths]
            letter.fields[name] = [relative for _, relative in inside if relative is not None]
            outside = [path for path, relative in inside if relative is None]
            if outside:
                shown = ", ".join(forms.clean(path, 200) for path in outside[:5])
                self._tell(
                    agent,
                    f"{letter.kind}: {len(outside)} of {name} lie outside the workspace, dropped: {shown}",
                )

    def _refuse(self, agent: str, box: _Box, name: str, reason: str) -> None:
        try:
            quarantine(box.folder, name, reason)
        except OSError as why:
            reason = f"{reason} (and bad/ cannot be written: {why.strerror})"
        self._tell(agent, reason)

    def _tell(self, agent: str, reason: str) -> None:
        self._emit(LetterRefused(agent, self._clock.now(), reason))


class _Opened:
    """A folder opened without following a link, as a context."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        self.fd = os.open(self._path, _FOLDER)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def _waiting(folder: int, known: Iterable[str], limit: int) -> list[tuple[str, str]]:
    """(name, identity) of the oldest `limit` letters in new/ that were not handed out yet."""
    taken = set(known)
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            identity = _identity(entry.name, seen)
            if identity not in taken:
                found.append((seen.st_mtime_ns, entry.name, identity))
    return [(name, identity) for _, name, identity in nsmallest(limit, found)]


def _identity(name: str, seen: os.stat_result) -> str:
    """Stable for one letter across daemons, and new when a careless writer uses a name again."""
    shown = name if PLAIN_NAME.fullmatch(name) else os.fsencode(name).hex()
    return f"{shown}@{seen.st_ino:x}.{seen.st_mtime_ns:x}"


def _read(folder: int, name: str) -> bytes | forms.Refused | None:
    """The letter's bytes, why it is no letter, or None when it must be tried again later."""
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return forms.Refused("a link, pipe, device or folder, not a regular file")
        fd = os.open(name, _FILE, dir_fd=folder)
    except OSError as why:
        return forms.Refused(f"unreadable: {why.strerror}") if why.errno in _HOPELESS else None
    with os.fdopen(fd, "rb") as file:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode):
            return forms.Refused("not a regular file")
        if seen.st_size > forms.MAX_LETTER:
            return forms.Refused("larger than 1 MiB")
        try:
            return file.read(forms.MAX_LETTER + 1)
        except OSError:
            return None


def _relative(root: str, path: str) -> str | None:
    """`path` relative to `root` after links are resolved, or None when it lies outside."""
    try:
        real = os.path.realpath(Path(root, path))
    except (OSError, ValueError):
        return None
    if real == root or os.path.commonpath([root, real]) != root:
        return None
    return os.path.relpath(real, root)


def _sweep_drafts(folder: Path) -> None:
    """Remove what writers that died left in tmp/."""
    oldest = time.time() - STALE_DRAFT
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()
            except OSError:
                continue


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
