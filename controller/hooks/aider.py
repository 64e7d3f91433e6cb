"""aider: no hook system, but a command that it runs when it waits for its next input, and tells nothing."""

from __future__ import annotations

from .kinds import Kind, ended
from .line import command

AIDER = Kind(
    "aider",
    None,
    {"notification": ended},
    instead="aider has no hook system: nothing is installed; to have it tell that its turn ended, give its "
    "command `--notifications --notifications-command` and as the next argument: "
    + command("aider", "notification"),
)
