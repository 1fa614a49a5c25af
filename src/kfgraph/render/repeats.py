"""Consecutive siblings of the same shape as one node: loops fold to their body."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64, by_level
from kfgraph.analyze.owncost import sum_costs
from kfgraph.model.calls import Flag
from kfgraph.model.tree import TreeTable

_KEPT_APART = Flag.NO_ENTRY | Flag.NO_EXIT | Flag.CUT_BY_LOSS | Flag.IN_TRACER
"""Calls that differ in these are never folded into one row."""


@dataclass(frozen=True)
class Repeats:
    """``tree`` with its runs folded: ``times[i]`` members are in node i's run (1: not a run).

    ``node_of`` gives the node that each node of the tree before stands in now. A node below a run
    stands for its counterparts in all members: its numbers are their sums.
    """

    tree: TreeTable
    times: Int64
    node_of: Int32


def unfolded(tree: TreeTable) -> Repeats:
    """``tree`` as it is."""
    return Repeats(tree, np.ones(len(tree), np.int64), np.arange(len(tree), dtype=np.int32))


def fold_repeats(tree: TreeTable) -> Repeats:
    """``tree`` with each run of consecutive siblings of one shape as one node; roots stay apart.

    A shape is the function, how its call ended (what is unfinished, cut or failed stays visible),
    and the shapes of its children in order. Times play no part.
    """
    n = len(tree)
    rows = np.arange(n, dtype=np.int32)
    same, previous = _like_previous(tree)
    if not same.any():
        return unfolded(tree)
    head = np.where(same, previous, rows)
    members = np.flatnonzero(same)
    while True:
        further = head[head[members]]
        if np.array_equal(further, head[members]):
            break
        head[members] = further
    # A node's counterpart in the first member lies as far back as its own member does from the
    # first; the distances of runs within runs add up along the path from the root.
    steps = np.zeros(n + 1, np.int64)
    np.add.at(steps, members, members - head[members])
    np.subtract.at(steps, tree.end[members], members - head[members])
    first = (rows - np.cumsum(steps[:n])).astype(np.int32)

    keep = first == rows
    n_before = np.append(0, np.cumsum(keep)).astype(np.int32)
    node_of = n_before[first]
    kept = np.flatnonzero(keep)
    rest = np.flatnonzero(~keep)
    into = node_of[rest]

    def summed(column: Int64) -> Int64:
        out = column[kept]
        np.add.at(out, into, column[rest])
        return out

    def known_sum(column: Int64) -> Int64:
        # Unknown is -1: the few of those are added back.
        out = summed(column)
        unknown = np.flatnonzero(column < 0)
        if len(unknown):
            at, n_unknown = np.unique(node_of[unknown], return_counts=True)
            out[at] = np.where(n_unknown < n_nodes[at], out[at] + n_unknown, -1)
        return out

    n_nodes = np.bincount(node_of, minlength=len(kept))
    parent = np.where(tree.parent[kept] < 0, -1, n_before[tree.parent[kept]]).astype(np.int32)
    times = np.where(parent < 0, 1, n_nodes // n_nodes[parent])
    min_ns, max_ns, flags = tree.min_ns[kept], tree.max_ns[kept], tree.flags[kept]
    known = rest[tree.min_ns[rest] >= 0]
    low = np.where(min_ns < 0, np.iinfo(np.int64).max, min_ns)
    np.minimum.at(low, node_of[known], tree.min_ns[known])
    np.maximum.at(max_ns, into, tree.max_ns[rest])
    flagged = tree.flags[rest] != 0
    np.bitwise_or.at(flags, into[flagged], tree.flags[rest[flagged]])
    folded = replace(
        tree,
        parent=parent,
        end=n_before[tree.end[kept]],
        level=tree.level[kept],
        label=tree.label[kept],
        total_ns=known_sum(tree.total_ns),
        self_ns=known_sum(tree.self_ns),
        floor_ns=summed(tree.floor_ns),
        count=summed(tree.count),
        n_unfinished=summed(tree.n_unfinished) if tree.n_unfinished.any() else np.zeros(len(kept), np.int64),
        min_ns=np.where(max_ns < 0, -1, low),
        max_ns=max_ns,
        row=tree.row[kept],
        flags=flags,
        own_cost_ns=sum_costs(tree.own_cost_ns, node_of, len(kept)),
        extras={
            # Members of a run failed alike; a merged tree counts how many of its calls did.
            name: summed(column) if name == "n_errors" else column[kept]
            for name, column in tree.extras.items()
        },
    )
    return Repeats(folded, times, node_of)


def _like_previous(tree: TreeTable) -> tuple[Bool, Int32]:
    """(whether a node has the shape of the sibling before it, that sibling)."""
    n = len(tree)
    shape = shapes(tree)
    before = np.flatnonzero(tree.end < n)
    after = tree.end[before]
    siblings = (tree.parent[before] == tree.parent[after]) & (tree.parent[before] >= 0)
    before, after = before[siblings], after[siblings]
    same = np.zeros(n, np.bool_)
    same[after] = shape[before] == shape[after]
    previous = np.zeros(n, np.int32)
    previous[after] = before
    return same, previous


def shapes(tree: TreeTable) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each node's shape, level by level from the leaves up."""
    apart = (tree.flags & np.uint32(_KEPT_APART)).astype(np.uint64)
    shape = _mix(tree.label.astype(np.uint64) | (apart << np.uint64(32)))
    if "error" in tree.extras:
        said = tree.extras["error"].astype(np.int64) * 2 + tree.extras["error_sure"]
        shape = _mix(shape + said.astype(np.uint64))
    for group in by_level(np.arange(len(tree), dtype=np.int32), tree.level):
        shape[group] = _mix(shape[group])
        group = group[tree.parent[group] >= 0]
        parent = tree.parent[group]
        # How far a child stands from its parent puts the order of the children into the hash.
        np.add.at(shape, parent, _mix(shape[group] + (group - parent).astype(np.uint64)))
    return shape


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """splitmix64 (Steele, Lea and Flood 2014): every bit of the input moves every bit of the output."""
    x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
