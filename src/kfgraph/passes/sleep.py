"""How long each call was off the CPU: asleep, or runnable and not running. sched_switch tells both.

A task is off the CPU from the switch out of it to the next switch to it. The time belongs to its innermost call that
was open when it ran again, and is no longer in the self time of that call. A few functions still run in the task
between the event of the switch out and the switch itself (the event's own, ``switch_mm_irqs_off``): what they took is
theirs. Only switches are looked at, and the calls next to them.

Nothing is made up. Where a switch is missing, or the times contradict one another, the self time of the call that may
have slept is unknown.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.errors import notice
from kfgraph.kernel.waiting import SWITCHING, WRITING_THE_SWITCH
from kfgraph.model.arrays import among, distinct
from kfgraph.model.calls import UNKNOWN_CONTEXT, CallTable, Flag, contexts_of
from kfgraph.model.fields import EventField
from kfgraph.model.offcpu import Bool, Int32, Int64, OffCpu
from kfgraph.model.sparse import Sparse
from kfgraph.model.spelling import plain_name
from kfgraph.model.tasks import TaskTable
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given

_ASLEEP = 0xFF
"""The bits of prev_state that say why a task sleeps (TASK_REPORT and TASK_REPORT_IDLE, include/linux/sched.h). A bit
above them says that it was preempted (TASK_REPORT_MAX, since 4.14; TASK_STATE_MAX before)."""
_LETTERS = re.compile(r"[A-Za-z]+(?:\|[A-Za-z]+)*\+?")
_MOST_BETWEEN = 64
"""More calls than that between a switch out and the next switch in: a switch to the task is missing."""
_MOST_SIBLINGS = 16
_LONG = 1_000_000
"""Functions that give the CPU away without a switch took 0.05 ms at most in 700 calls of real traces."""
_END = np.iinfo(np.int64).max
_COARSE_CLOCKS = ("uptime",)
"""Their ticks are milliseconds: no time on or off the CPU can be told by them."""


class _Switches(NamedTuple):
    """The switches of all tasks, in time order: the marks, and the lanes of the tasks before and after (-1: none)."""

    mark: Int32
    time_ns: Int64
    cpu: npt.NDArray[np.int16]
    out_lane: Int64
    in_lane: Int64
    asleep: Bool
    state_known: Bool


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with ``asleep_ns``, ``preempted_ns`` and what they take off ``self_ns``, where it has sched_switch."""
    switches = _switches(trace)
    if switches is None:
        return trace
    bounds = np.searchsorted(trace.calls.lane, np.arange(len(trace.tasks) + 1)).astype(np.int64)
    lane, out, back, alone = _paired(switches)
    off, undecided, is_in_durations = _charged(trace, switches, bounds, lane, out, back)
    if not is_in_durations:
        nowhere = np.full(len(off), -1, np.int32)
        return replace(trace, off_cpu=replace(off, row=nowhere), notices=(*trace.notices, notice("nosleep-time")))
    undecided |= _may_have_run_unseen(trace, off)
    missing = _beside_a_missing_switch(trace, switches, bounds, *alone)
    doubtful = np.concatenate([off.row[undecided], missing, _without_a_switch(trace, off)])
    return _told(trace, off, doubtful[doubtful >= 0])


def _told(trace: Trace, off: OffCpu, doubtful: Int64) -> Trace:
    """The trace with the time off the CPU of its calls; of the ``doubtful`` ones it is not known."""
    calls = trace.calls
    taken = _per_call(off, np.ones(len(off), np.bool_))
    self_ns, flags = calls.self_ns.copy(), calls.flags.copy()
    own = self_ns[taken.rows]
    unknown: Int64 = distinct(np.append(doubtful, taken.rows[(own >= 0) & (taken.values > own)]).astype(np.int64))
    self_ns[taken.rows[own >= 0]] -= taken.values[own >= 0]
    is_known = np.ones(len(calls) + 1, np.bool_)
    is_known[np.append(unknown, -1)] = False
    unknown = unknown[calls.duration_ns[unknown] >= 0]
    self_ns[unknown] = -1
    flags[unknown] |= np.uint32(Flag.SELF_UNKNOWN | Flag.OFF_CPU_UNKNOWN)
    notices = trace.notices
    if len(unknown):
        notices = (*notices, notice("off-cpu-unknown", len(unknown), flag=int(Flag.OFF_CPU_UNKNOWN)))
    off = replace(off, row=np.where(is_known[off.row], off.row, np.int32(-1)))
    table = calls.with_columns(
        self_ns=self_ns,
        flags=flags,
        asleep_ns=_per_call(off, off.asleep),
        preempted_ns=_per_call(off, ~off.asleep),
    )
    return replace(trace, calls=table, off_cpu=off, notices=notices)


