"""The first `hhmrs.yaml` of a folder."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

_AUTONOMOUS = {
    "claude": "command: [claude, --dangerously-skip-permissions]",
    "codex": "command: [codex, --no-daemon, --dangerously-bypass-approvals-and-sandbox]",
    "gemini": "command: [gemini, --yolo]",
    "qwen": "command: [qwen, --yolo]",
    "opencode": "command: [opencode, --auto]",
    "copilot": "command: [copilot, --allow-all-tools]",
    "aider": "command: [aider, --yes-always, --no-pretty, --no-check-update, --no-gitignore]",
    "goose": "env: {GOOSE_MODE: auto}",
    "crush": "command: [crush, --yolo]",
    "cursor": "command: [cursor-agent, --force]",
    "amp": "command: [amp, --dangerously-allow-all]",
}
"""Built-in profile -> what lets it act without asking, shown as a comment only."""

_HEAD = """\
# What runs here and what is done when it hangs, loops or dies.
#   hhmrs check    is this file right, and how long until a person is asked at worst
#   hhmrs up       start; `hhmrs` alone opens the screen
#   hhmrs status   how it stands
fleet: {fleet}

policy:                         # for all agents; any agent may override any key in its own `policy:`
  mode: armed                   # observe: decide and record, do nothing
  # heartbeat_interval: 30s     # silent for this x missed_heartbeats = stalled
  # missed_heartbeats: 2
  # progress_timeout: 10m       # alive but no progress = looping
  # task_deadline: 2h           # one task, all attempts together
  # max_restarts: 3             # resume or restart, by the parent
  # max_llm_retries: 3          # reassign to the alternates, by the grandparent

# notify: ["discord://${{DISCORD_HOOK}}"]   # any Apprise URL; keep secrets in the environment

agents:
"""

_CHIEF = """\
  architect:                    # a top-level agent; its children name it as their parent
    profile: {profile}
    # model: a-model-of-your-choice
    # {autonomy}   # lets it act without asking
    workspace: .
    # prompt: "Read README.md and plan the work"
"""

_WORKER = """\
  coder:
    parent: architect
    profile: {profile}
    workspace: work/coder       # inside this folder, made if missing
    # prompt: "Build what PLAN.md describes"
{alternates}"""

_NONE_FOUND = """\
  # No agent program was found on this machine. Any program can be an agent; this one is an example.
  worker:
    command: [sh, -c, 'n=0; while sleep 5; do n=$((n+1)); echo "step $n"; done']
    workspace: work/worker      # inside this folder, made if missing
    liveness: [process]         # a plain program: that it runs is all there is to ask
"""


def init_text(fleet_name: str, found: Sequence[str], policy: str = "", note: str = "") -> str:
    """A commented fleet file for the agent CLIs `found` (names of built-in profiles, preferred one first).

    `policy`: lines for the policy block, in the place of what is only shown there; `note`: comments for the
    end of the file."""
    head = _with_policy(_HEAD.format(fleet=fleet_name), policy)
    return head + _agents(found) + (f"\n{note}" if note else "")


def _with_policy(head: str, policy: str) -> str:
    said = tuple(f"  # {line.strip().partition(':')[0]}:" for line in policy.splitlines())
    kept = [line for line in head.splitlines(keepends=True) if not (said and line.startswith(said))]
    mode = next(at for at, line in enumerate(kept) if line.startswith("  mode:"))
    return "".join([*kept[: mode + 1], policy, *kept[mode + 1 :]])


def _agents(found: Sequence[str]) -> str:
    known = [name for name in dict.fromkeys(found) if name in _AUTONOMOUS]
    if not known:
        return _NONE_FOUND
    first, *others = known
    chief = _CHIEF.format(profile=first, autonomy=_AUTONOMOUS[first])
    names = ", ".join(f"{{profile: {name}}}" for name in others)
    alternates = (
        f"    alternates: [{names}]   # who takes over when restarts do not help\n"
        if others
        else ("    # alternates: [{model: another-model}]   # who takes over when restarts do not help\n")
    )
    return chief + _WORKER.format(profile=first, alternates=alternates)


def default_fleet_name(folder: Path) -> str:
    """A safe name from the folder's own, with six hex digits of its real path so that two `app`s differ."""
    real = folder.resolve()
    plain = unicodedata.normalize("NFKD", real.name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:25].rstrip("-") or "fleet"
    return f"{stem}-{hashlib.sha256(str(real).encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"
