"""What return probes add: names for functions of a module that is gone, and the values that calls returned.

A return probe's event comes just before the exit record of the call that it is about, so it stands
inside that call; and it carries the function's address, which is the call's where that was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion, ModuleImage, ReturnProbe
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.trace import Trace

_HIT = re.compile(r"__probe_func=(0x[0-9a-f]+) .*\bret=(0x[0-9a-f]{1,16}|-?\d{1,20})$")


def attach(trace: Trace, companion: Companion) -> Trace:
    """The trace with what the probes of its companion saw; as it was where they saw nothing."""
    probe_of = {probe.event: probe for probe in companion.probes}
    hits = [hit for hit in _hits(trace, set(probe_of)) if trace.symbols.addresses[trace.calls.func[hit[0]]] == hit[2]]
    if not hits:
        return trace
    calls = trace.calls
    retval = np.zeros(len(calls), np.int64) if calls.retval is None else calls.retval.copy()
    flags = calls.flags.copy()
    for row, _, _, value in hits:
        retval[row] = value
        flags[row] |= np.uint16(Flag.HAS_RETVAL)
    known = {address: probe_of[event] for _, event, address, _ in hits}
    symbols = _named(trace.symbols, known, companion.modules)
    flags[symbols.resolved[calls.func]] &= np.uint16(0xFFFF ^ Flag.NAME_UNRESOLVED)
    return replace(trace, calls=calls.with_columns(retval=retval, flags=flags), symbols=symbols)


def _hits(trace: Trace, events: set[str]) -> Iterator[tuple[int, str, int, int]]:
    """(call, event, address, value) of every hit, in time order."""
    marks = trace.marks
    wanted = np.array([name in events for name in marks.names], np.bool_)
    for mark in np.flatnonzero(wanted[marks.name]).tolist() if len(wanted) else ():
        told = _HIT.search(marks.text[mark])
        row = int(marks.parent[mark])
        if told and row >= 0:
            # As the retval column keeps a register: its 64 bits, signed.
            value = int(told[2], 0) % (1 << 64)
            yield row, marks.names[marks.name[mark]], int(told[1], 16), value - (value >> 63 << 64)


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
    names, owners, resolved = list(symbols.names), list(symbols.modules), symbols.resolved.copy()
    for code in np.flatnonzero(~symbols.resolved).tolist():
        name = found.get(int(symbols.addresses[code]))
        if code and name:
            names[code], owners[code] = name
            resolved[code] = True
    return replace(symbols, names=tuple(names), modules=tuple(owners), resolved=resolved)
