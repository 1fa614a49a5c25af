"""What return probes add: names for functions of a module that is gone, and the values that calls returned.

A return probe's event carries the function's address, which is the call's where that was recorded. It comes just before
the exit record of the call that it is about, so it stands inside that call; where the probe was set before the tracer
was on, just behind that record. The probes are those of the companion or, without one, somebody's, as far as their
events tell what they hold and each can be of one call only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kfgraph.model.arrays import distinct
from kfgraph.model.calls import Flag
from kfgraph.model.companion import ModuleImage, ReturnProbe
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given

Bool = npt.NDArray[np.bool_]
Int32 = npt.NDArray[np.int32]
VALUE_NAMES = ("ret", "retval", "rc", "rv", "err", "error", "result", "status")
"""What a field with the return value is called; the kernel calls a field without a name arg1."""
_OF_RETURN_PROBES = ("__probe_func", "__probe_ret_ip")


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with what return probes saw; as it was where they saw nothing."""
    companion = trace.companion
    probe_of = {probe.event: probe for probe in companion.probes} if companion is not None else {}
    found = [_inside(trace, hits) for hits in _hits(trace, dict.fromkeys(probe_of, "ret"))]
    if companion is None and trace.calls.retval is None and len(trace.calls) and trace.symbols.addresses.any():
        found = [_inside_or_behind(trace, hits) for hits in _hits(trace, _somebodys(trace))]
    found = [hits for hits in found if len(hits.rows)]
    if not found:
        return trace
    calls = trace.calls
    retval = np.zeros(len(calls), np.int64) if calls.retval is None else calls.retval.copy()
    flags = calls.flags.copy()
    for hits in found:
        # Inside a call that did not return another one did, which was not recorded.
        returned = (flags[hits.rows] & np.uint32(Flag.NO_EXIT)) == 0
        retval[hits.rows[returned]] = hits.values[returned]
        flags[hits.rows[returned]] |= np.uint32(Flag.HAS_RETVAL)
    symbols = trace.symbols
    if companion is not None:
        known = {at: probe_of[hits.event] for hits in found for at in set(hits.addresses.tolist())}
        symbols = _named(symbols, known, companion.modules)
        flags[symbols.resolved[calls.func]] &= ~np.uint32(Flag.NAME_UNRESOLVED)
    return replace(trace, calls=calls.with_columns(retval=retval, flags=flags), symbols=symbols)


@dataclass(frozen=True)
class _Hits:
    """The events of one probe, in time order: the marks, the calls that they are about, the addresses of the function,
    the values, as a register's 64 bits, signed."""

    event: str
    marks: Int32
    rows: Int32
    addresses: npt.NDArray[np.uint64]
    values: npt.NDArray[np.int64]

    def of(self, rows: Int32, chosen: Bool) -> _Hits:
        """Those ``chosen``, each about the call of ``rows``."""
        return _Hits(self.event, self.marks[chosen], rows[chosen], self.addresses[chosen], self.values[chosen])


def _hits(trace: Trace, events: dict[str, str]) -> list[_Hits]:
    """What was recorded of each of ``events``; their values are the name of the field that holds the return value."""
    found = []
    for event, field in events.items():
        function, value = trace.marks.fields(event, _OF_RETURN_PROBES[0], field)
        if function is None or value is None or not (function.is_number and value.is_number):
            continue
        # Less than 32 bits do not tell an error from another number.
        if value.values.dtype.itemsize < 4:
            continue
        signed = value.values.astype(np.int32) if value.values.dtype.itemsize == 4 else value.values
        known = function.known & value.known
        marks = value.rows[known]
        around = trace.marks.parent[marks]
        addresses = function.values[known].astype(np.uint64)
        found.append(_Hits(event, marks, around, addresses, signed[known].astype(np.int64)))
    return found


def _inside(trace: Trace, hits: _Hits) -> _Hits:
    """Those that stand in a call of the function at their address."""
    return hits.of(hits.rows, _is_of(trace, hits.rows, hits.addresses))


def _is_of(trace: Trace, rows: Int32, addresses: npt.NDArray[np.uint64]) -> Bool:
    """Whether the calls ``rows`` (-1: none) are of the functions at ``addresses``."""
    if not len(trace.calls):
        return np.zeros(len(rows), np.bool_)
    same: Bool = trace.symbols.addresses[trace.calls.func[rows]] == addresses
    fits: Bool = (rows >= 0) & same & (addresses != 0)
    return fits


def _somebodys(trace: Trace) -> dict[str, str]:
    """Event -> the field with the return value, of the return probes that somebody set."""
    found = {}
    for event in dict.fromkeys(trace.marks.names):
        fields = [name for name in trace.marks.field_names(event) if not name.startswith("common_")]
        own = [name for name in fields if name not in _OF_RETURN_PROBES]
        if len(own) != len(fields) - len(_OF_RETURN_PROBES):
            continue
        named = [name for name in own if name in VALUE_NAMES]
        if len(named) == 1 or own == ["arg1"]:
            found[event] = (named or own)[0]
    return found


