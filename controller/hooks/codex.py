"""Codex: a hooks.json of its own beside config.toml, which Codex writes itself. It runs a hook only once a
person trusted it, by a hash that is Codex's own affair: nothing of ours computes it. A turn that fails with
an error of the API runs no hook at all: its rollout file says so. Seen with 0.169.0."""

from __future__ import annotations

from .claude import group
from .kinds import Kind, Place, begun, ended, permission, session, tool_ended

CODEX = Kind(
    "codex",
    Place("CODEX_HOME", "", ".codex", "hooks.json"),
    {
        "SessionStart": session,
        "UserPromptSubmit": begun,
        "PermissionRequest": permission,
        "PostToolUse": tool_ended,
        "Stop": ended,
        "Interrupt": ended,
    },
    entry=lambda event: group("codex", event),
    afterwards="codex asks once whether to trust new hooks, and until then stands still at `Hooks need "
    "review`: start it by hand once and choose `Trust all`, or give the agents' command "
    "`--dangerously-bypass-hook-trust`, which trusts a repository's own hooks as well",
)
