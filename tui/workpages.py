"""An agent's files, how they differ from a checkpoint, and its checkpoints, as lines that fit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ..config.sizes import format_size
from .looks import age, clean
from .prose import Line, Page, broken
from .tones import Tone
from .work import Diff, Saved

if TYPE_CHECKING:
    from ..controller.checkpoints.present import Files

NAMED = 6
"""Things done, or files changed, that are named of each checkpoint in the list."""
LONGEST = 1_000
"""Cells of a line of a diff; what is longer is no code that a person reads."""
_SPACES = 4


def inert(line: str) -> str:
    """As `clean`, with its indentation; most lines are plain, and need no look at each letter."""
    spread = line[: LONGEST * 2].expandtabs(_SPACES)
    if spread.isascii() and spread.isprintable():
        return spread[:LONGEST]
    return clean(spread, LONGEST, keep_indent=True)


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def files_page(files: Files, against: Saved | None, now: float, width: int, plain: bool = False) -> Page:
    """The newest first, with age and size; a mark on those that changed after checkpoint `against`.

    `now`: epoch seconds. Each file can be chosen by its path."""
    shown, since = len(files.newest), _files_of(against)
    head = f"{_files(files.total)} in {clean(files.workspace, 300)}"
    if shown < files.total:
        head += f"; the newest {shown} of them"
    if files.beyond:
        head += f"; {files.beyond} more are not looked at"
    lines: list[Line] = [((part, Tone.QUIET),) for part in broken(head, width)]
    mark = "*" if plain else "●"
    told = "no snapshot of it was taken yet, so nothing can be compared"
    if against is not None and since is not None:
        number = sum(one.at > since for one in files.newest)
        told = (
            f"{mark} {number} newer than checkpoint {against.seq} of {age(now - since)} ago; enter: the diff"
        )
    lines += [((part, Tone.QUIET),) for part in broken(told, width)]
    picks: dict[int, object] = {}
    for one in files.newest:
        fresh = since is not None and one.at > since
        picks[len(lines)] = one.path
        sign = (f"{mark if fresh else ' '} ", Tone.BUSY)
        when = (f"{age(now - one.at):>4} {format_size(one.size):>8}  ", Tone.QUIET)
        path = _tail(inert(one.path), max(8, width - 17), plain)
        lines.append((sign, when, (path, Tone.TEXT if fresh else Tone.QUIET)))
    if not files.newest:
        lines.append((("no files, or git ignores them all", Tone.QUIET),))
    return Page(tuple(lines), picks)


def _files_of(one: Saved | None) -> float | None:
    """When the files of a checkpoint were saved."""
    return None if one is None or one.at is None else one.at - (one.older_by or 0)


def _tail(path: str, width: int, plain: bool) -> str:
    """Of a path that is too long its end: that is where files differ."""
    sign = "~" if plain else "…"
    return path if len(path) <= width else sign + path[-(width - 1) :]


def diff_page(diff: Diff, now: float, width: int) -> Page:
    """What changed since; the changes of each file have their place."""
    when = "" if diff.at is None else f" of {age(now - diff.at)} ago"
    head = f"the workspace now against checkpoint {diff.seq}{when}"
    lines: list[Line] = [((part, Tone.TEXT),) for part in broken(head, width)]
    if not diff.text:
        lines.append((("nothing has changed", Tone.QUIET),))
    lines += [((inert(line), Tone.QUIET),) for line in diff.stat]
    if diff.skipped:
        names = ", ".join(inert(name) for name in diff.skipped[:NAMED])
        more = ", ..." if len(diff.skipped) > NAMED else ""
        told = f"not compared, since no snapshot holds them: {names}{more}"
        lines += [((part, Tone.LIMIT),) for part in broken(told, width)]
    lines.append(())
    changes = _changes(diff.text)
    places = {name: number + len(lines) for name, number in changes.places.items()}
    return Page((*lines, *changes.lines), places=places)


@lru_cache(maxsize=2)
def _changes(text: tuple[str, ...]) -> Page:
    """The diff itself, made once however often it is shown; each file has its place. Below `@@` stand lines
    of files, which may look like anything."""
    lines: list[Line] = []
    places: dict[str, int] = {}
    begun: int | None = None
    for number, line in enumerate(text):
        if line.startswith("diff --git "):
            begun = number
        elif line.startswith("@@"):
            begun = None
        elif begun is not None and line.startswith(("--- a/", "+++ b/")):
            places[line[6:]] = begun
        tone = Tone.TEXT if begun is not None else _TONES.get(line[:1], Tone.QUIET)
        lines.append(((inert(line), tone),))
    return Page(tuple(lines), places=places)


_TONES = {"+": Tone.GOOD, "-": Tone.SICK, "@": Tone.BUSY}


def saved_page(saved: Sequence[Saved], now: float, width: int) -> Page:
    """The newest first: number, age, by whom, what was done, what is next. Each can be chosen."""
    if not saved:
        return Page(((("it has no checkpoints yet", Tone.QUIET),),))
    lines: list[Line] = []
    told = "enter: what the work looks like against it, and how to bring it back"
    lines += [((part, Tone.QUIET),) for part in broken(told, width)]
    picks: dict[int, object] = {}
    for one, before in zip(saved, [*saved[1:], None], strict=True):
        first = len(lines)
        lines.append(_saved_head(one, now))
        lines += _saved_more(one, before, width)
        picks.update(dict.fromkeys(range(first, len(lines)), one.seq))
    return Page(tuple(lines), picks)


def _saved_head(one: Saved, now: float) -> Line:
    when = "-" if one.at is None else age(now - one.at)
    by = {"supervisor": "by the supervisor", "agent": "by the agent"}.get(one.by, "")
    changed = f"{_files(len(one.changed))} changed" if one.changed else ""
    facts = [changed, f"attempt {one.attempt or '-'}", by]
    state = Tone.GOOD if one.restorable else Tone.LIMIT
    pieces = [
        (f"{one.seq:>4}  ", Tone.BUSY),
        (f"{when:>4}  ", Tone.QUIET),
        (f"{clean(one.standing, 14):<13} ", state),
    ]
    return (*pieces, (", ".join(fact for fact in facts if fact), Tone.TEXT))


def _saved_more(one: Saved, before: Saved | None, width: int) -> list[Line]:
    """What it says beyond the one before: a supervisor's own carries on what the agent said last."""
    parts: list[tuple[str, Iterable[str], Iterable[str]]] = [
        ("done", one.completed, before.completed if before else ()),
        ("next", one.next, before.next if before else ()),
    ]
    lines: list[Line] = []
    for name, words, known in parts:
        texts = [clean(word, 120) for word in words]
        if texts and texts != [clean(word, 120) for word in known]:
            more = f" and {len(texts) - NAMED} before" if len(texts) > NAMED else ""
            lines += _indented(f"{name}: {'; '.join(texts[-NAMED:])}{more}", width)
    if one.older_by:
        lines += _indented(f"its files are {age(one.older_by)} older than what it says", width)
    if one.unsaved:
        lines += _indented(clean(one.unsaved, 300), width)
    return lines


