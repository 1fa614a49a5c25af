"""``kfgraph top`` on a terminal: the table of functions and the hot paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kfgraph.analyze.top import COLUMNS, Path, Top
from kfgraph.model.spelling import spelt_out
from kfgraph.model.tree import INTERRUPT_MARK
from kfgraph.model.units import format_ns, format_share, plural
from kfgraph.render.blocks import BLANK, count_block, count_width, joined, share_block, time_block, time_width
from kfgraph.render.cells import bar, cut_middle
from kfgraph.render.estimates import ESTIMATE, took
from kfgraph.render.linked import link_style
from kfgraph.render.table import Column, Table
from kfgraph.render.wrapping import wrapped

if TYPE_CHECKING:
    from kfgraph.analyze.sourcelinks import SourceLinks

_DIGITS = 3
_ARROW = " → "
_BAR_WIDTH = 8
_PATH_LINES = 3
_WAITING_PATHS = 3
_PARTS = {
    "oncpu_ns": ("on CPU", 0),
    "total_irq_ns": ("irq", 0),
    "total_preempted_ns": ("preempted", 13),
    "total_asleep_ns": ("asleep", 12),
}
"""Their titles, from the right to the left, and when they go where it is narrow; 0: shown where sorted by."""


@dataclass(frozen=True)
class TopView:
    """The first ``limit`` rows of ``result`` (None: all of them) and its hot paths; ``links``: where names lead."""

    result: Top
    limit: int | None = None
    links: SourceLinks | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def summary(self, width: int) -> list[Text]:
        """The lines above the table: how much there is."""
        result = self.result
        on_cpu = " on the CPU" if result.off_ns else ""
        self_time = f"{format_ns(result.self_ns)} of self time{on_cpu}, by {result.by}"
        if result.interrupt_ns and result.n_interrupt_rows:
            self_time += f", {format_ns(result.interrupt_ns)} of it in interrupts ({INTERRUPT_MARK.strip()})"
        off = [f"{format_ns(ns)} {name.removesuffix('_ns')}" for name, ns in result.off_ns.items() if ns]
        self_time += f"; {', '.join(off)}" if off else ""
        if result.waiting_ns:
            self_time += f"; {format_ns(result.waiting_ns)} waiting"
        if result.n_calls and result.n_self_unknown == result.n_calls:
            by_total = result.by == "self" and (result.numbers.total_ns >= 0).any()
            self_time = "self times unknown" + (" (--by total sorts by what is known)" if by_total else "")
        if result.selection.tracer is not None:
            self_time += f" (estimates: {took(*result.tracer_ns)} more, {result.selection.tracer.cost})"
        said = plural(result.n_names, result.group), plural(result.n_calls, "call"), self_time
        return [Text(line, style="dim") for line in wrapped(", ".join(said), width)]

    def lines(self, width: int) -> Iterator[Text]:
        """Every line; those of the summary, the table and the paths fit ``width``."""
        result = self.result
        yield from self.summary(width)
        shown = result.shown(self.limit)
        yield from self._table(shown).lines(width)
        yield from self._said_below(shown)
        if result.hot_paths:
            yield Text()
            yield Text("Hot paths, by the self time of their last function", style="bold")
            yield from _path_lines(result.hot_paths, width, self.links)
        if result.asleep_paths:
            yield Text()
            yield Text("Where it slept, by the time asleep of the last function", style="bold")
            yield from _path_lines(result.asleep_paths[:_WAITING_PATHS], width, self.links)
        if result.waiting_paths:
            yield Text()
            yield Text("Where it waited, by the self time of the last function", style="bold")
            yield from _path_lines(result.waiting_paths[:_WAITING_PATHS], width, self.links)

    def _table(self, shown: npt.NDArray[np.bool_]) -> Table:
        result = self.result
        rows = np.flatnonzero(shown)
        n_own = int(result.has_own_cost)
        kinds = [result.kinds[i] for i in rows.tolist()]
        numbers, shares = result.numbers, result.self_share[rows]
        longest = float(shares.max(initial=0.0)) or 1.0
        ranks = {"self": 1, "calls": 3, "errors": 3, "total": 4, "avg": 5, "max": 6} | {result.by: 0}

        def times(ns: npt.NDArray[np.int64], own_cost: str = "") -> list[str]:
            return time_cells(ns[rows[: len(rows) - n_own]]) + [own_cost] * n_own

        mark = ESTIMATE if result.selection.tracer is not None else ""
        columns = [
            Column("calls", count_cells(numbers.n_calls[rows]), ranks["calls"]),
            Column(f"{mark}self", times(numbers.self_ns, result.own_cost.at_most), ranks["self"], "bold"),
            Column("share", joined([share_block(shares)]), 2),
            Column("", [bar(max(share, 0.0) / longest, _BAR_WIDTH) for share in shares.tolist()], 7, "green"),
            Column(f"{mark}total", times(numbers.total_ns), ranks["total"]),
            Column(f"{mark}avg", times(numbers.avg_ns), ranks["avg"]),
            Column(f"{mark}p50", times(numbers.p50_ns), 8),
            Column(f"{mark}p95", times(numbers.p95_ns), 9),
            Column(f"{mark}p99", times(numbers.p99_ns), 10),
            Column(f"{mark}max", times(numbers.max_ns), ranks["max"]),
        ]
        if mark:
            columns.insert(2, Column("±", times(result.parts["uncertain_ns"]), 2))
        for name, (title, rank) in _PARTS.items():
            asked = COLUMNS[result.by] == name
            if name in result.parts and (asked or (rank and result.parts[name].any())):
                part = np.where(result.parts[name] == 0, BLANK, result.parts[name])
                columns.insert(5, Column(title, times(part, "?"), 0 if asked else rank))
        if numbers.n_unfinished.any():
            # Which of them ended is not known of each where the text prints no durations.
            name = "no duration" if result.selection.trace.n_unprinted else "unfinished"
            columns.insert(1, Column(name, count_cells(numbers.n_unfinished[rows]), 11))
        if (numbers.n_errors > 0).any():
            cells = [f"{n:,}" if n > 0 else "" for n in numbers.n_errors[rows].tolist()]
            columns.insert(1, Column("errors", cells, ranks["errors"], "red"))
        names, links = [result.labels[i] for i in rows.tolist()], []
        apart = [kind if row >= result.n_work else "" for row, kind in zip(rows.tolist(), kinds, strict=True)]
        if result.group == "function" and self.links is not None:
            self.links.look_for(names)
            links = [self.links.of(name) for name in names]
        names = [INTERRUPT_MARK * (kind == "interrupt") + name for name, kind in zip(names, apart, strict=True)]
        if result.group == "function":
            names = [name + " (waiting)" * (kind == "waiting") for name, kind in zip(names, apart, strict=True)]
        styles = ["" if row < result.n_work else "dim" for row in rows.tolist()]
        return Table(columns, result.group, names, how_to_see="--csv, --json", row_styles=styles, links=links)

    def _said_below(self, shown: npt.NDArray[np.bool_]) -> Iterator[Text]:
        """What the rows above leave out."""
        result, places = self.result, np.arange(len(self.result))
        apart = max(result.self_ns - (result.interrupt_ns if result.n_interrupt_rows else 0), 0)
        of_irq = (places >= result.n_work) & (result.self_share >= 0)
        for what, n_rows, of_ns, rows in (
            (f"more {result.group}", result.n_rows, apart, places < result.n_work),
            (f"more {result.group}", result.n_interrupt_rows, result.self_ns - apart, of_irq),
        ):
            n_more = n_rows - int((shown & rows).sum())
            if n_more:
                known = result.numbers.self_ns[shown & rows]
                rest = max(of_ns - int(known[known > 0].sum()), 0) / max(result.self_ns, 1)
                share = f", {format_share(rest)} of the self time" if result.self_ns else ""
                where = " in interrupts" if rows is of_irq else ""
                yield Text(f"… {plural(n_more, what)}{where}{share} (--limit 0)", style="dim")
        cost = result.own_cost
        if len(cost) and not result.has_own_cost:
            yield Text(f"{cost}, in no row and no share (--own-cost)", style="dim")
        if n := result.n_unfinished:
            trace = result.selection.trace
            why = "never ended"
            if trace.n_unprinted:
                some = trace.n_unfinished > trace.n_unprinted
                why = "never ended, or their durations were not printed" if some else "without a printed duration"
            yield Text(f"{plural(n, 'call')} {why}: counted, their time is unknown", style="yellow")
        if n := result.n_self_unknown - result.n_unfinished:
            yield Text(f"{plural(n, 'call')} with records missing inside: their self time is unknown", style="yellow")


def time_cells(ns: npt.NDArray[np.int64]) -> list[str]:
    """``  1.234 us``, ``123.456 ms``: three decimals in each unit, so that the points align; ``?`` for -1."""
    return joined([time_block(ns, _DIGITS, time_width(ns, _DIGITS))])


def count_cells(counts: npt.NDArray[np.int64]) -> list[str]:
    """``1,234``."""
    return joined([count_block(counts, count_width(counts))])


def _path_lines(paths: Sequence[Path], width: int, links: SourceLinks | None) -> Iterator[Text]:
    """Each path's numbers, then its chain in a few lines, the last function standing out."""
    shares = joined([share_block(np.array([path.self_share for path in paths]))])
    times = time_cells(np.array([path.self_ns for path in paths], np.int64))
    if links is not None:
        links.look_for({name for path in paths for name in path.path})
    for path, share, time in zip(paths, shares, times, strict=True):
        yield Text(f"{share}  {time}  {plural(path.n_calls, 'call')}", style="bold")
        indent = " " * (len(share) + 2)
        last = len(path.path) - 1
        for line in _chain([spelt_out(name) for name in path.path], max(width - len(indent), 8)):
            text = Text(indent, no_wrap=True)
            for piece, place in line:
                url = links.of(path.path[place]) if links is not None and place >= 0 else ""
                text.append(piece, link_style("bold" if place == last else "", url))
            yield text