def _per_call(off: OffCpu, which: Bool) -> Sparse:
    """The time of these stretches, by call."""
    which = which & (off.row >= 0)
    return Sparse.sums(off.row[which], off.ns[which])


def _switches(trace: Trace) -> _Switches | None:
    """None: the trace has no calls, or no switches with times, pids and states."""
    marks = trace.marks
    if not len(trace.calls):
        return None
    previous, state, following = marks.fields("sched_switch", "prev_pid", "prev_state", "next_pid")
    if previous is None or state is None or following is None or not (previous.is_number and following.is_number):
        return None
    whole = previous.known & following.known
    mark = previous.rows[whole]
    time_ns, cpu = marks.time_ns[mark], marks.cpu[mark]
    if not len(mark) or (time_ns < 0).any() or trace.meta.clock in _COARSE_CLOCKS:
        return None
    asleep, known = _slept(state)
    out_lane, in_lane = (
        _lanes(trace.tasks, pid.values[whole].astype(np.int64), cpu, time_ns) for pid in (previous, following)
    )
    if not ((out_lane >= 0) | (in_lane >= 0)).any():
        return None
    return _Switches(mark, time_ns, cpu, out_lane, in_lane, asleep[whole], known[whole])


def _slept(state: EventField) -> tuple[Bool, Bool]:
    """(whether the task went to sleep, whether its state says so) of each switch."""
    if isinstance(state.values, np.ndarray):
        return (state.values.astype(np.int64) & _ASLEEP) != 0, state.known
    told = [_LETTERS.fullmatch(each) is not None for each in state.values]
    return np.array([each[:1] != "R" for each in state.values], np.bool_), state.known & np.array(told, np.bool_)


