"""The system calls of a trace: which handler ran, with what path, and what it returned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from kfgraph.analyze.filters import OF_SYSTEM_CALLS, Filters, completed
from kfgraph.analyze.forest import Int32, Int64
from kfgraph.analyze.retval import MAX_ERRNO, errors_of
from kfgraph.analyze.select import lanes_of, less_own_cost, nearest, select
from kfgraph.analyze.sysarguments import is_path, told
from kfgraph.analyze.sysevents import SystemCallEvents, arguments_of, system_call_events
from kfgraph.analyze.sysexits import exits_of, handlers
from kfgraph.errors import NoMatchError
from kfgraph.kernel.errnos import errno_name
from kfgraph.kernel.syscall_arguments import worded
from kfgraph.model.calls import Flag
from kfgraph.model.names import listed
from kfgraph.model.trace import Trace
from kfgraph.model.units import plural

if TYPE_CHECKING:
    from typing_extensions import Unpack

SYSTEM_CALL_RESULT = "system call result"
"""What the error of a system call rests on where an event told it, not a return value."""


@dataclass(frozen=True)
class SystemCall:
    """One system call.

    ``row`` is its handler's call (-1: not recorded), ``mark`` its entry event (-1: none). ``result`` is what it
    returned (None: not recorded), ``error`` the same where that is -1 to -4095, else 0; ``evidence`` says where
    it comes from: ``return value``, ``system call result`` or "". ``paths`` are the files that it names, where
    recorded (rename has two); ``text`` its arguments as the trace has them, ``arch`` whose numbers these are.
    ``duration_ns`` is as recorded, without a handler from event to event; ``total_ns`` is less kfgraph's own cost
    (:mod:`kfgraph.analyze.owncost`). Times in ns of the trace clock, -1 unknown. Where ``total_ns`` is an estimate, it
    is also less ``tracer_ns``, which tracing took, and within ``uncertain_ns`` of the truth.
    """

    name: str
    lane: int
    row: int
    mark: int
    start_ns: int
    duration_ns: int
    total_ns: int
    result: int | None
    error: int
    evidence: str
    text: str
    paths: tuple[str, ...] = ()
    arch: str = ""
    tracer_ns: int = 0
    uncertain_ns: int = 0

    @property
    def path(self) -> str | None:
        """The file that it names, the first of ``paths``; None where none was recorded."""
        return self.paths[0] if self.paths else None

    @property
    def shown(self) -> str:
        """``openat("/nonexistent")``, as far as it is known."""
        return f"{self.name}({', '.join(map(_quote, self.paths))})"

    @property
    def arguments(self) -> str:
        """``text``, or what the registers in it say."""
        return ", ".join(self.words) if arguments_of(self.text) else self.text

    @property
    def worded(self) -> str:
        """``openat("/etc/passwd", dfd=-100, flags=0x80000)``: with its other arguments as recorded."""
        return f"{self.name}({', '.join(self.words)})"

    @property
    def words(self) -> list[str]:
        """Its arguments as far as they were recorded, each as strace writes it or ``name=value``."""
        if registers := arguments_of(self.text):
            found = worded(self.name, registers, self.paths, arch=self.arch)
            return [*map(_quote, self.paths), "…"] if found is None else found
        arguments, paths = told(self.text)
        if self.paths and not paths:
            arguments = [(name, value) for name, value in arguments if not is_path(name)]
        others = [f"{name}={value}" for name, value in arguments]
        return [*map(_quote, self.paths), *others]


@dataclass(frozen=True)
class SystemCallSum:
    """All calls of one system call. Times in ns, of the ``n_finished`` calls whose end is known; -1 if there is none.

    ``hottest`` is the function in which most of their time passed itself, asleep or preempted too, and its share of it.
    """

    name: str
    n_calls: int
    n_finished: int
    n_errors: int
    total_ns: int
    max_ns: int
    hottest: str
    hottest_share: float


@dataclass(frozen=True)
class EstimatedSum(SystemCallSum):
    """The same where times are estimates: the sums of what tracing took, and of its uncertainties."""

    tracer_ns: int
    uncertain_ns: int


def _quote(path: str) -> str:
    return f'"{path}"'


def shown_result(call: SystemCall, arch: str = "") -> str:
    """``= -ENOENT``, ``= 3``, ``= 0x7f00…``, ``= ?``."""
    if call.result is None:
        return "= ?"
    if call.error:
        return f"= -{errno_name(-call.error, arch=arch) or -call.error}"
    return f"= {call.result if abs(call.result) < 1 << 24 else hex(call.result & (1 << 64) - 1)}"


def chosen_calls(
    trace: Trace,
    *,
    names: str | Sequence[str] = (),
    failed: bool = False,
    slowest: int | None = None,
    compensate: bool = False,
    **filters: Unpack[Filters],
) -> list[SystemCall]:
    """The system calls that pass every filter, in time order; with ``slowest`` the N slowest, slow to fast.

    Of the filters there are ``task``, ``pid`` and ``all_tasks``. ``compensate``: the totals of those whose handler was
    recorded are less what tracing took, by an estimate.

    Raises:
        NoMatchError: there is no such task.
        UsageError: the trace does not tell what tracing took.
    """
    names = listed(names)
    lanes = lanes_of(trace, completed(filters, OF_SYSTEM_CALLS))
    calls = [
        call
        for call in system_calls(trace, lanes)
        if (not failed or call.error) and (not names or any(fnmatchcase(call.name, glob) for glob in names))
    ]
    if compensate:
        calls = _estimated(trace, calls)
    if slowest is not None:
        return sorted(calls, key=lambda call: -call.total_ns)[:slowest]
    return sorted(calls, key=lambda call: (call.start_ns, call.lane, call.row))


def why_none(trace: Trace, *, names: str | Sequence[str] = (), **filters: Unpack[Filters]) -> NoMatchError:
    """What to say where ``chosen_calls`` found none."""
    calls = chosen_calls(trace, **filters)
    if not calls:
        return NoMatchError("no system call was recorded", "kfgraph trace records them; leave out --root and --only")
    have = Counter(call.name for call in calls)
    for name in listed(names):
        if not any(fnmatchcase(one, name) for one in have):
            most = ", ".join(one for one, _ in have.most_common(6))
            return NoMatchError(f"no system call {name!r} was recorded", nearest(name, have) or f"there are {most}")
    calls = chosen_calls(trace, names=names, **filters)
    if all(call.result is None for call in calls):
        said = f"the result of none of {plural(len(calls), 'system call')} was recorded"
        return NoMatchError(said, "kfgraph trace records them; leave out --failed")
    return NoMatchError(f"none of {plural(len(calls), 'system call')} failed", "leave out --failed")


def _estimated(trace: Trace, calls: Sequence[SystemCall]) -> list[SystemCall]:
    chosen = select(trace, all_tasks=True, pre_exec=True, compensate=True)
    assert chosen.tracer is not None
    rows = np.array([call.row for call in calls], np.int32)
    taken = chosen.tracer.columns(rows)
    columns = (chosen.total_ns[rows], taken["total_tracer_ns"], taken["total_uncertain_ns"])
    return [
        call if call.row < 0 or total < 0 else replace(call, total_ns=total, tracer_ns=tracer, uncertain_ns=uncertain)
        for call, total, tracer, uncertain in zip(calls, *(column.tolist() for column in columns), strict=True)
    ]


def summed(trace: Trace, calls: Sequence[SystemCall], *, compensate: bool = False) -> list[SystemCallSum]:
    """One sum for each system call, the one that took most time first; ``compensate`` as the calls were chosen."""
    if compensate:
        self_ns = select(trace, all_tasks=True, pre_exec=True, compensate=True).self_ns
    else:
        _, self_ns = less_own_cost(trace)
    of_name: dict[str, list[SystemCall]] = {}
    for call in calls:
        of_name.setdefault(call.name, []).append(call)
    sums: list[SystemCallSum] = []
    for name, same in of_name.items():
        finished = [call.total_ns for call in same if call.total_ns >= 0]
        hottest, share = _hottest(trace, self_ns, [call.row for call in same if call.row >= 0])
        n_errors = sum(bool(call.error) for call in same)
        total, most = sum(finished) if finished else -1, max(finished, default=-1)
        one = SystemCallSum(name, len(same), len(finished), n_errors, total, most, hottest, share)
        if compensate:
            taken = (sum(call.tracer_ns for call in same), sum(call.uncertain_ns for call in same))
            one = EstimatedSum(**vars(one), tracer_ns=taken[0], uncertain_ns=taken[1])
        sums.append(one)
    return sorted(sums, key=lambda one: (-one.total_ns, one.name))


def _hottest(trace: Trace, self_ns: Int64, rows: Sequence[int]) -> tuple[str, float]:
    calls = trace.calls
    if not rows:
        return "", 0.0
    inside = np.concatenate([np.arange(row, calls.end[row]) for row in rows])
    spent_ns = np.maximum(self_ns[inside], 0)
    # Time off the CPU passed in a function too, if in none's own.
    for part in (calls.asleep_ns, calls.preempted_ns):
        if part is not None:
            spent_ns = spent_ns + part.at(inside)
    own = np.bincount(calls.func[inside], weights=spent_ns, minlength=len(trace.symbols))
    return (trace.symbols.labels[int(own.argmax())], float(own.max() / own.sum())) if own.sum() > 0 else ("", 0.0)


def sum_to_dict(one: SystemCallSum) -> dict[str, object]:
    """What ``kfgraph syscalls -c --json`` prints of one."""
    unknown = {name: None for name in ("total_ns", "max_ns") if getattr(one, name) < 0}
    return vars(one) | unknown


def to_dict(trace: Trace, call: SystemCall, *, compensate: bool = False) -> dict[str, object]:
    """What ``kfgraph syscalls --json`` prints of a call; ``compensate``: with what tracing took."""
    task = trace.tasks[call.lane]
    return {
        "system_call": call.name, "pid": task.pid if task.pid >= 0 else None, "comm": task.comm or None,
        "start_ns": call.start_ns if call.start_ns >= 0 else None,
        "duration_ns": call.duration_ns if call.duration_ns >= 0 else None,
        "total_ns": call.total_ns if call.total_ns >= 0 else None,
        "result": call.result, "error": errno_name(-call.error, arch=trace.meta.arch) or None if call.error else None,
        "path": call.path, "arguments": call.arguments or None, "row": call.row if call.row >= 0 else None,
        **({"pid_nth": task.nth} if task.nth else {}),
        **({"tracer_ns": call.tracer_ns, "uncertain_ns": call.uncertain_ns} if compensate else {}),
    }  # fmt: skip


def system_calls(trace: Trace, lanes: Iterable[int] | None = None) -> list[SystemCall]:
    """The system calls of ``lanes`` (None: of all), task after task, each in time order."""
    wanted = range(len(trace.tasks)) if lanes is None else sorted(lanes)
    rows, names = handlers(trace)
    exit_of = dict(zip(*(column.tolist() for column in exits_of(trace, rows, names)), strict=True))
    errors = errors_of(trace.calls, trace.symbols).codes
    events = system_call_events(trace)
    columns = [_by_lane(trace.calls.lane, rows)]
    columns += [_by_lane(trace.marks.lane, of_all) for of_all in (events.enters, events.exits, events.paths)]
    none = np.zeros(0, np.int32)
    found: list[SystemCall] = []
    for lane in wanted:
        mine, entered, left, paths = (column.get(lane, none) for column in columns)
        mine_names = [names[int(code)] for code in trace.calls.func[mine]]
        left_of = [exit_of.get(row, -1) for row in mine.tolist()]
        found += _of_lane(trace, lane, mine, mine_names, events, entered, left, paths, left_of, errors)
    total_ns, _ = less_own_cost(trace)
    if total_ns is trace.calls.duration_ns:
        return found
    return [replace(call, total_ns=int(total_ns[call.row])) if call.row >= 0 else call for call in found]


def _by_lane(lane_of: Int32, items: Int32) -> dict[int, Int32]:
    """Lane -> its ``items`` (rows of ``lane_of``), in their order."""
    order = np.argsort(lane_of[items], kind="stable")
    lanes, first = np.unique(lane_of[items][order], return_index=True)
    return dict(zip(lanes.tolist(), np.split(items[order], first[1:]), strict=True)) if len(items) else {}


def _of_lane(
    trace: Trace,
    lane: int,
    rows: Int32,
    names: list[str],
    events: SystemCallEvents,
    entered: Int32,
    left: Int32,
    paths: Int32,
    left_of: list[int],
    errors: np.ndarray,
) -> list[SystemCall]:
    marks, calls = trace.marks, trace.calls
    # A call's entry event stands before its handler.
    enter_of = _nearest_before(marks.row[entered], rows)
    path_rows = marks.row[paths]
    found = []
    used_enter, used_exit = set[int](), set(left_of)
    for i, row in enumerate(rows.tolist()):
        enter = int(entered[enter_of[i]]) if enter_of[i] >= 0 else -1
        used_enter.add(enter)
        result, evidence = _result(trace, row, left_of[i], int(errors[row]), events)
        first, last = np.searchsorted(path_rows, (row + 1, calls.end[row] + 1)).tolist()
        inside = _paths(trace, events, enter, paths[first:last].tolist())
        found.append(_made(trace, names[i], lane, row, enter, left_of[i], result, evidence, inside))
    # Where only a part of the kernel was traced there are events without a handler.
    alone = [mark for mark in left.tolist() if mark not in used_exit]
    if alone:
        before = np.array([mark for mark in entered.tolist() if mark not in used_enter], np.int64)
        for mark in alone:
            at = int(np.searchsorted(before, mark)) - 1 if len(before) else -1
            enter = int(before[at]) if at >= 0 else -1
            name = events.named.get(mark, "system call")
            if enter >= 0 and events.named.get(enter, name) != name:
                enter = -1
            first, last = np.searchsorted(paths, (enter if enter >= 0 else mark, mark)).tolist()
            inside = _paths(trace, events, enter, paths[first:last].tolist())
            result = events.result.get(mark)
            found.append(_made(trace, name, lane, -1, enter, mark, result, SYSTEM_CALL_RESULT, inside))
        found.sort(key=lambda call: call.start_ns)
    return found


def _paths(trace: Trace, events: SystemCallEvents, enter: int, marks: list[int]) -> tuple[str, ...]:
    """The paths that probes read, each once, in the order of the arguments where their addresses tell it.

    The kernel may read the last first. Where one probed function calls the other, both tell the same.
    """
    name_of = trace.marks.name
    told = [
        mark
        for before, mark in zip([-1, *marks], marks, strict=False)
        if mark in events.path
        and not (before >= 0 and name_of[before] != name_of[mark] and events.path.get(before) == events.path[mark])
    ]
    registers = arguments_of(trace.marks.text[enter]) if enter >= 0 and len(told) > 1 else []
    pointers = [events.pointer.get(mark, -1) for mark in told]
    if registers and all(pointer in registers for pointer in pointers):
        told = [told[i] for i in np.argsort([registers.index(pointer) for pointer in pointers], kind="stable")]
    return tuple(events.path[mark] for mark in told)


def _nearest_before(places: Int32, rows: Int32) -> np.ndarray:
    """For each handler the index of the last place before it that no earlier handler is nearer to, -1 for none."""
    at = np.searchsorted(places, rows, side="right") - 1
    previous = np.append(-1, rows[:-1]) if len(rows) else rows
    ok = (at >= 0) & (np.append(places, 0)[at] > previous) if len(rows) else np.zeros(0, np.bool_)
    return np.where(ok, at, -1)


def _result(trace: Trace, row: int, exit_: int, error: int, events: SystemCallEvents) -> tuple[int | None, str]:
    calls = trace.calls
    if exit_ in events.result:
        return events.result[exit_], SYSTEM_CALL_RESULT
    if calls.retval is not None and calls.flags[row] & np.uint32(Flag.HAS_RETVAL):
        return error or int(calls.retval[row]), "return value"
    return None, ""


def _made(
    trace: Trace,
    name: str,
    lane: int,
    row: int,
    enter: int,
    exit_: int,
    result: int | None,
    evidence: str,
    paths: tuple[str, ...],
) -> SystemCall:
    calls, marks = trace.calls, trace.marks
    text, arch = marks.text[enter] if enter >= 0 else "", trace.meta.arch
    error = result if result is not None and -MAX_ERRNO <= result < 0 else 0
    if not paths:
        paths = tuple(told(text)[1])
    start = int(calls.start_ns[row]) if row >= 0 else int(marks.time_ns[enter]) if enter >= 0 else -1
    duration = int(calls.duration_ns[row]) if row >= 0 else -1
    if row < 0 and min(start, exit_) >= 0 and marks.time_ns[exit_] >= start:
        # From event to event.
        duration = int(marks.time_ns[exit_]) - start
    return SystemCall(name, lane, row, enter, start, duration, duration, result, error, evidence, text, paths, arch)
