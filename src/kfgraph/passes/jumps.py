"""DEPTH_JUMP where no caller is missing: an interrupt that hit the tracer while it recorded the call beside it.

When the tracer records the entry or the return of a call, the depth of that call is in use. An interrupt at that time
is recorded one deeper than the call, behind it or before it: beside it, below its caller. Both the call that it hit and
their common caller are recorded, so nothing is unknown but what the flag would claim. A part of an interrupt has
INTERRUPT (:mod:`kfgraph.passes.irq_time`), or stands beside one that has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kfgraph.model.calls import CallTable, Flag

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace
    from kfgraph.passes.given import Given

Array = npt.NDArray[Any]


def apply(trace: Trace, given: Given) -> Trace:
    """No DEPTH_JUMP on the parts of interrupts beside the call that they hit."""
    calls = trace.calls
    rows = np.flatnonzero(calls.has(Flag.DEPTH_JUMP))
    if not len(rows):
        return trace
    beside = rows[_beside_what_they_hit(calls, rows)]
    if not len(beside):
        return trace
    flags = calls.flags.copy()
    flags[beside] &= ~np.uint32(Flag.DEPTH_JUMP)
    left = len(rows) - len(beside)
    notices = tuple(
        replace(one, n=left) if one.code == "depth-jump" else one
        for one in trace.notices
        if left or one.code != "depth-jump"
    )
    return replace(trace, calls=calls.with_columns(flags=flags), notices=notices)


def _beside_what_they_hit(calls: CallTable, rows: Array) -> Array:
    """Which of ``rows``, the calls with DEPTH_JUMP, ascending."""
    parent = calls.parent[rows]
    before = calls.elder_siblings(rows)
    jumps = np.zeros(len(calls) + 1, np.bool_)
    jumps[rows] = True
    # Parts of one interrupt stand side by side: each begins a group, or is of that of the one before it.
    at = np.full(len(calls) + 1, -1, np.int64)
    at[rows] = np.arange(len(rows))
    group = np.arange(len(rows))
    for i in np.flatnonzero((before >= 0) & jumps[before]).tolist():
        group[i] = group[at[before[i]]]
    interrupt = np.zeros(len(rows), np.bool_)
    np.logical_or.at(interrupt, group, (calls.flags[rows] & np.uint32(Flag.INTERRUPT)) != 0)
    # The call that was hit is one less deep, directly before the group or directly behind it.
    hit = (before >= 0) & ~jumps[before] & (calls.depth[before] == calls.depth[rows] - 1)
    behind = np.where(calls.end[rows] < len(calls), calls.end[rows], -1)
    same = (behind >= 0) & (calls.parent[behind] == parent) & (calls.lane[behind] == calls.lane[rows])
    hit |= same & ~jumps[behind] & (calls.depth[behind] == calls.depth[rows] - 1)
    found = np.zeros(len(rows), np.bool_)
    np.logical_or.at(found, group, hit)
    return interrupt[group] & found[group]