_Line = list[tuple[str, int]]
"""Pieces of text, each with the place of the function that it names (-1: none)."""


def chain_lines(names: Sequence[str], width: int, *, n_lines: int = _PATH_LINES) -> list[str]:
    """``a → b → … 7 more … → y → z`` in at most ``n_lines`` lines of ``width``; the end is kept longest."""
    return ["".join(piece for piece, _ in line) for line in _chain(names, width, n_lines=n_lines)]


def _chain(names: Sequence[str], width: int, *, n_lines: int = _PATH_LINES) -> list[_Line]:
    for n_cut in range(len(names)):
        kept = [(name, place) for place, name in enumerate(names)]
        if n_cut == 1:
            continue  # the words for it are no shorter than the one name
        if n_cut:
            kept[1 : 1 + n_cut] = [(f"… {n_cut} more …", -1)]
        lines = _wrapped(kept, width)
        if len(lines) <= n_lines:
            return lines
    return [[(cut_middle(names[-1], width), len(names) - 1)]]


def _wrapped(names: Sequence[tuple[str, int]], width: int) -> list[_Line]:
    lines: list[_Line] = []
    arrow, room = _ARROW.lstrip(), 0
    for i, (name, place) in enumerate(names):
        piece = cut_middle(name, width if i == 0 else width - len(arrow))
        wide = cell_len(piece)
        if lines and wide + len(_ARROW) <= room:
            lines[-1] += [(_ARROW, -1), (piece, place)]
            room -= len(_ARROW) + wide
        else:
            lines.append([(arrow, -1)] * (i > 0) + [(piece, place)])
            room = width - wide - len(arrow) * (i > 0)
    return lines
