"""A tree of single calls with so many nodes at most: of many calls of one function under one caller the slowest stay,
the others become sums; if that is not enough, what took least is left out, and counted where it was. What failed stays,
while there is room for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64, covered, outermost, ranges
from kfgraph.analyze.sibling_groups import gather
from kfgraph.analyze.tree_errors import failed
from kfgraph.analyze.visibility import ways_to
from kfgraph.model.calls import Flag
from kfgraph.model.tree import NodeKind, TreeTable

SINGLE = (1_000, 300, 100, 30, 10, 3)
"""So many calls of one function under one caller stay single, the first of these that fits."""
LEFT_OUT = "calls left out"
"""The label of the nodes that count what was left out."""


class Failed(NamedTuple):
    """``n`` calls of ``function`` that returned the error ``error`` (-4095 to -1)."""

    function: str
    error: int
    n: int


@dataclass(frozen=True, eq=False, repr=False)
class Limited:
    """``tree``, made smaller. A node whose ``count`` is not 1 is the sum of calls of one function with one result under
    one caller; one of the kind REST counts calls that were left out.

    ``node_of`` is the node that each node before is part of now. ``kept`` are those that are still nodes of their own,
    ascending, ``now`` where they are. ``n_single``: of so many calls of one function under one caller each has its
    own node (None: of all). ``n_summed`` calls are in sums, ``n_left_out`` in nothing but the nodes that count them;
    each subtree that was left out took at most ``least_ns``. ``failed_left_out`` are the calls among them that failed
    for sure, by function and error, the most first; ``n_errors`` of a node of the kind REST also counts what only
    seems to have failed.
    """

    tree: TreeTable
    node_of: Int32
    kept: Int32
    now: Int32
    n_single: int | None = None
    n_summed: int = 0
    n_left_out: int = 0
    least_ns: int = -1
    failed_left_out: tuple[Failed, ...] = ()

    @property
    def n_failed_left_out(self) -> int:
        """How many calls that failed are left out."""
        return sum(one.n for one in self.failed_left_out)

    @property
    def is_whole(self) -> bool:
        """Whether each call has a node of its own."""
        return self.n_single is None

    def next_kept(self, nodes: Int32) -> Int32:
        """For each of these nodes of the tree before, the first from it on that is one now (len(tree): none)."""
        following = np.searchsorted(self.kept, nodes)
        return np.append(self.now, np.int32(len(self.tree)))[following]


def under_one(tree: TreeTable, label: str) -> TreeTable:
    """``tree`` with a node above all roots, so that these can be in sums: no root is."""
    roots = tree.roots
    floor_ns = int(tree.floor_ns[roots].sum())
    given: dict[str, Any] = {"floor_ns": floor_ns} if tree.has("floor_ns") else {}
    given |= {name: sums[0] for name, sums in tree.parts_below(roots, np.zeros(len(roots), np.int64), 1).items()}
    known = bool((tree.total_ns[roots] >= 0).all())
    given |= {"kind": NodeKind.TASK, "label": len(tree.labels), "total_ns": floor_ns if known else -1}
    return tree.under(np.zeros(1, np.int32), (*tree.labels, label), **given)


class _Alike(NamedTuple):
    """Nodes that may be in sums, ascending: how many calls of the same function and caller, with the same result, took
    longer than each, and how many there are."""

    nodes: Int32
    rank: Int32
    size: Int32


@dataclass(eq=False, repr=False)
class Limiter:
    """Makes a tree smaller, more than once: what takes long is done once. ``wanted`` nodes stay single, with all that
    leads to them, whatever the size."""

    tree: TreeTable
    wanted: Int32
    single: tuple[int, ...] = SINGLE
    _alike: _Alike | None = field(default=None, init=False)
    _n_sums: int = field(default=0, init=False)

    def limited(self, most: int) -> Limited:
        """The tree with about ``most`` nodes at most; with more where roots and ``wanted`` nodes need them."""
        n = len(self.tree)
        if n <= most:
            every = np.arange(n, dtype=np.int32)
            return Limited(self.tree, every, every, every)
        summed = self._summed(most)
        return summed if len(summed.tree) <= most else _without_least(summed, self._ways_of(summed, most), most)

    def _ways_of(self, summed: Limited, most: int) -> Bool:
        """What stays: the ``wanted`` nodes and those that failed, with what leads to them.

        Where there is no room for all that failed, half of it is for the first of each function and error, then for
        the second, and so on.
        """
        tree = summed.tree
        stays = np.zeros(len(tree), np.bool_)
        stays[summed.node_of[self.wanted]] = True
        fails = failed(tree)
        ways, room = ways_to(tree, stays | fails), most // 2
        if int(ways.sum()) <= room:
            return ways
        nodes = _first_of_each(tree, np.flatnonzero(fails & ~stays).astype(np.int32))
        low, high = 0, min(len(nodes), room // 2)
        while low < high:
            middle = (low + high + 1) // 2
            some = stays.copy()
            some[nodes[:middle]] = True
            if int(ways_to(tree, some).sum()) <= room // 2:
                low = middle
            else:
                high = middle - 1
        stays[nodes[:low]] = True
        return ways_to(tree, stays)

    def _summed(self, most: int) -> Limited:
        """The tree with as many calls single as fit; with as few as there can be if nothing fits."""
        tree, n = self.tree, len(self.tree)
        alike = self._alike = self._alike or _alike(tree, self.single[-1])
        stays = np.zeros(n, np.bool_)
        stays[self.wanted] = True
        free = ~ways_to(tree, stays)[alike.nodes]
        found = None
        for n_single in self.single:
            # A sum of one call would be no smaller than the call.
            more = free & (alike.rank >= n_single) & (alike.size > n_single + 1)
            cut = outermost(alike.nodes[more], tree.end)
            n_kept = n - int((tree.end[cut] - cut).sum())
            if n_kept + self._n_sums > most and n_single != self.single[-1]:
                continue
            found = _with_sums(tree, cut, n_single)
            self._n_sums = len(found.tree) - n_kept
            if len(found.tree) <= most:
                break
        assert found is not None
        return found


def _results(tree: TreeTable, nodes: Int32) -> Int64:
    """A number for each error that a call returned, or seems to have."""
    results: Int64 = tree.error[nodes].astype(np.int64) * 2 + tree.at("error_sure", nodes)
    return results


def _first_of_each(tree: TreeTable, nodes: Int32) -> Int32:
    """``nodes`` in another order: the first of each function and error, the second of each, and so on."""
    label, result = tree.label[nodes], _results(tree, nodes)
    order = np.lexsort((nodes, result, label))
    new = np.ones(len(nodes), np.bool_)
    new[1:] = (np.diff(label[order]) != 0) | (np.diff(result[order]) != 0)
    place = np.arange(len(nodes))
    nth = place - np.maximum.accumulate(np.where(new, place, 0))
    return nodes[order][np.lexsort((nodes[order], nth))]


def _alike(tree: TreeTable, least: int) -> _Alike:
    child = np.flatnonzero(tree.parent >= 0).astype(np.int32)
    n_children = np.bincount(tree.parent[child], minlength=len(tree))
    nodes = child[n_children[tree.parent[child]] > least + 1]
    keys: list[npt.NDArray[Any]] = [tree.parent[nodes], tree.label[nodes]]
    if tree.has("error"):
        keys.append(_results(tree, nodes))
    order = np.lexsort([-tree.floor_ns[nodes], *reversed(keys)])
    new = np.ones(len(nodes), np.bool_)
    new[1:] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    begin = np.flatnonzero(new)
    size = np.diff(begin, append=len(nodes))
    rank, sizes = np.empty(len(nodes), np.int32), np.empty(len(nodes), np.int32)
    rank[order] = np.arange(len(nodes)) - np.repeat(begin, size)
    sizes[order] = np.repeat(size, size)
    return _Alike(nodes, rank, sizes)


def _with_sums(tree: TreeTable, cut: Int32, n_single: int) -> Limited:
    """``tree`` with the subtrees at ``cut`` as sums, behind the other callees of their callers."""
    every = np.ones(len(tree), np.bool_)
    made = gather(tree, cut, every, np.zeros(len(cut), np.int64))
    if made is None:
        nodes = np.arange(len(tree), dtype=np.int32)
        return Limited(tree, nodes, nodes, nodes, n_single)
    now, out = made.kept_now.astype(np.int32), made.tree
    total, flags = out.total_ns.copy(), out.flags.copy()
    sums = np.flatnonzero(made.is_group & (out.count != 1))
    # Of a sum of which not every call has a duration the least is known.
    partly = sums[(out.n_unfinished[sums] > 0) | ((flags[sums] & np.uint32(Flag.NO_EXIT)) != 0)]
    total[partly] = -1
    flags[sums] &= ~np.uint32(Flag.IN_TRACER)
    out = out.with_columns(total_ns=total, flags=flags, floor_ns=out.at("floor_ns", slice(None)))
    n_summed = int(tree.n_calls(cut).sum())
    return Limited(out, made.node_of, made.kept_nodes.astype(np.int32), now, n_single, n_summed)


def _without_least(summed: Limited, stays: Bool, most: int) -> Limited:
    """Without the subtrees that took least: at each caller one node counts those of its callees."""
    tree = summed.tree
    n = len(tree)
    free = ~stays & (tree.parent >= 0)
    # Each node that stays may need one that counts what it lacks.
    room = max(most // 2 - n + int(free.sum()), 0)
    by_time = np.sort(tree.floor_ns[free])
    if room >= len(by_time):
        return summed
    least_ns = int(by_time[len(by_time) - room - 1])
    tops = outermost(np.flatnonzero(free & (tree.floor_ns <= least_ns)).astype(np.int32), tree.end)
    above, which = np.unique(tree.parent[tops], return_inverse=True)
    size = (tree.end[tops] - tops).astype(np.int64)
    few = np.bincount(which, weights=size, minlength=len(above)) < 2
    tops, which = tops[~few[which]], (np.cumsum(~few) - 1)[which[~few[which]]]
    if not len(tops):
        return summed
    places = tops[np.unique(which, return_index=True)[1]]
    gone = covered(tops, tree.end[tops], n) > 0
    gone[places] = False
    kept = np.flatnonzero(~gone).astype(np.int32)
    n_before = np.append(0, np.cumsum(~gone)).astype(np.int32)
    node_of = n_before[:-1].copy()
    inside = ranges(tops, tree.end[tops])
    into = n_before[places][np.repeat(which, tree.end[tops] - tops)]
    node_of[inside] = into
    rests = n_before[places]
    columns = _counted(tree, kept, rests, (inside, into), (tops, rests[which]))
    lost = inside[failed(tree)[inside]]
    if tree.has("error") and tree.error[inside].any():
        # As the rows are counted that stay: also what only seems to have failed.
        columns["n_errors"] = np.array(tree.at("n_errors", kept))
        columns["n_errors"][rests] = 0
        np.add.at(columns["n_errors"], into, np.where(tree.error[inside] != 0, tree.at("count", inside), 0))
    parent = np.where(tree.parent[kept] < 0, -1, n_before[tree.parent[kept]]).astype(np.int32)
    end = n_before[tree.end[kept]]
    out = TreeTable(
        (*tree.labels, LEFT_OUT), parent=parent, end=end, level=tree.level[kept], **columns
    )  # fmt: skip
    own = ~np.isin(node_of[summed.now], rests)
    n_left_out = int(out.count[rests].sum())
    in_sums = np.flatnonzero((out.count > 1) & (out.kind == NodeKind.CALL))
    return Limited(
        out, node_of[summed.node_of], summed.kept[own], node_of[summed.now[own]], summed.n_single,
        int(out.count[in_sums].sum()), n_left_out, least_ns, _by_function(tree, lost),
    )  # fmt: skip


def _by_function(tree: TreeTable, nodes: Int32) -> tuple[Failed, ...]:
    """The calls of ``nodes`` that failed, by function and error."""
    if not len(nodes):
        return ()
    keys, first, which = np.unique(
        np.stack((tree.label[nodes], tree.error[nodes])), axis=1, return_index=True, return_inverse=True
    )
    n = np.zeros(keys.shape[1], np.int64)
    np.add.at(n, which.reshape(-1), tree.at("n_errors", nodes))
    order = np.lexsort((first, -n))
    found = zip(*keys[:, order].tolist(), n[order].tolist(), strict=True)
    return tuple(Failed(tree.labels[label], error, many) for label, error, many in found)


def _counted(
    tree: TreeTable, kept: Int32, rests: Int32, inside: tuple[Int32, Int32], tops: tuple[Int32, Int32]
) -> dict[str, Any]:
    """The columns of the nodes ``kept``, with all that is ``inside`` of what is left out, and its ``tops``, put into
    the nodes ``rests``: pairs of (nodes before, into which)."""
    columns: dict[str, Any] = {}
    first = kept[rests]
    for column, rule in tree.merging():
        values = np.array(tree.at(column.name, kept))
        nodes, into = inside if column.own else tops
        more = ~np.isin(nodes, first, assume_unique=True)
        values = rule.into(values, tree.at(column.name, nodes[more]), into[more])
        if column.of_one_call:
            values[rests] = column.blank
        columns[column.name] = values
    columns["kind"] = np.array(tree.at("kind", kept))
    columns["kind"][rests], columns["label"][rests] = NodeKind.REST, len(tree.labels)
    # Where some have no duration the least is known.
    columns.setdefault("floor_ns", columns["total_ns"].copy())
    columns["total_ns"][rests[columns["n_unfinished"][rests] > 0]] = -1
    return columns
