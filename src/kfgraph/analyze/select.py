"""Which calls of a trace are looked at: by function, task, CPU and time."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kfgraph.analyze.filters import Filters, completed
from kfgraph.analyze.forest import Bool, Int32, Int64, by_level, covered, nearest_kept, outermost, ranges
from kfgraph.analyze.owncost import OwnCost, own_cost
from kfgraph.analyze.parts import UNKNOWN_COLUMNS, Part, part_columns, parts_of, told, unknown_part
from kfgraph.errors import NoMatchError, Notice, UsageError, notice
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import UNKNOWN_CONTEXT, CallTable, Flag
from kfgraph.model.names import listed, matching
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace
from kfgraph.model.units import MOST_SECONDS, plural

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from kfgraph.analyze.compensation import Compensation

_NS = 1_000_000_000


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """The calls that are looked at, as a forest.

    ``keep`` says which rows of the CallTable are in it, ``parent`` gives each of them its nearest
    ancestor in it (-1: a root). ``roots`` are its roots in time order; with ``named``, they are the
    outermost calls of the functions asked for. ``total_ns`` is each row's duration less what was
    taken out below it: interrupts, the launcher's calls, and kfgraph's own cost. ``self_ns`` is each row's
    self time less kfgraph's own cost. ``own_cost`` is that of the calls in it, see
    :mod:`kfgraph.analyze.owncost`; where it is unknown, so are the totals that hold it.
    ``parts`` are what is in these totals and no work, see :mod:`kfgraph.analyze.parts`; empty where the trace does not
    tell. ``notices`` say what was left out without being asked for. ``n_seem_failed`` calls were left out by
    ``failing`` that returned what looks like an error. ``tracer`` is what was taken out of totals, self times and parts
    because tracing took it, an estimate; None where they are as recorded.
    """

    trace: Trace
    keep: Bool
    parent: Int32
    roots: Int32
    total_ns: Int64
    self_ns: Int64
    own_cost: OwnCost
    parts: Mapping[str, Part]
    named: bool
    notices: tuple[Notice, ...]
    n_seem_failed: int = 0
    tracer: Compensation | None = None

    @property
    def lanes(self) -> Int32:
        """The lanes that have a root, ascending."""
        return distinct(self.trace.calls.lane[self.roots])

    def __len__(self) -> int:
        return int(self.keep.sum())

    @cached_property
    def unknown(self) -> Part | None:
        """The time of which it is not known how much was off the CPU; None: there is none."""
        return unknown_part(self.trace.calls, self.total_ns, self.parts)

    def further_columns(self, rows: Int32) -> dict[str, Int64]:
        """Columns of machine-readable formats that these calls have: parts of times, and what tracing took of them; -1
        where unknown."""
        parts = self.parts if self.unknown is None else {**self.parts, UNKNOWN_COLUMNS[0]: self.unknown}
        return told(part_columns(parts, rows)) | (self.tracer.columns(rows) if self.tracer else {})


def select(trace: Trace, *, compensate: bool = False, **filters: Unpack[Filters]) -> Selection:
    """The calls of ``trace`` that pass every filter given.

    Args:
        compensate: all times less what tracing took, by an estimate (:mod:`kfgraph.analyze.compensation`).
        root: names or globs (see :func:`kfgraph.model.names.matching`); a match is an outermost
            call, everything below it belongs to it. Without it: every call.
        task: names of tasks (globs) or ``comm-pid``; with ``pid``, tasks that match either.
        cpu: CPUs on which a call was entered. Of these four each may be one value instead of several.
        from_s, to_s: seconds from the start of the trace; calls that overlap this time stay.
        failing: only calls that returned an error for sure.
        returning, arg: only calls whose value, or argument, is one of these (:mod:`kfgraph.analyze.valuefilters`).
            What a call that is left out called moves up to the nearest that stays.
        irq: only interrupts.
        no_irq: without interrupts and the time they took.
        all_tasks: also tasks that are not the traced command's.
        pre_exec: also what the launcher ran in the command's task, before its exec and in it.

    Raises:
        NoMatchError: a filter leaves nothing, with the nearest names as the hint.
        UsageError: the trace does not record what a filter, or an estimate, needs, or from_s is not before to_s.
    """
    given = completed(filters)
    root, task, pid, cpu = (listed(given[name]) for name in ("root", "task", "pid", "cpu"))
    calls = trace.calls
    n = len(calls)
    keep = np.ones(n, np.bool_)
    notices: list[Notice] = []
    total_ns, self_ns = calls.duration_ns, calls.self_ns

    lanes = lanes_of(trace, given)
    if lanes is not None:
        keep &= _of_lanes(calls, lanes)
        others = 0 if task or pid else n - int(keep.sum())
        if others:
            n_tasks = len(distinct(calls.lane[~keep]))
            notices.append(notice("other-tasks", others, tasks=plural(n_tasks, "other task")))
    dropped = np.zeros(n, np.bool_)
    if not given["pre_exec"]:
        before = keep & calls.has(Flag.PRE_EXEC)
        if before.any():
            keep &= ~before
            dropped |= before
            notices.append(notice("pre-exec", int(before.sum())))
    if cpu:
        _one_of_the_cpus(calls, cpu)
        keep &= np.isin(calls.cpu, cpu)
    if given["from_s"] is not None or given["to_s"] is not None:
        keep &= _in_window(trace, given["from_s"], given["to_s"])
    interrupts, without = _interrupts(trace, keep, given), None
    if interrupts is not None:
        without = interrupts if given["no_irq"] else None
        keep &= interrupts if given["irq"] else ~interrupts
    gone = dropped if without is None else dropped | without
    cost = own_cost(trace)
    cost = cost.only(~gone) if len(cost) else cost
    less = len(cost) > 0 or bool(gone.any())
    if less:
        total_ns = _less(calls, dropped, cost, interrupts=without)
    left_out = gone.copy() if less else None
    if left_out is not None:
        left_out[cost.rows] = True
    parts = parts_of(calls, left_out, irq=without is None)
    if len(cost):
        self_ns = cost.without(self_ns)
    if n and not keep.any():
        raise NoMatchError("no call is left after these filters", "leave one of them out; kfgraph info shows the tasks")
    total_ns, self_ns, parts, tracer = _compensated(trace, total_ns, self_ns, parts, gone if compensate else None)

    parent = nearest_kept(calls.parent, keep)
    if root:
        roots = _outermost_matches(trace, root, keep)
        keep &= covered(roots, calls.end[roots], n) > 0
        parent = parent if parent is not calls.parent else parent.copy()
        parent[roots] = -1
    else:
        roots = np.flatnonzero(keep & (parent < 0)).astype(np.int32)
    returning, arg = listed(given["returning"]), listed(given["arg"])
    n_seem = 0
    if given["failing"] or returning or arg:
        from kfgraph.analyze.valuefilters import n_seem_failed, passing

        n_seem = n_seem_failed(trace, keep, parent, failed=given["failing"], ret=returning, arg=arg)
        keep = passing(trace, keep, failed=given["failing"], ret=returning, arg=arg)
        if not keep.any():
            raise NoMatchError("no call is left after --failed, --ret or --arg", "leave one of them out")
        parent = nearest_kept(parent, keep)
        roots = np.flatnonzero(keep & (parent < 0)).astype(np.int32)
    roots = roots[np.argsort(calls.start_ns[roots], kind="stable")]
    cost = cost.only(keep) if len(cost) else cost
    return Selection(
        trace, keep, parent, roots, total_ns, self_ns, cost, parts, bool(root), tuple(notices), n_seem, tracer
    )


def _compensated(
    trace: Trace, total_ns: Int64, self_ns: Int64, parts: Mapping[str, Part], gone: Bool | None
) -> tuple[Int64, Int64, Mapping[str, Part], Compensation | None]:
    if gone is None:
        return total_ns, self_ns, parts, None
    from kfgraph.analyze.compensation import compensated

    return compensated(trace, total_ns, self_ns, parts, gone)


def less_own_cost(trace: Trace) -> tuple[Int64, Int64]:
    """(total, self) of every call of the trace, as recorded but for kfgraph's own cost; -1 unknown."""
    calls, cost = trace.calls, own_cost(trace)
    if not len(cost):
        return calls.duration_ns, calls.self_ns
    return _less(calls, np.zeros(len(calls), np.bool_), cost), cost.without(calls.self_ns)


