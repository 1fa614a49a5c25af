"""Which calls are an interrupt's that hit the call above them, and how much of that call's time it took.

The context in the records tells of what runs inside the wrappers (:mod:`kfgraph.kernel.interrupts`), the wrappers'
names tell of them, and the times of what hit the tracer itself (:mod:`kfgraph.parse.placing`). The rows of one stand
side by side (``irq_enter_rcu``, ``__sysvec_apic_timer_interrupt``, ``irq_exit_rcu``), each flagged INTERRUPT. One that
hits another interrupt is of a higher level: a softirq in the hardirq that runs it is part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kfgraph.errors import notice
from kfgraph.kernel.interrupts import EXIT_PARTS, RESCHEDULING, level_of
from kfgraph.kernel.waiting import AROUND_SWITCHING, SWITCH_BEGINS, SWITCH_ENDS, SWITCHING
from kfgraph.model.arrays import among, distinct
from kfgraph.model.calls import UNKNOWN_CONTEXT, CallTable, Flag
from kfgraph.model.marks import Losses
from kfgraph.model.sparse import Sparse
from kfgraph.model.spelling import plain_name

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace
    from kfgraph.passes.given import Given

Array = npt.NDArray[Any]
_NEAR = 5_000
"""An exit's record is that near to the return, in ns, unless an interrupt hit the tracer in between."""


def apply(trace: Trace, given: Given) -> Trace:
    """INTERRUPT and ``irq_ns``, where the trace has interrupts; CALLER_LOST where a loss hides what was hit,
    SELF_UNKNOWN where one hides a part of an interrupt."""
    calls = split(trace.calls, trace.symbols.names)
    hits = np.flatnonzero((calls.flags & np.uint32(Flag.INTERRUPT | Flag.IN_TRACER)) == Flag.INTERRUPT)
    hits = hits[calls.parent[hits] >= 0]
    calls = _with_late_exits(_with_lost_parts(calls, hits, trace.losses), trace.losses)
    # A text without durations, or the function tracer, tells no returns: that is no lost record.
    returns_told = not any(one.code == "no-duration" for one in trace.notices)
    if len(lost := _hit_unknown(calls, hits, trace.symbols.names, returns_told=returns_told)):
        flags = calls.flags.copy()
        flags[lost] |= np.uint32(Flag.CALLER_LOST)
        calls = calls.with_columns(flags=flags)
        told = notice("caller-lost", int(calls.has(Flag.CALLER_LOST).sum()), flag=int(Flag.CALLER_LOST))
        known = [one.code for one in trace.notices]
        at = known.index(told.code) if told.code in known else len(known)
        trace = replace(trace, notices=(*trace.notices[:at], told, *trace.notices[at + 1 :]))
    return trace if calls is trace.calls else replace(trace, calls=calls)


def _with_lost_parts(calls: CallTable, parts: Array, losses: Losses) -> CallTable:
    """The self time of a call is unknown if records of an interrupt that hit it, or the tracer in its time, are lost:
    others of its ``parts`` may be among them."""
    parts = parts[calls.self_ns[calls.parent[parts]] >= 0]
    cut = np.uint32(Flag.NO_ENTRY | Flag.CUT_BY_LOSS)
    after_loss = (calls.flags[parts] & cut) == cut
    # Of one in the tracer, its first record may be the first behind the loss.
    before = calls.start_ns[parts] < calls.start_ns[calls.parent[parts]]
    ends = (losses.time_ns << 16) + losses.cpu
    after_loss |= before & among((calls.start_ns[parts] << 16) + calls.cpu[parts], ends)
    return _with_unknown_self(calls, calls.parent[parts[after_loss]])


