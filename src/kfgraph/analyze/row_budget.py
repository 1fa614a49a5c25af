"""The slowest nodes of a tree that fit into so many rows."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.model.tree import TreeTable

_PART = 1 << 20


class Fit:
    """Chooses among the nodes ``free`` of ``tree``; ``forced`` ones (with all above them) are always there."""

    def __init__(self, tree: TreeTable, free: Bool, forced: Bool, *, most: int) -> None:
        self._tree = tree
        self.candidates: Bool = free & ~forced
        self.n_forced = int(forced.sum())
        self._always = np.flatnonzero(forced & (tree.parent >= 0))
        self._slow = _closed(tree, _slowest(tree, self.candidates, most), forced)

    def ns_at(self, rank: int) -> int:
        """The time of the slowest but ``rank`` of those that can be chosen; 0 if there are not so many."""
        return int(self._tree.floor_ns[self._slow[rank]]) if rank < len(self._slow) else 0

    @cached_property
    def _children(self) -> tuple[Int64, Int64]:
        """(how many children each node has in which a row can be, how long they took)."""
        tree = self._tree
        child = children_of(tree, tree.parent[np.concatenate((self._always, self._slow))])
        parent = tree.parent[child]
        ns, n_children = np.zeros(len(tree), np.int64), np.zeros(len(tree), np.int64)
        np.add.at(ns, parent, tree.floor_ns[child])
        np.add.at(n_children, parent, 1)
        return n_children, ns

    def _n_rows(self, k: int) -> int:
        """How many rows the ``k`` slowest take, the forced ones and those that count what is left out with them."""
        tree, slow = self._tree, self._slow
        n_children, children_ns = self._children
        shown = np.concatenate((self._always, slow[:k]))
        opened, inverse = np.unique(tree.parent[shown], return_inverse=True)
        n_left = n_children[opened] - np.bincount(inverse, minlength=len(opened))
        shown_ns = np.zeros(len(opened), np.int64)
        np.add.at(shown_ns, inverse, tree.floor_ns[shown])
        rest = (n_left > 0) & (children_ns[opened] - shown_ns >= tree.floor_ns[slow[k - 1]])
        return self.n_forced + k + int(rest.sum())

    def choose(self, max_rows: int) -> tuple[Int64, int]:
        """(the chosen ones, the time of the fastest of them: hidden children that together took less get no row).

        Where none fits, that is the time of the slowest one.
        """
        slow = self._slow
        low, high = 0, min(len(slow), max_rows)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._n_rows(middle) <= max_rows else (low, middle - 1)
        return slow[:low], int(self._tree.floor_ns[slow[max(low - 1, 0)]]) if len(slow) else 0


def children_of(tree: TreeTable, nodes: Int32) -> Int64:
    """The children of the nodes, ascending; -1 has none."""
    wanted = np.zeros(len(tree) + 1, np.bool_)
    wanted[nodes] = True
    wanted[-1] = False
    return np.flatnonzero(wanted[tree.parent])


def _slowest(tree: TreeTable, candidates: Bool, n_wanted: int) -> Int64:
    """Somewhat more than ``n_wanted`` of the candidates, slow ones first, and a parent before its children."""
    # What lies above a node took as long as the node: so many of the slowest are enough.
    n_some = 8 * n_wanted + 64
    nodes, least = np.zeros(0, np.int64), -1
    for first in range(0, len(candidates), _PART):
        part = slice(first, first + _PART)
        more = first + np.flatnonzero(candidates[part] & (tree.floor_ns[part] >= least))
        nodes = np.concatenate((nodes, more))
        if len(nodes) > n_some:
            floor_ns = tree.floor_ns[nodes]
            least = int(np.partition(floor_ns, len(nodes) - n_some)[len(nodes) - n_some])
            # Of those that took just as long, the first ones.
            chosen = floor_ns > least
            chosen[np.flatnonzero(floor_ns == least)[:n_some]] = True
            nodes = nodes[chosen]
    return nodes[np.lexsort((nodes, tree.level[nodes], -tree.floor_ns[nodes]))]


def _closed(tree: TreeTable, nodes: Int64, forced: Bool) -> Int64:
    """Those of the nodes, in order, whose parent is forced or comes before them."""
    shown = set(np.flatnonzero(forced).tolist())
    closed = []
    for node, parent in zip(nodes.tolist(), tree.parent[nodes].tolist(), strict=True):
        if parent in shown:
            shown.add(node)
            closed.append(node)
    return np.array(closed, np.int64)


def within(tree: TreeTable, nodes: Int64, shown: Bool, limit: int | None) -> tuple[Int64, int]:
    """(the first of the nodes, with what leads to them from what is ``shown``, ``limit`` of these at most; how many
    of the nodes that were)."""
    ways: dict[int, None] = {}
    for i, node in enumerate(nodes.tolist()):
        way = []
        while node >= 0 and not shown[node] and node not in ways:
            way.append(node)
            node = int(tree.parent[node])
        if limit is not None and len(ways) + len(way) > limit:
            return np.array(list(ways), np.int64), i
        ways.update(dict.fromkeys(way))
    return np.array(list(ways), np.int64), len(nodes)
