"""Is this machine fit to supervise? Each finding says what was found and how to mend it. Changes nothing."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ...config.fleet import AgentSpec, Seat
from ..hooks.wired import wired_hooks
from .borrowed import environments, notifications
from .findings import Finding, Level, Machine
from .savings import savings
from .sight import sight
from .standing import fleet_servers

__all__ = ["Finding", "Machine", "examine", "file_system", "nearest", "version_pair"]

PYTHON_FLOOR = (3, 11)
TMUX_FLOOR, TMUX_WELL = (3, 2), (3, 6)
WATCHES_WANTED, INSTANCES_WANTED = 65_536, 128
FILES_WANTED = 1024
DISK_FLOOR, DISK_WELL = 100 << 20, 1 << 30
REMOTE_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph"})
"""Where SQLite's write-ahead log cannot be trusted."""


def examine(machine: Machine) -> list[Finding]:
    """Every check in a fixed order. A check that cannot be made says so as a warning."""
    checks: tuple[Callable[[Machine], Iterable[Finding]], ...] = (
        _python, _tmux, _tmux_sockets, _git, _agents, environments, _hooks, notifications, _inotify,
        _open_files,
        _disk, _state_dir, _locale, sight, fleet_servers, savings,
    )  # fmt: skip
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check(machine)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            findings.append(Finding("warn", check.__name__.strip("_"), f"could not be checked: {error}"))
    return findings


def _python(_machine: Machine) -> Iterable[Finding]:
    version = platform.python_version()
    if sys.version_info[:2] < PYTHON_FLOOR:
        yield Finding("fail", "python", f"Python {version} is too old", "install Python 3.11 or newer")
    else:
        yield Finding("ok", "python", f"Python {version} on {platform.system()}")


def _version_of(program: str, flag: str, environ: Mapping[str, str]) -> str | None:
    """What `program flag` prints, or None when there is no such program."""
    path = shutil.which(program, path=environ.get("PATH"))
    if path is None:
        return None
    done = subprocess.run(
        [path, flag], capture_output=True, text=True, errors="replace", timeout=10, check=False
    )
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""


