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
from kfgraph.model.units import average_ns, format_ns, plural
from kfgraph.render.cells import cut_middle
from kfgraph.render.estimates import ESTIMATE, took
from kfgraph.render.table import Column, Table


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
        for call, time, result in zip(calls, took, results, strict=True):
            at = f"{(call.start_ns - first) / 1e9:.6f}" if call.start_ns >= 0 <= first else ""
            line = Text(f"{at:>11}  {time:>{took_wide}}  ", no_wrap=True)
            if wide:
                line.append(f"{names[call.lane]:{wide}}", "dim")
            line.append(f"{result:>{result_wide}}  ", "bold red" if call.error else "")
            room = max(width - line.cell_len, 12)
            whole = spelt_out(call.worded)
            # The file says more than what stands beside it.
            text = whole if cell_len(whole) <= room or not call.paths else spelt_out(call.shown)
            line.append(cut_middle(text, room), "bold" if call.error else "")
            yield line
        yield from lines_below(calls, self.trace)
        if len(calls) < len(self.calls):
            yield Text(f"… {plural(len(self.calls) - len(calls), 'more system call')} (--limit 0)", "dim")


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


def sums_table(sums: Sequence[SystemCallSum], total_ns: int) -> Table:
    """strace -c: one row for each system call, and the function most of its time went into."""
    uncertain = [format_ns(s.uncertain_ns) for s in sums if isinstance(s, EstimatedSum)]
    mark = ESTIMATE if uncertain else ""
    share = [f"{100 * s.total_ns / total_ns:.1f}%" if total_ns > 0 else "?" for s in sums]
    averages = [average_ns(s.total_ns, s.n_finished) if s.n_finished else -1 for s in sums]
    columns = [
        Column(f"{mark}time", [format_ns(s.total_ns) for s in sums], 0, "bold"),
        Column("share", share, 2),
        Column("calls", [f"{s.n_calls:,}" for s in sums], 1),
        Column("errors", [f"{s.n_errors:,}" if s.n_errors else "" for s in sums], 3, "red"),
        Column(f"{mark}avg", list(map(format_ns, averages)), 4),
        Column(f"{mark}max", [format_ns(s.max_ns) for s in sums], 5),
    ]
    if uncertain:
        columns.insert(1, Column("±", uncertain, 2))
    names = [f"{s.name}  ({s.hottest} {s.hottest_share:.0%})" if s.hottest else s.name for s in sums]
    return Table(columns, "system call (where its time went)", names, how_to_see="--json")
