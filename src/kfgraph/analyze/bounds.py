"""What is known of the time of a call that was not seen to return: at least that of its callees, with one doubt.

An interrupt that is recorded behind all callees of such a call may have hit the tracer when the call had returned, and
before the exit was recorded: its time is then not in the call's.
"""

from __future__ import annotations

import numpy as np

from kfgraph.analyze.forest import Bool, Int16, Int32, Int64, floors
from kfgraph.kernel.interrupts import WRAPPERS
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.trace import Trace


def least_totals(trace: Trace, rows: Int32, *, parent: Int32, level: Int16, total_ns: Int64) -> Int64:
    """The least that each total can be. The nodes are the calls ``rows`` of the trace, in pre-order, ``parent`` a
    node or -1."""
    counted = (trace.calls.flags[rows] & np.uint32(Flag.IN_TRACER)) == 0
    child = np.flatnonzero((parent >= 0) & counted)
    child = child[total_ns[parent[child]] < 0]
    hit = _interrupts(trace, rows, child, parent)
    if hit.any():
        last = np.full(len(rows), -1, np.int64)
        callee = child[~hit]
        np.maximum.at(last, parent[callee], callee)
        behind = child[hit]
        counted[behind[behind > last[parent[behind]]]] = False
    return floors(parent, level, total_ns, counted)


def _interrupts(trace: Trace, rows: Int32, child: Int64, parent: Int32) -> Bool:
    """Which of the nodes ``child`` are interrupts that hit the call above them, or parts of one."""
    calls, names = trace.calls, trace.symbols.names
    wrapper = np.fromiter((name in WRAPPERS for name in names), np.bool_, len(names))
    context, around = calls.context[rows[child]], calls.context[rows[parent[child]]]
    told = (context != UNKNOWN_CONTEXT) & (around != UNKNOWN_CONTEXT) & (context > around)
    flagged = (calls.flags[rows[child]] & np.uint32(Flag.INTERRUPT)) != 0
    found: Bool = told | flagged | wrapper[calls.func[rows[child]]]
    return found
