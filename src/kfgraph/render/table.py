"""A table in fixed columns that fits its width by leaving columns out, and says which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kfgraph.model.spelling import spelt_out
from kfgraph.render.cells import cut_middle
from kfgraph.render.linked import link_style
from kfgraph.render.wrapping import wrapped

_GAP = 2
_NAME_WIDTH = 24
"""Names get at least this much before a further column does."""
_LEAST_BEHIND = 8
"""What is cut behind a name has this many columns at least."""


@dataclass(frozen=True)
class Column:
    """One column of right-aligned cells. ``rank``: the lower, the longer it stays in a narrow terminal.

    A column without a head is an ornament: it goes without a word.
    """

    head: str
    cells: Sequence[str]
    rank: int
    style: str = ""

    @property
    def width(self) -> int:
        """Of its widest cell."""
        return max(map(cell_len, (self.head, *self.cells)), default=0)


@dataclass(frozen=True)
class Table:
    """Numbers on the left, the name of each row on the right, one line a row, never wrapped.

    ``how_to_see`` says what to do about columns that are left out. ``links`` are where the names lead ("": nowhere).
    ``behind`` the names stands what goes where they have no room: a text of which the middle piece can be cut.
    """

    columns: Sequence[Column]
    name_head: str
    names: Sequence[str]
    how_to_see: str = ""
    row_styles: Sequence[str] = ()
    links: Sequence[str] = ()
    behind: Sequence[tuple[str, str, str]] = ()
    behind_head: str = ""

    def fitting(self, width: int) -> list[Column]:
        """The columns that are shown at ``width``, in the table's order."""
        whole = map("".join, self.behind) if self.behind else [""] * len(self.names)
        names = [name + behind for name, behind in zip(self.names, whole, strict=True)]
        longest = max(map(cell_len, (self.name_head + self.behind_head, *names)), default=0)
        left = width - min(longest, _NAME_WIDTH)
        chosen = []
        for column in sorted(self.columns, key=lambda c: c.rank):
            if left >= column.width + _GAP:
                left -= column.width + _GAP
                chosen.append(column.head)
        return [column for column in self.columns if column.head in chosen]

    def lines(self, width: int) -> Iterator[Text]:
        """Head, rows and, where columns are left out, a last line that says so."""
        shown = self.fitting(width)
        widths = [column.width for column in shown]
        room = max(width - sum(widths) - _GAP * len(widths), 1)
        gap = " " * _GAP
        head = Text(no_wrap=True)
        for column, wide in zip(shown, widths, strict=True):
            head.append(column.head.rjust(wide) + gap, style="bold")
        whole = self.name_head + self.behind_head
        yield head.append(whole if cell_len(whole) <= room else cut_middle(self.name_head, room), style="bold")
        for row, name in enumerate(self.names):
            line = Text(no_wrap=True)
            for column, wide in zip(shown, widths, strict=True):
                cell = column.cells[row]
                line.append(" " * (wide - cell_len(cell)) + cell + gap, style=column.style)
            style = link_style(self.row_styles[row] if self.row_styles else "", self.links[row] if self.links else "")
            line.append(cut_middle(spelt_out(name), room), style=style)
            yield line.append(self._behind(row, room - cell_len(spelt_out(name))))
        hidden = [column.head for column in self.columns if column.head and column not in shown]
        if hidden:
            said = wrapped(f"{', '.join(hidden)}: not at this width ({self.how_to_see})", width)
            yield from (Text(line, style="dim") for line in said)

    def _behind(self, row: int, room: int) -> str:
        """What stands behind the name of a row in the room that is left."""
        before, text, after = map(spelt_out, self.behind[row] if self.behind else ("", "", ""))
        left = room - cell_len(before) - cell_len(after)
        return before + cut_middle(text, left) + after if left >= min(cell_len(text), _LEAST_BEHIND) else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)
