"""``kfgraph syscalls`` on a terminal: a list as strace has it, or its table of sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kfgraph.analyze.owncost import own_cost
from kfgraph.analyze.syscalls import EstimatedSum, SystemCall, SystemCallSum, shown_result
from kfgraph.model.spelling import spelt_out
from kfgraph.model.trace import Trace
from kfgraph.model.units import average_ns, format_ns, format_share, plural
from kfgraph.render.cells import cut_middle
from kfgraph.render.estimates import ESTIMATE, took
from kfgraph.render.table import Column, Table

_CALL_ROOM = 32
"""With less room for what was called, start times go."""


@dataclass(frozen=True)
class SystemCallsView:
    """``calls`` in the order given; ``n_all`` were chosen from, ``limit`` is how many are shown (None: all)."""

    trace: Trace
    calls: Sequence[SystemCall]
    limit: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """One line a call, each at most ``width`` columns."""
        calls = self.calls if self.limit is None else self.calls[: self.limit]
        n_failed = sum(bool(call.error) for call in self.calls)
        unknown = sum(call.result is None for call in self.calls)
        said = f"{plural(len(self.calls), 'system call')}, {n_failed:,} failed"
        yield Text(said + (f", the result of {unknown:,} was not recorded" if unknown else ""), "dim")
        first = self.trace.meta.first_ns
        tasks = {call.lane for call in calls}
        names = {lane: spelt_out(self.trace.tasks[lane].label) for lane in tasks}
        wide = max(map(len, names.values()), default=0) + 2 if len(tasks) > 1 else 0
        took = [(ESTIMATE if call.tracer_ns else "") + format_ns(call.total_ns, digits=1) for call in calls]
        results = [shown_result(call, self.trace.meta.arch) for call in calls]
        took_wide, result_wide = max(map(len, took), default=0), min(max(map(len, results), default=0), 20)
        starts = [f"{(call.start_ns - first) / 1e9:.6f}" if call.start_ns >= 0 <= first else "" for call in calls]
        start_wide = max(map(len, starts), default=0)
        # What was called says more than when.
        has_starts = width - (start_wide + took_wide + wide + result_wide + 6) >= _CALL_ROOM
        for call, start, time, result in zip(calls, starts, took, results, strict=True):
            line = Text(f"{start:>{start_wide}}  " if has_starts else "", no_wrap=True)
            line.append(f"{time:>{took_wide}}  ")
            if wide:
                line.append(f"{names[call.lane]:{wide}}", "dim")
            line.append(f"{result:>{result_wide}}  ", "bold red" if call.error else "")
            room = max(width - line.cell_len, 12)
            whole = spelt_out(call.worded)
            # The file says more than what stands beside it.
            text = whole if cell_len(whole) <= room or not call.paths else spelt_out(call.shown)
            line.append(cut_middle(text, room), "bold" if call.error else "")
            yield line
        if not has_starts:
            yield Text("start times: not at this width (--json)", "dim")
        yield from lines_below(calls, self.trace)
        if len(calls) < len(self.calls):
            more = self.calls[len(calls) :]
            n_more_failed = sum(bool(call.error) for call in more)
            yield Text(f"… {plural(len(more), 'more system call')} (--limit 0)", "dim")
            if n_more_failed and n_failed < len(self.calls):
                yield Text(f"{n_more_failed:,} of them failed (--failed)", "dim")


def lines_below(calls: Sequence[SystemCall], trace: Trace) -> Iterator[Text]:
    """What the times of these calls lack, if they lack any: what tracing took, and kfgraph's own cost."""
    tracer_ns, uncertain_ns = (sum(getattr(call, name) for call in calls) for name in ("tracer_ns", "uncertain_ns"))
    if tracer_ns:
        yield Text(f"estimates ({ESTIMATE}): {took(tracer_ns, uncertain_ns)} more", "dim")
    yield from own_cost_line(calls, trace)


def own_cost_line(calls: Sequence[SystemCall], trace: Trace) -> Iterator[Text]:
    """kfgraph's own cost that the times of these calls lack, if they lack any."""
    less = [call for call in calls if call.total_ns + call.tracer_ns != call.duration_ns]
    if less:
        known = all(call.total_ns >= 0 for call in less)
        time = format_ns(sum(call.duration_ns - call.total_ns - call.tracer_ns for call in less)) if known else "?"
        said = f"{own_cost(trace).label} took ≤ {time} in {plural(len(less), 'system call')}, in no time above"
        yield Text(said, "dim")


@dataclass(frozen=True)
class SystemCallSumsView:
    """strace -c: one row for each system call, ``limit`` of them (None: all)."""

    sums: Sequence[SystemCallSum]
    limit: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """The table, and how much it leaves out."""
        shown = self.sums if self.limit is None else self.sums[: self.limit]
        total, of_shown = (sum(max(one.total_ns, 0) for one in some) for some in (self.sums, shown))
        yield from _sums_table(shown, total).lines(width)
        if n_more := len(self.sums) - len(shown):
            share = f", {format_share((total - of_shown) / total)} of the time" if total else ""
            yield Text(f"… {plural(n_more, 'more row')}{share} (--limit 0)", "dim")


def _sums_table(sums: Sequence[SystemCallSum], total_ns: int) -> Table:
    """With the function that most of the time of each went into."""
    uncertain = [format_ns(s.uncertain_ns) for s in sums if isinstance(s, EstimatedSum)]
    mark = ESTIMATE if uncertain else ""
    share = [s.total_ns / total_ns if total_ns > 0 and s.total_ns >= 0 else -1 for s in sums]
    averages = [average_ns(s.total_ns, s.n_finished) if s.n_finished else -1 for s in sums]
    columns = [
        Column(f"{mark}time", [format_ns(s.total_ns) for s in sums], 0, "bold"),
        Column("share", [format_share(one) for one in share], 2),
        Column("calls", [f"{s.n_calls:,}" for s in sums], 1),
        Column("errors", [f"{s.n_errors:,}" if s.n_errors else "" for s in sums], 3, "red"),
        Column(f"{mark}avg", list(map(format_ns, averages)), 4),
        Column(f"{mark}max", [format_ns(s.max_ns) for s in sums], 5),
    ]
    if uncertain:
        columns.insert(1, Column("±", uncertain, 2))
    behind = [("  (", s.hottest, f" {s.hottest_share:.0%})") if s.hottest else ("", "", "") for s in sums]
    heads = ("system call", " (where its time went)")
    return Table(columns, heads[0], [s.name for s in sums], how_to_see="--json", behind=behind, behind_head=heads[1])
