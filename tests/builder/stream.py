"""A built Trace as the stream of records that a tracer would have written for it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace


class Record(NamedTuple):
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


_NO_EXIT = int(Flag.NO_EXIT)


def stream_of(trace: Trace) -> list[Record]:
    """All records in the order of time, each lane's in the order of its calls; no exit for an unfinished call."""
    lane = trace.calls.lane.tolist()
    starts = [0, *(row for row in range(1, len(lane)) if lane[row] != lane[row - 1]), len(lane)]
    entries = _entries(trace)
    ends = trace.calls.end.tolist()
    no_exit = [bool(flags & _NO_EXIT) for flags in trace.calls.flags.tolist()]
    lanes = [_lane(entries, ends, no_exit, first, last) for first, last in pairwise(starts) if first < last]
    return list(heapq.merge(*lanes, key=lambda record: record.time_ns))


def _lane(
    entries: list[Record], ends: list[int], no_exit: list[bool], first: int, last: int
) -> Iterator[Record]:
    open_rows: list[int] = []
    for row in range(first, last + 1):
        while open_rows and (row == last or ends[open_rows[-1]] <= row):
            done = open_rows.pop()
            if not no_exit[done]:
                entry = entries[done]
                yield entry._replace(time_ns=entry.calltime_ns + entry.duration_ns, is_entry=False)
        if row < last:
            open_rows.append(row)
            yield entries[row]


def _entries(trace: Trace) -> list[Record]:
    """The entry of each call."""
    calls = trace.calls
    tasks = {lane: trace.tasks[lane] for lane in set(calls.lane.tolist())}
    labels = {code: trace.symbols.label(code) for code in set(calls.func.tolist())}
    columns = (calls.start_ns, calls.duration_ns, calls.cpu, calls.lane, calls.func, calls.depth, calls.context)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        Record(start, row, True, cpu, tasks[lane].pid, tasks[lane].comm, labels[func], depth, context, start, duration)
        for row, (start, duration, cpu, lane, func, depth, context) in enumerate(rows)
    ]
