"""One kind of watching files, as bench/workspaces.py drives it: orders in JSON on stdin, numbers on stdout.

    python bench/watching.py hhmrs|watchdog_default|watchdog_filtered

Orders: ["ready"]; ["watch", FOLDER...] answers once all are watched; ["forget"] what was heard;
["seen", NAME] counts the folders in which NAME was heard of.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from hhmrs.controller.workspaces.workspaces import FILTER, Workspaces

Seen = set[tuple[str, str]]
Watch = Callable[[list[str]], None]


def ours(seen: Seen) -> Watch:
    watched = Workspaces(lambda agent, path, _: seen.add((agent, path)))

    def watch(folders: list[str]) -> None:
        for folder in folders:
            watched.watch(folder, Path(folder))
        if not watched.ready(600):
            raise SystemExit("not all folders could be watched")

    return watch


class Ear(FileSystemEventHandler):
    def __init__(self, folder: str, seen: Seen) -> None:
        self._folder = folder
        self._seen = seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        path = os.fsdecode(event.src_path)
        if "/probe" in path:
            self._seen.add((self._folder, path[len(self._folder) + 1 :]))


def plain(seen: Seen, events: list[type[FileSystemEvent]] | None) -> Watch:
    observer = Observer()
    observer.start()

    def watch(folders: list[str]) -> None:
        for folder in folders:
            observer.schedule(Ear(folder, seen), folder, recursive=True, event_filter=events)

    return watch


def main(kind: str) -> None:
    seen: Seen = set()
    watch = ours(seen) if kind == "hhmrs" else plain(seen, FILTER if kind == "watchdog_filtered" else None)
    for line in sys.stdin:
        order, *words = json.loads(line)
        answer = 0
        if order == "watch":
            watch(words)
        elif order == "forget":
            seen.clear()
        elif order == "seen":
            answer = len({folder for folder, path in seen.copy() if path == words[0]})
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
