"""The `hhmrs` command on an agent's PATH: what handoffs, alerts and rescue messages tell it to type.

A program that was installed into an environment of its own, as script/setup does, is on nobody's PATH. So an
agent that has no `hhmrs` gets this one, last on its PATH, so that it hides nothing else."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import sys
import uuid
from pathlib import Path

from ...config.paths import StateDir

log = logging.getLogger(__name__)
NAME = "hhmrs"
_SCRIPT = '#!/bin/sh\n# Written by hhmrs for its agents.\nexec {python} -P -m hhmrs "$@"\n'
"""`-P`: what lies in the agent's folder is never taken for a module of ours."""


def with_own_command(path: str, state_dir: StateDir) -> str:
    """`path` as it is where it has an `hhmrs`, else with a folder behind it that holds ours. Blocking."""
    folder = state_dir.commands
    if shutil.which(NAME, path=path) or os.pathsep in str(folder):
        return path
    try:
        _write(folder / NAME, _SCRIPT.format(python=shlex.quote(sys.executable)))
    except OSError as error:
        log.warning("agents do without the `hhmrs` command: %s", error)
        return path
    return os.pathsep.join(part for part in (path, str(folder)) if part)


def _write(script: Path, text: str) -> None:
    """Whole or not at all: other agents start at the same time, and run it already."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if script.read_text(encoding="utf-8") == text and os.access(script, os.X_OK):
            return
    script.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = script.with_name(f".{uuid.uuid4().hex}")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o700)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(script)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
