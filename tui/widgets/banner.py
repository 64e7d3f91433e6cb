"""The lines below the headline that say what is wrong with the screen's own footing; mostly not there."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from ..looks import clean
from ..standing import Notice
from ..tones import Tone
from .bars import OneLine


class Banner(OneLine):
    """A line for each notice; a click on one that has a key does what the key does."""

    def put(self, notices: tuple[Notice, ...]) -> None:
        if self.display != bool(notices):
            self.display = bool(notices)
        if notices:
            if self.styles.height is None or self.styles.height.value != len(notices):
                self.styles.height = len(notices)
            self.put_line(notices, lambda: self._text(notices))

    def _text(self, notices: tuple[Notice, ...]) -> Text:
        return Text("\n").join(self._line(one) for one in notices)

    def _line(self, one: Notice) -> Text:
        click = Style(meta={"@click": "screen.daemon"}) if one.key else Style()
        badge = Style(color=self.app.current_theme.background, bgcolor=self.colours[one.tone], bold=True)
        text = Text().append(f" {one.badge} ", badge + click)
        text.append(f" {clean(one.words, 400)}", Style(color=self.colours[Tone.TEXT]) + click)
        text.truncate(max(1, self.app.size.width), overflow="ellipsis")
        return text
