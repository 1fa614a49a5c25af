"""Which lanes are the command's, and which of its calls the launcher made before its exec: the companion tells."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from kfgraph.errors import notice
from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given

# The point of no return of an exec is in begin_new_exec (flush_old_exec before 5.8): a failed one never comes there.
_COMMITS = re.compile(r"(?:begin_new_exec|flush_old_exec)(?:\.\w+)*")
_GIVES_BACK = re.compile(r"exit_mmap(?:\.\w+)*")
_EXECS = re.compile(r"(?:__)?(?:[a-z0-9]+_)*sys_execve(?:at)?|(?:__)?do_execve\w*(?:\.\w+)*|bprm_execve(?:\.\w+)*")


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with the lanes of its companion's command, and PRE_EXEC on what ran before its exec.

    A companion that names none of the trace's tasks becomes a Notice.
    """
    companion = trace.companion
    if companion is None or not companion.pids:
        return trace
    lanes = command_lanes(trace, companion)
    if not lanes:
        return replace(trace, notices=(*trace.notices, notice("companion-mismatch", file=given.companion_name)))
    trace = replace(trace, command_lanes=lanes)
    # A process that was attached to was past its exec: a later one of its own is its work.
    return flag_pre_exec(trace, companion.pids[0]) if companion.argv else trace


def command_lanes(trace: Trace, companion: Companion) -> frozenset[int]:
    """The tasks traced on purpose, with what they forked where children were followed."""
    tasks, marks = trace.tasks, trace.marks
    # Another task may have had the pid after the command.
    lanes = {lane for pid in companion.pids for lane in tasks.lanes_of(pid=pid)[:1]}
    child = marks.field("sched_process_fork", "child_pid") if companion.follow else None
    if child is not None and child.is_number:
        # The fork happens in its parent: the lane tells it, whatever its comm is.
        at = child.rows[child.known]
        made = zip(marks.lane[at].tolist(), child.values[child.known].tolist(), marks.time_ns[at].tolist(), strict=True)
        for lane, pid, time in made:
            if lane in lanes:
                lanes.add(tasks.lane_of(int(pid), time))
    return frozenset(lanes - {-1})


def flag_pre_exec(trace: Trace, pid: int) -> Trace:
    """PRE_EXEC on what ``pid`` ran before the root call that performs its first exec, and on the launcher's end in it.

    The exec itself is the command's, as in strace; but not that it gives back the memory of the process that was forked
    for it. Where no exec is seen, or records were lost before it (then it may be a later one), nothing is flagged.
    """
    lanes = trace.tasks.lanes_of(pid=pid)
    if not lanes:
        return trace
    lane = lanes[0]
    calls = trace.calls
    begin, end = calls.bounds_of(lane)
    commits = _first_row(trace, _COMMITS, begin, end)
    first = _root(trace, commits) if commits is not None else _likely_exec(trace, lane, begin, end)
    if first is None:
        return trace
    losses = trace.losses
    if ((losses.lane == lane) & (losses.row <= first)).any():
        return trace
    flags = calls.flags.copy()
    flags[begin:first] |= np.uint32(Flag.PRE_EXEC)
    if commits is not None:
        gives_back = _first_row(trace, _GIVES_BACK, commits, int(calls.end[commits]))
        if gives_back is not None:
            flags[gives_back : calls.end[gives_back]] |= np.uint32(Flag.PRE_EXEC)
    return replace(trace, calls=calls.with_columns(flags=flags))


def _likely_exec(trace: Trace, lane: int, begin: int, end: int) -> int | None:
    """Where no call of _COMMITS was recorded: the root call of the first exec that is seen, or the row of its mark."""
    marked = _first_mark(trace, lane)
    if marked is not None:
        return marked
    call = _first_row(trace, _EXECS, begin, end)
    return None if call is None else _root(trace, call)


def _first_row(trace: Trace, pattern: re.Pattern[str], begin: int, end: int) -> int | None:
    """The first call in ``begin:end`` of a function that ``pattern`` names."""
    codes = trace.symbols.codes_where(pattern.fullmatch(name) is not None for name in trace.symbols.names)
    found = np.flatnonzero(np.isin(trace.calls.func[begin:end], codes))
    return begin + int(found[0]) if len(found) else None


def _first_mark(trace: Trace, lane: int) -> int | None:
    """The root around the lane's first ``sched_process_exec``, or the row behind it."""
    marks = trace.marks
    for mark in marks.named("sched_process_exec").tolist():
        if marks.lane[mark] == lane:
            inside = int(marks.parent[mark])
            return _root(trace, inside) if inside >= 0 else int(marks.row[mark])
    return None


def _root(trace: Trace, row: int) -> int:
    parent = trace.calls.parent
    while parent[row] >= 0:
        row = int(parent[row])
    return row
