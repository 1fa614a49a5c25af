"""Tasks that had one pid one after another: the lane of the pid is divided where the next task begins.

A task begins once: in the fork (``sched_process_fork``, ``task_newtask``, ``sched_wakeup_new``), and in
``schedule_tail``, the first function that it calls. So the same of them twice is two tasks. One of them is
enough where the task before ended (``do_exit`` does not return; ``sched_process_exit``; a switch out in a dead state),
and an event of the fork where calls of the pid are older. A new name alone proves nothing: a task may name itself. Nor
does an exec: a thread that is not the leader has the pid of the leader from then on, and before 5.7 the leader is freed
with that pid. So a task that is freed must have ended, and nothing may have gone on since.

Only these events, these functions, and the lanes that they are about are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from kfgraph.errors import notice
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.marks import Losses, Marks
from kfgraph.model.sparse import Sparse
from kfgraph.model.tasks import TaskTable
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given

Int64 = npt.NDArray[np.int64]
Places = TypeVar("Places", Marks, Losses)

BIRTHS = {"sched_process_fork": "child_pid", "sched_wakeup_new": "pid", "task_newtask": "pid"}
"""Events of the task that makes another one, and the field that is the pid of that."""
FREE = "sched_process_free"
"""A task that had the pid is no more. Another one may have the pid by then."""
FIRST = "schedule_tail"
"""Every new task calls it first, and nothing else does (kernel/sched/core.c; ret_from_fork of each architecture)."""
_FIRST_LEFT = "schedule_tail, left"
"""An exit of it without an entry, where an entry without an exit is before: it may be the exit of that."""
_ENDING, _DIED = "ending", "died"
"""A task runs for a little while yet, or not at all."""
_ENDED = (_ENDING, _DIED)
_EXIT, _END, _EXEC = "sched_process_exit", "do_exit", "sched_process_exec"
_DEAD, _DEAD_LETTERS = 0x30, ("X", "Z", "x")
"""Of ``prev_state``: EXIT_DEAD and EXIT_ZOMBIE (include/linux/sched.h). The letter of TASK_DEAD is x, before 4.14."""
_SKEW_NS = 1_000_000
"""The clocks of two CPUs are not further apart."""
_NEVER = np.iinfo(np.int64).max


class _Told(NamedTuple):
    """Something that tells that a task begins (``kind``: the event or function) or has ended (_ENDED and FREE), before
    ``row``."""

    row: int
    time_ns: int
    kind: str


class _Border(NamedTuple):
    """A task of this lane begins: from ``row`` on the calls are its, from ``time_ns`` on the events (-1: not known)."""

    lane: int
    row: int
    time_ns: int


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with a lane for each task, where several had one pid."""
    taken, lanes = _taken_over(trace), list(_lanes_to_look_at(trace))
    by_lane = np.argsort(trace.marks.lane, kind="stable") if lanes else np.zeros(0, np.int64)
    bounds = np.searchsorted(trace.marks.lane[by_lane], [[lane.number, lane.number + 1] for lane in lanes]).tolist()
    own = [by_lane[begin:end] for begin, end in bounds]
    borders = [one for lane, marks in zip(lanes, own, strict=True) for one in _borders(trace, lane, marks, taken)]
    return _divided(trace, borders) if borders else trace


class _Lane(NamedTuple):
    """A lane, its rows, the time of its first record (-1: not known), the events about its pid, the calls of FIRST."""

    number: int
    begin: int
    end: int
    first_ns: int
    events: list[tuple[int, str]]
    begins: list[int]


