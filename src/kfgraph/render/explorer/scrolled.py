"""Widgets of lines that scroll: what all of them share, and one of given texts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import App
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

PLAIN = Style()
"""Filters of Textual need a style on each segment."""


def strip_of(text: Text, app: App[int]) -> Strip:
    """One line."""
    return Strip(Segment(s.text, s.style or PLAIN) for s in text.render(app.console) if s.text and s.text != "\n")


class Lines(ScrollView):
    """Lines, those on the screen drawn, no others."""

    DEFAULT_CSS = "Lines { overflow-x: hidden; scrollbar-size-vertical: 1; }"

    @property
    def room(self) -> int:
        """Columns for a line."""
        return max(self.size.width - 1, 8)

    def has_lines(self, n: int) -> None:
        """There are so many lines. The screen is laid out again only where the scrollbar comes or goes."""
        # An assignment would lay it out each time.
        self.set_reactive(Widget.virtual_size, Size(self.room, n))
        height = self.container_size.height
        if not height:  # no place yet: it is laid out anyway
            return
        shown = n > height
        if shown or self.show_vertical_scrollbar:
            self.show_vertical_scrollbar = self.vertical_scrollbar.display = shown
            self.vertical_scrollbar.window_virtual_size = n
        self.scroll_y = min(self.scroll_y, self.max_scroll_y)


class Panel(Lines, can_focus=False):
    """Lines of text that change as a whole."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Text] = ()

    def tell(self, lines: Sequence[Text]) -> None:
        """Show these."""
        if lines != self._lines:
            self._lines = lines
            self.has_lines(len(lines))
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        at = int(self.scroll_offset.y) + y
        text = self._lines[at] if at < len(self._lines) else Text()
        return strip_of(text, self.app).adjust_cell_length(self.size.width, PLAIN).apply_style(self.rich_style)
