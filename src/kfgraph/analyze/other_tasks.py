"""An error that another task or an interrupt made, and that was handed over in memory: which call returned it there.

The waiter and who ran meanwhile are joined by what both name: the work item that one queued and a worker ran, the
completion or wait queue that one waited on and the other woke, the thread that one created or stopped; and by the
event that tells who ended a sleep. Times alone join nothing; they only make a candidate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from kfgraph.analyze.blame import Link, blame
from kfgraph.analyze.outcomes import Kind, Outcomes, children_of
from kfgraph.analyze.works import told
from kfgraph.kernel import unwinding
from kfgraph.kernel.waking import PASSING_ON
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace

# Function -> the position of the argument that names what waiter and waker share.
_QUEUES: Mapping[str, int] = {
    "queue_work_on": 2, "queue_work_node": 2, "__queue_work": 2, "queue_delayed_work_on": 2, "__queue_delayed_work": 2,
    "mod_delayed_work_on": 2, "queue_rcu_work": 1, "kthread_queue_work": 1, "kthread_queue_delayed_work": 1,
    "kthread_mod_delayed_work": 1, "flush_work": 0, "__flush_work": 0, "flush_delayed_work": 0, "kthread_flush_work": 0,
}  # fmt: skip
_RUNS: Mapping[str, int] = {"process_one_work": 1}
_WAITS: Mapping[str, int] = {
    "wait_for_completion": 0, "wait_for_completion_timeout": 0, "wait_for_completion_interruptible": 0,
    "wait_for_completion_interruptible_timeout": 0, "wait_for_completion_killable": 0,
    "wait_for_completion_killable_timeout": 0, "wait_for_completion_io": 0, "wait_for_completion_io_timeout": 0,
    "wait_for_completion_state": 0, "prepare_to_wait": 0, "prepare_to_wait_event": 0, "prepare_to_wait_exclusive": 0,
    "prepare_to_swait_event": 0, "add_wait_queue": 0,
}  # fmt: skip
_WAKES: Mapping[str, int] = {
    "complete": 0, "complete_all": 0, "complete_on_current_cpu": 0, "complete_with_flags": 0, "__wake_up": 0,
    "__wake_up_sync": 0, "__wake_up_sync_key": 0, "__wake_up_on_current_cpu": 0, "swake_up_one": 0, "swake_up_all": 0,
}  # fmt: skip
_WAKE_OR_PASS_ON = PASSING_ON | _WAKES.keys()
_CREATES: Mapping[str, int] = {
    "kthread_create_on_node": 0, "__kthread_create_on_node": 0, "kthread_create_on_cpu": 0,
}  # fmt: skip
_STOPS: Mapping[str, int] = {"kthread_stop": 0, "kthread_stop_put": 0}
_BEGINS = frozenset(("kthread", "ret_from_fork", "worker_thread"))
"""What calls a thread's own function."""
_MOST = 4_000
"""More calls than this are not looked at one by one."""
_VALUE = re.compile(r"(?:\w+=)?(-?0x[0-9a-f]+|-?\d+)$")


@dataclass(frozen=True)
class Elsewhere:
    """``links``: the way of the error in the other task, outermost first, () where it is not known. ``carried``: the
    value itself came over (kthread_stop returns what the thread did), not only its like. ``doubt`` says what is
    uncertain; ``ran`` are calls that ran meanwhile for the waiter, the likeliest first."""

    links: tuple[Link, ...] = ()
    carried: bool = False
    exact: bool = False
    doubt: str = ""
    ran: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Run:
    """A stretch of another stack that ran for the waiter: the calls ``first`` to ``end``; before ``until`` (ns) what it
    made was there. ``why`` says how it is known."""

    first: int
    end: int
    until: int
    why: str
    value: int | None = None


