"""A post-mortem to be exported: the page of `hhmrs report`, and a picture of it."""

from __future__ import annotations

from collections.abc import Callable

from .charts import cut
from .drawing import svg
from .exporting import Printout
from .looks import clean
from .pages import page_lines

PICTURE = 100
"""Cells of the picture."""


def report_page(incident: str, markdown: Callable[[], str], *, dark: bool = True) -> Printout:
    """`markdown` is called when it is written, and may raise."""

    def picture() -> str:
        title = cut(f"hhmrs report {clean(incident, 80)}", PICTURE)
        return svg(page_lines(markdown(), PICTURE), title, PICTURE, dark)

    name = "".join(letter for letter in clean(incident, 80) if letter.isalnum() or letter in "-_.")
    return Printout(f"hhmrs-{name or 'incident'}", markdown, picture)
