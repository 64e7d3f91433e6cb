"""Hand the terminal to an agent's real pane and take it back when the person detaches."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import Any

from textual.app import App, SuspendNotSupported

from ..document import Agent
from ..feed import Feed, Source
from ..looks import clean


def attach(app: App[Any], source: Source, feed: Feed, agent: Agent) -> None:
    """Blocks until the person detaches; whatever goes wrong is told with the command to run by hand."""
    try:
        argv = source.attach_argv(agent.id)
    except Exception as error:  # noqa: BLE001  # no tmux, no session: told, never fatal
        app.notify(clean(f"cannot attach: {error}", 200), severity="error", markup=False)
        return
    try:
        with app.suspend():
            feed.hold(True)
            failed = _run(argv, agent)
    except SuspendNotSupported:
        app.notify(
            f"this screen cannot attach; run: {shlex.join(argv)}",
            severity="warning",
            timeout=20,
            markup=False,
        )
        return
    finally:
        feed.hold(False)
    if failed:
        app.notify(failed, severity="error", markup=False)


def _run(argv: list[str], agent: Agent) -> str:
    """Why it failed, or an empty text."""
    # tmux refuses to attach from inside another one; ours is a server of its own, so nothing nests.
    env = {name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE")}
    sys.stdout.write(f"attaching to {agent.title}; ctrl+b then d comes back\n")
    sys.stdout.flush()
    try:
        code = subprocess.run(argv, env=env, check=False).returncode
    except OSError as error:
        return clean(f"cannot run {argv[0]}: {error.strerror}", 160)
    return "" if code == 0 else clean(f"attach to {agent.title} ended with status {code}", 160)
