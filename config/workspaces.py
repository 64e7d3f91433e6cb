"""Where an agent may work: inside the fleet file's folder unless its entry says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from .problems import inert


class WorkspaceError(ValueError):
    """The workspace is refused; the message says why and what was expected."""


def resolve_workspace(given: str | None, folder: Path, *, allow_outside: bool) -> Path:
    """The absolute workspace, links resolved; `folder` (absolute, resolved) when none is given.

    It need not exist; it is made at launch. Raises WorkspaceError."""
    if given is None:
        return folder
    try:
        path = Path(given).expanduser()
        outside = path.is_absolute()
        resolved = (folder / path).resolve()
        blocked = resolved.exists() and not resolved.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        why = inert(str(error), 120)
        raise WorkspaceError(f"{inert(given)!r} cannot be resolved ({why}), expected a folder") from None
    if blocked:
        raise WorkspaceError(f"{inert(given)!r} is no folder, expected one or a name that is still free")
    if not allow_outside and outside:
        expected = "a relative path or `allow_outside: true`"
        raise WorkspaceError(f"{inert(given)!r} is absolute, expected {expected}")
    if not allow_outside and not resolved.is_relative_to(folder):
        expected = "a folder inside the fleet file's or `allow_outside: true`"
        raise WorkspaceError(f"{inert(given)!r} leads outside, expected {expected}")
    return resolved


def refuse_link(workspace: Path) -> None:
    """Raises WorkspaceError when the way to a resolved workspace leads over a link by now: it is the agent's
    folder, and the agent is not trusted with where we read and write."""
    if os.path.realpath(workspace) != str(workspace):
        shown = inert(str(workspace), 300)
        raise WorkspaceError(f"workspace {shown} is now a link to elsewhere; mend it, then `clear`")
