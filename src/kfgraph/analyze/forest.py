"""Forests in pre-order as plain columns: what stays of one when rows are taken out. Nothing recurses."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int16 = npt.NDArray[np.int16]
Bool = npt.NDArray[np.bool_]
_Rows = TypeVar("_Rows", bound=np.integer)


def nearest_kept(parent: Int32, keep: Bool) -> Int32:
    """For every row its nearest proper ancestor that is kept, -1 where none is.

    Paths are halved in every round: as many rounds as the logarithm of the depth.
    """
    if keep.all():
        return parent
    n = len(parent)
    # up[i]: i itself where kept, else a step towards its nearest kept ancestor; slot n stands for "none".
    up = np.where(keep, np.arange(n, dtype=np.int32), parent)
    up = np.append(np.where(up < 0, n, up), n).astype(np.int32)
    while True:
        further = up[up]
        if np.array_equal(further, up):
            break
        up = further
    above = up[np.where(parent < 0, n, parent)]
    return np.where(above == n, -1, above).astype(np.int32)


def counted(some: Bool) -> Int32:
    """How many of ``some`` stand before each place, the one behind the last included."""
    n_before = np.zeros(len(some) + 1, np.int32)
    np.cumsum(some, dtype=np.int32, out=n_before[1:])
    return n_before


def summed_before(values: Int64) -> Int64:
    """The sum of the values before each place, the one behind the last included."""
    before = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=before[1:])
    return before


def numbered(keys: npt.NDArray[np.integer]) -> tuple[Int64, Int64]:
    """(where each value stands first, by value; for every element the number of its value in this order)."""
    n = len(keys)
    low = int(keys.min(initial=0))
    span = int(keys.max(initial=-1)) - low + 1
    if span > 8 * n + 1024:
        _, first, of = np.unique(keys, return_index=True, return_inverse=True)
        return first, of
    place = keys - low
    at = np.full(span, n, np.int64)
    # The last assignment counts.
    at[place[::-1]] = np.arange(n - 1, -1, -1)
    first = at[at < n]
    number = np.cumsum(at < n) - 1
    return first, number[place]


def covered(start: Int32, end: Int32, n: int) -> Int32:
    """How many of the slices ``start[k]:end[k]`` each of ``n`` rows lies in; all starts differ."""
    steps = -np.bincount(end, minlength=n + 1)
    steps[start] += 1
    return np.cumsum(steps[:n], dtype=np.int32)


def outermost(rows: Int32, end: Int32) -> Int32:
    """Those of ``rows`` (ascending) that lie in no other one's subtree."""
    if not len(rows):
        return rows
    reach = np.maximum.accumulate(end[rows])
    first = np.ones(len(rows), np.bool_)
    first[1:] = rows[1:] >= reach[:-1]
    return rows[first]


def by_level(rows: npt.NDArray[_Rows], level: npt.NDArray[np.integer]) -> list[npt.NDArray[_Rows]]:
    """The rows grouped by their level, the outermost group first; in a group in the order of ``rows``."""
    levels = level[rows]
    ordered = rows[np.argsort(levels, kind="stable")]
    return [group for group in np.split(ordered, np.cumsum(np.bincount(levels, minlength=1))[:-1]) if len(group)]


def floors(parent: Int32, level: Int16, total_ns: Int64, counted: Bool) -> Int64:
    """The least that each total can be: itself where known, else the sum of its counted children."""
    floor = np.maximum(total_ns, 0)
    below = np.flatnonzero((parent >= 0) & counted).astype(np.int32)
    below = below[total_ns[parent[below]] < 0]
    for group in reversed(by_level(below, level)):
        np.add.at(floor, parent[group], floor[group])
    return floor


def ranges(start: Int32, end: Int32) -> Int32:
    """The numbers of all ``range(start[k], end[k])``, one after another."""
    size = end - start
    before = np.append(0, np.cumsum(size))
    return (np.arange(before[-1]) - np.repeat(before[:-1] - start, size)).astype(np.int32)


def preorder(parent: Int64, level: Int64, weight: Int64, first: Int64) -> tuple[Int64, Int64]:
    """(the nodes in pre-order, each node's subtree size), heavy siblings first, then the first seen.

    ``level`` is ascending: nodes stand level by level.
    """
    n = len(parent)
    size = np.ones(n, np.int64)
    levels = np.split(np.arange(n), np.flatnonzero(np.diff(level)) + 1)
    for group in reversed(levels[1:]):
        np.add.at(size, parent[group], size[group])
    place = np.zeros(n, np.int64)
    for group in levels:
        above = parent[group]
        ordered = group[np.lexsort((first[group], -weight[group], above))]
        above = parent[ordered]
        before = np.cumsum(size[ordered]) - size[ordered]
        head = np.append(True, above[1:] != above[:-1])
        before -= before[np.maximum.accumulate(np.where(head, np.arange(len(head)), 0))]
        place[ordered] = before + np.where(above < 0, 0, place[above] + 1)
    order = np.empty(n, np.int64)
    order[place] = np.arange(n)
    return order, size


def same_paths(parent: Int32, level: Int16, label: Int32, n_labels: int) -> tuple[Int32, Int64, Int64, Int64]:
    """Nodes with the same labels from a root down as one.

    Returns (the number of each node among the new ones, their parents, their levels, the first node of each): the new
    ones stand level by level.
    """
    n = len(parent)
    node = np.zeros(n, np.int32)
    parents: list[Int64] = [np.zeros(0, np.int64)]
    levels: list[Int64] = [np.zeros(0, np.int64)]
    n_nodes = 0
    for group in by_level(np.arange(n, dtype=np.int32), level):
        above = np.where(parent[group] < 0, -1, node[parent[group]]).astype(np.int64)
        keys, inverse = np.unique((above + 1) * n_labels + label[group], return_inverse=True)
        node[group] = n_nodes + inverse
        parents.append((keys // n_labels - 1).astype(np.int64))
        levels.append(np.full(len(keys), level[group[0]], np.int64))
        n_nodes += len(keys)
    first = np.full(n_nodes, n, np.int64)
    # The last assignment counts.
    first[node[::-1]] = np.arange(n - 1, -1, -1, dtype=np.int32)
    return node, np.concatenate(parents), np.concatenate(levels), first
