"""What is known of the time of a call that was not seen to return: at least that of its callees, with one doubt.

An interrupt that is recorded behind all callees of such a call may have hit the tracer when the call had returned, and
before the exit was recorded: its time is then not in the call's. Nor is that of another task's turn behind it.
"""

from __future__ import annotations

import numpy as np

from kfgraph.analyze.forest import Int16, Int32, Int64, floors
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable


def least_totals(trace: Trace, rows: Int32, *, parent: Int32, level: Int16, total_ns: Int64) -> Int64:
    """The least that each total can be. The nodes are the calls ``rows`` of the trace, in pre-order, ``parent`` a
    node or -1."""
    counted = (trace.calls.flags[rows] & np.uint32(Flag.IN_TRACER)) == 0
    child = np.flatnonzero((parent >= 0) & counted)
    child = child[total_ns[parent[child]] < 0]
    calls, of = trace.calls, rows[child]
    hit = (calls.flags[of] & np.uint32(Flag.INTERRUPT)) != 0
    # Of one a level deeper nothing else is in doubt than what an interrupt behind the callees is.
    doubtful = (calls.flags[of] & np.uint32(Flag.CALLER_LOST)) != 0
    hit |= doubtful & (calls.depth[of] == calls.depth[calls.parent[of]] + 1)
    if hit.any():
        last = np.full(len(rows), -1, np.int64)
        callee = child[~hit]
        np.maximum.at(last, parent[callee], callee)
        behind = child[hit]
        counted[behind[behind > last[parent[behind]]]] = False
    return floors(parent, level, total_ns, counted)


def summed_floors(tree: TreeTable) -> Int64:
    """The totals, and where there is none the sum of all callees, interrupts too: each nanosecond is in one node."""
    return floors(tree.parent, tree.level, tree.total_ns, (tree.flags & np.uint32(Flag.IN_TRACER)) == 0)
