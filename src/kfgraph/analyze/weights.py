"""A merged tree with the time of each stack: what flame graphs and all formats of stacks are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kfgraph.analyze.filters import Filters
from kfgraph.analyze.forest import Bool, Int64
from kfgraph.analyze.tracer_interrupts import stacks
from kfgraph.errors import Notice, notice
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable
from kfgraph.model.units import format_ns

if TYPE_CHECKING:
    from typing_extensions import Unpack

OF_TIME = ("oncpu", "asleep", "preempted")
"""What time is the sum of, where the trace tells."""


@dataclass(frozen=True, eq=False, repr=False)
class Weighted:
    """``tree`` is merged. ``total_ns`` is what the calls of a node took together: the sum of ``own_ns`` of it and all
    below it. Of a call without a known duration that is what is known inside; where a self time is not known, the
    own time is all that is in no callee. ``in_interrupt``: the first call of a node was in the context of one.
    ``about`` is where the trace came from, for a title.

    ``events`` is what ``own_ns`` is the sum of, by name: ``ns``, or ``oncpu``, ``asleep`` and ``preempted`` where the
    trace tells (time on the CPU is that of interrupts too). Then ``doubts`` tell of time that is in none of them, since
    it is not known which part of it was on the CPU. ``remarks`` say what the times are, for a header: "" and ()
    where they are as recorded."""

    tree: TreeTable
    total_ns: Int64
    own_ns: Int64
    in_interrupt: Bool
    about: str
    notices: tuple[Notice, ...]
    events: Mapping[str, Int64]
    remarks: tuple[str, ...] = ()
    doubts: tuple[Notice, ...] = ()


def weighted(
    trace: Trace, *, selves: bool = False, compensate: bool = False, **filters: Unpack[Filters]
) -> tuple[Weighted, tuple[Notice, ...]]:
    """(the weighted tree of the selected calls, with the ``selves`` of its nodes or without; what the selection left
    out). ``compensate``: all times less what tracing took, by an estimate."""
    merged, in_interrupt, n_beside = stacks(trace, selves=selves, compensate=compensate, **filters)
    tree = merged.tree
    own = tree.floor_ns.astype(np.int64, copy=True)
    child = np.flatnonzero(tree.parent >= 0)
    np.subtract.at(own, tree.parent[child], tree.floor_ns[child])
    # A task has no time of its own.
    own[tree.count == 0] = 0
    own = np.maximum(own, 0)
    events: dict[str, Int64] = {"ns": own}
    remarks: list[str] = []
    doubts: tuple[Notice, ...] = ()
    if "asleep_ns" in merged.selection.parts:
        # A call that has not finished took at least what it slept.
        own = np.maximum(own, tree.asleep_ns + tree.preempted_ns)
        off = {"asleep": tree.asleep_ns, "preempted": tree.preempted_ns}
        on = own - sum(off.values())
        unknown = np.minimum(tree.at("unknown_ns", slice(None)), on)
        events = {"oncpu": on - unknown, **off}
        said = "ns on the CPU, asleep and preempted, by sched_switch; together they are the time of the calls"
        if unknown.any():
            ns = format_ns(int(unknown.sum()))
            doubts = (notice("on-cpu-unknown", ns=ns),)
            said += f" but for {ns} of calls that were off the CPU for an unknown time"
        remarks.append(said)
    if merged.selection.tracer is not None:
        taken = merged.selection.tracer.to_dict(merged.selection.keep)
        took = f"{format_ns(taken['tracer_ns'])} ± {format_ns(taken['uncertain_ns'])}"
        remarks.append(f"estimates: less what tracing took, {took}; {merged.selection.tracer.cost}")
    total = below(tree, own)
    chosen = merged.selection
    self_unknown = chosen.keep & (chosen.total_ns >= 0) & (chosen.self_ns < 0)
    if chosen.unknown is not None:  # the doubts tell of these
        self_unknown[chosen.unknown.own.rows] = False
    found = {
        "export-unfinished": int(tree.n_unfinished.sum()),
        "export-self-unknown": int(self_unknown.sum()),
        "export-in-tracer": n_beside,
    }
    notices = tuple(notice(kind, n) for kind, n in found.items() if n)
    found_tree = Weighted(tree, total, own, in_interrupt, trace.meta.path, notices, events, tuple(remarks), doubts)
    return found_tree, merged.selection.notices


def below(tree: TreeTable, own: Int64) -> Int64:
    """What each node and all below it have."""
    before = np.append(0, np.cumsum(own))
    total: Int64 = before[tree.end] - before[:-1]
    return total
