"""Hand the terminal to an agent's real pane and take it back when the person detaches."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from textual.app import App, SuspendNotSupported

from ..document import Agent
from ..feed import Feed, Source
from ..looks import clean

HINT_FOR = 8_000
"""Milliseconds that the way back stays on the attached screen."""


def attach(app: App[Any], source: Source, feed: Feed, agent: Agent, *, watch: bool = False) -> None:
    """Blocks until the person detaches; whatever goes wrong is told with the command to run by hand. `watch`:
    no key of theirs reaches the agent."""
    try:
        argv = source.attach_argv(agent.id, watch=watch)
    except Exception as error:  # noqa: BLE001  # no tmux, no session: told, never fatal
        app.notify(clean(f"cannot attach: {error}", 200), severity="error", markup=False)
        return
    try:
        with app.suspend():
            feed.hold(True)
            failed = _run(argv, agent, watch=watch)
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


def way_back(environ: Mapping[str, str]) -> str:
    """Which keys come back. In a tmux of the person's own that one takes the first prefix for itself, and
    what is pressed twice goes through to ours."""
    if environ.get("TMUX"):
        return "ctrl+b ctrl+b d comes back (you are in a tmux of your own; ctrl+b d if its prefix is another)"
    return "ctrl+b d comes back"


def hinted(argv: list[str], hint: str) -> list[str]:
    """`argv` with the hint shown over the last line of the pane for some seconds."""
    return [*argv, ";", "display-message", "-d", str(HINT_FOR), hint]


def _run(argv: list[str], agent: Agent, *, watch: bool) -> str:
    """Why it failed, or an empty text."""
    # tmux refuses to attach from inside another one; ours is a server of its own, so nothing nests.
    env = {name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE")}
    back = way_back(os.environ)
    sys.stdout.write(f"{'watching' if watch else 'attaching to'} {agent.title}; {back}\n")
    sys.stdout.flush()
    try:
        code = subprocess.run(hinted(argv, back), env=env, check=False).returncode
    except OSError as error:
        return clean(f"cannot run {argv[0]}: {error.strerror}", 160)
    return "" if code == 0 else clean(f"attach to {agent.title} ended with status {code}", 160)
