"""What watching files costs, and whether it ever comes to rest: ours beside plain watchdog, in the same run.

    .venv/bin/python bench/workspaces.py [WORKSPACES]

Plain watchdog is one recursive watch for each workspace, once with its default and once with our event
filter. Each kind runs each scene in a process of its own, which is ended when it is not at rest in good time.
CPU and memory are the kernel's account of that process; CPU counts helpers that it waited for (git). Scenes:

- `many`: git repositories of 1,000 files in 31 folders, with a build folder that git ignores and a small
  node_modules. How long until all are watched, what that costs, what it costs at rest, and how long until a
  change in each of them at once was heard.
- `tree`: one workspace of 20,000 folders, read by `grep -r` once it is watched; then a change in one of them.
- `overflow`: `many` again, and 100,000 events while the process is stopped, the last of them a new file in a
  new folder of each workspace: in how many it is heard of, and how long until all is at rest again.
- `install`: 2,000 files unpacked in ten workspaces at once, in node_modules, then where work is done; then a
  change in each.

Prints one JSON document. Seconds; CPU at rest in percent of one core, else in seconds; memory in MiB.
"""

from __future__ import annotations

import json
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from hhmrs.bench.idle import cpu, memory
from hhmrs.bench.room import room

WORKSPACES = 300
KINDS = ("hhmrs", "watchdog_default", "watchdog_filtered")
DEADLINE = 60.0
"""Seconds that one kind has in one scene for each thing it is waited for."""
CALM = 2.0
"""Percent of a core: below it, a watcher is at rest."""
REST = 5.0
EVENTS = 100_000
FOLDERS = 20_000
PACKAGES, FILES = 100, 20
WATCHER = Path(__file__).with_name("watching.py")


class NeverError(Exception):
    """What was waited for did not happen by the deadline."""


class Watcher:
    """One kind of watching, in a process of its own."""

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WATCHER), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.pid = self._process.pid
        self.ask("ready")

    def ask(self, *words: str) -> int:
        """Send one order; the number it answers, as soon as it has carried it out."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], DEADLINE)[0]:
            raise NeverError(f"{words[0]}: no answer within {DEADLINE:g} s")
        return int(self._process.stdout.readline() or -1)

    def until(self, condition: Callable[[], bool], what: str) -> float:
        begun = time.monotonic()
        while not condition():
            if time.monotonic() > begun + DEADLINE:
                raise NeverError(f"{what}: not within {DEADLINE:g} s")
            time.sleep(0.01)
        return round(time.monotonic() - begun, 3)

    def at_rest(self) -> float:
        """Seconds until it uses no CPU worth the name."""

        def calm() -> bool:
            before = cpu(self.pid)
            time.sleep(1.0)
            return 100 * (cpu(self.pid) - before) < CALM

        return max(0.0, round(self.until(calm, "at rest") - 1.0, 1))

    def resting(self) -> float:
        before, begun = cpu(self.pid), time.monotonic()
        time.sleep(REST)
        return round(100 * (cpu(self.pid) - before) / (time.monotonic() - begun), 3)

    def stop(self) -> None:
        """The kernel goes on filling its queue."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.communicate()


def make_workspace(place: Path) -> None:
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    (place / ".gitignore").write_text("*.log\nbuild/\n")
    for number in range(25):
        folder = place / "src" / f"part{number // 5}" / f"p{number}"
        folder.mkdir(parents=True)
        for file in range(40):
            (folder / f"file{file}.py").write_text("x = 1\n")
    for name in ("build/a/b", "node_modules/x/y"):
        (place / name).mkdir(parents=True)


def make_workspaces(place: Path, number: int) -> list[Path]:
    places = [place / f"w{index:03d}" for index in range(number)]
    make_workspace(places[0])
    for other in places[1:]:
        shutil.copytree(places[0], other)
    return places


def watched(watcher: Watcher, places: list[Path]) -> dict[str, Any]:
    spent, begun = cpu(watcher.pid), time.monotonic()
    watcher.ask("watch", *map(str, places))
    took = time.monotonic() - begun
    return {"start": round(took, 3), "start_cpu": round(cpu(watcher.pid) - spent, 3)}


def heard(watcher: Watcher, places: list[Path], name: str) -> dict[str, Any]:
    """Change one file in each, and wait until it was heard."""
    watcher.ask("forget")
    for place in places:
        (place / name).write_text("x")
    took = watcher.until(
        lambda: watcher.ask("seen", name) == len(places), f"a change in {len(places)} places"
    )
    return {"heard": took}