def _with_late_exits(calls: CallTable, losses: Losses) -> CallTable:
    """The self time of a call is unknown if records are lost between the return of a callee and its exit record: what
    holds up that record so long is an interrupt that hit the tracer, in the caller's time."""
    inside, ends = losses.parent, losses.time_ns
    found = []
    while True:
        known = inside >= 0
        inside, ends = inside[known], ends[known]
        returned = (calls.duration_ns[inside] >= 0) & (calls.start_ns[inside] >= 0)
        returned &= calls.start_ns[inside] + calls.duration_ns[inside] + _NEAR < ends
        inside, ends = calls.parent[inside[returned]], ends[returned]
        if not len(inside):
            break
        found.append(inside[inside >= 0])
    callers = distinct(np.concatenate([np.zeros(0, np.int32), *found]))
    return _with_unknown_self(calls, callers[calls.self_ns[callers] >= 0])


def _with_unknown_self(calls: CallTable, rows: Array) -> CallTable:
    if not len(rows):
        return calls
    flags, self_ns = calls.flags.copy(), calls.self_ns.copy()
    flags[rows] |= np.uint32(Flag.SELF_UNKNOWN)
    self_ns[rows] = -1
    return calls.with_columns(flags=flags, self_ns=self_ns)


def _hit_unknown(calls: CallTable, rows: Array, names: Sequence[str], *, returns_told: bool) -> Array:
    """Which of the interrupts ``rows`` may have hit the tracer instead of the call above them, when that had returned:
    the record that would tell is lost, or was not made (``returns_told``: those of others were). With the turns of
    other tasks behind them: then the tracer gave the CPU away, as an interrupt that hit it had asked for."""
    parent = calls.parent[rows]
    cut = (calls.flags[parent] & np.uint32(Flag.CUT_BY_LOSS)) != 0
    if returns_told:
        # What is open at the end of its lane need not have returned.
        behind = np.append(calls.lane, -1)[calls.end[parent]]
        cut |= (calls.duration_ns[parent] < 0) & (behind == calls.lane[parent])
    rows, parent = rows[cut], parent[cut]
    if not len(rows):
        return rows
    over = calls.duration_ns[parent]
    returned = (over >= 0) & (calls.duration_ns[rows] < 0) & (calls.start_ns[rows] >= calls.start_ns[parent] + over)
    # Of a call without caller (-1) the last place is looked at, which is no call's.
    around = np.zeros(len(calls) + 1, np.bool_)
    around[parent[over < 0]] = True
    callee = np.flatnonzero(np.take(around, calls.parent, mode="wrap"))
    turns = _turns(calls, rows[over < 0], callee, names)
    callee = callee[(calls.flags[callee] & np.uint32(Flag.INTERRUPT)) == 0]
    callee = callee[~among(callee, turns)]
    # They are in order: the last one stays.
    last = np.full(len(calls), -1, np.int32)
    last[calls.parent[callee]] = callee
    found: Array = rows[returned | ((over < 0) & (rows > last[parent]))]
    return np.append(found, turns[turns > last[calls.parent[turns]]])


def _turns(calls: CallTable, hits: Array, callees: Array, names: Sequence[str]) -> Array:
    """What was called to let another task run, behind one of the interrupts ``hits`` in the same call, where that call
    is not the one that does so, nor one in it was recorded. ``callees``: those of the calls that were hit."""
    plain = [plain_name(name) for name in names]
    begins, ends, switches = (
        np.array([name in some for name in plain], np.bool_)
        for some in (SWITCH_BEGINS, SWITCH_ENDS, SWITCHING | AROUND_SWITCHING)
    )
    rows = callees[begins[calls.func[callees]]]
    rows = rows[~switches[calls.func[calls.parent[rows]]]]
    # The first interrupt in each call.
    hits = hits[np.argsort(calls.parent[hits], kind="stable")]
    place = np.searchsorted(calls.parent[hits], calls.parent[rows])
    inside = np.flatnonzero(place < len(hits))
    first = hits[place[inside]]
    rows = rows[inside[(calls.parent[first] == calls.parent[rows[inside]]) & (first < rows[inside])]]
    found = []
    for row in rows.tolist():
        stop, at, is_over = int(calls.end[calls.parent[row]]), row, False
        while at < stop and ((is_end := bool(ends[calls.func[at]])) or not is_over):
            is_over |= is_end
            found.append(at)
            at = int(calls.end[at])
    return np.array(found, np.int64)


