"""The reading side of the only door in: maildirs `inbox/<agent>/{tmp,new,bad}` (contract.md section 4).

A letter lies in new/ until `ack`: a daemon killed between reading and committing reads it again, under the
same id. What cannot be taken is moved to bad/ with the reason beside it, and reported."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ...config.paths import OPERATOR, StateDir
from ...healing.evidence import LetterRefused
from ..ports import Clock, Emit, Letter
from . import letterforms as forms
from .inbox_watch import InboxWatch, is_fresh, moved_at
from .maildir import Entry, Opened, read, remove, sweep_drafts, waiting
from .quarantine import prune, quarantine

__all__ = ["BATCH", "OPERATOR", "Inbox"]

BATCH = 200
BATCH_BYTES = 8 << 20
"""Bytes of letters that are in our hands at a time, one letter more at most."""
NONSENSE = 200
"""Letters that are refused before others have their turn."""
_ORDER = re.compile(r"-([0-9a-f]{32})\.json")
"""The end of the name under which a command writes an order: its id."""
LISTED = 5_000
"""Names of one inbox that are remembered: to list a folder for each batch costs the square of a flood."""


@dataclass(slots=True)
class _Box:
    """One agent's maildir. `unread` maps the ids handed out and not yet acknowledged to their file names,
    `listed` are the next ones, oldest first; `taken` are ids that a daemon before us wrote into the ledger.
    `moved` is the time of new/ when it was last listed, 0 when something may have come in the same tick.
    `looked`: how many the last drain looked at; `more`: it ended before it had looked at all that waited."""

    folder: Path
    workspace: Path | None = None
    unread: dict[str, str] = field(default_factory=dict)
    listed: deque[Entry] = field(default_factory=deque)
    taken: frozenset[str] = frozenset()
    moved: int = 0
    looked: int = 0
    more: bool = False
    broken: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)


class Inbox:
    """All inboxes of one fleet; `emit` gets a LetterRefused for each letter moved to bad/.

    Any thread may call it; who reads one inbox keeps nobody from reading another. Drain all that `moved`
    names now and then, not only those that the watch tells of."""

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

        Empty means that nothing waits now, unless there is `more`. A letter whose attempt is not `attempt`
        goes to bad/, hardly more than NONSENSE of them in one call. Raises KeyError for an agent without
        `make`."""
        box = self._boxes[agent]
        with box.lock:
            return self._drain(agent, box, attempt, limit)

    def more(self, agent: str) -> bool:
        """Whether its last drain left something unread because so much of what came before was refused: who
        writes nonsense quicker than it can be put away must not keep its reader for ever."""
        return self._boxes[agent].more

    def looked(self, agent: str) -> int:
        """How many letters the last drain looked at, those that it refused too."""
        return self._boxes[agent].looked

    def lying(self, agent: str) -> int:
        """How many letters lie there now, those that were handed out already too."""
        try:
            return len(os.listdir(self._boxes[agent].folder / "new"))
        except OSError:
            return 0

    def orders(self, *, limit: int = BATCH) -> list[Letter]:
        """As `drain`, for orders: kind `order`, agent `_operator`, fields id order agent by args expires.

        Whom an order is for stands in `fields["agent"]`, "" for the whole fleet."""
        return self.drain(OPERATOR, 0, limit=limit)

    def put_back(self, letters: list[Letter]) -> None:
        """They could not be taken now: hand them out again the next time, before all others."""
        for letter in reversed(letters):
            box = self._boxes[letter.agent]
            with box.lock:
                name = box.unread.pop(letter.id, None)
                if name is not None:
                    box.listed.appendleft(Entry(name, letter.id, True))

    def refuse(self, letter: Letter, reason: str) -> None:
        """A letter in good form that must not count: to bad/ with it, like one in bad form."""
        box = self._boxes[letter.agent]
        with box.lock:
            name = box.unread.pop(letter.id, None)
            if name is not None:
                self._refuse(letter.agent, box, name, reason)
                prune(box.folder)

    def ack(self, letter: Letter) -> None:
        """The letter is in the ledger: remove it. A later letter of the same name is left alone."""
        self.ack_all([letter])

    def ack_all(self, letters: Iterable[Letter]) -> None:
        """`ack` for many; each inbox is opened once."""
        by_agent: dict[str, list[str]] = {}
        for letter in letters:
            by_agent.setdefault(letter.agent, []).append(letter.id)
        for agent, ids in by_agent.items():
            box = self._boxes[agent]
            named = [(id, name) for id in ids if (name := box.unread.get(id)) is not None]
            for id in _removed(box.folder, named):
                # Not before it is gone, or a reader would find it once more.
                with box.lock:
                    box.unread.pop(id, None)

    def unread(self, agent: str) -> int:
        """How many of its letters are handed out and not acknowledged."""
        box = self._boxes.get(agent)
        return len(box.unread) if box else 0

    def moved(self, part: int = 0, parts: int = 1) -> list[str]:
        """The inboxes in which something may lie of which nobody told; `part` of `parts` of them are looked
        at, and those of which it is known."""
        with self._lock:
            boxes = [x for n, x in enumerate(self._boxes.items()) if n % parts == part or x[1].listed]
        found: list[str] = []
        for agent, box in boxes:
            if box.listed or moved_at(box.folder / "new") != box.moved:
                found.append(agent)
        return found

    def was_taken(self, agent: str, ids: Iterable[str]) -> None:
        """These are in the ledger already, and the daemon that wrote them there died before it could remove
        them: they are removed when they are met. Call it after `make`."""
        if box := self._boxes.get(agent):
            box.taken = frozenset(ids)

    def _drain(self, agent: str, box: _Box, attempt: int, limit: int) -> list[Letter]:
        letters: list[Letter] = []
        refused, box.more = 0, False
        # Refused ones must not make a full batch look like an empty inbox.
        while not letters and (arrivals := self._arrivals(agent, box, limit)):
            for name, identity, raw in arrivals:
                try:
                    if isinstance(raw, forms.Refused):
                        raise raw
                    letter = self._letter(agent, attempt, identity, raw)
                except forms.Refused as why:
                    refused += 1
                    self._refuse(agent, box, name, str(why))
                else:
                    self._keep_inside(agent, box.workspace, letter)
                    box.unread[identity] = name
                    letters.append(letter)
            if refused >= NONSENSE and not letters:
                box.more = True
                break
        box.looked = refused + len(letters)
        if refused:
            prune(box.folder)
        return letters

    def _make(self, agent: str, folder: Path, workspace: Path | None) -> Path:
        for part in (folder, folder / "tmp", folder / "new", folder / "bad"):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
            with Opened(part) as opened:
                os.fchmod(opened.fd, 0o700)
        known = self._boxes.get(agent)
        if known is None:
            self._boxes[agent] = _Box(folder, workspace)
        else:
            known.workspace, known.broken = workspace, False
        sweep_drafts(folder / "tmp")
        if self._watch:
            self._watch.add(agent, folder / "new")
        return folder

    def _arrivals(self, agent: str, box: _Box, limit: int) -> list[tuple[str, str, bytes | forms.Refused]]:
        """(name, id, bytes or why it is no letter) of the next ones; empty when nothing waits."""
        found: list[tuple[str, str, bytes | forms.Refused]] = []
        size = 0
        try:
            with Opened(box.folder / "new") as folder:
                if not box.listed:
                    moved = os.fstat(folder.fd).st_mtime_ns
                    box.moved = 0 if is_fresh(moved) else moved
                    box.listed.extend(waiting(folder.fd, box.unread, LISTED))
                while box.listed and len(found) < limit and size < BATCH_BYTES:
                    entry = box.listed.popleft()
                    if entry.id in box.taken:
                        remove(folder.fd, entry.name, entry.id)
                        continue
                    what = read(folder.fd, entry)
                    if what is not None and what[0] not in box.unread:
                        found.append((entry.name, *what))
                        size += len(what[1]) if isinstance(what[1], bytes) else 0
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
        # By the clock that whoever gave it went by: ours stays as it is when that is set.
        if expires.timestamp() < time.time():
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
        named = _ORDER.search(name) if agent == OPERATOR else None
        self._tell(agent, reason, named[1] if named else "")

    def _tell(self, agent: str, reason: str, order: str = "") -> None:
        self._emit(LetterRefused(agent, self._clock.now(), reason, order))


def _removed(inbox: Path, letters: list[tuple[str, str]]) -> list[str]:
    """Take (id, name) out of new/; the ids of those that are gone. What stays is not read again: the ledger
    knows its id."""
    gone: list[str] = []
    try:
        with Opened(inbox / "new") as folder:
            for id, name in letters:
                try:
                    remove(folder.fd, name, id)
                except OSError:
                    continue
                gone.append(id)
    except FileNotFoundError:
        return [id for id, _ in letters]  # the whole folder is gone, and they with it
    except OSError:
        return gone
    return gone


def _relative(root: str, path: str) -> str | None:
    """`path` relative to `root` after links are resolved, or None when it lies outside."""
    try:
        real = os.path.realpath(Path(root, path))
    except (OSError, ValueError):
        return None
    if real == root or os.path.commonpath([root, real]) != root:
        return None
    return os.path.relpath(real, root)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
