"""Consecutive siblings of the same shape as one node: loops fold to their body."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Int32, Int64, counted, outermost, ranges, summed_before
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import Flag
from kfgraph.model.tree import TreeTable

_KEPT_APART = Flag.NO_ENTRY | Flag.NO_EXIT | Flag.CUT_BY_LOSS | Flag.IN_TRACER
"""Calls that differ in these are never folded into one row."""
_BASE = np.uint64(0x9E3779B97F4A7C15)
_PART = 1 << 20
"""So many nodes at once, where all are looked at: no column of the whole tree is made on the way."""

UInt64 = npt.NDArray[np.uint64]


class Repeats(NamedTuple):
    """``tree`` with its runs folded: ``times[i]`` members are in node i's run (1: not a run).

    ``now`` gives the node that each node of the tree before stands in (None: each in itself). A node below a run
    stands for its counterparts in all members: its numbers are their sums.
    """

    tree: TreeTable
    times: Int64
    now: Int32 | None

    @property
    def node_of(self) -> Int32:
        """The node that each node of the tree before stands in now."""
        return np.arange(len(self.tree), dtype=np.int32) if self.now is None else self.now


def unfolded(tree: TreeTable) -> Repeats:
    """``tree`` as it is."""
    return Repeats(tree, np.broadcast_to(np.int64(1), len(tree)), None)


def fold_repeats(tree: TreeTable) -> Repeats:
    """``tree`` with each run of consecutive siblings of one shape as one node; roots stay apart.

    A shape is the function, how its call ended (what is unfinished, cut or failed stays visible),
    and the shapes of its children in order. Times play no part.
    """
    n = len(tree)
    rows = np.arange(n, dtype=np.int32)
    members, previous = _like_previous(tree)
    if not len(members):
        return unfolded(tree)
    first = _counterparts(tree, members, previous)
    keep = first == rows
    n_before = counted(keep)
    node_of = n_before[first]
    kept, rest = np.flatnonzero(keep), np.flatnonzero(~keep)
    into = node_of[rest]
    n_nodes = np.bincount(into, minlength=len(kept)) + 1
    parent = n_before[tree.parent[kept]]
    parent[tree.level[kept] == 0] = -1
    times = np.ones(len(kept), np.int64)
    several = np.flatnonzero((n_nodes > 1) & (parent >= 0))
    times[several] = n_nodes[several] // n_nodes[parent[several]]
    folded = tree.join(kept, rest, into, parent=parent, end=n_before[tree.end[kept]], level=tree.level[kept])
    return Repeats(folded, times, node_of)


def _counterparts(tree: TreeTable, members: Int32, previous: Int32) -> Int32:
    """For each node its counterpart in the first member of its run; itself in none.

    ``members`` are the nodes of runs but the first of each, ``previous`` the ones before them.
    """
    n = len(tree)
    # Level by level the members of a run stand one after another.
    order = np.argsort(tree.level[members], kind="stable")
    members, previous = members[order], previous[order]
    begins = np.flatnonzero(np.append(True, previous[1:] != members[:-1]))
    back = members - np.repeat(previous[begins], np.diff(np.append(begins, len(members))))
    # A node's counterpart in the first member lies as far back as its own member does from the
    # first; the distances of runs within runs add up along the path from the root.
    steps = np.zeros(n + 1, np.int32)
    steps[members] = back
    np.subtract.at(steps, tree.end[members], back)
    return np.arange(n, dtype=np.int32) - np.cumsum(steps[:n], dtype=np.int32)


def _said(tree: TreeTable, nodes: Int32) -> UInt64:
    """What of each of the nodes itself must be alike in a run, and its level, as one number."""
    apart = tree.flags[nodes] & np.uint32(_KEPT_APART)
    special = apart != 0
    if tree.has("error"):
        special |= (tree.error[nodes] != 0) | tree.error_sure[nodes]
    said = tree.label[nodes].astype(np.uint64)
    said |= tree.level[nodes].astype(np.uint64) << np.uint64(31)
    some = np.flatnonzero(special)
    if len(some):
        ways = apart[some].astype(np.int64)
        if tree.has("error"):
            ways |= tree.error[nodes[some]].astype(np.int64) << 33
            ways |= tree.error_sure[nodes[some]].astype(np.int64) << 32
        _, way = np.unique(ways, return_inverse=True)
        said[some] |= (way + 1).astype(np.uint64) << np.uint64(46)
    return said


def _candidates(tree: TreeTable) -> Int32:
    """The nodes before a sibling of the same function that has as many nodes below it, ascending."""
    n = len(tree)
    found = [np.zeros(0, np.int32)]
    for first in range(0, n, _PART):
        part = slice(first, min(first + _PART, n))
        after = np.minimum(tree.end[part], n - 1)
        # The next node behind a subtree is a sibling if it has the same level.
        alike = (tree.label[after] == tree.label[part]) & (tree.level[after] == tree.level[part])
        before = first + np.flatnonzero(alike).astype(np.int32)
        after = tree.end[before]
        before, after = before[after < n], after[after < n]
        found.append(before[(tree.end[after] - after == after - before) & (tree.parent[before] >= 0)])
    return np.concatenate(found)


def _like_previous(tree: TreeTable) -> tuple[Int32, Int32]:
    """(the nodes that have the shape of the sibling before them, ascending; that sibling of each).

    The shape of a subtree is what its nodes say, in order.
    """
    before = _candidates(tree)
    after = tree.end[before]
    order = np.argsort(after, kind="stable")
    before, after = before[order], after[order]
    # Only what is in these has to be compared; in it a node and its sibling stay side by side.
    tops = outermost(distinct(np.concatenate((before, after))), tree.end)
    nodes = ranges(tops, tree.end[tops])
    said = _said(tree, nodes)
    moved = tops - summed_before(tree.end[tops] - tops)[:-1]
    place, size = after - moved[np.searchsorted(tops, after, side="right") - 1], after - before
    # A hash of each subtree, modulo 2**64: a polynomial in what its nodes say, the difference of two running sums.
    power = np.full(len(nodes) + 1, _BASE)
    power[0] = 1
    np.multiply.accumulate(power, out=power)
    sums = np.zeros(len(nodes) + 1, np.uint64)
    np.cumsum(said * power[:-1], out=sums[1:])
    same = (sums[place] - sums[place - size]) * power[size] == sums[place + size] - sums[place]
    del power, sums
    while True:
        before, after, place, size = before[same], after[same], place[same], size[same]
        # Equal hashes are no proof. What lies in two of these is compared once: the inner ones of both are the same.
        outer = np.zeros(len(after), np.bool_)
        outer[np.searchsorted(after, outermost(after, tree.end))] = True
        inside = ranges(place[outer], place[outer] + size[outer])
        odd = inside[said[inside] != said[inside - np.repeat(size[outer], size[outer])]]
        if not len(odd):
            return after, before
        n_odd = np.searchsorted(odd, place + size) - np.searchsorted(odd, place)
        same = (n_odd == 0) | ~outer