def version_pair(text: str) -> tuple[int, int] | None:
    """(major, minor) of `tmux 3.3a`, `tmux next-3.8` or `git version 2.39.2`; None for `tmux master`."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def _tmux(machine: Machine) -> Iterable[Finding]:
    text = _version_of("tmux", "-V", machine.environ)
    install = "install tmux 3.6 or newer with your system's package manager"
    if text is None:
        yield Finding("fail", "tmux", "tmux is not on PATH", install)
        return
    version = version_pair(text)
    if version is None:
        yield Finding("ok", "tmux", f"{text} (a development version)")
    elif version < TMUX_FLOOR:
        yield Finding("fail", "tmux", f"{text} is older than {TMUX_FLOOR[0]}.{TMUX_FLOOR[1]}", install)
    elif version < TMUX_WELL:
        yield Finding("warn", "tmux", f"{text} works, but may lose the last lines of an agent that dies, and "
                      "some builds learn of its death only when they are nudged (SIGCHLD), as is done",
                      install)  # fmt: skip
    else:
        yield Finding("ok", "tmux", text)


def _tmux_sockets(machine: Machine) -> Iterable[Finding]:
    parent = Path(machine.environ.get("TMUX_TMPDIR") or "/tmp")  # noqa: S108 - the place tmux itself uses
    folder = parent / f"tmux-{os.getuid()}"
    try:
        seen = folder.lstat()
    except FileNotFoundError:
        if os.access(parent, os.W_OK | os.X_OK):
            yield Finding("ok", "tmux sockets", f"tmux will make {folder}")
        else:
            yield Finding("fail", "tmux sockets", f"tmux cannot make {folder}: {parent} is not writable",
                          "set TMUX_TMPDIR to a folder of yours")  # fmt: skip
        return
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o007:
        yield Finding("fail", "tmux sockets", f"{folder} is not a folder of yours alone; tmux will refuse it",
                      f"chmod 700 {folder}, or set TMUX_TMPDIR to another folder")  # fmt: skip
    else:
        yield Finding("ok", "tmux sockets", f"{folder} is yours alone")


def _git(machine: Machine) -> Iterable[Finding]:
    text = _version_of("git", "--version", machine.environ)
    if text is None:
        yield Finding("fail", "git", "git is not on PATH; no workspace can be saved before an agent is ended",
                      "install git")  # fmt: skip
    else:
        yield Finding("ok", "git", text)


def _agents(machine: Machine) -> Iterable[Finding]:
    if machine.fleet is None:
        path = machine.environ.get("PATH")
        found = [
            name
            for name, profile in machine.profiles.items()
            if profile.command and shutil.which(profile.command[0], path=path)
        ]
        if found:
            yield Finding("ok", "agents", "known agent CLIs on PATH: " + ", ".join(sorted(found)))
        else:
            yield Finding("warn", "agents", "no known agent CLI is on PATH",
                          "install one, or run any program with `profile: shell`")  # fmt: skip
        return
    seen: set[tuple[str, str, bool]] = set()
    for agent in machine.fleet.agents.values():
        for number, seat in enumerate(agent.seats):
            program = (seat.command or seat.profile.command or ("",))[0]
            if (key := (seat.profile.name, program, number == 0)) not in seen:
                seen.add(key)
                yield _program(machine, agent, seat, program, first=number == 0)


def _program(machine: Machine, agent: AgentSpec, seat: Seat, program: str, *, first: bool) -> Finding:
    search = seat.env.get("PATH") or machine.environ.get("PATH")
    # A command with a slash is looked up from where it will run.
    path = str(agent.workspace / program) if "/" in program else program
    found = shutil.which(path, path=search) if program else None
    role = "" if first else " (an alternate)"
    if found:
        return Finding("ok", "agents", f"{seat.profile.name}{role}: {found}")
    level: Level = "fail" if first else "warn"
    what = f"{program!r} is not found" if program else "no command is set"
    return Finding(
        level,
        "agents",
        f"{seat.profile.name}{role}: {what}, agent {agent.id} cannot start with it",
        f"install it, or set `command:` of {agent.id} or of profile {seat.profile.name}",
    )


def _hooks(machine: Machine) -> Iterable[Finding]:
    """Which CLIs tell of themselves. None need to: a screen and a transcript are read as well."""
    profiles = machine.profiles
    if machine.fleet is not None:
        profiles = {s.profile.name: s.profile for a in machine.fleet.agents.values() for s in a.seats}
    for name, (told, mend) in wired_hooks(profiles, machine.environ, machine.state_root).items():
        if machine.fleet is not None or not mend:
            yield Finding("warn" if told.startswith("cannot") else "ok", "hooks", f"{name}: {told}", mend)


def _inotify(machine: Machine) -> Iterable[Finding]:
    folder = machine.proc / "sys/fs/inotify"
    if not folder.is_dir():
        yield Finding("warn", "inotify", "this system has no inotify; files are polled", "")
        return
    for name, wanted, better in (("max_user_watches", WATCHES_WANTED, 524_288),
                                 ("max_user_instances", INSTANCES_WANTED, 512)):  # fmt: skip
        limit = int((folder / name).read_text().strip())
        if limit < wanted:
            yield Finding("warn", "inotify", f"fs.inotify.{name} is {limit}; big workspaces will be polled",
                          f"sudo sysctl fs.inotify.{name}={better}")  # fmt: skip
        else:
            yield Finding("ok", "inotify", f"fs.inotify.{name} is {limit}")


def _open_files(_machine: Machine) -> Iterable[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES_WANTED:
        more = max(FILES_WANTED, min(hard, 4096))
        yield Finding("warn", "open files", f"at most {soft} open files", f"ulimit -n {more}")
    else:
        yield Finding("ok", "open files", "no limit" if soft == resource.RLIM_INFINITY else f"up to {soft}")


def _disk(machine: Machine) -> Iterable[Finding]:
    place = nearest(machine.state_root)
    free = shutil.disk_usage(place).free
    room = f"{free / (1 << 20):.0f} MB free for {machine.state_root}"
    mend = "make room, or set HHMRS_STATE_DIR to a folder on another disk"
    if free < DISK_FLOOR:
        yield Finding("fail", "disk", room, mend)
    else:
        yield Finding("warn", "disk", room, mend) if free < DISK_WELL else Finding("ok", "disk", room)
    kind = file_system(place, machine.proc)
    if kind in REMOTE_FILE_SYSTEMS:
        yield Finding("fail", "disk", f"{machine.state_root} is on {kind}; the ledger needs a local disk",
                      "set HHMRS_STATE_DIR to a folder on a local disk")  # fmt: skip


def nearest(path: Path) -> Path:
    """The path itself or the first folder above it that exists."""
    for candidate in (path, *path.parents):
        if candidate.is_dir():
            return candidate
    return Path("/")


def file_system(path: Path, proc: Path = Path("/proc")) -> str | None:
    """The type of the file system that holds `path`, None when the system does not tell."""
    try:
        mounts = (proc / "self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    best, kind = -1, None
    real = path.resolve()
    for line in mounts.splitlines():
        parts = line.split()
        if len(parts) < 3:
            continue
        point = Path(parts[1].replace("\\040", " "))
        if (real == point or point in real.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), parts[2]
    return kind


def _state_dir(machine: Machine) -> Iterable[Finding]:
    root = machine.state_root
    folders = [root / machine.fleet.fleet] if machine.fleet is not None else []
    if not os.path.lexists(root):
        above = nearest(root)
        if os.access(above, os.W_OK | os.X_OK):
            yield Finding("ok", "state", f"{root} will be made")
        else:
            yield Finding("fail", "state", f"{root} cannot be made: {above} is not writable",
                          "set HHMRS_STATE_DIR to a folder of yours")  # fmt: skip
        return
    for folder in (root, *folders):
        if os.path.lexists(folder):
            yield _private(folder, strict=folder is not root)


def _private(folder: Path, *, strict: bool) -> Finding:
    """A fleet's own folder must be 0700; the one above may be read by others, never written."""
    seen = folder.lstat()
    if (strict and stat.S_ISLNK(seen.st_mode)) or not folder.is_dir():
        return Finding(
            "fail", "state", f"{folder} is a link or no folder", "move it away; a new one will be made"
        )
    seen = folder.stat()
    if seen.st_uid != os.geteuid():
        mend = f"sudo chown -R {os.geteuid()} {folder}, or set HHMRS_STATE_DIR to another folder"
        return Finding("fail", "state", f"{folder} belongs to uid {seen.st_uid}, not to you", mend)
    loose = seen.st_mode & (0o077 if strict else 0o022)
    if loose or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            "fail", "state", f"{folder} has mode {stat.S_IMODE(seen.st_mode):04o}", f"chmod 700 {folder}"
        )
    return Finding("ok", "state", f"{folder} is yours, mode {stat.S_IMODE(seen.st_mode):04o}")


def _locale(machine: Machine) -> Iterable[Finding]:
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    name, value = next(((n, machine.environ[n]) for n in names if machine.environ.get(n)), ("LANG", ""))
    if "utf-8" in value.lower() or "utf8" in value.lower():
        yield Finding("ok", "locale", f"{name}={value}")
    else:
        yield Finding("warn", "locale", f"{name}={value or '(not set)'} is not UTF-8; panes may look garbled",
                      "export LANG=C.UTF-8")  # fmt: skip
