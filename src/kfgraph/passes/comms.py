"""What tasks were called before: an exec gives a task another name, and the one that is kept is the last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from kfgraph.model.arrays import distinct
from kfgraph.model.calls import Flag
from kfgraph.model.tasks import TaskTable
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given

_RECORDERS = ("trace-cmd", "kfgraph")
"""They fork the command: that is no name of it."""
_MOST = 15
"""Characters of a comm (TASK_COMM_LEN - 1)."""


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with ``Task.formerly``, and the comm of tasks whose own is not known, as events tell."""
    told: dict[int, list[tuple[int, int, str]]] = {}
    for lane, mark, order, comm in _evidence(trace):
        if comm and comm != "<...>" and lane >= 0 and trace.tasks[lane].pid > 0:
            told.setdefault(lane, []).append((mark, order, comm))
    tasks = list(trace.tasks.tasks)
    for lane, names in told.items():
        first = _first_own(trace, lane)
        # The launcher's own name is none of the command's.
        known = [comm for mark, _, comm in sorted(names) if mark < 0 or trace.marks.row[mark] > first]
        while known and known[0] in _RECORDERS and tasks[lane].comm not in _RECORDERS:
            del known[0]
        comm = tasks[lane].comm or (known[-1] if known else "")
        in_turn = [one for i, one in enumerate([*known, comm]) if i == 0 or one != known[i - 1]]
        tasks[lane] = replace(tasks[lane], comm=comm, formerly=tuple(in_turn[:-1]))
    return trace if tuple(tasks) == trace.tasks.tasks else replace(trace, tasks=TaskTable(tuple(tasks)))


def _evidence(trace: Trace) -> Iterator[tuple[int, int, int, str]]:
    """(lane, mark, order at that mark, what the task is called then or from then on)."""
    marks = trace.marks
    filename = marks.field("sched_process_exec", "filename")
    if filename is not None:
        for at, name, known in zip(filename.rows.tolist(), filename.values, filename.known.tolist(), strict=True):
            if known:
                yield int(marks.lane[at]), at, 1, str(name).rpartition("/")[2][:_MOST]
    parent, child, pid = marks.fields("sched_process_fork", "parent_comm", "child_comm", "child_pid")
    if parent is None:
        # trace-cmd's own lines of it.
        parent = marks.field("sched_process_fork", "comm")
    if parent is not None:
        for at, name, known in zip(parent.rows.tolist(), parent.values, parent.known.tolist(), strict=True):
            if known:
                yield int(marks.lane[at]), at, 0, str(name)
    if child is not None and pid is not None and pid.is_number:
        for at, name, number in zip(child.rows.tolist(), child.values, pid.values.tolist(), strict=True):
            lane = trace.tasks.lane_of(int(number), int(marks.time_ns[at]))
            if lane >= 0:
                yield lane, at, 0, str(name)
    for event, field in (("sched_switch", "prev_comm"), ("sched_process_exit", "comm")):
        yield from _ends(trace, event, field)


def _ends(trace: Trace, event: str, field: str) -> Iterator[tuple[int, int, int, str]]:
    """The same of the first and the last of the events of each lane that tell the name of the task they happened in."""
    marks = trace.marks
    if marks.source is None:
        return
    for code, known_as in enumerate(marks.names):
        if known_as != event:
            continue
        every = np.flatnonzero((marks.name == code) & (marks.lane >= 0)).astype(np.int32)
        order = np.argsort(marks.lane[every], kind="stable")
        lanes = marks.lane[every][order]
        begins = np.flatnonzero(np.append(True, lanes[1:] != lanes[:-1])[: len(lanes)])
        ends = np.append(begins[1:], len(lanes)) - 1
        rows = distinct(every[order[np.concatenate([begins, ends])]]) if len(lanes) else every
        (column,) = marks.source.columns(code, rows.astype(np.int32), (field,))
        if column is not None:
            values, known = column
            for at, name, is_known in zip(rows.tolist(), values, known.tolist(), strict=True):
                if is_known:
                    yield int(marks.lane[at]), at, 0, str(name)


def _first_own(trace: Trace, lane: int) -> int:
    """The first row of a lane that is not its launcher's; -1: it has none of a launcher."""
    calls = trace.calls
    begin, end = calls.bounds_of(lane)
    own = np.flatnonzero((calls.flags[begin:end] & np.uint32(Flag.PRE_EXEC)) == 0)
    if begin == end or not len(own) or not calls.flags[begin] & np.uint32(Flag.PRE_EXEC):
        return -1
    return begin + int(own[0])
