"""The system calls of a trace: which handler ran, with what path, and what it returned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from kfgraph.analyze.forest import Int32, Int64
from kfgraph.analyze.retval import MAX_ERRNO, errors_of
from kfgraph.analyze.select import lanes_asked_for, less_own_cost
from kfgraph.analyze.sysexits import exits_of, handlers
from kfgraph.kernel.errnos import errno_name
from kfgraph.model.calls import Flag
from kfgraph.model.names import listed
from kfgraph.model.trace import Trace

_ENTER, _EXIT = "sys_enter", "sys_exit"
_PATH = re.compile(r"__(?:file|path|dev_|dir_|old|new|special)?name_val=(.*?)(?= \w+=|$)|\bpath=\"?([^\"]*)")
_VALUE = re.compile(r"(?:\bret=|= |-> )?(0x[0-9a-f]{1,16}|-?\d{1,20})\s*$")
_CODE = re.compile(r"error_code[=:]\s*(0x[0-9a-f]+|-?\d+)")
_ARGUMENT = re.compile(r"(\w+)[=:] ?(\S+?)(?:,|(?= )|$)")
_POINTERS_TO_PATHS = ("filename", "pathname", "path", "dir_name", "name", "oldname")
_NUMBER = re.compile(r"(?:__syscall_nr=|NR )(\d+)")


@dataclass(frozen=True)
class SystemCall:
    """One system call.

    ``row`` is its handler's call (-1: not recorded), ``mark`` its entry event (-1: none). ``result`` is what it
    returned (None: not recorded), ``error`` the same where that is -1 to -4095, else 0; ``evidence`` says where
    it comes from: ``return value``, ``system call result`` or "". ``path`` is the file that it names, where
    recorded; ``text`` its arguments as the trace has them. ``duration_ns`` is as recorded, ``total_ns`` is less
    kfgraph's own cost (:mod:`kfgraph.analyze.owncost`). Times in ns of the trace clock, -1 unknown.
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
    path: str | None
    text: str

    @property
    def shown(self) -> str:
        """``openat("/nonexistent")``, as far as it is known."""
        return f"{self.name}({_quoted(self.path)})"

    @property
    def worded(self) -> str:
        """``openat("/etc/passwd", dfd=-100, flags=0x80000)``: with its other arguments as recorded."""
        others = [
            f"{name}={_in_hex(value)}"
            for name, value in _ARGUMENT.findall(self.text)
            if not name.startswith("__") and not (self.path is not None and name in _POINTERS_TO_PATHS)
        ]
        return f"{self.name}({', '.join(filter(None, (_quoted(self.path), *others)))})"


@dataclass(frozen=True)
class SystemCallSum:
    """All calls of one system call. Times in ns, of the ``n_finished`` calls whose end is known.

    ``hottest`` is the function in which most of their time was spent itself, with its share of it.
    """

    name: str
    n_calls: int
    n_finished: int
    n_errors: int
    total_ns: int
    max_ns: int
    hottest: str
    hottest_share: float


def _quoted(path: str | None) -> str:
    return "" if path is None else f'"{path}"'


def _in_hex(value: str) -> str:
    # Large numbers are addresses or flags.
    if not value.isdigit() or int(value) < 4096:
        return value
    number = int(value)
    return str(number - (1 << 32)) if number >= 0xFFFFF000 and number < 1 << 32 else hex(number)


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
    task: str | Sequence[str] = (),
    pid: int | Sequence[int] = (),
    all_tasks: bool = False,
) -> list[SystemCall]:
    """The system calls that pass every filter, in time order; with ``slowest`` the N slowest, slow to fast.

    Raises:
        NoMatchError: there is no such task.
    """
    names, task, pid = listed(names), listed(task), listed(pid)
    if task or pid:
        lanes: list[int] | None = lanes_asked_for(trace, task, pid)
    elif trace.command_lanes is not None and not all_tasks:
        lanes = sorted(trace.command_lanes)
    else:
        lanes = None
    calls = [
        call
        for call in system_calls(trace, lanes)
        if (not failed or call.error) and (not names or any(fnmatchcase(call.name, glob) for glob in names))
    ]
    if slowest is not None:
        return sorted(calls, key=lambda call: -call.total_ns)[:slowest]
    return sorted(calls, key=lambda call: (call.start_ns, call.lane, call.row))