def _inside_or_behind(trace: Trace, hits: _Hits) -> _Hits:
    """Those that tell what a call returned: all stand in their calls, or all just behind them.

    One between a call's return and that of another of the same function around it may be either's. Those that can be
    of one place alone tell the place for all of this probe; where none does, or they contradict, nothing is told.
    """
    nobody = hits.of(hits.rows, np.zeros(len(hits.rows), np.bool_))
    if not len(trace.calls) or not len(hits.rows):
        return nobody
    around, before = hits.rows, _last_callee(trace, hits)
    last = _is_last(trace, hits)
    may_be_inside = _is_of(trace, around, hits.addresses)
    may_be_inside &= last | ((trace.calls.flags[around] & np.uint32(Flag.CUT_BY_LOSS)) != 0)
    may_be_behind = _is_of(trace, before, hits.addresses)
    inside = may_be_inside & last & _is_told(trace, hits, around)
    behind = may_be_behind & _is_told(trace, hits, before)
    if bool((inside & ~may_be_behind).any()) == bool((behind & ~may_be_inside).any()):
        return nobody
    if (inside & ~may_be_behind).any():
        # What a call of the same function that was not recorded returned comes before its own.
        chosen = _with_the_other(trace, inside, around, np.where(may_be_behind, before, -1))
        return _one_a_call(hits.of(around, chosen), last=True)
    chosen = _with_the_other(trace, behind, before, np.where(may_be_inside, around, -1))
    return _one_a_call(hits.of(before, chosen), last=False)


def _with_the_other(trace: Trace, chosen: Bool, rows: Int32, others: Int32) -> Bool:
    """Those ``chosen`` of the calls ``rows`` that cannot be the hits of ``others`` (-1: none), which have their own."""
    while True:
        has = np.zeros(len(trace.calls), np.bool_)
        has[rows[chosen]] = True
        doubtful = chosen & (others >= 0) & ~has[others]
        if not doubtful.any():
            return chosen
        has[rows[doubtful]] = False
        chosen = chosen & has[rows]


def _last_callee(trace: Trace, hits: _Hits) -> Int32:
    """The call that ended last, on the level where each stands, that is no interrupt; -1 for none. An interrupt's that
    is of the hit's function is one."""
    calls, marks = trace.calls, trace.marks
    around = hits.rows
    rows = np.minimum(marks.row[hits.marks] - 1, len(calls) - 1).astype(np.int32)
    while (deeper := (rows > around) & (calls.parent[rows] != around)).any():
        rows = np.where(deeper, calls.parent[rows], rows)
    found = (rows > around) & (calls.lane[rows] == marks.lane[hits.marks])
    rows = np.where(found, rows, -1).astype(np.int32)
    while True:
        hit = (rows >= 0) & ((calls.flags[rows] & np.uint32(Flag.INTERRUPT)) != 0)
        hit = np.flatnonzero(hit & ~_is_of(trace, rows, hits.addresses))
        if not len(hit):
            return rows
        rows[hit] = calls.elder_siblings(rows[hit])


def _is_last(trace: Trace, hits: _Hits) -> Bool:
    """Whether nothing but interrupts follows in the call around; not where there is none."""
    calls = trace.calls
    end = calls.end[hits.rows]
    at = trace.marks.row[hits.marks].copy()
    while True:
        follows = np.flatnonzero((hits.rows >= 0) & (at < end))
        hit = follows[(calls.flags[at[follows]] & np.uint32(Flag.INTERRUPT)) != 0]
        if not len(hit):
            last: Bool = (hits.rows >= 0) & (at >= end)
            return last
        at[hit] = calls.end[at[hit]]


def _is_told(trace: Trace, hits: _Hits, rows: Int32) -> Bool:
    """Whether the calls ``rows`` returned, and nothing was lost between that and their hits: another call of the
    function may have been."""
    calls, marks = trace.calls, trace.marks
    returned: Bool = (rows >= 0) & ((calls.flags[rows] & np.uint32(Flag.NO_EXIT)) == 0)
    over, hit = calls.start_ns[rows] + calls.duration_ns[rows], marks.time_ns[hits.marks]
    timed = (calls.start_ns[rows] >= 0) & (hit >= 0)
    for cpu in distinct(trace.losses.cpu).tolist():
        lost = np.sort(trace.losses.time_ns[trace.losses.cpu == cpu])
        between = np.searchsorted(lost, over, side="right") != np.searchsorted(lost, hit, side="right")
        concerned = (marks.cpu[hits.marks] == cpu) | (calls.exit_cpu[rows] == cpu)
        returned &= ~(concerned & (between | ~timed))
    return returned


def _one_a_call(hits: _Hits, *, last: bool) -> _Hits:
    """The first, or the last, hit of each call."""
    if not len(hits.rows):
        return hits
    chosen = np.zeros(len(hits.rows), np.bool_)
    order = np.argsort(hits.rows, kind="stable")
    changes = hits.rows[order][1:] != hits.rows[order][:-1]
    chosen[order[np.append(changes, True) if last else np.append(True, changes)]] = True
    return hits.of(hits.rows, chosen)


def _named(symbols: SymbolTable, known: dict[int, ReturnProbe], modules: tuple[ModuleImage, ...]) -> SymbolTable:
    """The table with names for the unresolved addresses that a probe hit, or that lie as a probed one tells."""
    found = {address: (probe.function, probe.module) for address, probe in known.items()}
    for module in modules:
        functions = {function.name: function for function in module.functions}
        probed = [(at, functions.get(p.function)) for at, p in known.items() if p.module == module.name]
        begins = {function.section: at - function.offset for at, function in probed if function is not None}
        for function in module.functions:
            if function.section in begins:
                # One address may have two names (init_module is an alias): the first is its own.
                found.setdefault(begins[function.section] + function.offset, (function.name, module.name))
    return symbols.with_names(found)