def _lanes_to_look_at(trace: Trace) -> Iterator[_Lane]:
    """The lanes in which something is before a call of FIRST, or before an event about their pid."""
    calls, marks, tasks = trace.calls, trace.marks, trace.tasks
    events: dict[int, list[tuple[int, str]]] = {}
    for event, name in {**BIRTHS, FREE: "pid"}.items():
        pid = marks.field(event, name) if event in marks.names else None
        if pid is not None and pid.is_number:
            for at, number in zip(pid.rows[pid.known].tolist(), pid.values[pid.known].tolist(), strict=True):
                events.setdefault(int(number), []).append((int(marks.time_ns[at]), event))
    begins: dict[int, list[int]] = {}
    if FIRST in trace.symbols.names:
        rows = np.flatnonzero(calls.func == trace.symbols.names.index(FIRST))
        for row, lane in zip(rows.tolist(), calls.lane[rows].tolist(), strict=True):
            begins.setdefault(lane, []).append(row)
    if not events and not begins:
        return
    n = len(tasks)
    bounds = np.searchsorted(calls.lane, np.arange(n + 1))
    first = np.full(n + 1, _NEVER, np.int64)
    first[marks.lane[::-1]] = marks.time_ns[::-1]
    some = np.flatnonzero(bounds[:-1] < bounds[1:])
    first[some] = np.minimum(first[some], calls.start_ns[bounds[some]])
    for lane, task in enumerate(tasks.tasks):
        if task.pid <= 0:
            continue
        begin, end, since = int(bounds[lane]), int(bounds[lane + 1]), int(first[lane])
        told, rows_of = events.get(task.pid, []), begins.get(lane, [])
        if any(time >= since >= 0 for time, _ in told) or any(row > begin for row in rows_of):
            yield _Lane(lane, begin, end, since, told, rows_of)


def _taken_over(trace: Trace) -> Int64:
    """The execs (marks) of threads that were not the leader, and have the pid of the leader from then on."""
    pid, old = trace.marks.fields(_EXEC, "pid", "old_pid") if FREE in trace.marks.names else (None, None)
    if pid is None or old is None or not (pid.is_number and old.is_number):
        return np.zeros(0, np.int64)
    other: Int64 = pid.rows[pid.known & old.known & (pid.values != old.values)].astype(np.int64)
    return other


def _borders(trace: Trace, lane: _Lane, own: Int64, taken: Int64) -> Iterator[_Border]:
    """Where a task begins that is not the first one of the lane. ``own`` are its marks."""
    calls, marks = trace.calls, trace.marks
    ends, exits = _ends(trace, lane, own)
    told = [*ends, *_begins(calls, lane, exits)]
    times = calls.start_ns[lane.begin : lane.end]
    since = np.maximum.accumulate(times) if len(times) else times
    if not len(times) or (since - times)[times >= 0].max(initial=-1) <= _SKEW_NS:
        # Else the times are those of several recordings.
        last = max([*since[-1:].tolist(), *marks.time_ns[own].tolist()], default=-1)
        for time, kind in lane.events:
            if 0 <= time <= last:
                at = _row_at(calls, lane.begin, since, time, ends) if kind in BIRTHS else np.searchsorted(since, time)
                told.append(_Told(lane.begin + int(at), time, kind))
    told.sort(key=lambda one: (one.row, one.time_ns))
    row, since_ns, seen, ended = lane.begin, lane.first_ns, set[str](), False
    for one in told:
        time, has_call = one.time_ns, one.row < lane.end
        start = int(calls.start_ns[one.row]) if has_call else _NEVER
        if one.kind == FREE:
            is_new = ended and has_call and bool(calls.parent[one.row] < 0) and start > time + _SKEW_NS
            is_new = is_new and not _went_on(trace, lane, own, time, ends, exits, taken)
        else:
            is_old = one.kind in BIRTHS and one.row > row and since_ns + _SKEW_NS < time
            is_new = one.kind not in _ENDED and (ended or is_old or one.kind in seen)
        begun = one.row > row or since_ns < time
        if begun and is_new and not _is_spanned(calls, lane, one.row):
            time = min(time, start)
            if time >= 0:
                # After the last record of the task before, the pid is the next one's: it is switched to first.
                over = calls.start_ns[row : one.row] + np.maximum(calls.duration_ns[row : one.row], 0)
                records = np.concatenate([over, marks.time_ns[own]])
                before = records[records < time]
                time = int(before.max()) + 1 if len(before) else time
            yield _Border(lane.number, one.row, time)
            row, since_ns, seen, ended = one.row, time, set(), False
        elif one.kind in (*_ENDED, FREE):
            ended = ended or one.kind != FREE
            continue
        seen.add(one.kind)


