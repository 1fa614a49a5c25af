"""Widgets of rows: a tree of any size, or a list; one row is where the cursor is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip

from kfgraph.render.explorer.scrolled import PLAIN, Lines, strip_of
from kfgraph.render.explorer.window import Window
from kfgraph.render.styles import STYLES

_CURSOR = Style(reverse=True)
_MATCH = Style(bold=True, underline=True, color="yellow")
_STYLES = {**STYLES, "match": _MATCH}
_AHEAD = 4
"""Rows are made for so many lines above and below the screen."""
_PART = 10_000


# The keys are the explorer's: those that a ScrollView has would move the screen, and leave the cursor.
class Rows(Lines, can_focus=True, inherit_bindings=False):
    """Lines with a cursor."""

    DEFAULT_CSS = "Rows { height: 1fr; width: 1fr; }"

    noun = "line"
    """What :meth:`matching` counts."""

    class Moved(Message):
        """The cursor is on another row, or that row has changed."""

        def can_replace(self, message: Message) -> bool:
            """Of several the last is heeded."""
            return isinstance(message, Rows.Moved)

    class Chosen(Message):
        """A row was clicked that the cursor was on already."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor = 0
        self._kept: dict[int, Strip] = {}
        self._kept_room = 0
        self._middle_later = False

    def n_rows(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def make(self, first: int, last: int) -> list[Strip]:
        """The strips of the rows ``first:last``."""
        raise NotImplementedError

    def texts(self, width: int) -> Iterator[str]:
        """All rows as text, of at most ``width`` columns."""
        raise NotImplementedError

    def matching(self, wanted: re.Pattern[str]) -> npt.NDArray[np.int32]:
        """Where ``go`` finds what an expression matches, ascending."""
        raise NotImplementedError

    def anew(self) -> None:
        """The rows have changed."""
        self._kept.clear()
        self.cursor = max(min(self.cursor, self.n_rows() - 1), 0)
        self.has_lines(self.n_rows())
        self.refresh()
        self.moved()

    def moved(self) -> None:
        """Tell it to the explorer, straight: what stands around the rows changes in the same frame as they."""
        self.app.post_message(self.Moved())

    def go(self, row: int, *, middle: bool = False) -> None:
        """Put the cursor on a row and show it; ``middle``: with rows around where it was not on the screen."""
        before, self.cursor = self.cursor, max(min(row, self.n_rows() - 1), 0)
        top, height = int(self.scroll_offset.y), self.size.height
        # Without a height it is hidden, or was until now: it is told its size before it is drawn.
        self._middle_later = middle and not height
        if height and not top <= self.cursor < top + height:
            target = self.cursor if self.cursor < top else self.cursor - height + 1
            if middle or abs(self.cursor - top) > 2 * height:
                target = self.cursor - height // 3
            self.scroll_to(y=max(target, 0), animate=False, force=True)
        self.refresh_line(before)
        self.refresh_line(self.cursor)
        self.moved()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        row = int(self.scroll_offset.y) + y
        n = self.n_rows()
        if row >= n:
            return Strip.blank(self.size.width, PLAIN)
        if self._kept_room != self.room or len(self._kept) > 2_000:
            self._kept.clear()
            self._kept_room = self.room
        if row not in self._kept:
            first = max(row - _AHEAD, 0)
            last = min(row + max(self.size.height - y, 1) + _AHEAD, n)
            self._kept.update(zip(range(first, last), self.make(first, last), strict=True))
        strip = self._kept[row].adjust_cell_length(self.size.width, PLAIN)
        if row == self.cursor:
            strip = Strip([Segment(strip.text, _CURSOR)], strip.cell_length)
        return strip

    def on_resize(self) -> None:
        """Rows are as wide as the screen."""
        self.has_lines(self.n_rows())
        self.go(self.cursor, middle=self._middle_later)

    def on_click(self, event: events.Click) -> None:
        """A line of the screen was clicked."""
        self.clicked(int(self.scroll_offset.y) + event.y, event.x)

    def clicked(self, row: int, _column: int) -> None:
        """The cursor goes there; on it already, it is chosen."""
        if row >= self.n_rows():
            return
        if row == self.cursor:
            self.post_message(self.Chosen())
        else:
            self.go(row)


class TreeRows(Rows):
    """The rows of a tree."""

    def __init__(self, window: Window, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.window = window

    @property
    def item(self) -> int:
        """The item at the cursor; -1: there are no rows."""
        return self.window.rows.item(self.cursor) if self.n_rows() else -1

    def n_rows(self) -> int:
        """As of Rows."""
        return len(self.window.rows)

    def make(self, first: int, last: int) -> list[Strip]:
        """As of Rows."""
        self.window.width = self.room
        return [
            Strip([Segment(text, _STYLES[style]) for text, style in pieces if text])
            for pieces in self.window.lines(first, last)
        ]

    def texts(self, width: int) -> Iterator[str]:
        """As of Rows."""
        for first in range(0, self.n_rows(), _PART):
            self.window.width = width
            for pieces in self.window.lines(first, min(first + _PART, self.n_rows())):
                yield "".join(text for text, _ in pieces).rstrip()

    def head(self, width: int | None = None) -> Text:
        """The titles above the columns."""
        self.window.width = width or self.room
        return Text(self.window.head, "underline", no_wrap=True)


class ListRows(Rows):
    """Lines that ``lines(width)`` gives, each with the call that it is about (-1: none)."""

    def __init__(self, lines: Callable[[int], Sequence[tuple[Text, int | str]]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines = lines
        self._placed = False
        self._found: tuple[object, object, npt.NDArray[np.int32]] = None, None, np.zeros(0, np.int32)
        self._made: tuple[int, Sequence[tuple[Text, int | str]]] = (-1, ())

    def _all(self) -> Sequence[tuple[Text, int | str]]:
        if self._made[0] != self.room:
            self._made = self.room, self._lines(self.room)
        return self._made[1]

    @property
    def target(self) -> int | str:
        """The call at the cursor, a row of the CallTable (-1: none), or a function's label."""
        return self._all()[self.cursor][1] if self.n_rows() else -1

    def n_rows(self) -> int:
        """As of Rows."""
        return len(self._all())

    def texts(self, width: int) -> Iterator[str]:
        """As of Rows."""
        for text, _ in self._lines(width):
            yield text.plain.rstrip()

    def first_target(self) -> int:
        """The first row that is about a call; 0 where none is."""
        return next((at for at, (_, target) in enumerate(self._all()) if target != -1), 0)

    def matching(self, wanted: re.Pattern[str]) -> npt.NDArray[np.int32]:
        """The rows whose text an expression matches, ascending."""
        lines = self._all()
        if self._found[0] is not lines or self._found[1] != wanted:
            rows = np.array([at for at, (text, _) in enumerate(lines) if wanted.search(text.plain)], np.int32)
            self._found = lines, wanted, rows
        return self._found[2]

    def on_resize(self) -> None:
        """At first the cursor is on the first row that is about a call. That of Rows is called too."""
        if not self._placed and self.size.width:
            self._placed, self.cursor = True, self.first_target()
            self.refresh()

    def make(self, first: int, last: int) -> list[Strip]:
        """As of Rows."""
        strips = []
        for text, _ in self._all()[first:last]:
            text = text.copy()
            text.truncate(self.room, overflow="ellipsis")
            strips.append(strip_of(text, self.app))
        return strips