def _indented(text: str, width: int, by: int = 6) -> list[Line]:
    return [((" " * by + part, Tone.QUIET),) for part in broken(text, width - by)]


def opened_page(one: Saved, fleet: str, agent: str, diff: Page | None, now: float, width: int) -> Page:
    """One checkpoint in full, how to bring it back, and below that how the work differs from it."""
    lines: list[Line] = [_saved_head(one, now)]
    if one.task:
        lines += _indented(f"task {clean(one.task, 80)}", width)
    for name, words in (("done", one.completed), ("next", one.next)):
        for number, word in enumerate(words):
            text = f"{name if number == 0 else '':<5} {clean(word, 300)}"
            lines += [((part, Tone.TEXT),) for part in broken(text, width)]
    lines += _saved_more(one, one, width)
    lines.append(())
    lines += [((part, Tone.BUSY),) for part in broken(how_to_restore(one, fleet, agent), width)]
    lines.append(())
    if diff is None:
        return Page(tuple(lines))
    places = {name: number + len(lines) for name, number in diff.places.items()}
    return Page((*lines, *diff.lines), places=places)


def how_to_restore(one: Saved, fleet: str, agent: str) -> str:
    if not one.restorable:
        return f"its files cannot be brought back: {one.standing}"
    order = f"hhmrs restore {clean(agent, 64)} {one.seq} --to FOLDER --fleet {clean(fleet, 40)}"
    return f"b brings its files back into a new folder beside the work, as does: {order}"
