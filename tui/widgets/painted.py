"""Lines as they were painted last. Textual keeps lines too, but filters and crops all lines of every widget
again whenever anything near it is painted; of a screenful of lines most are then the very same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from textual._styles_cache import StylesCache
from textual.filter import LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class PaintedLines(StylesCache):
    """In the place of a widget's own cache. `prepare` is called before lines are painted anew."""

    def __init__(self, prepare: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._prepare = prepare
        self._ready: dict[int, Strip] = {}
        self._made_for: tuple[int, int, tuple[LineFilter, ...]] | None = None

    def clear(self) -> None:
        super().clear()
        self._ready.clear()

    def render_widget(self, widget: Widget, crop: Region) -> list[Strip]:
        made_for = (crop.x, crop.width, tuple(widget.get_line_filters()))
        if made_for != self._made_for:
            self._made_for = made_for
            self._ready.clear()
        ready, dirty = self._ready, self._dirty_lines
        wanted = [y for y in crop.line_range if y in dirty or y not in ready]
        if wanted:
            self._prepare()
            for first, count in runs(wanted):
                part = Region(crop.x, first, crop.width, count)
                ready.update(zip(part.line_range, self._painted(widget, part), strict=True))
        return [ready[y] for y in crop.line_range]

    def _painted(self, widget: Widget, part: Region) -> list[Strip]:
        return super().render_widget(widget, part)


class PlainLines(PaintedLines):
    """For a widget that paints whole lines itself and has neither border nor effects, only `padding` to its
    left and right: then all that Textual does to a line is to put that on."""

    def _painted(self, widget: Widget, part: Region) -> list[Strip]:
        styles = widget.styles
        left, right = styles.padding.left, styles.padding.right
        whole = part.column_span == (0, widget.size.width + left + right)
        if not whole or styles.gutter != (0, right, 0, left) or widget.opacity != 1.0 or styles.tint.a:
            return super()._painted(widget, part)
        self._dirty_lines.difference_update(part.line_range)
        background, filters = widget.background_colors[1], widget.get_line_filters()
        pads = [Strip.blank(cells, widget.rich_style) for cells in (left, right)]
        made: dict[int, Strip] = {}  # blank lines are one and the same strip
        lines: list[Strip] = []
        for line in [*map(widget.render_line, part.line_range)]:
            if id(line) not in made:
                strip = Strip.join([pads[0], line, pads[1]]) if left or right else line
                for one in filters:
                    strip = strip.apply_filter(one, background)
                made[id(line)] = strip
            lines.append(made[id(line)])
        return lines


def keep_painted(root: Widget) -> None:
    """Have everything on a screen, as it stands now, keep its painted lines."""
    for widget in (root, *root.query(Widget)):
        inside = vars(widget)  # Textual gives no other way in
        if type(inside["_styles_cache"]) is StylesCache:
            inside["_styles_cache"] = PaintedLines()


def runs(lines: list[int]) -> Iterator[tuple[int, int]]:
    """Rising numbers as runs without a gap: the first of each, and how many."""
    first = last = lines[0]
    for line in lines[1:]:
        if line != last + 1:
            yield first, last - first + 1
            first = line
        last = line
    yield first, last - first + 1