def _lanes(tasks: TaskTable, pid: Int64, cpu: npt.NDArray[np.int16], time_ns: Int64) -> Int64:
    """The lanes of these tasks, -1 where a task has none. Each CPU has an idle task."""
    named = [(-1 - task.cpu if task.pid == 0 else task.pid, lane) for lane, task in enumerate(tasks.tasks)]
    # Of those that had one pid, the first.
    known = dict(one for one in reversed(named) if one[0] != 0)
    keys = np.array(sorted(known), np.int64)
    lanes = np.array([known[key] for key in keys.tolist()], np.int64)
    wanted = np.where(pid == 0, -1 - cpu.astype(np.int64), pid)
    if not len(keys):
        return np.full(len(pid), -1, np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = np.where(keys[place] == wanted, lanes[place], -1)
    for lane, task in enumerate(tasks.tasks):
        if task.nth > 1:
            found[(pid == task.pid) & (time_ns >= task.since_ns)] = lane
    return found


def _paired(switches: _Switches) -> tuple[Int64, Int64, Int64, tuple[Int64, Bool, Int64, Bool]]:
    """(lane, switch out, switch in) of every stretch, by its end; and the switches of a lane that miss their partner:
    (switch, is it one in, lane, is it the last of its lane)."""
    n = len(switches.mark)
    lane = np.concatenate([switches.out_lane, switches.in_lane])
    which = np.concatenate([np.arange(n), np.arange(n)])
    is_in = np.arange(2 * n) >= n
    order = np.lexsort((is_in, which, lane))
    order = order[lane[order] >= 0]
    lane, which, is_in = lane[order], which[order], is_in[order]
    same = lane[:-1] == lane[1:]
    pair = np.flatnonzero(~is_in[:-1] & is_in[1:] & same)
    pair = pair[np.argsort(which[pair + 1], kind="stable")]
    alone = np.ones(len(lane), np.bool_)
    alone[pair] = alone[pair + 1] = False
    last = np.append(~same, True)[: len(lane)]
    return lane[pair], which[pair], which[pair + 1], (which[alone], is_in[alone], lane[alone], last[alone])


def _charged(
    trace: Trace, switches: _Switches, bounds: Int64, lane: Int64, out: Int64, back: Int64
) -> tuple[OffCpu, Bool, bool]:
    """(the stretches, which of them are undecided, whether durations hold the time off the CPU at all)."""
    calls, t_out, t_in = trace.calls, switches.time_ns[out], switches.time_ns[back]
    first, behind = bounds[lane], bounds[lane + 1]
    undecided = ~switches.state_known[out]
    last = np.clip(trace.marks.row[switches.mark[out]], first, behind).astype(np.int64) - 1
    todo = np.arange(len(lane))
    for _ in range(_MOST_BETWEEN):
        todo = todo[last[todo] + 1 < behind[todo]]
        todo = todo[calls.start_ns[last[todo] + 1] < t_in[todo]]
        last[todo] += 1
        elsewhere = calls.cpu[last[todo]] != switches.cpu[out[todo]]
        undecided[todo[elsewhere]] = True
    undecided[todo] = True
    last[last < first] = -1
    row, goes_on = _open_at(calls, last, behind, t_in)
    row = _beyond_the_event(trace, row)
    begin_ns = np.minimum(np.maximum(t_out, _over_before(calls, row, last, t_in)), t_in)
    # The idle task is ready at all times, and nobody waits for it: it is not preempted.
    idle = np.array([task.pid == 0 for task in trace.tasks.tasks], np.bool_)
    asleep = switches.asleep[out] | idle[lane]
    wakers = _wakers(trace, lane, t_in, asleep)
    off = OffCpu(lane.astype(np.int32), row.astype(np.int32), begin_ns, t_in, asleep, *wakers)
    # A call that goes on behind the stretch was over before it, by its duration: then that leaves the stretch out.
    seen = np.flatnonzero(goes_on >= 0)
    seen = seen[calls.duration_ns[goes_on[seen]] >= 0]
    over = calls.start_ns[goes_on[seen]] + calls.duration_ns[goes_on[seen]]
    missing, all_of_it = np.clip(t_in[seen] - over, 0, (t_in - t_out)[seen]).sum(), (t_in - t_out)[seen].sum()
    return off, undecided, bool(2 * missing <= all_of_it)


def _wakers(trace: Trace, lane: Int64, t_in: Int64, asleep: Bool) -> tuple[Int32, Int32, npt.NDArray[np.uint8]]:
    """(lane, open call, context) of who woke the task of each stretch: the last waking since it ran before."""
    marks, n = trace.marks, len(lane)
    found = np.full(n, -1, np.int64)
    event = next((name for name in ("sched_waking", "sched_wakeup") if name in marks.names), "")
    pid, flags = marks.fields(event, "pid", "common_flags") if event else (None, None)
    if pid is not None and pid.is_number:
        mark = pid.rows[pid.known]
        woken = _lanes(
            trace.tasks, pid.values[pid.known].astype(np.int64), np.zeros(len(mark), np.int16), marks.time_ns[mark]
        )
        by_lane, by_woken = np.argsort(lane, kind="stable"), np.argsort(woken, kind="stable")
        lanes = distinct(lane[asleep])
        around = [lanes, lanes + 1]
        ends = [np.searchsorted(lane[by_lane], around), np.searchsorted(woken[by_woken], around)]
        for begin, end, first, behind in np.concatenate(ends).T.tolist():
            here, theirs = by_lane[begin:end], mark[by_woken[first:behind]]
            last = np.searchsorted(marks.time_ns[theirs], t_in[here]) - 1
            known = last >= 0
            at = theirs[np.maximum(last, 0)] if len(theirs) else np.zeros(len(here), np.int32)
            since = np.append(-1, t_in[here][:-1])
            known &= (marks.time_ns[at] > since) & asleep[here]
            found[here[known]] = at[known]
    some = found >= 0
    waker_lane, waker_row = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    waker_lane[some], waker_row[some] = marks.lane[found[some]], marks.parent[found[some]]
    context = np.full(n, UNKNOWN_CONTEXT, np.uint8)
    inside = waker_row >= 0
    context[inside] = trace.calls.context[waker_row[inside]]
    if flags is not None and flags.is_number:
        bits = np.zeros(len(marks), np.uint8)
        bits[flags.rows] = flags.values
        context[some] = contexts_of(bits[found[some]])
    if event == "sched_wakeup":
        # Where an interrupt tells it, another CPU may have sent it.
        sent = (context != 0) & (context != UNKNOWN_CONTEXT)
        waker_lane[sent] = waker_row[sent] = -1
        context[sent] = UNKNOWN_CONTEXT
    return waker_lane, waker_row, context


def _open_at(calls: CallTable, last: Int64, behind: Int64, time_ns: Int64) -> tuple[Int64, Int64]:
    """(the innermost call that was open at this time, the innermost that certainly was: the next call is inside it).

    ``last`` is the last call of the lane that began before, ``behind`` the first one of the next lane; -1: none.
    """
    row = last.copy()
    has_next = (last >= 0) & (last + 1 < behind)
    goes_on = np.where(has_next, calls.parent[np.minimum(last + 1, len(calls) - 1)], -1).astype(np.int64)
    todo = np.flatnonzero((row >= 0) & (row != goes_on))
    while len(todo):
        at = row[todo]
        finished = calls.duration_ns[at] >= 0
        over = calls.start_ns[at] + calls.duration_ns[at] < time_ns[todo]
        # One whose end was not recorded is over where the next call is not inside it.
        todo = todo[np.where(finished, over, has_next[todo])]
        row[todo] = calls.parent[row[todo]]
        todo = todo[(row[todo] >= 0) & (row[todo] != goes_on[todo])]
    return row, goes_on


def _beyond_the_event(trace: Trace, row: Int64) -> Int64:
    """The calls, or the callers of those that write the event of the switch."""
    writes = _named(trace, WRITING_THE_SWITCH)
    todo = np.flatnonzero(row >= 0)
    while len(todo):
        todo = todo[writes[trace.calls.func[row[todo]]]]
        row[todo] = trace.calls.parent[row[todo]]
        todo = todo[row[todo] >= 0]
    return row


def _named(trace: Trace, names: frozenset[str]) -> Bool:
    """Which functions, by code, have one of these names."""
    return np.array([plain_name(name) in names for name in trace.symbols.names], np.bool_)


def _over_before(calls: CallTable, row: Int64, last: Int64, time_ns: Int64) -> Int64:
    """When the callees of each ``row`` up to the call ``last`` were over, which they were before ``time_ns``.

    Callees follow one another: where the time of a record is too early (a clock that stood still), the durations of
    those before it tell. Where it is too late (the entry's record was held up), a callee seems to end behind that time:
    then it tells nothing.
    """
    over = np.where(row >= 0, calls.start_ns[row], 0)
    todo = np.flatnonzero((row >= 0) & (last > row))
    child, took = _direct_callee(calls, last[todo], row[todo]), np.zeros(len(todo), np.int64)
    for _ in range(_MOST_SIBLINGS):
        counts = (calls.flags[child] & np.uint32(Flag.IN_TRACER)) == 0
        took += np.where(counts, np.maximum(calls.duration_ns[child], 0), 0)
        until = calls.start_ns[child] + took
        over[todo] = np.where(until <= time_ns[todo], np.maximum(over[todo], until), over[todo])
        more = np.flatnonzero(child - 1 > row[todo])
        todo, took, begun = todo[more], took[more], calls.start_ns[child[more]]
        child = _direct_callee(calls, child[more] - 1, row[todo])
        # One that was over when the next one began tells no more.
        more = np.flatnonzero(calls.start_ns[child] + calls.duration_ns[child] > begun)
        todo, took, child = todo[more], took[more], child[more]
    return over


def _direct_callee(calls: CallTable, node: Int64, row: Int64) -> Int64:
    """The direct callee of each ``row`` that is ``node``, a call below it, or has it below."""
    node = node.copy()
    deep = np.arange(len(node))
    while len(deep):
        deep = deep[calls.parent[node[deep]] != row[deep]]
        node[deep] = calls.parent[node[deep]]
    return node


def _may_have_run_unseen(trace: Trace, off: OffCpu) -> Bool:
    """Which stretches lie over a gap in the records of a CPU, on which the task may have run in between.

    A function that gives the CPU away returns when the task runs again: one call of it sleeps once.
    """
    gaps = _gaps(trace)
    if not len(gaps):
        return np.zeros(len(off), np.bool_)
    ends = np.maximum.accumulate(gaps[:, 1])
    n_before = np.searchsorted(gaps[:, 0], off.end_ns)
    over: Bool = (n_before > 0) & (ends[np.maximum(n_before - 1, 0)] > off.begin_ns)
    return over & (off.row >= 0) & ~_named(trace, SWITCHING)[trace.calls.func[off.row]]


def _gaps(trace: Trace) -> Int64:
    """(begin, end) of the gaps that losses left, by their begin; one whose begin is not known began at any time."""
    losses = trace.losses
    begins = np.zeros(len(losses), np.int64) if losses.begin_ns is None else np.maximum(losses.begin_ns, 0)
    gaps = np.stack([begins, np.where(losses.time_ns < 0, _END, losses.time_ns)], axis=1)
    return gaps[np.argsort(begins, kind="stable")]


def _beside_a_missing_switch(
    trace: Trace, switches: _Switches, bounds: Int64, which: Int64, is_in: Bool, lane: Int64, last: Bool
) -> Int64:
    """The calls that were off the CPU for a time that is not known, since one of its two switches is missing."""
    calls, time_ns = trace.calls, switches.time_ns[which]
    began = np.full(len(which), -1, np.int64)
    for each in distinct(lane[is_in]).tolist():
        begin, end = bounds[each], bounds[each + 1]
        here = np.flatnonzero(is_in & (lane == each))
        began[here] = begin - 1 + np.searchsorted(calls.start_ns[begin:end], time_ns[here])
        began[here[began[here] < begin]] = -1
    ran_again, _ = _open_at(calls, began[is_in], bounds[lane + 1][is_in], time_ns[is_in])
    went_on = _went_on(trace, switches.mark[which[~is_in]], bounds[lane[~is_in] + 1], last[~is_in])
    return np.concatenate([ran_again, went_on])


def _without_a_switch(trace: Trace, off: OffCpu) -> Int64:
    """The calls that gave the CPU away for long, by their time, and in which no switch was recorded: the events were
    not on then, or not for this task."""
    calls = trace.calls
    rows = np.flatnonzero(_named(trace, SWITCHING)[calls.func])
    rows = rows[calls.self_ns[rows] >= _LONG]
    return distinct(rows[~among(rows, off.row)])


def _went_on(trace: Trace, mark: Int32, behind: Int64, last: Bool) -> Int64:
    """The calls that were open at these switches out, up to the one that the next call of the lane is inside.

    One of them was off the CPU until it was switched to, which is not recorded. After the last switch out of a lane,
    the task need not have run again: if none of them has an end, it did not.
    """
    calls = trace.calls
    node = _beyond_the_event(trace, trace.marks.parent[mark].astype(np.int64))
    following = trace.marks.row[mark]
    inside = calls.parent[np.clip(following, 0, len(calls) - 1)]
    upto = np.where((following >= 0) & (following < behind), inside, -1)
    todo = np.flatnonzero(node >= 0)
    ended, switching = np.zeros(len(mark), np.bool_), _named(trace, SWITCHING)
    steps: list[tuple[Int64, Int64]] = []
    while len(todo):
        steps.append((todo, node[todo]))
        has_end = calls.duration_ns[node[todo]] >= 0
        ended[todo[has_end]] = True
        # What gives the CPU away calls some more before it does.
        ended[todo[~has_end & switching[calls.func[node[todo]]]]] = False
        more = node[todo] > upto[todo]
        node[todo] = calls.parent[node[todo]]
        todo = todo[more & (node[todo] >= 0)]
    # What has an end ended behind the switch, as far as anybody knows behind the switch back.
    found = [at[~last[of] | ended[of] | (calls.duration_ns[at] >= 0)] for of, at in steps]
    return distinct(np.concatenate(found)) if found else np.zeros(0, np.int64)