def lanes_of(trace: Trace, given: Mapping[str, Any]) -> Sequence[int] | None:
    """The lanes of the tasks that the filters ``task``, ``pid`` and ``all_tasks`` leave; None: all.

    Raises:
        NoMatchError: there is no such task.
    """
    task, pid = listed(given["task"]), listed(given["pid"])
    if task or pid:
        return lanes_asked_for(trace, task, pid)
    if trace.command_lanes is not None and not given["all_tasks"]:
        return sorted(trace.command_lanes)
    return None


def _of_lanes(calls: CallTable, lanes: Iterable[int]) -> Bool:
    wanted = np.zeros(int(calls.lane.max(initial=-1)) + 1, np.bool_)
    wanted[[lane for lane in lanes if lane < len(wanted)]] = True
    return wanted[calls.lane]


def lanes_asked_for(trace: Trace, names: Sequence[str], pids: Sequence[int]) -> list[int]:
    """The lanes of the tasks that have one of these names (globs, or ``comm-pid``) or pids, ascending.

    Raises:
        NoMatchError: there is no such task.
    """
    tasks = trace.tasks.tasks
    for name in names:
        if not any(_is_task(task, name) for task in tasks):
            hint = nearest(name, {task.comm for task in tasks if task.comm})
            raise NoMatchError(f"no task {name!r} in this trace", hint or "kfgraph info shows the tasks")
    for pid in pids:
        if not any(task.pid == pid for task in tasks):
            n_calls = np.bincount(trace.calls.lane, minlength=len(tasks)).tolist()
            most = sorted(zip(n_calls, (task.label for task in tasks), strict=True), key=lambda one: (-one[0], one[1]))
            have = ", ".join([label for _, label in most][:6])
            raise NoMatchError(f"no task with pid {pid} in this trace", f"it has {have}" if have else "")
    return [
        lane
        for lane, task in enumerate(tasks)
        if task.pid in pids or any(_is_task(task, name) for name in names)
    ]


