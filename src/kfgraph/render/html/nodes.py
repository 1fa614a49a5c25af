"""The nodes of a tree as columns of a page: function, nesting, start and duration to the nanosecond, and what few have.

Times are stored as what they add to what is known already: a start counts from the end of the sibling before it, or
from the caller's start; a duration from the end of the last callee, or from its own start. Self times follow from
durations, but for those that do not: they are stored. ``app/tree.mjs`` undoes all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kfgraph.analyze.bounds import summed_floors
from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.tree import NodeKind, TreeTable
from kfgraph.render.html.pack import Pack

_NOT_SHOWN = Flag.HAS_RETVAL | Flag.SELF_UNKNOWN
"""Flags that a page does not need: it sees what they say."""
_UNKNOWN_CONTEXT = 4


@dataclass(frozen=True)
class Ends:
    """Where the nodes of a tree stand to one another: -1 where there is none."""

    previous: Int32
    """The sibling before."""
    last: Int32
    """The last callee."""

    @classmethod
    def of(cls, tree: TreeTable) -> Ends:
        """Those of ``tree``."""
        n, parent, end = len(tree), tree.parent, tree.end
        previous, last = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
        inside = np.flatnonzero(end < n).astype(np.int32)
        siblings = inside[parent[end[inside]] == parent[inside]]
        previous[end[siblings]] = siblings
        child = np.flatnonzero(parent >= 0).astype(np.int32)
        child = child[end[child] == end[parent[child]]]
        last[parent[child]] = child
        return cls(previous, last)


def add_nodes(pack: Pack, call_tree: CallTree) -> None:
    """The columns of ``call_tree``, a tree of single calls or of these and of sums; their labels into the head."""
    tree, calls = call_tree.tree, call_tree.trace.calls
    n = len(tree)
    is_call = tree.kind == NodeKind.CALL if tree.has("kind") else np.ones(n, np.bool_)
    irqs = np.flatnonzero(tree.kind == NodeKind.INTERRUPT) if tree.has("kind") else np.zeros(0, np.int64)
    is_single = is_call & (tree.count == 1) if tree.has("count") else is_call
    label, names = _labels(tree)
    tasks = np.flatnonzero(tree.kind == NodeKind.TASK) if tree.has("kind") else irqs[:0]
    pack.head.update(
        n=n, names=names, tasks=np.unique(label[tasks]).tolist(), interrupts=np.unique(label[irqs]).tolist()
    )
    pack.column("label", label)
    level = tree.level.astype(np.int64)
    pack.column("pops", np.append(0, level[:-1] + 1 - level[1:])[:n])
    start = _starts(call_tree, is_call)
    origin = int(start.min(initial=1 << 62)) if n else 0
    pack.head["origin_ns"] = origin
    _add_times(pack, tree, start - origin)
    flags = np.where(is_call, tree.flags & ~np.uint32(_NOT_SHOWN), 0)
    flags[irqs] = tree.flags[irqs] & np.uint32(Flag.NO_EXIT)
    pack.column("flags", flags)
    has_self = tree.kind != NodeKind.TASK if tree.has("kind") else is_call
    _add_selves(pack, tree, has_self)
    row = np.where(is_call, tree.row, 0)
    lasted = calls.duration_ns[row] if len(calls) else np.zeros(n, np.int64)
    # What was taken out of a total (kfgraph's own cost, interrupts) did pass: a timeline needs it.
    shorter = tree.floor_ns + tree.whole("total_tracer_ns")
    longer = np.flatnonzero(is_single & (lasted >= 0) & (lasted != shorter))
    pack.sparse("span", longer, (lasted - shorter)[longer], signed=True)
    if tree.has("floor_ns"):
        # An interrupt that may have come after a return is in no bound: the page would add it.
        other = np.flatnonzero(summed_floors(tree) != tree.floor_ns)
        pack.sparse("floor", other, tree.floor_ns[other])
    context = calls.context[row] if len(calls) else np.zeros(n, np.uint8)
    pack.column("context", np.where(is_call, np.where(context == UNKNOWN_CONTEXT, _UNKNOWN_CONTEXT, context), 0))
    pack.column("cpu", np.where(is_single, calls.cpu[row] + 1 if len(calls) else 0, 0))
    for kind in ("asleep", "preempted", "irq", "unknown"):
        if tree.has(f"total_{kind}_ns"):
            ns = tree.whole(f"total_{kind}_ns")
            pack.sparse(kind, np.flatnonzero(ns), ns[ns > 0])
    if tree.has("tracer_ns"):
        for kind in ("tracer", "uncertain"):
            pack.column(kind, tree.whole(f"total_{kind}_ns"))
    if tree.has("error"):
        at = np.flatnonzero(tree.error)
        pack.sparse("error", at, tree.error[at].astype(np.int64) * -2 + tree.at("error_sure", at))
    if tree.has("count") or len(irqs):
        # How many calls a node stands for, or how many interrupts.
        several = irqs[tree.n_interrupts[irqs] != 1]
        counts = tree.n_interrupts[several]
        if tree.has("count"):
            sums = np.flatnonzero(np.isin(tree.kind, (NodeKind.CALL, NodeKind.REST)) & (tree.count != 1))
            counts = np.append(counts, tree.count[sums])
            several = np.append(several, sums)
            order = np.argsort(several)
            several, counts = several[order], counts[order]
        pack.sparse("count", several, counts)
        for name in ("min", "max"):
            pack.column(name, tree.at(f"{name}_ns", several) + 1)
    if tree.has("n_errors"):
        rests = np.flatnonzero((tree.kind == NodeKind.REST) & (tree.n_errors > 0))
        pack.sparse("failed", rests, tree.n_errors[rests])


def nodes_of_rows(shown: CallTree) -> Int32:
    """The node of each row of the CallTable, -1 where the tree has none."""
    tree = shown.tree
    nodes = np.flatnonzero(tree.kind == NodeKind.CALL) if tree.has("kind") else np.arange(len(tree))
    node_of = np.full(len(shown.trace.calls), -1, np.int32)
    node_of[tree.row[nodes]] = nodes
    return node_of


def _labels(tree: TreeTable) -> tuple[Int64, list[int]]:
    """(the label of each node, the most frequent one 0; the label of the tree that each of those is)."""
    count = np.bincount(tree.label, minlength=1)
    used = np.flatnonzero(count)
    used = used[np.argsort(-count[used], kind="stable")]
    number = np.zeros(len(count), np.int64)
    number[used] = np.arange(len(used))
    return number[tree.label], used.tolist()


def _starts(call_tree: CallTree, is_call: Bool) -> Int64:
    """When each node began; what is no call, with its first call; where it is not known, when the one before it did."""
    tree, n = call_tree.tree, len(call_tree.tree)
    start = np.full(n, -1, np.int64)
    start[is_call] = call_tree.trace.calls.start_ns[tree.row[is_call]]
    others = np.flatnonzero(~is_call & (tree.end > np.arange(n) + 1))
    first = others + 1
    while (further := ~is_call[first] & (tree.end[first] > first + 1)).any():
        first[further] += 1
    start[others] = start[first]
    known = np.maximum.accumulate(np.where(start >= 0, np.arange(n), 0)) if n else np.zeros(0, np.int64)
    return np.maximum(start[known], 0)


def _add_times(pack: Pack, tree: TreeTable, start: Int64) -> None:
    total, ends = tree.total_ns, Ends.of(tree)
    n = len(tree)
    # Where a node ended: of one without a duration, where its last callee did.
    at = np.where((total >= 0) | (ends.last < 0), np.arange(n), ends.last)
    while not np.array_equal(at, further := at[at]):
        at = further
    ended = (start + np.maximum(total, 0))[at]
    before = np.where(tree.parent >= 0, start[tree.parent], 0)
    pack.column("gap", start - np.where(ends.previous >= 0, ended[ends.previous], before), signed=True)
    since = np.where(ends.last >= 0, ended[ends.last], start)
    pack.column("tail", np.where(total >= 0, start + total - since, 0), signed=True)
    unknown = np.flatnonzero(total < 0)
    pack.column("open.at", np.diff(unknown, prepend=0))


def _add_selves(pack: Pack, tree: TreeTable, has_self: Bool) -> None:
    """The self times that are not the duration less those of the callees."""
    child = np.flatnonzero((tree.parent >= 0) & ((tree.flags & np.uint32(Flag.IN_TRACER)) == 0))
    below, missing = np.zeros(len(tree), np.int64), np.zeros(len(tree), np.bool_)
    np.add.at(below, tree.parent[child], np.maximum(tree.total_ns[child], 0))
    missing[tree.parent[child[tree.total_ns[child] < 0]]] = True
    told = np.where((tree.total_ns >= 0) & ~missing, tree.total_ns - below, -1)
    other = np.flatnonzero(has_self & (told != tree.self_ns))
    pack.sparse("self", other, tree.self_ns[other] + 1)