def split(calls: CallTable, names: Sequence[str]) -> CallTable:
    """The table with INTERRUPT and ``irq_ns``: itself where no call is an interrupt's."""
    if not len(calls):
        return calls
    level = np.take(np.fromiter(map(level_of, names), np.uint8, count=len(names)), calls.func, mode="clip")
    told = calls.context
    if told.max() == UNKNOWN_CONTEXT:
        told = np.where(told == UNKNOWN_CONTEXT, np.uint8(0), told)
    np.maximum(level, told, out=level)
    tops = _tops(calls, level)
    tops = tops[(calls.flags[tops] & np.uint32(Flag.INTERRUPT)) == 0]
    flags = calls.flags
    if len(tops):
        flags = flags.copy()
        flags[tops] |= np.uint32(Flag.INTERRUPT)
    parts = _exit_parts(calls, flags, names)
    found = np.append(tops, parts)
    if not len(found):
        return calls
    if flags is calls.flags:
        flags = flags.copy()
    flags[parts] |= np.uint32(Flag.INTERRUPT)
    found = found[(flags[found] & np.uint32(Flag.IN_TRACER)) == 0]
    found = found[(calls.parent[found] >= 0) & (calls.duration_ns[found] > 0)]
    rows, ns = calls.parent[found], calls.duration_ns[found]
    if calls.irq_ns is not None:
        rows, ns = np.append(rows, calls.irq_ns.rows), np.append(ns, calls.irq_ns.values)
    return calls.with_columns(flags=flags, irq_ns=Sparse.sums(rows, ns) or None)


def _tops(calls: CallTable, level: Array) -> Array:
    """The rows of a higher level than what is around them."""
    rows = np.flatnonzero(level != 0)
    around = np.take(calls.parent, rows)
    # A root (-1) is looked at again: the last call is not above it.
    lower = (np.take(level, around, mode="wrap") < np.take(level, rows)) | (around < 0)
    rows, around = rows[lower], around[lower]
    # Those that are in no other one hit a task. Others may have task context above them: an interrupt's entry code.
    furthest = np.maximum.accumulate(calls.end[rows])
    inner = np.flatnonzero(rows[1:] < furthest[:-1]) + 1
    above = around[inner]
    while len(plain := np.flatnonzero((above >= 0) & (level[above] == 0))):
        above[plain] = calls.parent[above[plain]]
    hit = np.ones(len(rows), np.bool_)
    hit[inner] = (above < 0) | (level[above] < level[rows[inner]])
    found: Array = rows[hit]
    return found


def _exit_parts(calls: CallTable, flags: Array, names: Sequence[str]) -> Array:
    """The calls that end an interrupt: directly behind its other parts. Of those that let another task run none."""
    codes = [code for code, name in enumerate(names) if name.split(".", 1)[0] in EXIT_PARTS]
    if not codes:
        return np.zeros(0, np.int64)
    switching = [code for code in codes if names[code].split(".", 1)[0] in RESCHEDULING]
    rows = np.flatnonzero(np.isin(calls.func, codes))
    rows = rows[(calls.end[rows] == rows + 1) | ~np.isin(calls.func[rows], switching)]
    rows = rows[(flags[rows] & np.uint32(Flag.INTERRUPT)) == 0]
    before = calls.elder_siblings(rows)
    rows, before = rows[before >= 0], before[before >= 0]
    found = np.zeros(len(rows), np.bool_)
    while True:
        follows = ((flags[before] & np.uint32(Flag.INTERRUPT)) != 0) | among(before, rows[found])
        if (follows == found).all():
            ends: Array = rows[found]
            return ends
        found = follows
