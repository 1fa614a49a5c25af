"""Interrupts that hit the tracer itself, as siblings of the calls that contain them, so that totals add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kfgraph.analyze.bounds import summed_floors
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.forest import Bool, by_level, nearest_kept
from kfgraph.analyze.merged import merged_paths
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Stacks(NamedTuple):
    """``merged`` is the merged tree of some calls. ``in_interrupt``: its nodes whose first call was in the context of
    one. ``n_beside`` calls stand beside their callers."""

    merged: CallTree
    in_interrupt: Bool
    n_beside: int


def stacks(
    trace: Trace, *, selves: bool = True, compensate: bool = False, **filters: Unpack[Filters]
) -> Stacks:
    """The merged tree of the selected calls, interrupts that hit the tracer itself beside the calls that they hit.

    As :func:`kfgraph.analyze.calltree.call_tree` with ``merge``, but for the calls with IN_TRACER, whose time is not in
    their callers': they are children of the task, or roots. Without ``selves`` no self time is known, which takes less
    memory.
    """
    whole = call_tree(trace, compensate=compensate, **filters)
    selection, matches, none, by_task = whole.selection, whole.matches, whole.nth[:0], whole.by_task
    tree, n_moved = beside(_summed(whole.tree))
    # Of several trees of all calls only one is needed at a time.
    del whole
    if not selves:
        tree = tree.with_columns(self_ns=np.broadcast_to(np.int64(-1), len(tree)))
    table, first = merged_paths(tree)
    row = tree.row[first]
    context = np.where(row >= 0, trace.calls.context[row] if len(trace.calls) else 0, 0)
    interrupt = (context > 0) & (context != UNKNOWN_CONTEXT)
    merged = CallTree(trace, table, selection, matches, none, by_task, True)
    return Stacks(merged, interrupt, n_moved)


def _summed(tree: TreeTable) -> TreeTable:
    """``tree`` with the sum of callees, interrupts too, where a call has no total: each nanosecond is in one stack."""
    return tree.with_columns(floor_ns=summed_floors(tree)) if tree.has("floor_ns") else tree


def beside(tree: TreeTable) -> tuple[TreeTable, int]:
    """(``tree`` with each subtree of a call with IN_TRACER behind the rest of its root's, how many subtrees that are).

    It becomes a child of the task's node where there is one, else a root.
    """
    out = np.flatnonzero(((tree.flags & np.uint32(Flag.IN_TRACER)) != 0) & (tree.parent >= 0))
    if tree.has("kind"):
        out = out[tree.kind[tree.parent[out]] != NodeKind.TASK]
    n = len(tree)
    if not len(out):
        return tree, 0
    leaves = np.zeros(n, np.bool_)
    leaves[out] = True
    # The innermost of the subtrees that a node is in, -1: none.
    top = np.where(leaves, np.arange(n, dtype=np.int32), nearest_kept(tree.parent, leaves))
    is_root = tree.parent < 0
    root = np.maximum.accumulate(np.where(is_root, np.arange(n, dtype=np.int32), 0))
    by_task = tree.has("kind") and bool((tree.kind[is_root] == NodeKind.TASK).all())
    order = np.lexsort((top, root))
    now = np.empty(n + 1, np.int32)
    now[order], now[n] = np.arange(n, dtype=np.int32), -1
    parent = tree.parent.copy()
    parent[out] = root[out] if by_task else -1
    level = tree.level.copy()
    inside = top >= 0
    level[inside] += (int(by_task) - tree.level[top[inside]]).astype(np.int16)
    size = np.ones(n, np.int32)
    for group in reversed(by_level(np.flatnonzero(parent >= 0).astype(np.int32), level)):
        np.add.at(size, parent[group], size[group])
    moved = tree.take(
        order,
        parent=now[parent[order]],
        end=np.arange(n, dtype=np.int32) + size[order],
        level=level[order],
    )
    return moved, len(out)
