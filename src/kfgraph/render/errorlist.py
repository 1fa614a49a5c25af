"""``kfgraph errors`` on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kfgraph.analyze.errorlist import ErrorRow
from kfgraph.kernel.returns import error_name
from kfgraph.model.spelling import spelt_out
from kfgraph.model.trace import Trace
from kfgraph.model.units import plural
from kfgraph.render.cells import cut_middle
from kfgraph.render.linked import link_style

if TYPE_CHECKING:
    from kfgraph.analyze.sourcelinks import SourceLinks

_NUMBERS = 37
"""Columns before the names."""
_NARROW = 100
"""Below this width the lines that follow begin further left."""


@dataclass(frozen=True)
class ErrorsView:
    """One line for each function and error, in the order of first sight; ``limit`` lines (None: all); ``links``: where
    names lead."""

    trace: Trace
    rows: Sequence[ErrorRow]
    limit: int | None = None
    links: SourceLinks | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """The lines, each at most ``width`` columns."""
        shown = self.rows if self.limit is None else self.rows[: self.limit]
        n_calls = sum(row.n_calls for row in self.rows)
        yield Text(f"{plural(n_calls, 'error')} began in {plural(len(self.rows), 'way')}, in time order", "dim")
        heading = f"{'time s':>11}  {'calls':>7}  {'error':>13}  began in, and what became of it"
        yield Text(heading if len(heading) <= width else heading.partition(",")[0], "bold")
        first = self.trace.meta.first_ns
        if self.links is not None:
            self.links.look_for(row.function for row in shown)
        for row in shown:
            at = f"{(row.start_ns - first) / 1e9:.6f}" if row.start_ns >= first >= 0 else "?"
            name = error_name(row.error, sure=row.sure, arch=self.trace.meta.arch)
            value = f"-{name or -row.error}{'' if row.sure or not name else '?'}"
            line = Text(f"{at:>11}  {row.n_calls:>7,}  ", no_wrap=True)
            line.append(f"{value:>13}  ", "red" if row.sure else "")
            label = cut_middle(spelt_out(row.function), max(width - _NUMBERS, 16))
            line.append(label, link_style("bold", self.links.of(row.function) if self.links is not None else ""))
            words, names = _became(row)
            became = words.format(*names)
            beside = line.cell_len + 2 + cell_len(became) <= width
            yield line.append(f"  {became}") if beside else line
            indent = " " * (_NUMBERS if width >= _NARROW else 13)
            room = max(width - len(indent), 12)
            if not beside:
                yield Text(indent + _fitted(words, names, room), no_wrap=True)
            if row.path and width >= 60:
                path = [spelt_out(name) for name in reversed(row.path)]
                yield Text(indent + _callers(path, room), "dim", no_wrap=True)
        if len(shown) < len(self.rows):
            yield Text(f"… {plural(len(self.rows) - len(shown), 'more way')} (--limit 0)", "dim")


def _became(row: ErrorRow) -> tuple[str, list[str]]:
    """What became of it, with a place for each of the names."""
    passed, names = ("", []) if row.top == row.function else ("came up to {}, ", [spelt_out(row.top)])
    if row.handler:
        return f"{passed}handled by {{}}", [*names, spelt_out(row.handler)]
    if row.interrupt:
        return f"{passed}returned from the interrupt", names
    return f"{passed}returned" if passed else "returned to user space", names


def _fitted(words: str, names: Sequence[str], room: int) -> str:
    """``words`` with the names in their places, each cut as far as it must be: the words are told at any width."""
    left = room - cell_len(words.format(*[""] * len(names)))
    shown: list[str] = []
    for i, name in enumerate(names):
        others = [cell_len(other) for other in names[i + 1 :]]
        # The next one may leave some of its half.
        mine = max(left // (len(others) + 1), left - sum(others), 8)
        shown.append(cut_middle(name, mine))
        left -= cell_len(shown[-1])
    return cut_middle(words.format(*shown), room)


def _callers(names: Sequence[str], room: int) -> str:
    """``← a ← … 2 more ← d``: names are left out, or cut, but never run together."""
    for n_cut in range(max(len(names) - 1, 1)):
        kept = [*names[: len(names) - n_cut - 1], f"… {n_cut} more", names[-1]] if n_cut else names
        if cell_len(said := f"← {' ← '.join(kept)}") <= room:
            return said
    ends = names if len(names) < 3 else [names[0], names[-1]]
    words = "← {} ← {}" if len(names) < 3 else f"← {{}} ← … {len(names) - 2} more ← {{}}"
    return _fitted(words if len(names) > 1 else "← {}", ends, room)
