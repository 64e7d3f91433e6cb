"""The rescue message as a letter to the agent: in the inbox folder of an older system where its profile names
one, else in `notes/` beside its own inbox. Written once per nudge, whole, and never more than a few."""

from __future__ import annotations

import contextlib
import os
import stat
from hashlib import blake2b
from pathlib import Path

from ...config.fleet import AgentSpec, Profile
from ...config.workspaces import WorkspaceError, refuse_link
from ..workspaces.status_patterns import DRAFT, NOTE, plain_place
from .status_edits import Wrote, folder_of

MOST_UNREAD = 5
"""Letters of ours that may lie in an inbox folder of the agent's own."""
MOST_NOTES = 20
"""Notes kept in `notes/`; the oldest goes first."""
MOST_REASON = 500
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def leave_note(
    spec: AgentSpec, profile: Profile, inbox: Path, key: str, text: str, reason: str, wrote: Wrote
) -> str:
    """Leave the letter of the nudge `key`, unless it is there; where it is, in words. `inbox`: the agent's
    own, $HHMRS_INBOX. Raises OSError."""
    content = f"# To {spec.title}\n\n{text}\n\nWhy: {_inert(reason)}\n".encode()
    stem = NOTE + blake2b(key.encode(), digest_size=6).hexdigest()
    for place, name in _inbox_folders(spec, profile, stem):
        with contextlib.suppress(OSError, WorkspaceError):
            refuse_link(spec.workspace)
            with folder_of(spec.workspace, place / name) as folder:
                return _leave_there(folder, place, name, content, wrote)
    return _leave_beside(inbox, f"{stem}.md", content)


def _inert(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text[:MOST_REASON]).split())


def _inbox_folders(spec: AgentSpec, profile: Profile, stem: str) -> list[tuple[Path, str]]:
    """Each folder in which the profile has its letters, with the name that ours would bear."""
    found: list[tuple[Path, str]] = []
    for rule in profile.status_files:
        place = plain_place(spec.workspace, rule, spec.id) if rule.kind == "inbox" else None
        last = rule.pattern.rpartition("/")[2]
        if place is not None and "*" in last:
            name = f"{stem}.md" if set(last) == {"*"} else last.replace("{agent}", spec.id)
            found.append((place, name.replace("*", stem, 1).replace("*", "")))
    return found


def _leave_there(folder: int, place: Path, name: str, content: bytes, wrote: Wrote) -> str:
    names = os.listdir(folder)
    ours = [one for one in names if NOTE in one and not one.endswith(DRAFT)]
    if name not in names:
        if len(ours) >= MOST_UNREAD:
            return f"no further letter: {len(ours)} of ours lie unread in {place.name}/"
        wrote(place / name, content)
        _write(folder, name, content)
    return f"a letter in {place.name}/"


def _leave_beside(inbox: Path, name: str, content: bytes) -> str:
    outer = os.open(inbox, _FOLDER)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir("notes", 0o700, dir_fd=outer)
        folder = os.open("notes", _FOLDER, dir_fd=outer)
    finally:
        os.close(outer)
    try:
        if name not in os.listdir(folder):
            _write(folder, name, content)
            _drop_oldest(folder)
    finally:
        os.close(folder)
    return "a note in notes/ of its inbox"


def _drop_oldest(folder: int) -> None:
    ours = []
    for name in os.listdir(folder):
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if name.startswith(NOTE) and stat.S_ISREG(seen.st_mode):
            ours.append((seen.st_mtime_ns, name))
    for _, name in sorted(ours)[:-MOST_NOTES]:
        os.unlink(name, dir_fd=folder)


def _write(folder: int, name: str, content: bytes) -> None:
    draft = f".{name}{DRAFT}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=folder)
    fd = os.open(draft, _NEW, 0o600, dir_fd=folder)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)
    os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