def _is_task(task: Task, pattern: str) -> bool:
    called = [task.label, *(name for comm in (task.comm, *task.formerly) for name in (comm, f"{comm}-{task.pid}"))]
    return pattern in called or any(fnmatchcase(name, pattern) for name in called)


def _one_of_the_cpus(calls: CallTable, cpus: Sequence[int]) -> None:
    have = distinct(calls.cpu[calls.cpu >= 0]).tolist()
    if len(calls) and not have:
        raise UsageError("--cpu: this trace does not tell the CPU of its calls", "leave --cpu out")
    for cpu in cpus:
        if cpu not in have:
            raise NoMatchError(f"no call on CPU {cpu} in this trace", f"it has CPU {', '.join(map(str, have[:16]))}")


def _in_window(trace: Trace, from_s: float | None, to_s: float | None) -> Bool:
    calls = trace.calls
    for name, value in (("--from", from_s), ("--to", to_s)):
        if value is not None and not abs(value) <= MOST_SECONDS:
            raise UsageError(f"{name} {value:g} is not a trace time", "both are seconds from the start of the trace")
    if from_s is not None and to_s is not None and from_s >= to_s:
        raise UsageError(f"--from {from_s:g} is not before --to {to_s:g}", "both count from the start of the trace")
    if calls.has(Flag.START_UNKNOWN).any():
        raise UsageError("--from and --to: this trace has no times in a known unit", "leave them out")
    first = trace.meta.first_ns if trace.meta.first_ns >= 0 else int(calls.start_ns.min(initial=0))
    inside = np.ones(len(calls), np.bool_)
    if from_s is not None:
        # A call without an end may have lasted until the end of the trace.
        inside &= (calls.duration_ns < 0) | (calls.start_ns + calls.duration_ns >= first + round(from_s * _NS))
    if to_s is not None:
        inside &= calls.start_ns < first + round(to_s * _NS)
    return inside


def in_interrupts(calls: CallTable) -> Bool:
    """The calls of interrupts, with all that they called."""
    found = np.zeros(len(calls), np.bool_)
    found[rows_in_interrupts(calls)] = True
    return found


def rows_in_interrupts(calls: CallTable) -> Int32:
    """The same as rows, ascending."""
    top = outermost(np.flatnonzero(calls.has(Flag.INTERRUPT)).astype(np.int32), calls.end)
    return ranges(top, calls.end[top])