def _ends(trace: Trace, lane: _Lane, own: Int64) -> tuple[list[_Told], Int64]:
    """(what tells that a task of the lane ended, the calls of ``do_exit``): that did not return, or the event in it."""
    calls, marks = trace.calls, trace.marks
    exits, told = np.zeros(0, np.int64), []
    if _END in trace.symbols.names:
        part = slice(lane.begin, lane.end)
        is_end = (calls.func[part] == trace.symbols.names.index(_END)) & (calls.duration_ns[part] < 0)
        exits = lane.begin + np.flatnonzero(is_end)
        told = [_Told(row + 1, int(calls.start_ns[row]), _ENDING) for row in exits.tolist()]
    if _EXIT in marks.names:
        at = own[marks.name[own] == marks.names.index(_EXIT)]
        told += [_Told(int(marks.row[one]), int(marks.time_ns[one]), _ENDING) for one in at.tolist()]
    told += [_Told(int(marks.row[one]), int(marks.time_ns[one]), _DIED) for one in _died(marks, own).tolist()]
    return told, exits


def _died(marks: Marks, own: Int64) -> Int64:
    """The switches (marks) out of a task that does not run again."""
    if "sched_switch" not in marks.names or marks.source is None:
        return own[:0]
    code = marks.names.index("sched_switch")
    at: Int64 = own[marks.name[own] == code]
    (state,) = marks.source.columns(code, at.astype(np.int32), ("prev_state",))
    if state is None or not len(at):
        return at[:0]
    values, known = state
    if isinstance(values, np.ndarray):
        is_dead = (values.astype(np.int64) & _DEAD) != 0
    else:
        is_dead = np.array([each[:1] in _DEAD_LETTERS for each in values], np.bool_)
    died: Int64 = at[known & is_dead]
    return died


def _went_on(
    trace: Trace, lane: _Lane, own: Int64, time: int, ends: list[_Told], exits: Int64, taken: Int64
) -> bool:
    """Whether another task had the pid before the one that ended was freed, at ``time``."""
    calls, marks = trace.calls, trace.marks
    past = [one for one in ends if one.time_ns <= time]
    if not past:
        return True
    last = max(past, key=lambda one: (one.time_ns, one.row))
    later = min((one.time_ns for one in ends if one.time_ns > time), default=_NEVER)
    for mark in own[(marks.time_ns[own] >= last.time_ns) & (marks.time_ns[own] < later)].tolist():
        if marks.names[marks.name[mark]] == _EXEC and (marks.time_ns[mark] <= time or mark in taken):
            return True
    # A task that is ending calls on for a while, inside do_exit where that is traced.
    since = calls.start_ns[last.row : lane.end]
    open_exits = exits[(exits < last.row) & (calls.end[exits] >= last.row) & (last.kind == _ENDING)]
    over = int(calls.end[open_exits].max(initial=last.row)) - last.row
    after = last.time_ns + (0 if len(open_exits) else _SKEW_NS)
    return bool(((since[over:] > after) & (since[over:] < time)).any())


def _begins(calls: CallTable, lane: _Lane, exits: Int64) -> Iterator[_Told]:
    """Where the tasks begin that call FIRST: what stands between it and the end of the task before is theirs, unless
    records were lost there."""
    last = -1
    for row in lane.begins:
        before = exits[exits < row]
        over = min(int(calls.end[before[-1]]), row) if len(before) else row
        lost = calls.flags[over:row] & np.uint32(Flag.CALLER_LOST)
        is_left = bool(calls.flags[row] & np.uint32(Flag.NO_ENTRY)) and last >= 0 and calls.duration_ns[last] < 0
        kind, last = _FIRST_LEFT if is_left else FIRST, row
        yield _Told(row if lost.any() else over, int(calls.start_ns[row]), kind)


