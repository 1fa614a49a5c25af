"""Which functions of a trace wait: their own time is no work."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from kfgraph.analyze.forest import Bool
from kfgraph.kernel.waiting import CLASSES, SWITCH_BEGINS, SWITCHING, YIELDING
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace

_KNOWN: WeakKeyDictionary[Trace, Bool] = WeakKeyDictionary()


def functions_off_cpu(trace: Trace) -> Bool:
    """For each code of the SymbolTable whether most of the own time of its calls was no work: they wait, or were asleep
    or preempted."""
    found = waiting_functions(trace)
    calls, n = trace.calls, len(trace.symbols)
    off_ns, own_ns = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for part in (calls.asleep_ns, calls.preempted_ns):
        if part is not None:
            np.add.at(off_ns, calls.func[part.rows], part.values)
    if off_ns.any():
        some = np.flatnonzero((off_ns > 0)[calls.func])
        np.add.at(own_ns, calls.func[some], np.maximum(calls.self_ns[some], 0))
    return found | (off_ns > own_ns)


def waiting_functions(trace: Trace) -> Bool:
    """For each code of the SymbolTable whether the function is one in which a task waits. It is looked for once.

    A function that calls those waits only where the trace has no call of them: then the time is in its own. One that
    only may give the CPU away waits if most of its own time was in the calls that did. Where the
    trace tells how long each call was off the CPU, that is in no self time: only those wait in which the CPU halts.
    """
    if trace not in _KNOWN:
        found = _KNOWN[trace] = _waiting_functions(trace)
        found.flags.writeable = False
    return _KNOWN[trace]


def _waiting_functions(trace: Trace) -> Bool:
    symbols, found = trace.symbols, np.zeros(len(trace.symbols), np.bool_)
    names = ["" if module else plain_name(name) for name, module in zip(symbols.names, symbols.modules, strict=True)]
    for inner, around in CLASSES:
        if inner is SWITCHING and trace.calls.asleep_ns is not None:
            continue
        is_inner, is_around = (np.array([name in some for name in names], np.bool_) for some in (inner, around))
        found |= is_inner
        if inner is SWITCHING:
            found |= _mostly_switching(trace, names)
        if is_around.any() and not (is_inner.any() and is_inner[trace.calls.func].any()):
            found |= is_around
    return found


def _mostly_switching(trace: Trace, names: list[str]) -> Bool:
    """The functions of ``YIELDING`` most of whose own time was in calls in which the CPU went to another task."""
    calls = trace.calls
    yields, begins = (np.array([name in some for name in names], np.bool_) for some in (YIELDING, SWITCH_BEGINS))
    found = np.zeros(len(names), np.bool_)
    rows = np.flatnonzero(yields[calls.func])
    if not len(rows):
        return found
    switched = np.zeros(len(calls) + 1, np.bool_)
    switched[calls.parent[begins[calls.func]]] = True  # of a root, the last one
    switching_ns, own_ns = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    known_ns = np.maximum(calls.self_ns[rows], 0)
    np.add.at(own_ns, calls.func[rows], known_ns)
    np.add.at(switching_ns, calls.func[rows], known_ns * switched[rows])
    return 2 * switching_ns > own_ns
