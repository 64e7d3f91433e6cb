"""Where an agent may work: inside the fleet file's folder unless its entry says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from .problems import inert


class WorkspaceError(ValueError):
    """The workspace is refused; the message says why and what was expected."""


class WorkspaceMoved(WorkspaceError):
    """What the file says is right, but what stands there by now is not: an agent can put anything in its own
    place. `place` is where the file means it to be, absolute."""

    def __init__(self, words: str, place: Path) -> None:
        super().__init__(words)
        self.place = place


def resolve_workspace(given: str | None, folder: Path, *, allow_outside: bool) -> Path:
    """The absolute workspace, links resolved; `folder` (absolute, resolved) when none is given.

    It need not exist; it is made at launch. Raises WorkspaceError, WorkspaceMoved where only what stands
    there now is wrong."""
    if given is None:
        return folder
    unresolved = f"{inert(given)!r} cannot be resolved ({{}}), expected a folder"
    try:
        path = Path(given).expanduser()
        place = Path(os.path.normpath(folder / path))
        os.fsencode(path)
    except (RuntimeError, ValueError) as error:
        raise WorkspaceError(unresolved.format(inert(str(error), 120))) from None
    if not allow_outside and path.is_absolute():
        expected = "a relative path or `allow_outside: true`"
        raise WorkspaceError(f"{inert(given)!r} is absolute, expected {expected}")
    leads = (
        f"{inert(given)!r} leads outside, expected a folder inside the fleet file's or `allow_outside: true`"
    )
    if not allow_outside and not place.is_relative_to(folder):
        raise WorkspaceError(leads)
    try:
        resolved = (folder / path).resolve()
        blocked = resolved.exists() and not resolved.is_dir()
    except ValueError as error:
        raise WorkspaceError(unresolved.format(inert(str(error), 120))) from None
    except (OSError, RuntimeError) as error:
        raise WorkspaceMoved(unresolved.format(inert(str(error), 120)), place) from None
    if not allow_outside and not resolved.is_relative_to(folder):
        raise WorkspaceMoved(leads, place)
    if blocked:
        told = f"{inert(given)!r} is no folder, expected one or a name that is still free"
        raise WorkspaceMoved(told, place)
    return resolved


def refuse_link(workspace: Path) -> None:
    """Raises WorkspaceError when the way to a resolved workspace leads over a link by now: it is the agent's
    folder, and the agent is not trusted with where we read and write."""
    if os.path.realpath(workspace) != str(workspace):
        shown = inert(str(workspace), 300)
        raise WorkspaceError(f"workspace {shown} is now a link to elsewhere; mend it, then `clear`")