@dataclass
class _Search:
    trace: Trace
    seen: Outcomes
    born: int
    error: int
    scope: int
    """The first call of those in which waiting counts: the birthplace's caller."""
    _codes: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for code, name in enumerate(self.trace.symbols.names):
            self._codes.setdefault(plain_name(name), []).append(code)

    def rows(self, names: Mapping[str, int], first: int, end: int) -> Iterator[tuple[int, int | None]]:
        """(call, the argument that counts) of the calls of these functions in this range."""
        calls = self.trace.calls
        place = {code: at for name, at in names.items() for code in self._codes.get(name, ())}
        if not place:
            return
        found = np.flatnonzero(np.isin(calls.func[first:end], list(place))) + first
        for row in found[:_MOST].tolist():
            yield row, self.argument(row, place[int(calls.func[row])])

    def argument(self, row: int, at: int) -> int | None:
        """One argument of a call as a number; None where it was not recorded."""
        args = self.trace.calls.args
        words = ((args.text(row) if args is not None else None) or "").split(", ")
        told = _VALUE.match(words[at]) if at < len(words) else None
        return None if told is None else int(told[1], 0) & (1 << 64) - 1

    def begin(self, row: int) -> int:
        return int(self.trace.calls.start_ns[row])

    def over(self, row: int) -> int:
        """When a call ended; far away where that is not known."""
        calls = self.trace.calls
        lasted = int(calls.duration_ns[row])
        return self.begin(row) + lasted if lasted >= 0 else 1 << 62

    def task(self, row: int) -> str:
        return self.trace.tasks[int(self.trace.calls.lane[row])].label

    def top(self, row: int) -> int:
        """The outermost call of the stack that ``row`` is on: of its task, or of the interrupt that it runs in."""
        calls = self.trace.calls
        up = int(calls.parent[row])
        while up >= 0 and calls.context[up] == calls.context[row]:
            row, up = up, int(calls.parent[up])
        return row

    def runs(self) -> Iterator[_Run]:
        """What ran for the waiter, by what they share; the best proof first."""
        yield from self._threads()
        yield from self._works()
        yield from self._work_events()
        yield from self._woken()
        yield from self._ended_sleeps()
        yield from self._created()

    def _others(self, row: int) -> bool:
        """Whether the call is on another stack than the waiter's."""
        calls = self.trace.calls
        return bool(calls.lane[row] != calls.lane[self.born] or calls.context[row] != calls.context[self.born])

    def _function_of_thread(self, creation: int, function: int, until: int) -> list[int]:
        """The calls that a thread was created for, begun before ``until``."""
        calls = self.trace.calls
        codes = np.flatnonzero(self.trace.symbols.addresses == np.uint64(function))
        runs = np.flatnonzero(np.isin(calls.func, codes)).tolist() if function else []
        return [run for run in runs if self._others(run) and self.begin(creation) <= self.begin(run) <= until]

    def _created(self) -> Iterator[_Run]:
        """Threads that were begun meanwhile, and that nothing else joins."""
        last = self.over(self.born)
        for row, function in self.rows(_CREATES, self.scope, int(self.trace.calls.end[self.born])):
            for run in self._function_of_thread(row, function or 0, last):
                yield _Run(run, int(self.trace.calls.end[run]), last, f"{self.task(run)} is a thread that it had begun")

    def _threads(self) -> Iterator[_Run]:
        calls = self.trace.calls
        end = int(calls.end[self.born])
        began = self.begin(self.born)
        created = {}
        for row, function in self.rows(_CREATES, 0, len(calls)):
            if self.begin(row) <= self.over(self.born) and function is not None and self.seen.known(row):
                created[self.seen.raw(row)] = (row, function)
        for row, thread in self.rows(_STOPS, self.scope, end):
            if thread not in created:
                continue
            for run in self._function_of_thread(*created[thread], self.over(row)):
                value = self.seen.raw(run) if self.seen.known(run) and row == self.born else None
                why = f"{self.task(run)} is the thread that {plain_name(self.seen.name(row))} ended"
                yield _Run(run, int(calls.end[run]), 1 << 62, why, value)
        marks = self.trace.marks
        for at, pid in told(self.trace, "sched_kthread_stop", "pid"):
            if marks.lane[at] != calls.lane[self.born] or not began <= marks.time_ns[at] <= self.over(self.born):
                continue
            lane = self.trace.tasks.lane_of(int(pid), int(marks.time_ns[at]))
            rows = np.flatnonzero(calls.lane == lane)
            for run in [r for r in rows.tolist() if self._begins(r) and self.begin(r) <= self.over(self.born)][-1:]:
                value = self.seen.raw(run) if self.seen.known(run) else None
                yield _Run(run, int(calls.end[run]), 1 << 62, f"{self.task(run)} is the thread that was ended", value)

    def _begins(self, row: int) -> bool:
        up = int(self.trace.calls.parent[row])
        name = plain_name(self.seen.name(row))
        return name not in _BEGINS and (up < 0 or plain_name(self.seen.name(up)) in _BEGINS)

    def _works(self) -> Iterator[_Run]:
        calls = self.trace.calls
        queued = {
            work: row for row, work in self.rows(_QUEUES, self.scope, int(calls.end[self.born])) if work is not None
        }
        for run, work in self.rows(_RUNS, 0, len(calls)) if queued else ():
            if work not in queued or not self._others(run):
                continue
            row = queued[work]
            # Who flushes a work item may have come after its worker had begun.
            flushed = "flush" in self.seen.name(row)
            if flushed or self.begin(row) <= self.begin(run) <= self.over(self.born):
                why = f"{self.task(run)} ran the work that {plain_name(self.seen.name(row))} was given"
                yield _Run(run, int(calls.end[run]), self.over(self.born), why)

    def _work_events(self) -> Iterator[_Run]:
        """The same by the events of work queues: where arguments were not recorded."""
        marks, calls = self.trace.marks, self.trace.calls
        first, last = self.begin(self.scope), self.over(self.born)
        queued = {
            work
            for at, work in told(self.trace, "workqueue_queue_work", "work")
            if marks.lane[at] == calls.lane[self.born] and first <= marks.time_ns[at] <= last
        }
        ends = [(int(at), work) for at, work in told(self.trace, "workqueue_execute_end", "work")]
        for at, work in told(self.trace, "workqueue_execute_start", "work") if queued else ():
            if work not in queued or marks.lane[at] == calls.lane[self.born] or not first <= marks.time_ns[at] <= last:
                continue
            end = next((e for e, other in ends if e > at and other == work and marks.lane[e] == marks.lane[at]), -1)
            row = int(marks.row[at])
            stop = int(marks.row[end]) if end >= 0 else int(np.searchsorted(calls.lane, marks.lane[at] + 1))
            if row < stop:
                yield _Run(row, stop, last, f"{self.task(row)} ran the work that was queued")

    def _woken(self) -> Iterator[_Run]:
        calls = self.trace.calls
        waited = {
            on: row for row, on in self.rows(_WAITS, self.scope, int(calls.end[self.born])) if on is not None
        }
        for waker, on in self.rows(_WAKES, 0, len(calls)) if waited else ():
            if on not in waited or not self._others(waker):
                continue
            if not self.begin(self.scope) <= self.begin(waker) <= self.over(self.born):
                continue
            top = self.top(waker)
            what = "an interrupt" if calls.context[waker] else self.task(waker)
            how = f"{what} woke {plain_name(self.seen.name(waited[on]))}"
            yield _Run(top, int(calls.end[top]), self.begin(waker), how)

    def _ended_sleeps(self) -> Iterator[_Run]:
        """The same by sched_switch and sched_waking: where arguments were not recorded. Who lets a lock go hands no
        error over."""
        off, calls = self.trace.off_cpu, self.trace.calls
        if off is None:
            return
        inside = off.asleep & (off.waker_row >= 0) & (off.lane == calls.lane[self.born])
        inside &= (off.begin_ns >= self.begin(self.scope)) & (off.end_ns <= self.over(self.born))
        for at in np.flatnonzero(inside)[:_MOST].tolist():
            waker = self._waking(int(off.waker_row[at]))
            if waker < 0 or not self._others(waker):
                continue
            top = self.top(waker)
            what = "an interrupt" if calls.context[waker] else self.task(waker)
            slept = f" from its sleep in {plain_name(self.seen.name(int(off.row[at])))}" if off.row[at] >= 0 else ""
            how = f"{what} woke {self.task(self.born)}{slept} by {plain_name(self.seen.name(waker))}"
            yield _Run(top, int(calls.end[top]), self.begin(waker), how)

    def _waking(self, row: int) -> int:
        """The outermost call of _WAKES that ``row``, in which a task was woken, is the inside of; -1 for none."""
        found = -1
        while row >= 0 and (name := plain_name(self.seen.name(row))) in _WAKE_OR_PASS_ON:
            found = row if name in _WAKES else found
            row = int(self.trace.calls.parent[row])
        return found

    def failing(self, run: _Run) -> int:
        """The last outermost call of this stretch that returned the error before it was told; -1 for none."""
        calls, seen = self.trace.calls, self.seen
        rows = np.flatnonzero(seen.errors[run.first : run.end] == self.error) + run.first
        found, after = -1, run.first
        for row in rows.tolist():
            inside = row < after
            if inside or calls.context[row] != calls.context[run.first] or self.begin(row) > run.until:
                continue
            if seen.kind(row, self.error) is Kind.SAME and not unwinding.gives_back(seen.name(row)):
                found, after = row, int(calls.end[row])
        return found


