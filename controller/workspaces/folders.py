"""What is known of the folders of a workspace: where they hang, what is in them, which watch sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

UNSEEN = -1
"""No watch yet."""
BLIND = -2
"""No watch to be had: its times are looked at instead."""
MOST_NAMES = 1 << 16
"""Bytes of names remembered per folder."""
SLACK = 20_000_000
"""Nanoseconds by which a file's times may lag behind the clock (they are set by the kernel's tick)."""
TOO_MANY = b""
"""In place of the names of a fuller one: what vanished from it while nobody watched cannot be said."""


class Change(NamedTuple):
    """`kind`: made, changed or gone. `path` is absolute; its bytes are whatever the agent chose."""

    kind: str
    path: bytes
    is_folder: bool


Hear = Callable[[Change], None]


@dataclass(slots=True, eq=False)
class Root:
    """A watched folder and all below it that lies in no other root. Times: nanoseconds since the epoch."""

    path: bytes
    hear: Hear
    asked: int
    """What changed after this moment is to be told."""
    ignored: set[bytes] = field(default_factory=set)
    top: Folder | None = None
    inode: tuple[int, int] | None = None
    blind: int = 0
    left_out: int = 0
    looked: int = 0


class Folder:
    """One folder. `names`: its files, each between zero bytes, or TOO_MANY; None before the first look."""

    __slots__ = ("above", "inner", "listed", "name", "names", "root", "watch")

    def __init__(self, name: bytes, above: Folder | None, root: Root | None = None) -> None:
        self.name = name
        self.above = above
        self.root = root
        self.watch = UNSEEN
        self.listed = False
        self.inner: dict[bytes, Folder] = {}
        self.names: bytes | None = None

    def place(self) -> tuple[Root | None, bytes]:
        """The root it hangs from, None when it hangs from none, and its absolute path."""
        parts = []
        at = self
        while at.above is not None:
            parts.append(at.name)
            at = at.above
        parts.append(at.name)
        return at.root, b"/".join(reversed(parts))

    def grow(self, name: bytes) -> Folder:
        child = self.inner[name] = Folder(name, self)
        return child

    def cut(self) -> None:
        """Off the tree, with all below it."""
        if self.above is not None and self.above.inner.get(self.name) is self:
            del self.above.inner[self.name]
        self.above = self.root = None

    def below(self) -> Iterator[Folder]:
        """Itself and every folder under it."""
        todo: list[Folder] = [self]
        while todo:
            at = todo.pop()
            todo.extend(at.inner.values())
            yield at

    def remember(self, names: Iterable[bytes]) -> int:
        """These files are in it; returns by how many bytes the memory for them grew."""
        before = len(self.names or b"")
        packed = b"\0" + b"".join(name + b"\0" for name in names)
        self.names = packed if len(packed) <= MOST_NAMES else TOO_MANY
        return len(self.names or b"") - before

    def came(self, name: bytes) -> int:
        """A file is there; returns by how many bytes the memory for names grew."""
        if not self.names or b"\0" + name + b"\0" in self.names:
            return 0
        before = len(self.names)
        self.names = self.names + name + b"\0" if before + len(name) < MOST_NAMES else TOO_MANY
        return len(self.names) - before

    def went(self, name: bytes) -> int:
        """A file is no longer there; returns by how many bytes the memory for names grew (less than none)."""
        if not self.names:
            return 0
        before = len(self.names)
        self.names = self.names.replace(b"\0" + name + b"\0", b"\0", 1)
        return len(self.names) - before

    def missing(self, present: Iterable[bytes]) -> list[bytes]:
        """Remembered files that are not among these."""
        if not self.names:
            return []
        return sorted(set(self.names.split(b"\0")).difference(present, (b"",)))