def _interrupts(trace: Trace, keep: Bool, given: Mapping[str, Any]) -> Bool | None:
    """The calls that ``irq`` or ``no_irq`` is about."""
    if given["no_irq"] and given["irq"]:
        raise UsageError("--irq and --no-irq contradict each other", "give one of them")
    if not (given["no_irq"] or given["irq"]):
        return None
    found = in_interrupts(trace.calls)
    if not (found & keep).any() and (trace.calls.context[keep] == UNKNOWN_CONTEXT).any():
        option = "--irq" if given["irq"] else "--no-irq"
        raise UsageError(
            f"{option}: this trace does not tell which calls ran in an interrupt",
            f"give the trace.dat itself, or leave {option} out",
        )
    return found


def _less(calls: CallTable, dropped: Bool, cost: OwnCost, *, interrupts: Bool | None = None) -> Int64:
    """Each duration less those of the dropped calls, and the costs, that it is made of; -1 over an unknown cost.

    With ``interrupts``, which are dropped too, less the time of those that hit it.
    """
    total_ns = calls.duration_ns.copy()
    taken = np.where(dropped, np.maximum(total_ns, 0), 0)
    taken[cost.rows] = np.maximum(cost.ns, 0)
    source = dropped.copy()
    source[cost.rows] = True
    if interrupts is not None and calls.irq_ns is not None:
        hit = calls.irq_ns.where(~dropped & ~interrupts)
        taken[hit.rows] += hit.values
        source[hit.rows] = True
    gone = dropped if interrupts is None else dropped | interrupts
    n_before = np.append(0, np.cumsum(source))
    holds_some = n_before[calls.end] > n_before[:-1]
    passes_up = holds_some & (calls.parent >= 0) & ~gone[calls.parent] & ~calls.has(Flag.IN_TRACER)
    for group in reversed(by_level(np.flatnonzero(passes_up).astype(np.int32), calls.level)):
        np.add.at(taken, calls.parent[group], taken[group])
    known = ~gone & (total_ns >= 0)
    total_ns[known] -= taken[known]
    for row in cost.rows[cost.ns < 0].tolist():
        total_ns[row] = -1
        while passes_up[row]:
            row = calls.parent[row]
            total_ns[row] = -1
    return total_ns


def _outermost_matches(trace: Trace, patterns: Sequence[str], keep: Bool) -> Int32:
    calls = trace.calls
    wanted = functions_named(trace, patterns, keep)
    return outermost(np.flatnonzero(keep & wanted[calls.func]).astype(np.int32), calls.end)


def functions_named(trace: Trace, patterns: Sequence[str], keep: Bool) -> Bool:
    """The functions, by code, that names, globs or names of system calls stand for.

    Raises:
        NoMatchError: of one there is no call in the trace, or in ``keep``.
    """
    calls, symbols = trace.calls, trace.symbols
    wanted = np.zeros(len(symbols), np.bool_)
    for pattern in patterns:
        found = matching([pattern], symbols.labels)
        rows = found[calls.func]
        if not rows.any():
            # A system call's name stands for its handler.
            found = np.array([system_call_of(name) == pattern for name in symbols.names], np.bool_)
            rows = found[calls.func]
        if not rows.any():
            called = distinct(calls.func)
            raise NoMatchError(
                f"no call of {pattern!r} in this trace",
                nearest(pattern, {symbols.labels[code] for code in called if code})
                or "kfgraph top shows the functions that it has",
            )
        if not (rows & keep).any():
            raise NoMatchError(
                f"no call of {pattern!r} is left after the filters, of {plural(int(rows.sum()), 'call')} in the trace",
                "widen the filters, or add --all-tasks or --pre-exec",
            )
        wanted |= found
    return wanted


def nearest(pattern: str, names: Iterable[str]) -> str:
    """``did you mean a, b or c?`` of the names like ``pattern``, "" if none is."""
    bare = pattern.strip("*").lower()
    ordered = sorted(names)
    alike = [name for name in ordered if len(bare) > 2 and bare in name.lower()]
    near = sorted(alike, key=len)[:3]
    near += [name for name in difflib.get_close_matches(pattern, ordered, 3, 0.6) if name not in near]
    if not near:
        return ""
    *most, last = near[:4]
    return f"did you mean {', '.join(most)}{' or ' if most else ''}{last}?"

