"""What return probes add: names for functions of a module that is gone, and the values that calls returned.

A return probe's event comes just before the exit record of the call that it is about, so it stands
inside that call; and it carries the function's address, which is the call's where that was recorded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kfgraph.model.calls import Flag
from kfgraph.model.companion import ModuleImage, ReturnProbe
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with what the probes of its companion saw; as it was where they saw nothing."""
    companion = trace.companion
    if companion is None:
        return trace
    probe_of = {probe.event: probe for probe in companion.probes}
    hits = [hit for hit in _hits(trace, set(probe_of)) if trace.symbols.addresses[trace.calls.func[hit[0]]] == hit[2]]
    if not hits:
        return trace
    calls = trace.calls
    retval = np.zeros(len(calls), np.int64) if calls.retval is None else calls.retval.copy()
    flags = calls.flags.copy()
    for row, _, _, value in hits:
        retval[row] = value
        flags[row] |= np.uint32(Flag.HAS_RETVAL)
    known = {address: probe_of[event] for _, event, address, _ in hits}
    symbols = _named(trace.symbols, known, companion.modules)
    flags[symbols.resolved[calls.func]] &= ~np.uint32(Flag.NAME_UNRESOLVED)
    return replace(trace, calls=calls.with_columns(retval=retval, flags=flags), symbols=symbols)


def _hits(trace: Trace, events: set[str]) -> list[tuple[int, str, int, int]]:
    """(call, event, address, value) of every hit, in time order."""
    hits: list[tuple[int, int, str, int, int]] = []
    for event in events.intersection(trace.marks.names):
        function, value = trace.marks.fields(event, "__probe_func", "ret")
        if function is None or value is None or not (function.is_number and value.is_number):
            continue
        # As the retval column keeps a register: its 64 bits, signed.
        signed = value.values.astype(np.int64)
        known = function.known & value.known
        for mark, address, number in zip(
            value.rows[known].tolist(), function.values[known].tolist(), signed[known].tolist(), strict=True
        ):
            hits.append((mark, int(trace.marks.parent[mark]), event, address, number))
    return [hit[1:] for hit in sorted(hits) if hit[1] >= 0]


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
