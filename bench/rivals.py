"""Two process supervisors that others wrote, set to watch the very same commands, for comparison.

They are installed from PyPI into an environment of the benchmarks' own; nothing else ever sees it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".cache" / "bench"
WANTED = ("supervisor==4.3.0", "circus==0.19.0")
PATIENCE = 30.0
"""Seconds after which something that was started, or was to end, counts as broken."""

Programs = Mapping[str, Sequence[str]]
"""Name of a program -> its argv."""


def install() -> Path:
    """The folder with `supervisord` and `circusd`, made on the first call; needs the network once."""
    programs = PLACE / "bin"
    done = PLACE / "installed"
    if not done.exists() or done.read_text() != "\n".join(WANTED):
        venv.EnvBuilder(symlinks=True, clear=True).create(PLACE)
        pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "-qq"]
        subprocess.run([*pip, *WANTED], check=True, stdin=subprocess.DEVNULL)
        done.write_text("\n".join(WANTED))
    return programs


class Rival:
    """One supervisor in the foreground, its files below `folder`. `argv` starts it; `end` ends all of it."""

    def __init__(self, name: str, folder: Path, argv: Sequence[str]) -> None:
        self.name = name
        with (folder / "said").open("wb") as said:
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                env={"PATH": os.environ["PATH"], "HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> None:
        """TERM, which both pass on to what they run, then KILL."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def supervisord(folder: Path, programs: Programs) -> Rival:
    """As a plain configuration file has it: every setting that is not a path is the default, but
    `autorestart`, whose default leaves an exit with status 0 alone."""
    folder.mkdir()
    lines = ["[supervisord]", "nodaemon=true", f"logfile={folder}/log", f"pidfile={folder}/pid"]
    lines += [f"childlogdir={folder}"]
    for name, argv in programs.items():
        lines += [f"[program:{name}]", f"command={shlex.join(argv)}", "autorestart=true"]
    (folder / "supervisord.conf").write_text("\n".join(lines) + "\n")
    return Rival("supervisord", folder, [str(install() / "supervisord"), "-c", f"{folder}/supervisord.conf"])


def circusd(folder: Path, programs: Programs) -> Rival:
    """As a plain configuration file has it, with its sockets as files in `folder` instead of TCP ports."""
    folder.mkdir()
    lines = ["[circus]", f"endpoint = ipc://{folder}/c", f"pubsub_endpoint = ipc://{folder}/p"]
    for name, argv in programs.items():
        lines += [f"[watcher:{name}]", f"cmd = {shlex.join(argv)}", "copy_env = True"]
    (folder / "circus.ini").write_text("\n".join(lines) + "\n")
    return Rival("circus", folder, [str(install() / "circusd"), f"{folder}/circus.ini"])


def until(holds: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
    """Wait for `holds()`; ends the benchmark when it does not come true."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"not within {within:g} s: {what}")
        time.sleep(0.01)


def gone(pid: int) -> bool:
    with suppress(OSError):
        os.kill(pid, 0)
        return False
    return True