def _row_at(calls: CallTable, begin: int, since: Int64, time: int, ends: list[_Told]) -> int:
    """The first call of the lane, counted from ``begin``, after an event of another CPU at ``time``.

    By their clocks it may be a little before that. Then it is outside any call, and after the end of the task before.
    """
    early, at = np.searchsorted(since, [time - _SKEW_NS, time]).tolist()
    over = max((one.row - begin for one in ends if one.row - begin < at), default=at)
    roots = np.flatnonzero(calls.parent[begin + max(early, over) : begin + at] < 0)
    return max(early, over) + int(roots[0]) if len(roots) else int(at)


def _is_spanned(calls: CallTable, lane: _Lane, row: int) -> bool:
    """Whether a call that returned was open there: then it is one task that goes on, whatever else is told."""
    up = int(calls.parent[row]) if row < lane.end else -1
    while up >= 0:
        if calls.duration_ns[up] >= 0:
            return True
        up = int(calls.parent[up])
    return False


def _divided(trace: Trace, borders: list[_Border]) -> Trace:
    """The trace with the lanes divided: those behind a divided one have higher numbers."""
    calls = _cut(trace.calls, borders)
    lane = calls.lane.copy()
    for border in borders:
        lane[border.row :] += 1
    calls = calls.with_columns(lane=lane)
    tasks = []
    for number, task in enumerate(trace.tasks.tasks):
        own = [border for border in borders if border.lane == number]
        if not own:
            tasks.append(task)
            continue
        # The last name is that of the last one. A text may tell the first one's.
        comms = [*[*task.formerly[:1], *[""] * len(own)][: len(own)], task.comm]
        since = [-1, *(border.time_ns for border in own)]
        tasks += [
            replace(task, comm=comm, formerly=(), nth=n, since_ns=time)
            for n, (comm, time) in enumerate(zip(comms, since, strict=True), 1)
        ]
    return replace(
        trace,
        calls=calls,
        tasks=TaskTable(tuple(tasks)),
        marks=_renumbered(trace.marks, calls, borders),
        losses=_renumbered(trace.losses, calls, borders),
        notices=(*trace.notices, notice("pid-reused", len({border.lane for border in borders}))),
    )


def _cut(calls: CallTable, borders: list[_Border]) -> CallTable:
    """No call goes on over a border: it had not returned when the next task began."""
    crossing = [border for border in borders if border.row < len(calls) and calls.parent[border.row] >= 0]
    if not crossing:
        return calls
    parent, end, level, flags = (column.copy() for column in (calls.parent, calls.end, calls.level, calls.flags))
    irq_ns = calls.irq_ns
    for row in (border.row for border in crossing):
        up, behind = int(parent[row]), row
        while up >= 0:
            behind = max(behind, int(end[up]))
            end[up] = row
            up = int(parent[up])
        part = slice(row, behind)
        top = parent[part] < row
        which = np.maximum.accumulate(np.where(top, np.arange(behind - row), 0))
        level[part] -= level[part][which]
        moved = row + np.flatnonzero(top & (parent[part] >= 0))
        jumps = (calls.depth[moved] > 0) & ((flags[moved] & np.uint32(Flag.CALLER_LOST)) == 0)
        flags[moved[jumps]] |= np.uint32(Flag.DEPTH_JUMP)
        hit = moved[(flags[moved] & np.uint32(Flag.INTERRUPT | Flag.IN_TRACER)) == Flag.INTERRUPT]
        if irq_ns is not None and len(hit):
            rows, values = np.append(irq_ns.rows, parent[hit]), np.append(irq_ns.values, -calls.duration_ns[hit])
            irq_ns = Sparse.sums(rows, values)
        parent[moved] = -1
    return calls.with_columns(parent=parent, end=end, level=level, flags=flags, irq_ns=irq_ns)


def _renumbered(places: Places, calls: CallTable, borders: list[_Border]) -> Places:
    """Marks or losses in the divided lanes."""
    lane, parent = places.lane.copy(), places.parent.copy()
    for border in borders:
        later = places.row > border.row
        if border.time_ns >= 0:
            later |= (places.row == border.row) & (places.time_ns >= border.time_ns)
        lane[((places.lane == border.lane) & later) | (places.lane > border.lane)] += 1
    parent[(parent >= 0) & (calls.lane[parent] != lane)] = -1
    return replace(places, lane=lane, parent=parent)
