"""Siblings of one function as one node each, also where they do not stand together: loops with varying bodies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    summed_before,
)
from kfgraph.analyze.owncost import sum_costs
from kfgraph.model.tree import TreeTable


@dataclass(frozen=True)
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


@dataclass
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
    for rows in reversed(by_level(ranges(tops, tree.end[tops]), tree.level)):
        rows, level = rows[::-1], int(tree.level[rows[0]])
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
    if "error" in tree.extras:
        said = tree.extras["error"][nodes].astype(np.int64) * 2 + tree.extras["error_sure"][nodes]
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
    in_rest = is_rest[number]
    members, into = nodes[~in_rest], number[~in_rest]
    left, left_in = nodes[in_rest], number[in_rest]
    by_place = np.argsort(left, kind="stable")
    left, left_in = left[by_place], left_in[by_place]
    left_end = tree.end[left]

    def summed(column: Int64, *, whole: bool) -> Int64:
        """Sums over the members of each group; of a rest over its nodes, or all that is below them too."""
        out = np.zeros(n_groups, np.int64)
        if not column.any():
            return out
        np.add.at(out, into, column[members])
        if not whole:
            np.add.at(out, left_in, column[left])
        else:
            before = summed_before(column)
            np.add.at(out, left_in, before[left_end] - before[left])
        return out

    def known(column: Int64, *, whole: bool) -> Int64:
        unknown = column < 0
        if not unknown.any():
            return summed(column, whole=whole)
        # Unknown is -1: the few of those are added back.
        n_unknown = summed(unknown.astype(np.int64), whole=whole)
        return np.where(n_unknown < n_nodes[whole], summed(column, whole=whole) + n_unknown, -1)

    n_single = np.bincount(number, minlength=n_groups)
    n_whole = np.bincount(into, minlength=n_groups)
    np.add.at(n_whole, left_in, (left_end - left).astype(np.int64))
    n_nodes = {False: n_single, True: n_whole}
    floor_ns = summed(tree.floor_ns, whole=False)
    least, most = np.full(n_groups, np.iinfo(np.int64).max), np.full(n_groups, -1, np.int64)
    flags = np.zeros(n_groups, np.uint32)
    for part, which in ((members, into), (left, left_in)):
        single = tree.min_ns[part] >= 0
        np.minimum.at(least, which[single], tree.min_ns[part[single]])
        np.maximum.at(most, which, tree.max_ns[part])
    np.bitwise_or.at(flags, into, tree.flags[members])
    new: dict[str, Any] = {
        "level": level,
        "label": tree.label[first],
        "total_ns": known(tree.total_ns, whole=False),
        "self_ns": known(tree.self_ns, whole=True),
        "floor_ns": floor_ns,
        "count": summed(tree.count, whole=True),
        "n_unfinished": summed(tree.n_unfinished, whole=True),
        "min_ns": np.where(most < 0, -1, least),
        "max_ns": most,
        "row": np.where(is_rest, -1, tree.row[first]),
        "flags": flags,
    }
    extras = {name: np.where(is_rest, 0, column[first]) for name, column in tree.extras.items()}
    if "n_errors" in extras:
        extras["n_errors"] = summed(tree.extras["n_errors"], whole=False)

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
        both[kept_at] = column[kept_nodes]
        both[group_at] = of_groups
        return both

    columns: dict[str, Any] = {name: with_groups(getattr(tree, name), column) for name, column in new.items()}
    parents, ends = np.empty(n_new, np.int32), np.empty(n_new, np.int32)
    # -1, of roots, is the last place: behind all that is kept.
    parents[kept_at] = np.append(kept_at, -1)[n_kept_before[tree.parent[kept_nodes]]]
    parents[group_at] = np.where(parent < 0, kept_at[n_kept_before[at]], group_at[np.maximum(parent, 0)])
    ends[kept_at] = kept_at + kept_size
    ends[group_at] = group_at + size
    out = replace(
        tree,
        parent=parents,
        end=ends,
        extras={name: with_groups(column, extras[name]) for name, column in tree.extras.items()},
        **columns,
    )
    is_group = np.zeros(n_new, np.bool_)
    is_group[group_at] = ~is_rest
    rest = np.zeros(n_new, np.bool_)
    rest[group_at] = is_rest
    made = Gathered(out, is_group, rest, kept_nodes, nodes, group_at[number], n)
    if not tree.own_cost_ns.any():
        return replace(made, tree=replace(out, own_cost_ns=np.zeros(n_new, np.int64)))
    return replace(made, tree=replace(out, own_cost_ns=sum_costs(tree.own_cost_ns, made.node_of, n_new)))


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