def elsewhere(trace: Trace, born: int, error: int, seen: Outcomes) -> Elsewhere | None:
    """Who made ``error``, which call ``born`` returned, if it was another task or an interrupt; None where nothing says
    that somebody else ran for it."""
    calls = trace.calls
    scope = int(calls.parent[born]) if calls.parent[born] >= 0 else born
    search = _Search(trace, seen, born, error, scope)
    ran: list[int] = []
    for run in search.runs():
        row = search.failing(run)
        if row < 0:
            ran.append(_of_its_own(search, run))
            continue
        found = blame(trace, row, error, seen, evidence=run.why)
        way = [row]
        while way[-1] != run.first and calls.parent[way[-1]] >= run.first:
            way.append(int(calls.parent[way[-1]]))
        above = tuple(
            Link(r, 0, seen.value_text(r), run.why if r == way[-1] else "it called what returned the error")
            for r in reversed(way[1:])
        )
        links = (*above, *found.chain)
        carried = run.value is not None and row == run.first
        name = plain_name(seen.name(found.chain[-1].row))
        doubt = "" if carried else f"{name} returned the same error in {_place(search, row)}, and {run.why}"
        return Elsewhere(links, carried and found.sure, found.exact, doubt, tuple(ran))
    return Elsewhere(ran=tuple(dict.fromkeys(ran))) if ran else None


