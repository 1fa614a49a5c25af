"""Times less what the tracing of the calls took: estimates, on request only (``--compensate``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kfgraph.analyze.forest import Bool, Int32, Int64, nearest_kept, summed_before
from kfgraph.analyze.parts import TRACER_COLUMNS, Part, of_durations
from kfgraph.analyze.tracercost import CallCost, call_cost, of_contexts
from kfgraph.errors import UsageError
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.sparse import Sparse
from kfgraph.model.trace import Trace

_APART = np.uint32(Flag.IN_TRACER | Flag.INTERRUPT)


@dataclass(frozen=True, eq=False, repr=False)
class Compensation:
    """What was taken out of the times of each row of the CallTable, by an estimate of what a traced call costs.

    ``own_ns`` was in its self time, ``in_total_ns`` in its total; ``own_error_ns`` and ``error_ns`` are their
    uncertainties: those of all calls concerned, added up. ``limited`` are the rows whose own time was less than the
    estimate; what it was is taken, and 0 is left.
    """

    cost: CallCost
    own_ns: Int64
    in_total_ns: Int64
    own_error_ns: Int64
    error_ns: Int64
    limited: Bool

    def columns(self, rows: Int32 | slice) -> dict[str, Int64]:
        """The values of these rows, by the names of TRACER_COLUMNS."""
        values = (self.own_ns, self.in_total_ns, self.own_error_ns, self.error_ns)
        return {name: column[rows] for name, column in zip(TRACER_COLUMNS, values, strict=True)}

    def to_dict(self, keep: Bool) -> dict[str, Any]:
        """Plain values: what a call costs, and what was taken in the calls ``keep``."""
        return {
            **self.cost.to_dict(),
            "tracer_ns": int(self.own_ns[keep].sum()),
            "uncertain_ns": int(self.own_error_ns[keep].sum()),
            "n_limited": int((self.limited & keep).sum()),
        }


def compensated(
    trace: Trace, total_ns: Int64, self_ns: Int64, parts: Mapping[str, Part], gone: Bool
) -> tuple[Int64, Int64, Mapping[str, Part], Compensation]:
    """(totals, self times, parts, what was taken out of them): for every call with a known self time the total is
    still the sum of its self time, the totals of its callees, and its parts.

    The times are those of a selection in which the calls ``gone`` are not, nor their time.

    Raises:
        UsageError: the trace has too few calls to tell what one costs.
    """
    cost = call_cost(trace)
    if cost is None:
        raise UsageError(
            "--compensate: this trace does not tell what it costs to trace a call", "leave --compensate out"
        )
    calls = trace.calls
    below = np.flatnonzero(calls.parent >= 0)
    wanted, error = of_contexts(cost.inside, calls.context)
    # What a call costs outside is in its caller's time.
    for column, outside in zip((wanted, error), of_contexts(cost.outside, calls.context[below]), strict=True):
        np.add.at(column, calls.parent[below], outside)
    room = _room(calls, total_ns, self_ns, parts, gone)
    own_ns = np.minimum(wanted, room)
    error[gone | (room == 0)] = 0
    in_total_ns = _sums_below(calls, own_ns)
    limited = ~gone & (total_ns >= 0) & (room < wanted)
    taken = Compensation(cost, own_ns, in_total_ns, error, _sums_below(calls, error), limited)
    less_ns = np.where(total_ns >= 0, np.maximum(total_ns - in_total_ns, 0), -1)
    less_self_ns = np.where(self_ns >= 0, self_ns - own_ns, -1)
    return less_ns, less_self_ns, _less_parts(calls, parts, np.where(total_ns >= 0, in_total_ns, 0)), taken


def _room(calls: CallTable, total_ns: Int64, self_ns: Int64, parts: Mapping[str, Part], gone: Bool) -> Int64:
    """The most that each call's own time can be: where that is not known, what callees and parts leave of its total."""
    room = np.where(gone, 0, np.maximum(self_ns, 0))
    unknown = ~gone & (self_ns < 0) & (total_ns >= 0)
    if unknown.any():
        left = np.where(unknown, total_ns, 0)
        callee = np.flatnonzero((calls.parent >= 0) & ((calls.flags & _APART) == 0) & ~gone)
        callee = callee[unknown[calls.parent[callee]]]
        np.subtract.at(left, calls.parent[callee], np.maximum(total_ns[callee], 0))
        for part in parts.values():
            left[part.own.rows] -= part.own.values
        room[unknown] = np.maximum(left[unknown], 0)
    return room


def _sums_below(calls: CallTable, values: Int64) -> Int64:
    """Of each call, the sum over it and what is in its duration below it: not calls that hit the tracer."""
    before = summed_before(values)
    sums = before[calls.end] - before[:-1]
    outside = np.flatnonzero(calls.has(Flag.IN_TRACER))
    if not len(outside):
        return sums
    # Each part that is outside of the next one around it, and of all that are around that.
    around = nearest_kept(calls.parent, calls.has(Flag.IN_TRACER))[outside]
    own = sums[outside]
    inner = around >= 0
    np.subtract.at(own, np.searchsorted(outside, around[inner]), sums[outside[inner]])
    left_out = np.zeros(len(calls), np.int64)
    left_out[outside] = own
    before = summed_before(left_out)
    # It is not outside of itself.
    result: Int64 = sums - (before[calls.end] - before[:-1] - left_out)
    return result


def _less_parts(calls: CallTable, parts: Mapping[str, Part], in_total_ns: Int64) -> Mapping[str, Part]:
    """The parts: interrupts cost as well."""
    irq = parts.get("irq_ns")
    if irq is None:
        return parts
    hit = np.flatnonzero((calls.parent >= 0) & ((calls.flags & _APART) == Flag.INTERRUPT))
    hit = hit[np.isin(calls.parent[hit], irq.own.rows)]
    rows = np.concatenate([irq.own.rows, calls.parent[hit]])
    left = Sparse.sums(rows, np.concatenate([irq.own.values, -in_total_ns[hit]]))
    own = replace(left, values=np.maximum(left.values, 0))
    return {**parts, "irq_ns": Part(own, of_durations(calls, own))}
