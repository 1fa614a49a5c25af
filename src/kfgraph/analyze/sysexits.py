"""Results of system calls, from the events that tell them: what the functions themselves left may not be recorded."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64, outermost
from kfgraph.analyze.retval import MAX_ERRNO
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.trace import Trace

_MANY = 64
"""From so many events of one name on, reading their field as a column is faster than the text of each."""
_RETURNED = re.compile(r"(?:.*\bret=|NR -?\d+ = |(?:\S{1,64} )?->\s*)?(?P<value>-?0x[0-9a-f]+|-?\d+)\s*")


def handlers(trace: Trace) -> tuple[Int32, dict[int, str]]:
    """(rows of system call handlers that no other handler called, function code -> system call)."""
    names = {code: found for code, name in enumerate(trace.symbols.names) if (found := system_call_of(name))}
    is_handler = np.zeros(len(trace.symbols), np.bool_)
    is_handler[list(names)] = True
    # __x64_sys_x calls __se_sys_x, which calls __do_sys_x.
    return outermost(np.flatnonzero(is_handler[trace.calls.func]).astype(np.int32), trace.calls.end), names


def records_results(trace: Trace) -> bool:
    """Whether events that say what system calls returned were recorded."""
    return any(map(_is_exit, trace.marks.names))


def _is_exit(event: str) -> bool:
    return event == "sys_exit" or event.startswith("sys_exit_")


def exits_of(trace: Trace, rows: Int32, names: dict[int, str]) -> tuple[Int32, Int32]:
    """(handlers of ``rows``, the mark of the event that says what each returned), for those that have one.

    ``sys_exit_NAME`` belongs to the last handler of NAME that ended before it in its task, ``sys_exit`` to the
    last handler of any; no other exit, and no other entry, may stand between.
    """
    marks, calls = trace.marks, trace.calls
    none = np.zeros(0, np.int32), np.zeros(0, np.int32)
    exits = list(map(_is_exit, marks.names))
    if not any(exits) or not len(rows):
        return none
    is_exit = np.array(exits)[marks.name]
    is_border = is_exit | np.array([name.startswith("sys_enter") for name in marks.names])[marks.name]
    borders = np.flatnonzero(is_border)
    # By task and place; of one place in the order of time.
    borders = borders[np.lexsort((borders, marks.row[borders], marks.lane[borders]))]
    before = np.append(-1, borders[:-1])
    which = is_exit[borders]
    ends, before = borders[which], before[which]
    at = np.searchsorted(rows, marks.row[ends]) - 1
    handler = rows[np.maximum(at, 0)]
    same_lane = (before >= 0) & (marks.lane[before] == marks.lane[ends])
    clear = ~same_lane | (marks.row[before] <= handler)
    fits = (at >= 0) & (calls.lane[handler] == marks.lane[ends]) & (calls.end[handler] <= marks.row[ends]) & clear
    called = np.array([f"sys_exit_{names.get(code, '')}" for code in range(len(trace.symbols))], np.object_)
    told = np.array(marks.names, np.object_)[marks.name[ends]]
    fits &= (told == "sys_exit") | (told == called[calls.func[handler]])
    return handler[fits].astype(np.int32), ends[fits].astype(np.int32)


def failed_system_calls(trace: Trace) -> tuple[Int32, npt.NDArray[np.int16]]:
    """(rows of handlers, the error that the event of the system call's exit says it returned).

    What has no handler's call before it is left out: its function was not traced.
    """
    if not records_results(trace):
        return np.zeros(0, np.int32), np.zeros(0, np.int16)
    rows, marks = exits_of(trace, *handlers(trace))
    errors = errors_said(trace, marks)
    return rows[errors != 0], errors[errors != 0]


def errors_said(trace: Trace, exits: Int32) -> npt.NDArray[np.int16]:
    """The error, -1 to -4095, that each of these marks of system calls' exits says was returned; 0 for none."""
    values, known = results_said(trace, exits)
    return np.where(known & _is_error(values), values, 0).astype(np.int16)


def results_said(trace: Trace, exits: Int32) -> tuple[Int64, Bool]:
    """(what each of these marks of system calls' exits says was returned, whether it says so).

    An error is its negative number, whatever the width that it was recorded in.
    """
    marks = trace.marks
    values = np.zeros(len(exits), np.int64)
    known = np.zeros(len(exits), np.bool_)
    codes = marks.name[exits]
    many = np.flatnonzero(np.bincount(codes, minlength=len(marks.names)) > _MANY)
    for name in dict.fromkeys(marks.names[code] for code in many.tolist()):
        ret = marks.field(name, "ret")
        if ret is None or not (ret.is_number and np.issubdtype(ret.values.dtype, np.integer)):
            continue
        of_mark = np.zeros(len(marks), np.int64)
        is_known = np.zeros(len(marks), np.bool_)
        of_mark[ret.rows], is_known[ret.rows] = ret.values.astype(np.int64), ret.known
        here = is_known[exits]
        values[here] = of_mark[exits[here]]
        known |= here
    for i in np.flatnonzero(~known).tolist():
        told = value_said(marks.text[exits[i]])
        if told is not None:
            values[i], known[i] = told, True
    signed = _signed(values)
    return np.where(_is_error(signed), signed, values), known


def value_said(text: str) -> int | None:
    """What the text of a sys_exit event says was returned, as 64 bits with a sign; None where it says nothing.

    ``0xfffffffffffffffe``, ``sys_openat -> 0x3``, ``NR 257 = -2``, ``__syscall_nr=257 ret=-2``, ``id=257 ret=-2``.
    """
    found = _RETURNED.fullmatch(text)
    if not found:
        return None
    value = int(found["value"], 0) if "x" in found["value"] else int(found["value"])
    value = value - (1 << 64) if 1 << 63 <= value < 1 << 64 else value
    return value if -(1 << 63) <= value < 1 << 63 else None


def _is_error(values: Int64) -> Bool:
    return (values < 0) & (values >= -MAX_ERRNO)


def _signed(values: Int64) -> Int64:
    """A value of 32 bits that was taken without its sign has it again."""
    return np.where((values >= 1 << 31) & (values < 1 << 32), values - (1 << 32), values)