def waited_for(trace: Trace, seen: Outcomes, row: int, error: int) -> str:
    """Where the call ``row``, which returned ``error``, or its caller just before it, waited for another task, as a
    sentence begins; "" where neither did."""
    children = children_of(trace, row)
    name = plain_name(seen.name(row))
    waiting = [r for r in children if unwinding.waits(seen.name(r))]
    if waiting:
        # A thread that it ends after a failure (kthread_stop) has most likely told before.
        before_end = [r for r in waiting if not unwinding.gives_back(seen.name(r))] or waiting
        return f"{name} waited in {plain_name(seen.name(before_end[-1]))}"
    if not error or trace.calls.parent[row] < 0 or not all(unwinding.decides_nothing(seen.name(r)) for r in children):
        return ""
    # It made nothing out of what others returned: it may have read what another task had left.
    before = [r for r in children_of(trace, int(trace.calls.parent[row])) if r < row]
    before = [r for r in before if not unwinding.decides_nothing(seen.name(r))]
    last = plain_name(seen.name(before[-1])) if before else ""
    return f"{last} ran just before {name}" if unwinding.waits(last) else ""


def _place(search: _Search, row: int) -> str:
    return "an interrupt" if search.trace.calls.context[row] else search.task(row)


def _of_its_own(search: _Search, run: _Run) -> int:
    """The function that a worker was given: the first below process_one_work that waits for nothing."""
    calls, seen = search.trace.calls, search.seen
    if plain_name(seen.name(run.first)) not in _RUNS:
        return run.first
    inside = np.flatnonzero(calls.parent[run.first : run.end] == run.first) + run.first
    own = [r for r in inside.tolist() if not unwinding.decides_nothing(seen.name(r))]
    module = [r for r in own if search.trace.symbols.modules[int(calls.func[r])]]
    return (module or own or [run.first])[0]
