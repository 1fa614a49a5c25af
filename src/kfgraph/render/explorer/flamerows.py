"""The flame graph of the explorer: callers above, callees below; one frame is where the cursor is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.strip import Strip

from kfgraph.analyze.flame import Flame
from kfgraph.analyze.forest import by_level
from kfgraph.analyze.lookup import matching
from kfgraph.model.spelling import spelt_out
from kfgraph.model.units import format_ns, format_share, plural
from kfgraph.render.explorer.rows import Rows
from kfgraph.render.explorer.scrolled import PLAIN
from kfgraph.render.flame.lines import FlameView, level_line
from kfgraph.render.flame.places import places

_CURSOR = Style(reverse=True, bold=True)
_MATCH = Style(bold=True, underline=True)


class FlameRows(Rows):
    """The frames of ``flame``, a line for each level; of a zoom, the frame at the top is as wide as the screen."""

    noun = "frame"
    # These come before those of the explorer.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k,p", "caller", show=False),
        Binding("down,j", "callee", show=False),
        Binding("left,h", "sibling(-1)", show=False),
        Binding("right,l", "sibling(1)", show=False),
        Binding("enter,space,z", "zoom", show=False),
        Binding("Z,backspace", "unzoom", show=False),
        Binding("o", "hot", show=False),
        Binding("home,g", "top", show=False),
        Binding("end,G", "scroll_by(1000)", show=False),
        Binding("pageup,ctrl+b", "scroll_by(-1)", show=False),
        Binding("pagedown,ctrl+f", "scroll_by(1)", show=False),
        Binding("ctrl+u", "scroll_by(-0.5)", show=False),
        Binding("ctrl+d", "scroll_by(0.5)", show=False),
    ]

    def __init__(self, flame: Flame, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.flame = flame
        self.zooms: list[int] = []
        self.marked: frozenset[int] = frozenset()
        self._placed: tuple[object, npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None
        self._levels: list[list[int]] = []
        self._found: tuple[re.Pattern[str], npt.NDArray[np.int32]] | None = None

    @property
    def zoomed(self) -> int:
        """The frame at the top; -1: all roots are."""
        return self.zooms[-1] if self.zooms else -1

    def n_rows(self) -> int:
        """As of Rows."""
        self._place()
        return len(self._levels)

    def _place(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The columns in which each frame begins and ends."""
        key = (self.zoomed, self.room)
        if self._placed is None or self._placed[0] != key:
            flame, top, room = self.flame, self.zoomed, self.room
            x, wide = places(flame, room if top < 0 else room * flame.whole / max(int(flame.value[top]), 1))
            if top >= 0:
                x -= x[top]
            begin, end = np.rint(x).astype(np.int64), np.rint(x + wide).astype(np.int64)
            first, last = (0, len(flame)) if top < 0 else (top, int(flame.end[top]))
            shown = first + np.flatnonzero((end > begin)[first:last])
            self._levels = [frames.tolist() for frames in by_level(shown, flame.level)]
            self._placed = key, begin, end
        return self._placed[1], self._placed[2]

    def _line_of(self, frame: int) -> int:
        return int(self.flame.level[frame]) - (int(self.flame.level[self.zoomed]) if self.zooms else 0)

    def make(self, first: int, last: int) -> list[Strip]:
        """As of Rows."""
        begin, end = self._place()
        console = self.app.console
        strips = []
        for frames in self._levels[first:last]:
            styles = {frame: _MATCH for frame in frames if frame in self.marked} | {self.cursor: _CURSOR}
            text = level_line(self.flame, frames, begin, end, width=self.room, styles=styles)
            strips.append(Strip(s for s in text.render(console) if s.text and s.text != "\n"))
        return strips

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        row = int(self.scroll_offset.y) + y
        if row >= self.n_rows():
            return Strip.blank(self.size.width, PLAIN)
        return self.make(row, row + 1)[0].adjust_cell_length(self.size.width, PLAIN)

    def anew(self) -> None:
        """As of Rows."""
        self.has_lines(self.n_rows())
        self.refresh()
        self.moved()

    def go(self, row: int, *, middle: bool = False) -> None:
        """Put the cursor on a frame, and show it; what is not below the zoom ends it."""
        if not len(self.flame):
            self.anew()
            return
        frame = max(min(row, len(self.flame) - 1), 0)
        while self.zooms and not self.zoomed <= frame < int(self.flame.end[self.zoomed]):
            self.zooms.pop()
        self.cursor = frame
        top, height, line = int(self.scroll_offset.y), max(self.size.height, 1), self._line_of(frame)
        if not top <= line < top + height:
            self.scroll_to(y=max(line - height // 3, 0), animate=False, force=True)
        self.anew()

    def clicked(self, row: int, column: int) -> None:
        """The cursor goes to the frame there; on it already, it is zoomed into."""
        begin, end = self._place()
        for frame in self._levels[row] if row < len(self._levels) else []:
            if begin[frame] <= column < end[frame]:
                if frame == self.cursor:
                    self.action_zoom()
                else:
                    self.go(frame)

    def action_caller(self) -> None:
        """The frame above; at the top of a zoom it ends."""
        if len(self.flame) and int(self.flame.parent[self.cursor]) >= 0:
            self.go(int(self.flame.parent[self.cursor]))

    def action_callee(self) -> None:
        """The widest frame below."""
        if len(self.flame) and int(self.flame.end[self.cursor]) > self.cursor + 1:
            self.go(self.cursor + 1)

    def action_sibling(self, step: int) -> None:
        """The frame beside this one, of those that are drawn."""
        self._place()
        if not len(self.flame):
            return
        line = self._line_of(self.cursor)
        frames = self._levels[line] if line < len(self._levels) else []
        if self.cursor in frames:
            at = frames.index(self.cursor) + step
            if 0 <= at < len(frames):
                self.go(frames[at])
        elif frames:
            # Too narrow to be drawn: the nearest that is.
            self.go(min(frames, key=lambda frame: abs(frame - self.cursor)))

    def action_hot(self) -> None:
        """The leaf of the hot path: of each frame the widest below."""
        frame = self.cursor
        while len(self.flame) and int(self.flame.end[frame]) > frame + 1:
            frame += 1
        self.go(frame)

    def action_top(self) -> None:
        """The frame at the top."""
        self.go(max(self.zoomed, 0))

    def action_scroll_by(self, share: float) -> None:
        """Some screens on; the cursor stays on its frame."""
        self.scroll_relative(y=round(share * self.size.height), animate=False, force=True)

    def action_zoom(self) -> None:
        """This frame as wide as the screen."""
        if len(self.flame) and self.cursor != self.zoomed:
            self.zooms.append(self.cursor)
            self.go(self.cursor)
            self.scroll_to(y=0, animate=False, force=True)

    def action_unzoom(self) -> None:
        """Back to where the zoom began."""
        if self.zooms:
            frame = self.zooms.pop()
            self.go(frame)

    def matching(self, wanted: re.Pattern[str]) -> npt.NDArray[np.int32]:
        """The frames whose label an expression matches, ascending."""
        if self._found is None or self._found[0] != wanted:
            self._found = wanted, matching(self.flame.labels, self.flame.label, wanted)
            self.marked = frozenset(self._found[1].tolist())
        return self._found[1]

    def path(self) -> list[str]:
        """The labels down to the cursor; none where there is no frame."""
        way, frame = [], self.cursor if len(self.flame) else -1
        while frame >= 0:
            way.append(self.flame.labels[int(self.flame.label[frame])])
            frame = int(self.flame.parent[frame])
        return way[::-1]

    def texts(self, width: int) -> Iterator[str]:
        """As of Rows."""
        return (text.plain.rstrip() for text in FlameView(self.flame, icicle=True).lines(width))

    def told(self) -> str:
        """What is known of the frame at the cursor."""
        flame, frame = self.flame, self.cursor
        if not len(flame):
            return "no time is known"
        value, whole = int(flame.value[frame]), max(flame.whole, 1)
        share = format_share(value / whole)
        share = "<0.1%" if value and share == "0.0%" else share
        own, n_calls = format_ns(int(flame.own[frame])), plural(int(flame.n_calls[frame]), "call")
        label = spelt_out(flame.labels[int(flame.label[frame])])
        return f"{label}  {format_ns(value)}, {share} of all, {own} its own, {n_calls}"