def summed(trace: Trace, calls: Sequence[SystemCall]) -> list[SystemCallSum]:
    """One sum for each system call, the one that took most time first."""
    _, self_ns = less_own_cost(trace)
    of_name: dict[str, list[SystemCall]] = {}
    for call in calls:
        of_name.setdefault(call.name, []).append(call)
    sums = []
    for name, same in of_name.items():
        finished = [call.total_ns for call in same if call.total_ns >= 0]
        hottest, share = _hottest(trace, self_ns, [call.row for call in same if call.row >= 0])
        n_errors = sum(bool(call.error) for call in same)
        total, most = sum(finished), max(finished, default=-1)
        sums.append(SystemCallSum(name, len(same), len(finished), n_errors, total, most, hottest, share))
    return sorted(sums, key=lambda one: (-one.total_ns, one.name))


def _hottest(trace: Trace, self_ns: Int64, rows: Sequence[int]) -> tuple[str, float]:
    calls = trace.calls
    if not rows:
        return "", 0.0
    inside = np.concatenate([np.arange(row, calls.end[row]) for row in rows])
    own = np.bincount(calls.func[inside], weights=np.maximum(self_ns[inside], 0), minlength=len(trace.symbols))
    return (trace.symbols.labels[int(own.argmax())], float(own.max() / own.sum())) if own.sum() > 0 else ("", 0.0)


def to_dict(trace: Trace, call: SystemCall) -> dict[str, object]:
    """What ``kfgraph syscalls --json`` prints of a call."""
    task = trace.tasks[call.lane]
    return {
        "system_call": call.name, "pid": task.pid if task.pid >= 0 else None, "comm": task.comm or None,
        "start_ns": call.start_ns if call.start_ns >= 0 else None,
        "duration_ns": call.duration_ns if call.duration_ns >= 0 else None,
        "total_ns": call.total_ns if call.total_ns >= 0 else None,
        "result": call.result, "error": errno_name(-call.error, arch=trace.meta.arch) or None if call.error else None,
        "path": call.path, "arguments": call.text or None, "row": call.row if call.row >= 0 else None,
    }  # fmt: skip


def system_calls(trace: Trace, lanes: Iterable[int] | None = None) -> list[SystemCall]:
    """The system calls of ``lanes`` (None: of all), task after task, each in time order."""
    wanted = range(len(trace.tasks)) if lanes is None else sorted(lanes)
    rows, names = handlers(trace)
    lane_of = trace.calls.lane[rows]
    exit_of = dict(zip(*(column.tolist() for column in exits_of(trace, rows, names)), strict=True))
    errors = errors_of(trace.calls, trace.symbols).codes
    enters, exits = _event_marks(trace, _ENTER), _event_marks(trace, _EXIT)
    found: list[SystemCall] = []
    for lane in wanted:
        mine = rows[lane_of == lane]
        mine_names = [names[int(code)] for code in trace.calls.func[mine]]
        entered = enters[trace.marks.lane[enters] == lane]
        left = exits[trace.marks.lane[exits] == lane]
        left_of = [exit_of.get(row, -1) for row in mine.tolist()]
        found += _of_lane(trace, lane, mine, mine_names, entered, left, left_of, errors)
    total_ns, _ = less_own_cost(trace)
    if total_ns is trace.calls.duration_ns:
        return found
    return [replace(call, total_ns=int(total_ns[call.row])) if call.row >= 0 else call for call in found]


