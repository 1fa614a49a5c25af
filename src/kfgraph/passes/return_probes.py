"""What return probes add: names for functions of a module that is gone, and the values that calls returned.

A return probe's event carries the function's address, which is the call's where that was recorded. It comes just before
the exit record of the call that it is about, so it stands inside that call; where the probe was set before the tracer
was on, just behind that record. The probes are those of the companion or, without one, somebody's, as far as their
events tell what they hold.
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
        retval[hits.rows] = hits.values
        flags[hits.rows] |= np.uint32(Flag.HAS_RETVAL)
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
    marks: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    addresses: npt.NDArray[np.uint64]
    values: npt.NDArray[np.int64]

    def of(self, rows: npt.NDArray[np.int32], chosen: npt.NDArray[np.bool_]) -> _Hits:
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


def _is_of(trace: Trace, rows: npt.NDArray[np.int32], addresses: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Whether the calls ``rows`` (-1: none) are of the functions at ``addresses``."""
    if not len(trace.calls):
        return np.zeros(len(rows), np.bool_)
    same: npt.NDArray[np.bool_] = trace.symbols.addresses[trace.calls.func[rows]] == addresses
    fits: npt.NDArray[np.bool_] = (rows >= 0) & same & (addresses != 0)
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
    """Those that stand in a call of their function or, where more of this probe stand so, just behind one."""
    inside, behind = _inside(trace, hits), _behind(trace, hits)
    if len(inside.rows) >= len(behind.rows):
        # What a call of the same function that was not recorded returned comes before its own.
        return _one_a_call(inside, last=True)
    return _one_a_call(behind, last=False)


def _behind(trace: Trace, hits: _Hits) -> _Hits:
    """Those before which a call of their function ended, on the level where they stand."""
    calls, marks = trace.calls, trace.marks
    around = hits.rows
    rows = np.minimum(marks.row[hits.marks] - 1, len(calls) - 1).astype(np.int32)
    while (deeper := (rows > around) & (calls.parent[rows] != around)).any():
        rows = np.where(deeper, calls.parent[rows], rows)
    chosen = (rows > around) & _is_of(trace, rows, hits.addresses)
    chosen &= (calls.lane[rows] == marks.lane[hits.marks]) & ((calls.flags[rows] & np.uint32(Flag.NO_EXIT)) == 0)
    over = calls.start_ns[rows] + calls.duration_ns[rows]
    for cpu in distinct(trace.losses.cpu).tolist():
        # What was lost between the two may have been another call of the function.
        lost = np.sort(trace.losses.time_ns[trace.losses.cpu == cpu])
        between = np.searchsorted(lost, over, side="right") != np.searchsorted(lost, marks.time_ns[hits.marks], "right")
        chosen &= ~((marks.cpu[hits.marks] == cpu) & between)
    return hits.of(rows, chosen)


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
