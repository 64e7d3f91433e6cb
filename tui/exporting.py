"""Writes a page where a person says: whole or not at all, and over another file only if that was said too."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FORMS = (".md", ".svg")
"""Markdown to be read and pasted, a picture to be shown; the end of the name says which."""


class ExportError(Exception):
    """Nothing was written; the message says why and what to do."""


class FileThere(ExportError):
    """Something stands at that place already."""


@dataclass(frozen=True, slots=True)
class Printout:
    """One thing to be written, in both forms. `name`: of the file that is proposed, without its ending."""

    name: str
    markdown: Callable[[], str]
    svg: Callable[[], str]


def export(page: Printout, place: str, *, over: bool = False) -> Path:
    """Write the page to `place` (`~` is home), in the form of its ending; the file's full path.

    Raises FileThere unless `over`, and ExportError."""
    path = _path(place)
    text = page.markdown() if path.suffix.lower() == ".md" else page.svg()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        _write(draft, text)
        _put(draft, path, over)
    except FileExistsError:
        raise FileThere(f"{path} is there already; nothing was written") from None
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return path


def check(place: str, *, over: bool = False) -> Path:
    """Whether `export` may begin at all: its refusals before anything is made. Raises ExportError."""
    path = _path(place)
    if not over and os.path.lexists(path):
        raise FileThere(f"{path} is there already; nothing was written")
    return path


def _path(place: str) -> Path:
    if not place.strip() or "\0" in place:
        raise ExportError("no file is named; nothing was written")
    try:
        path = Path(place.strip()).expanduser().absolute()
    except RuntimeError as error:  # `~nobody`
        raise ExportError(f"{place}: {error}; nothing was written") from error
    if path.suffix.lower() not in FORMS:
        raise ExportError(f"{path.name}: the name must end in {' or '.join(FORMS)}; nothing was written")
    if path.is_dir():
        raise ExportError(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ExportError(f"there is no folder {path.parent}; make it, or choose another place")
    return path


def _write(draft: Path, text: str) -> None:
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _put(draft: Path, path: Path, over: bool) -> None:
    """Give the finished draft its name. A link fails where something stands; a rename would cover it."""
    if over:
        draft.replace(path)
        return
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: looked at just before, which is as near as one gets there
        if os.path.lexists(path):
            raise FileExistsError from None
        draft.rename(path)
