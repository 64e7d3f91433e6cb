"""What a pane says of itself: its title, the program in front, the folder it works in.

All of it is hostile text; it is made inert and short here. The program and the folder are read from /proc:
tmux would do the same for every pane on each question, and takes our launcher for the program.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ...healing.repeats import strip_escapes
from ..processes.process_table import content

_SPINNER = r"[\u2800-\u28ff◐◓◑◒◴◷◶◵✳✽✶✻✢·•⬝■□▪▫░▒▓█]|(?<!\S)[|/\\-](?!\S)"
_CLOCK = r"\d+(?::\d\d)+(?:\.\d+)?|\d+(?:\.\d+)?\s?(?:%|ms|[smhd])(?!\w)"
_RESTLESS = re.compile(f"{_SPINNER}|{_CLOCK}")
_SPACE = re.compile(r"\s+")
_TITLE_KEPT = 256
_FOLDER_KEPT = 1024
_PROGRAM_KEPT = 64


@dataclass(frozen=True, slots=True)
class Label:
    """`program` and `folder` are empty where the system does not say."""

    title: str = ""
    program: str = ""
    folder: str = ""

    @property
    def shape(self) -> tuple[str, str, str]:
        """What must change for it to be news: a spinner, a clock or a percentage in a title is none."""
        return _at_rest(self.title), self.program, self.folder

    def titled(self, title: str) -> bool:
        """Whether `title`, as tmux gives it, says the same as this one's."""
        return _at_rest(_inert(title, _TITLE_KEPT)) == _at_rest(self.title)


def label_of(title: str, pid: int) -> Label:
    """The label of the pane titled `title` in which the process `pid` was started."""
    program, folder = _front(pid)
    return Label(_inert(title, _TITLE_KEPT), _inert(program, _PROGRAM_KEPT), _inert(folder, _FOLDER_KEPT))


def _front(pid: int) -> tuple[str, str]:
    """Name and folder of the program that has the terminal of process `pid`; empty where unknown."""
    fields = content(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    try:
        group, front = int(fields[2]), int(fields[5])
    except (IndexError, ValueError):
        return "", ""
    # Its own group in front means it itself, not the launcher that leads the group.
    leader = front if front > 0 and front != group else pid
    try:
        folder = os.readlink(f"/proc/{leader}/cwd")
    except OSError:
        folder = ""
    return content(f"/proc/{leader}/comm").decode("utf-8", "replace").removesuffix("\n"), folder


def _at_rest(title: str) -> str:
    return _SPACE.sub(" ", _RESTLESS.sub("", title)).strip()


def _inert(text: str, most: int) -> str:
    clean = strip_escapes(text.encode("utf-8", "replace").decode())
    return "".join(c if c.isprintable() else " " for c in clean[:most])