def exit_codes(trace: Trace) -> dict[int, int]:
    """Lane -> the exit status (0 to 255) of its task, where its ``exit_group`` was recorded with its argument."""
    codes: dict[int, int] = {}
    marks = trace.marks
    for name in ("sys_enter_exit_group", "sys_enter_exit"):
        for mark in marks.named(name).tolist():
            told = _CODE.search(marks.text[mark])
            if told:
                codes[int(marks.lane[mark])] = int(told[1], 0) & 0xFF
    return codes


def _event_marks(trace: Trace, kind: str) -> Int32:
    """The marks that tell of system calls entered (or left), in time order."""
    marks = trace.marks
    is_kind = np.array([name == kind or name.startswith(f"{kind}_") for name in marks.names], np.bool_)
    return np.flatnonzero(is_kind[marks.name]).astype(np.int32) if len(is_kind) else np.zeros(0, np.int32)


def _of_lane(
    trace: Trace,
    lane: int,
    rows: Int32,
    names: list[str],
    entered: Int32,
    left: Int32,
    left_of: list[int],
    errors: np.ndarray,
) -> list[SystemCall]:
    marks = trace.marks
    # A call's entry event stands before its handler.
    enter_of = _nearest_before(marks.row[entered], rows)
    found = []
    used_enter, used_exit = set[int](), set(left_of)
    for i, row in enumerate(rows.tolist()):
        enter = int(entered[enter_of[i]]) if enter_of[i] >= 0 else -1
        used_enter.add(enter)
        result, evidence = _result(trace, row, left_of[i], int(errors[row]))
        found.append(_made(trace, names[i], lane, row, enter, result, evidence))
    # Where only a part of the kernel was traced there are events without a handler.
    alone = [mark for mark in left.tolist() if mark not in used_exit]
    if alone:
        before = np.array([mark for mark in entered.tolist() if mark not in used_enter], np.int64)
        for mark in alone:
            at = int(np.searchsorted(before, mark)) - 1 if len(before) else -1
            enter = int(before[at]) if at >= 0 else -1
            text = marks.text[mark]
            name = marks.names[marks.name[mark]].removeprefix("sys_exit").removeprefix("_") or _by_number(text)
            found.append(_made(trace, name, lane, -1, enter, _value(text), "system call result"))
        found.sort(key=lambda call: call.start_ns)
    return found


def _nearest_before(places: Int32, rows: Int32) -> np.ndarray:
    """For each handler the index of the last place before it that no earlier handler is nearer to, -1 for none."""
    at = np.searchsorted(places, rows, side="right") - 1
    previous = np.append(-1, rows[:-1]) if len(rows) else rows
    ok = (at >= 0) & (np.append(places, 0)[at] > previous) if len(rows) else np.zeros(0, np.bool_)
    return np.where(ok, at, -1)


def _result(trace: Trace, row: int, exit_: int, error: int) -> tuple[int | None, str]:
    calls = trace.calls
    if exit_ >= 0:
        value = _value(trace.marks.text[exit_])
        if value is not None:
            return value, "system call result"
    if calls.retval is not None and calls.flags[row] & np.uint32(Flag.HAS_RETVAL):
        return error or int(calls.retval[row]), "return value"
    return None, ""


def _made(trace: Trace, name: str, lane: int, row: int, enter: int, result: int | None, evidence: str) -> SystemCall:
    calls, marks = trace.calls, trace.marks
    text = marks.text[enter] if enter >= 0 else ""
    error = result if result is not None and -MAX_ERRNO <= result < 0 else 0
    told = _PATH.search(text)
    path = (told[1] or told[2]) if told else None
    start = int(calls.start_ns[row]) if row >= 0 else int(marks.time_ns[enter]) if enter >= 0 else -1
    duration = int(calls.duration_ns[row]) if row >= 0 else -1
    return SystemCall(name, lane, row, enter, start, duration, duration, result, error, evidence, path, text)


def _value(text: str) -> int | None:
    told = _VALUE.search(text)
    if told is None:
        return None
    value = int(told[1], 0)
    return value - (1 << 64) if value >= 1 << 63 else value


def _by_number(text: str) -> str:
    told = _NUMBER.search(text)
    return f"system call {told[1]}" if told else "system call"
