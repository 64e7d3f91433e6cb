"""Hooks put into a CLI's configuration, and taken out again: what is read and written on the disk.

A file is written beside the old one, synced and renamed; its mode stays. A link to it is followed when it
leads to a place inside the home, and then stays a link. Somebody who writes at the same moment wins: we
refuse."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...config.files import FileChanged, replace_file
from .editing import fresh, installed, removed, wired
from .kinds import Kind, Place
from .line import MARK
from .records import Record, Records, digest
from .splices import NotPlain

MOST = 256 * 1024
"""Bytes of a configuration file, as of a fleet file."""


class Refused(Exception):
    """It was not done and nothing was changed; the text says why, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the file becomes. `before` and `after`: its bytes, None for no file. `words`: in one line."""

    path: Path
    before: bytes | None
    after: bytes | None
    words: str

    @property
    def changes(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Wiring:
    """One CLI on this machine. `environ` is what the CLI would be started with; `records` what was replaced.

    Raises Refused, OSError."""

    kind: Kind
    environ: Mapping[str, str]
    records: Records

    @property
    def path(self) -> Path:
        """The file, a link to it followed."""
        assert self.kind.place is not None
        named = place_of(self.kind.place, self.environ)
        real = named.resolve() if named.is_symlink() or named.parent.is_symlink() else named.absolute()
        home = _home(self.environ).resolve()
        if real != named.absolute() and home not in real.parents:
            raise Refused(f"{named} leads to {real}, outside your home: nothing is written there; "
                          "put a file in the link's place, or wire it by hand")  # fmt: skip
        return real

    def installing(self) -> Plan:
        path = self.path
        before = _content(path)
        if self.kind.whole is not None:
            after = self.kind.whole.encode()
            if before is not None and before != after and MARK.encode() not in before:
                raise Refused(
                    f"{path}:1:1: is a file of somebody else's under the name of ours; move it away"
                )
        elif before is None or not before.strip():
            after = fresh(self.kind).encode()
        else:
            after = self._edited(path, before, lambda text: installed(text, self.kind))
        count = len(self.kind.wired)
        words = f"{path}: {count} hooks of {self.kind.name}"
        return Plan(path, before, after, f"{words}, as they were" if before == after else words)

    def install(self, plan: Plan) -> None:
        """Carry it out. The bytes from before are kept first."""
        if not plan.changes or plan.after is None:
            return
        known = self.records.read(plan.path)
        ours = known is not None and plan.before is not None and known.wrote == digest(plan.before)
        made = tuple(map(str, _missing(plan.path.parent)))
        before, made = (known.before, known.made) if ours and known else (self._without(plan), made)
        self.records.write(Record(plan.path, before, digest(plan.after), made))
        if plan.before is None:
            plan.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(plan.path, plan.after)
        else:
            _replace(plan.path, plan.before, plan.after)

    def removing(self) -> Plan:
        path = self.path
        before, known = _content(path), self.records.read(path)
        if before is None:
            return Plan(path, None, None, f"{path}: no file, so no hooks of ours")
        if known is not None and known.wrote == digest(before):
            words = "as it was before" if known.before is not None else "removed, as there was none before"
            return Plan(path, before, known.before, f"{path}: {words}")
        if self.kind.whole is not None:
            after = None if MARK.encode() in before else before
        else:
            was = known.before.decode("utf-8-sig", "replace") if known and known.before else None
            after = self._edited(path, before, lambda text: removed(text, was)) if before.strip() else before
            if after != before and known is not None and known.before is None and after.strip() == b"{}":
                after = None
        if after == before:
            return Plan(path, before, before, f"{path}: no hooks of ours in it")
        return Plan(path, before, after, f"{path}: changed since; our entries taken out, all else left")

    def remove(self, plan: Plan) -> None:
        known = self.records.read(plan.path)
        if plan.changes and plan.before is not None:
            if plan.after is not None:
                _replace(plan.path, plan.before, plan.after)
            elif _content(plan.path) == plan.before:
                plan.path.unlink()
            else:
                raise _changed(plan.path)
        if known is not None:
            for folder in known.made if plan.after is None else ():
                with contextlib.suppress(OSError):  # not empty: somebody uses it by now
                    Path(folder).rmdir()
        self.records.forget(plan.path)

    def wired(self) -> list[str]:
        """The events that are wired now; empty when none are, or when the file cannot be read."""
        path = self.path
        content = _content(path)
        if content is None:
            return []
        if self.kind.whole is not None:
            return list(self.kind.wired) if MARK.encode() in content else []
        with contextlib.suppress(NotPlain, UnicodeDecodeError):
            return wired(content.decode("utf-8-sig"))
        return []

    def _without(self, plan: Plan) -> bytes | None:
        """What to go back to: never an older line of ours."""
        if plan.before is None or self.kind.whole is not None:
            return None if plan.before is not None and MARK.encode() in plan.before else plan.before
        return self._edited(plan.path, plan.before, removed) if plan.before.strip() else plan.before

    def _edited(self, path: Path, content: bytes, edit: Callable[[str], str]) -> bytes:
        bom = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
        try:
            return bom + edit(content[len(bom) :].decode("utf-8")).encode("utf-8")
        except UnicodeDecodeError:
            raise Refused(f"{path}:1:1: is no UTF-8; mend it first") from None
        except NotPlain as why:
            raise Refused(
                f"{path}:{why.line}:{why.col}: {why}; it is left as it is: take that out, and try again"
            ) from None


def place_of(place: Place, environ: Mapping[str, str]) -> Path:
    """Where the CLI itself would look, by its own variable or below the home."""
    given = environ.get(place.variable)
    root = Path(given).expanduser() / place.below if given else _home(environ) / place.home
    return root.absolute() / place.file


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())


def _content(path: Path) -> bytes | None:
    """Its bytes, None when there is no file. Raises Refused for what is no plain file of a sane size."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror}); mend that first") from None
    with os.fdopen(fd, "rb") as file:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid():
            raise Refused(f"{path}: is no plain file of yours; move it away first")
        if seen.st_size > MOST:
            raise Refused(f"{path}: is larger than {MOST // 1024} KiB; nothing is changed in it")
        return file.read(MOST + 1)


def _missing(folder: Path) -> list[Path]:
    """The folders that would have to be made, the innermost first."""
    found: list[Path] = []
    while not folder.exists():
        found.append(folder)
        folder = folder.parent
    return found


def _create(path: Path, content: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise _changed(path) from None
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)


def _replace(path: Path, before: bytes, after: bytes) -> None:
    try:
        replace_file(path, before, after)
    except FileChanged:
        raise _changed(path) from None


def _changed(path: Path) -> Refused:
    return Refused(f"{path}: was changed at this very moment; try again")
