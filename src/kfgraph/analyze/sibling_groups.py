"""One node for all siblings of one function, also with other calls between them: loops with varying bodies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import (
    Bool,
    Int32,
    Int64,
    by_level,
    counted,
    covered,
    numbered,
    preorder,
    ranges,
)
from kfgraph.model.tree import TreeTable


@dataclass(frozen=True, eq=False, repr=False)
class Gathered:
    """``tree`` with some subtrees gathered: behind a node's other children stand groups, each the sum of calls
    of one function, with groups of their callees below them.

    ``is_group`` are the groups; ``is_rest`` holds, once for a group, what of its callees is in no group of its own.
    ``kept_nodes`` are the nodes of the tree before that are part of neither, in their order; ``nodes`` those that
    begin something that is, ``now`` where they are.
    """

    tree: TreeTable
    is_group: Bool
    is_rest: Bool
    kept_nodes: Int64
    nodes: Int32
    now: Int64
    n_before: int

    @cached_property
    def kept_now(self) -> Int64:
        """Where the ``kept_nodes`` are."""
        return np.flatnonzero(~(self.is_group | self.is_rest))

    @cached_property
    def node_of(self) -> Int32:
        """The node that each node of the tree before is part of now."""
        of = np.full(self.n_before, -1, np.int32)
        of[self.kept_nodes] = self.kept_now
        of[self.nodes] = self.now
        # What is below the node of a rest is part of it: the last node before that is anything.
        known = np.where(of >= 0, np.arange(self.n_before, dtype=np.int32), np.int32(0))
        return of[np.maximum.accumulate(known)]

    def next_kept(self, nodes: Int32) -> Int32:
        """For each of these nodes of the tree before, the first from it on that is in no group (len(tree): none)."""
        following = np.searchsorted(self.kept_nodes, nodes)
        return np.append(self.kept_now, len(self.tree))[following].astype(np.int32)


@dataclass(eq=False, repr=False)
class _Groups:
    """Groups as they are found, level by level: for each the number of the group above it (-1: none), its level,
    its first node, whether it is a rest; and the nodes that are in groups, with their numbers."""

    parent: list[Int64] = field(default_factory=list)
    level: list[Int64] = field(default_factory=list)
    first: list[Int64] = field(default_factory=list)
    is_rest: list[Bool] = field(default_factory=list)
    nodes: list[Int32] = field(default_factory=list)
    number: list[Int64] = field(default_factory=list)
    n: int = 0

    def add(self, nodes: Int32, above: Int64, which: Int64, level: int, *, rest: bool) -> Int64:
        """The number of each node's group, one for each value of ``which``; ``above`` is that of its parent's."""
        first, inverse = numbered(which)
        self.parent.append(above[first])
        self.level.append(np.full(len(first), level, np.int64))
        self.first.append(nodes[first].astype(np.int64))
        self.is_rest.append(np.full(len(first), rest))
        number: Int64 = self.n + inverse
        self.nodes.append(nodes)
        self.number.append(number)
        self.n += len(first)
        return number


def gather(tree: TreeTable, cut: Int32, wanted: Bool, least_ns: Int64) -> Gathered | None:
    """``tree`` with the subtrees at ``cut`` (ascending, none inside another, no root) gathered at their parents.

    A group is made of the calls of one function with one error, or none, if together they took ``least_ns`` (one
    for each node of ``cut``: its parent's) or a ``wanted`` node is among or below them; so on among their callees.
    What falls into no group stays where it was, or is a group's rest. None: there is no group.
    """
    if not len(cut):
        return None
    n_wanted = np.append(0, np.cumsum(wanted)) if wanted.any() else None
    made, which = _grouped(tree, cut, tree.parent[cut].astype(np.int64), least_ns, n_wanted)
    if not made.any():
        return None
    tops, top_group, top_least = cut[made], which[made], least_ns[made]
    top_level = tree.level[tops]
    groups = _Groups()
    nodes, number, least = cut[:0], which[:0], least_ns[:0]
    for rows in by_level(ranges(tops, tree.end[tops]), tree.level):
        level = int(tree.level[rows[0]])
        # The callees of the level above, of calls that are in groups.
        low, high = np.searchsorted(rows, nodes + 1), np.searchsorted(rows, tree.end[nodes])
        below = rows[ranges(low.astype(np.int32), high.astype(np.int32))]
        above, least = np.repeat(number, high - low), np.repeat(least, high - low)
        nodes, number, kept_least = below[:0], above[:0], least[:0]
        if len(below):
            made, which = _grouped(tree, below, above, least, n_wanted)
            nodes = below[made]
            number = groups.add(nodes, above[made], which[made], level, rest=False)
            groups.add(below[~made], above[~made], above[~made], level, rest=True)
            kept_least = least[made]
        here = top_level == level
        if here.any():
            begun = tops[here]
            ids = groups.add(begun, np.full(len(begun), -1), top_group[here], level, rest=False)
            nodes, number = np.append(nodes, begun), np.append(number, ids)
            kept_least = np.append(kept_least, top_least[here])
            order = np.argsort(nodes)
            nodes, number, kept_least = nodes[order], number[order], kept_least[order]
        least = kept_least
    return _built(tree, tops, groups)


def _grouped(
    tree: TreeTable, nodes: Int32, above: Int64, least_ns: Int64, n_wanted: Int64 | None
) -> tuple[Bool, Int64]:
    """(whether each of the nodes is in a group that is made, the number of its group)."""
    labels, key = numbered(tree.label[nodes])
    key = key if len(above) and (above == above[0]).all() else above * len(labels) + key
    if tree.has("error"):
        said = tree.error[nodes].astype(np.int64) * 2 + tree.error_sure[nodes]
        results, result = numbered(said)
        key = key * len(results) + result if len(results) > 1 else key
    first, which = numbered(key)
    total = np.zeros(len(first), np.int64)
    np.add.at(total, which, tree.floor_ns[nodes])
    made = (total >= least_ns[first]) & (total > 0)
    if n_wanted is not None:
        made[which[n_wanted[tree.end[nodes]] > n_wanted[nodes]]] = True
    return made[which], which


def _built(tree: TreeTable, tops: Int32, groups: _Groups) -> Gathered:
    n, n_groups = len(tree), groups.n
    parent, level = np.concatenate(groups.parent), np.concatenate(groups.level)
    first, is_rest = np.concatenate(groups.first), np.concatenate(groups.is_rest)
    nodes, number = np.concatenate(groups.nodes), np.concatenate(groups.number)
    new = _merged(tree, nodes, number, first, is_rest)
    floor_ns = new["floor_ns"] if "floor_ns" in new else new["total_ns"]

    top_of = np.where(parent < 0, np.arange(n_groups), parent)
    while (parent[top_of] >= 0).any():
        top_of = top_of[top_of]
    order, size = _in_order(parent, level - level[top_of], np.where(is_rest, -1, floor_ns), first)
    kept = covered(tops, tree.end[tops], n) == 0
    kept_nodes = np.flatnonzero(kept)
    # The groups of a parent stand behind all that is left of it; of two that end there, the inner one's first.
    at = tree.parent[first[top_of]]
    place = np.empty(n_groups, np.int64)
    place[order] = np.arange(n_groups)
    where = tree.end[at]
    arranged = np.lexsort((place, -tree.level[at], where))
    n_kept_before = counted(kept)
    n_new = len(kept_nodes) + n_groups
    group_at = np.empty(n_groups, np.int64)
    group_at[arranged] = np.arange(n_groups) + n_kept_before[where[arranged]]
    old = np.ones(n_new, np.bool_)
    old[group_at] = False
    kept_at = np.flatnonzero(old)

    end, places = tree.end[kept_nodes], np.sort(at)
    n_groups_inside = np.searchsorted(places, end) - np.searchsorted(places, kept_nodes)
    kept_size = n_kept_before[end] - np.arange(len(kept_nodes)) + n_groups_inside

    def with_groups(column: npt.NDArray[Any], of_groups: npt.NDArray[Any]) -> npt.NDArray[Any]:
        both = np.empty(n_new, column.dtype)
        both[kept_at] = column
        both[group_at] = of_groups
        return both

    parents, ends = np.empty(n_new, np.int32), np.empty(n_new, np.int32)
    # -1, of roots, is the last place: behind all that is kept.
    parents[kept_at] = np.append(kept_at, -1)[n_kept_before[tree.parent[kept_nodes]]]
    parents[group_at] = np.where(parent < 0, kept_at[n_kept_before[at]], group_at[np.maximum(parent, 0)])
    ends[kept_at] = kept_at + kept_size
    ends[group_at] = group_at + size
    out = TreeTable(
        tree.labels,
        parent=parents,
        end=ends,
        level=with_groups(tree.level[kept_nodes], level),
        **{name: with_groups(tree.at(name, kept_nodes), values) for name, values in new.items()},
    )
    is_group = np.zeros(n_new, np.bool_)
    is_group[group_at] = ~is_rest
    rest = np.zeros(n_new, np.bool_)
    rest[group_at] = is_rest
    return Gathered(out, is_group, rest, kept_nodes, nodes, group_at[number], n)


def _merged(tree: TreeTable, nodes: Int32, number: Int64, first: Int64, is_rest: Bool) -> dict[str, Any]:
    """The columns of the groups: of each the sums of its nodes, of a rest those of all that is below them too."""
    in_rest = np.flatnonzero(is_rest[number])
    begin, end = nodes[in_rest], tree.end[nodes[in_rest]]
    more = nodes != first[number]
    head = np.empty(len(first), np.int64)
    head[number[~more]] = np.flatnonzero(~more)
    into = number[more]
    new: dict[str, Any] = {}
    for column, rule in tree.merging():
        values = np.array(tree.at(column.name, nodes))
        if column.own and rule.over:
            values[in_rest] = rule.over(tree.at(column.name, slice(None)), begin, end)
        elif column.of_one_call:
            values[in_rest] = column.blank
        new[column.name] = rule.into(values[head], values[more], into)
    return new


def _in_order(parent: Int64, level: Int64, weight: Int64, first: Int64) -> tuple[Int64, Int64]:
    """(the groups in pre-order, heavy ones first, each one's subtree size); ``level`` counts from the top ones."""
    by_depth = np.argsort(level, kind="stable")
    place = np.empty(len(parent), np.int64)
    place[by_depth] = np.arange(len(parent))
    above = parent[by_depth]
    order, some = preorder(
        np.where(above < 0, -1, place[above]), level[by_depth], weight[by_depth], first[by_depth]
    )  # fmt: skip
    size = np.empty(len(parent), np.int64)
    size[by_depth] = some
    return by_depth[order], size
