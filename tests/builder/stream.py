"""A built Trace as the stream of records that a tracer would have written for it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace


@dataclass(frozen=True)
class Record:
    """One record: the entry or the exit of call ``row``. Times in ns."""

    time_ns: int
    row: int
    is_entry: bool
    cpu: int
    pid: int
    comm: str
    name: str
    depth: int
    context: int
    calltime_ns: int
    duration_ns: int


def stream_of(trace: Trace) -> list[Record]:
    """All records in the order of time, each lane's in the order of its calls; no exit for an unfinished call."""
    calls = trace.calls
    starts = [0, *(row for row in range(1, len(calls)) if calls.lane[row] != calls.lane[row - 1]), len(calls)]
    lanes = [_lane(trace, first, last) for first, last in pairwise(starts) if first < last]
    return list(heapq.merge(*lanes, key=lambda record: record.time_ns))


def _lane(trace: Trace, first: int, last: int) -> Iterator[Record]:
    calls = trace.calls
    open_rows: list[int] = []
    for row in range(first, last + 1):
        while open_rows and (row == last or calls.end[open_rows[-1]] <= row):
            done = open_rows.pop()
            if not calls.flags[done] & Flag.NO_EXIT:
                yield _record(trace, done, is_entry=False)
        if row < last:
            open_rows.append(row)
            yield _record(trace, row, is_entry=True)


def _record(trace: Trace, row: int, *, is_entry: bool) -> Record:
    calls = trace.calls
    task = trace.tasks[int(calls.lane[row])]
    start_ns, duration_ns = int(calls.start_ns[row]), int(calls.duration_ns[row])
    return Record(
        time_ns=start_ns if is_entry else start_ns + duration_ns,
        row=row,
        is_entry=is_entry,
        cpu=int(calls.cpu[row]),
        pid=task.pid,
        comm=task.comm,
        name=trace.symbols.label(int(calls.func[row])),
        depth=int(calls.depth[row]),
        context=int(calls.context[row]),
        calltime_ns=start_ns,
        duration_ns=duration_ns,
    )
