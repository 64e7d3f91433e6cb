"""Pictures of screens kept as files that a person can read: the lines of text, below them their styles.

`HHMRS_SNAPSHOTS=write pytest tests/tui/test_snapshots_screen.py` writes them anew; look at what git says
has changed before you keep it. Where `CI` is set nothing is ever written."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import pytest
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import App

FOLDER = Path(__file__).with_name("snapshots")
WISH = "HHMRS_SNAPSHOTS"
_WORDS = ("bold", "dim", "italic", "underline", "reverse", "strike")


def drawn(app: App[int]) -> str:
    """What is on the screen now: its lines, a rule, then for each line where which style begins."""
    lines = [list(strip) for strip in app.screen._compositor.render_strips()]
    text = ["".join(segment.text for segment in line).rstrip() for line in lines]
    grounds = Counter(_ground(segment) for line in lines for segment in line for _ in segment.text)
    ground = grounds.most_common(1)[0][0]
    styles = [" | ".join(_runs(line, ground)) for line in lines]
    told: list[str] = []
    for same, numbers in groupby(range(len(styles)), key=lambda n: styles[n]):
        those = [n + 1 for n in numbers]
        span = f"{those[0]}" if len(those) == 1 else f"{those[0]}-{those[-1]}"
        told.append(f"{span}: {same}")
    width = sum(segment.cell_length for segment in lines[0])
    return "\n".join([*text, f"=== {width}x{len(lines)}, on {ground} unless said", *told]) + "\n"


def _runs(line: Iterable[Segment], ground: str) -> Iterable[str]:
    """`12 bold #ffffff on #000000`: from cell 12 on."""
    at = 0
    for named, segments in groupby(line, key=lambda segment: _named(segment.style)):
        yield f"{at} {named.removesuffix(f' on {ground}')}"
        at += sum(segment.cell_length for segment in segments)


def _named(style: Style | None) -> str:
    """Links and clicks are no part of what is seen."""
    if style is None:
        return "plain"
    words = [word for word in _WORDS if getattr(style, word)]
    return " ".join([*words, _colour(style.color), "on", _colour(style.bgcolor)])


def _ground(segment: Segment) -> str:
    return _colour(segment.style.bgcolor if segment.style is not None else None)


def _colour(colour: Color | None) -> str:
    if colour is None:
        return "default"
    return colour.triplet.hex if colour.triplet is not None else colour.name


def check(app: App[int], name: str, seen: str, aside: Path) -> None:
    """Compare what was `seen` with the file of that name, or write it where that is wished. A mismatch ends
    the test with the difference; its picture is left in the folder `aside`."""
    path = FOLDER / f"{name}.txt"
    if os.environ.get(WISH) == "write" and not os.environ.get("CI"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen, encoding="utf-8")
        return
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    if seen == kept:
        return
    picture = aside / f"{name}.svg"
    picture.write_text(app.export_screenshot(title=name, simplify=True), encoding="utf-8")
    told = difflib.unified_diff(kept.splitlines(), seen.splitlines(), "as kept", "as drawn", lineterm="", n=1)
    hint = (
        f"its picture: {picture}\nif that is how it shall look: {WISH}=write pytest {Path(__file__).parent}"
    )
    pytest.fail("\n".join([f"{path.name} is not what is on the screen", *told, hint]), pytrace=False)
