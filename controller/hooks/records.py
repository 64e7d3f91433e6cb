"""What an installation replaced: the bytes from before, so that they can be put back.

One small file per configuration file in `_hooks` of the state root, which is nobody's fleet; readable for its
owner alone, since a CLI's settings may hold keys. A damaged one counts as none."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = "_hooks"
MOST = 16 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """`before`: the file's bytes, None when there was no file; `wrote`: sha256 of what we made of them;
    `made`: folders that were made for it, the innermost first."""

    path: Path
    before: bytes | None
    wrote: str
    made: tuple[str, ...] = ()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Records:
    """Below `root`, the state root. Raises OSError when it cannot write."""

    root: Path

    def read(self, path: Path) -> Record | None:
        try:
            fd = os.open(self._file(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                kept = json.loads(file.read(MOST))
            before = kept["before"]
            return Record(
                Path(kept["path"]),
                None if before is None else base64.b64decode(before, validate=True),
                str(kept["wrote"]),
                tuple(str(one) for one in kept["made"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """At once and for good: without it nothing may be installed."""
        folder = self.root / FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = None if record.before is None else base64.b64encode(record.before).decode("ascii")
        kept = {"path": str(record.path), "before": before, "wrote": record.wrote, "made": list(record.made)}
        place = self._file(record.path)
        draft = place.with_name(f".{place.name}.{os.urandom(6).hex()}.tmp")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(kept, file)
                file.flush()
                os.fsync(fd)
            draft.rename(place)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def forget(self, path: Path) -> None:
        self._file(path).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are kept there still
            (self.root / FOLDER).rmdir()

    def _file(self, path: Path) -> Path:
        return self.root / FOLDER / f"{digest(os.fsencode(path))[:32]}.json"