def many(watcher: Watcher, places: list[Path]) -> dict[str, Any]:
    found = watched(watcher, places) | {"at_rest_after": watcher.at_rest()}
    found |= {"at_rest_cpu": watcher.resting(), "memory": round(memory(watcher.pid), 1)}
    found["threads"] = len(list(Path(f"/proc/{watcher.pid}/task").iterdir()))
    return found | heard(watcher, places, "src/part0/p0/probe.py")


def tree(watcher: Watcher, places: list[Path]) -> dict[str, Any]:
    (place,) = places
    found = watched(watcher, places)
    subprocess.run(["grep", "-r", "x", str(place)], check=False, capture_output=True)
    found |= {"at_rest_after": watcher.at_rest(), "at_rest_cpu": watcher.resting()}
    return found | heard(watcher, places, f"d{FOLDERS // 100 - 1}/e99/probe")


def overflow(watcher: Watcher, places: list[Path]) -> dict[str, Any]:
    for one in places:
        shutil.rmtree(one / "fresh", ignore_errors=True)
    found = watched(watcher, places)
    watcher.at_rest()
    watcher.ask("forget")
    watcher.stop()
    files = [os.open(places[0] / name, os.O_WRONLY | os.O_CREAT, 0o600) for name in ("ping", "pong")]
    for event in range(EVENTS):
        os.pwrite(files[event % 2], b"x", 0)
    for file in files:
        os.close(file)
    for one in places:
        (one / "fresh").mkdir()
        (one / "fresh" / "probe").write_text("x")
    watcher.go_on()
    spent = cpu(watcher.pid)
    try:
        took = watcher.until(lambda: watcher.ask("seen", "fresh/probe") == len(places), "")
    except NeverError:
        took = float("inf")
    found["told_of_what_was_lost"] = f"{watcher.ask('seen', 'fresh/probe')} of {len(places)}"
    found["after"] = took if took < DEADLINE else f"not within {DEADLINE:g} s"
    found |= {"at_rest_after": watcher.at_rest(), "cpu": round(cpu(watcher.pid) - spent, 2)}
    return found | heard(watcher, places, "fresh/probe")


def unpack(place: Path) -> None:
    for package in range(PACKAGES):
        fresh = place / f".tmp-{package}"
        (fresh / "lib").mkdir(parents=True)
        for file in range(FILES):
            (fresh / "lib" / f"f{file}.js").write_text("x")
        fresh.rename(place / f"package-{package}")


def install(watcher: Watcher, places: list[Path]) -> dict[str, Any]:
    places = places[:10]
    for one in places:
        shutil.rmtree(one / "vendor", ignore_errors=True)
        shutil.rmtree(one / "node_modules", ignore_errors=True)
    found: dict[str, Any] = watched(watcher, places)
    watcher.at_rest()
    for where in ("node_modules", "vendor"):
        targets = [one / where for one in places]
        for target in targets:
            target.mkdir(exist_ok=True)
        spent = cpu(watcher.pid)
        with ThreadPoolExecutor(len(targets)) as pool:
            list(pool.map(unpack, targets))
        rest = watcher.at_rest()
        found[where] = {"at_rest_after": rest, "cpu": round(cpu(watcher.pid) - spent, 2)}
        probe = "vendor/package-99/lib/probe" if where == "vendor" else "src/part1/p5/probe"
        found[where] |= heard(watcher, places, probe)
    return found


SCENES = {"many": many, "tree": tree, "overflow": overflow, "install": install}


def scene(name: str, kind: str, places: list[Path]) -> dict[str, Any]:
    watcher = Watcher(kind)
    try:
        return SCENES[name](watcher, places)
    except NeverError as never:
        before = cpu(watcher.pid)
        time.sleep(1.0)
        return {"did_not_settle": str(never), "cpu_percent": round(100 * (cpu(watcher.pid) - before), 1)}
    finally:
        watcher.end()


def measure(place: Path, number: int) -> dict[str, Any]:
    big = place / "tree"
    for index in range(FOLDERS):
        (big / f"d{index // 100}" / f"e{index % 100}").mkdir(parents=True)
    places = make_workspaces(place, number)
    found: dict[str, Any] = {
        "workspaces": number,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "max_queued_events": int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()),
    }
    for name in SCENES:
        found[name] = {kind: scene(name, kind, [big] if name == "tree" else places) for kind in KINDS}
        print(f"{name}: {json.dumps(found[name])}", file=sys.stderr)
    return found


if __name__ == "__main__":
    with room() as home:
        print(json.dumps(measure(home, int(sys.argv[1]) if len(sys.argv) > 1 else WORKSPACES), indent=2))
