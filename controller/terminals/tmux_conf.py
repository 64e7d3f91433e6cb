"""The configuration and the environment our tmux servers start with; never the user's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from ..ports import TerminalsError
from .tmux_words import FLEET, MARK

_INHERITED = (
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TMUX_TMPDIR", "TZ", "USER",
    "XDG_RUNTIME_DIR",
)  # fmt: skip


def write_conf(path: Path, fleet: str) -> None:
    """Write the configuration of the fleet's servers to `path`, mode 0600, whole or not at all.

    Raises TerminalsError."""
    # Several threads find the server gone at once: each writes a file of its own, any of them will do.
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as out:
            out.write(_conf(fleet))
        fresh.replace(path)
    except OSError as e:
        raise TerminalsError(f"{path} could not be written: {e.strerror}; check the state folder") from None


def server_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a server may keep of our environment: every pane inherits it, so no secrets and no `unset_env`."""
    return {k: environ[k] for k in _INHERITED if k in environ}


def _conf(fleet: str) -> str:
    terminal = "tmux-256color" if _knows("tmux-256color") else "screen-256color"
    # -q: an option that this tmux does not know yet is not an error.
    lines = (
        f"set -s {MARK} ours",
        f"set -s {FLEET} {fleet}",
        "set -s exit-empty off",
        "set -s escape-time 0",
        "set -s set-clipboard off",
        f"set -s default-terminal {terminal}",
        'set -asq terminal-features ",*:RGB"',
        "set -g remain-on-exit on",
        'set -gq remain-on-exit-format ""',
        "set -g destroy-unattached off",
        "set -g status off",
        "set -g history-limit 2000",
        "set -g automatic-rename off",
        "set -g allow-rename off",
        "set -g window-size latest",
        'set -g update-environment ""',
        "set -g default-shell /bin/sh",
        'set -g default-command ""',
    )
    return "# Written by hhmrs at each start of the server; changes are lost.\n" + "\n".join(lines) + "\n"


def _knows(terminal: str) -> bool:
    """Whether the terminal is described here; programs refuse to start on one that is not."""
    infocmp = shutil.which("infocmp")
    if infocmp is None:
        return False
    try:
        told = subprocess.run([infocmp, terminal], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return told.returncode == 0
