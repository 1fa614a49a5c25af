"""Consecutive siblings that repeat, single ones or sequences, as one node each: loops fold to their body."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64, counted, outermost, ranges
from kfgraph.analyze.loops import LONGEST, Loops, find_loops, least_alike
from kfgraph.model.calls import Flag
from kfgraph.model.names import split_label
from kfgraph.model.tree import INTERRUPT_MARK, NodeKind, TreeTable

_KEPT_APART = Flag.NO_ENTRY | Flag.NO_EXIT | Flag.CUT_BY_LOSS | Flag.IN_TRACER
"""Calls that differ in these are never folded into one row."""
_BASE = np.uint64(0x9E3779B97F4A7C15)
_PART = 1 << 20
"""So many nodes at once, where all are looked at."""
_SLOW = 10
"""A call that took so many times what is usual at its place in the loop is shown apart."""
_MOST_SLOW = 3
"""So many of a loop at most."""
_NAMES = 4
"""So many functions of a sequence are named."""

UInt64 = npt.NDArray[np.uint64]


class Repeats(NamedTuple):
    """``tree`` with its loops folded: ``times[i]`` repetitions are in node i (1: it is no loop).

    ``now`` gives the node that each node of the tree before stands in (None: each in itself). A node below a loop
    stands for its counterparts in all repetitions: its numbers are their sums. A sequence of several calls that
    repeats is below a node of its own, a ``NodeKind.LOOP``.
    """

    tree: TreeTable
    times: Int64
    now: Int32 | None

    @property
    def node_of(self) -> Int32:
        """The node that each node of the tree before stands in now."""
        return np.arange(len(self.tree), dtype=np.int32) if self.now is None else self.now


class _Callees(NamedTuple):
    """Nodes whose siblings may repeat, those of one parent together and in order. ``shape`` is equal for those of one
    shape; what ``may`` not is in no sequence of several."""

    nodes: Int32
    shape: UInt64
    may: Bool


def unfolded(tree: TreeTable) -> Repeats:
    """``tree`` as it is."""
    return Repeats(tree, np.broadcast_to(np.int64(1), len(tree)), None)


def fold_repeats(tree: TreeTable, *, sequences: bool = True) -> Repeats:
    """``tree`` with consecutive siblings that repeat as one node each, or one for each of a sequence; roots stay apart.
    Without ``sequences`` only single calls that repeat.

    What repeats has the same shape: the function, how its call ended (what is unfinished, cut or failed stays visible),
    and the shapes of its callees in order. Times play no part, but that a call that took ten times the usual, and as
    long as a repetition, stands apart, where its caller is in no loop itself. A sequence of several holds no call that
    failed.
    """
    nodes = _candidates(tree)
    if not len(nodes):
        return unfolded(tree)
    said, at = _what_is_said(tree, nodes)
    parent, label = tree.parent[nodes], tree.label[nodes]
    # Equal hashes are no proof: where they are equal by chance, others are made.
    for base in (_BASE, np.uint64(0xD1342543DE82EF95), np.uint64(0xAF251AF3B0F025B5)):
        callees = _with_shapes(tree, nodes, said, at, base)
        if not sequences:
            callees.may[:] = False
        loops = find_loops(callees.shape, parent, label, callees.may)
        odd = _slow_ones(tree, callees, loops)
        if len(odd):
            # Nothing is like these.
            callees.shape[odd] ^= (odd.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9FB21C651E98DF25)
            loops = find_loops(callees.shape, parent, label, callees.may)
        if not loops.members:
            break
        begin, end, back = _members(tree, callees, loops)
        if _alike(begin, end, back, said, at):
            return _folded(tree, callees, loops, begin, end, back)
    return unfolded(tree)


def _candidates(tree: TreeTable) -> Int32:
    """The callees of all nodes of which one repeats, perhaps, level by level: with as many nodes below it, in as long a
    sequence."""
    rows = np.flatnonzero(tree.parent >= 0).astype(np.int32)
    order = rows[np.argsort(tree.level[rows], kind="stable")]
    if len(order) < 2:
        return order[:0]
    parent = tree.parent[order]
    key = tree.label[order].astype(np.uint64) << np.uint64(32)
    key |= (tree.end[order] - order).astype(np.uint64)
    key = (key * _BASE) ^ parent.astype(np.uint64) * np.uint64(0x94D049BB133111EB)
    wanted = np.zeros(len(tree), np.bool_)
    others = parent
    for period in range(1, LONGEST + 1):
        least = least_alike(period)
        if len(key) < least + period:
            break
        alike = key[:-period] == key[period:]
        if np.count_nonzero(alike) < least:
            continue
        if least > 1:
            n_before = counted(alike)
            alike = n_before[least:] - n_before[:-least] == least
        wanted[others[: len(alike)][alike]] = True
        stays = ~wanted[others]
        if np.count_nonzero(stays) < len(others) // 2:
            key, others = key[stays], others[stays]
    return order[wanted[parent]] if wanted.any() else order[:0]


def _said(tree: TreeTable, nodes: Int32) -> UInt64:
    """What of each of the nodes itself must be alike in a loop, and its level, as one number."""
    apart = tree.flags[nodes] & np.uint32(_KEPT_APART)
    special = apart != 0
    if tree.has("error"):
        special |= (tree.error[nodes] != 0) | tree.error_sure[nodes]
    if tree.has("own_cost_ns"):
        special |= tree.own_cost_ns[nodes] != 0
    said = tree.label[nodes].astype(np.uint64)
    said |= tree.level[nodes].astype(np.uint64) << np.uint64(31)
    some = np.flatnonzero(special)
    if len(some):
        ways = apart[some].astype(np.int64)
        if tree.has("error"):
            ways |= tree.error[nodes[some]].astype(np.int64) << 34
            ways |= tree.error_sure[nodes[some]].astype(np.int64) << 33
        if tree.has("own_cost_ns"):
            ways |= (tree.own_cost_ns[nodes[some]] != 0).astype(np.int64) << 32
        _, way = np.unique(ways, return_inverse=True)
        said[some] |= (way + 1).astype(np.uint64) << np.uint64(46)
    return said


def _what_is_said(tree: TreeTable, nodes: Int32) -> tuple[UInt64, Int32]:
    """(what each of the nodes and all below them say, in the order of the tree; where each of the tree's nodes is)."""
    some = np.zeros(len(tree), np.bool_)
    some[nodes] = True
    tops = outermost(np.flatnonzero(some).astype(np.int32), tree.end)
    inside = ranges(tops, tree.end[tops])
    at = np.full(len(tree) + 1, -1, np.int32)
    at[inside] = np.arange(len(inside), dtype=np.int32)
    return _said(tree, inside), at


def _with_shapes(tree: TreeTable, nodes: Int32, said: UInt64, at: Int32, base: np.uint64) -> _Callees:
    """A hash of each subtree, modulo 2**64: a polynomial in what its nodes say, the difference of two running sums."""
    power = np.full(len(said) + 1, base)
    power[0] = 1
    np.multiply.accumulate(power, out=power)
    sums = np.zeros(len(said) + 1, np.uint64)
    np.cumsum(said * power[:-1], out=sums[1:])
    first = at[nodes]
    last = first + (tree.end[nodes] - nodes)
    shape = sums[last] - sums[first]
    del sums
    # So that it does not matter where it stands: the inverse of each power.
    power[:] = np.uint64(pow(int(base), -1, 1 << 64))
    power[0] = 1
    np.multiply.accumulate(power, out=power)
    shape *= power[first]
    shape ^= (tree.end[nodes] - nodes).astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    if not tree.has("error"):
        return _Callees(nodes, shape, np.ones(len(nodes), np.bool_))
    n_failed = counted(tree.error != 0)
    return _Callees(nodes, shape, n_failed[tree.end[nodes]] == n_failed[nodes])


def _slow_ones(tree: TreeTable, callees: _Callees, loops: Loops) -> Int64:
    """The callees that took much longer than the others at their place of a loop, which is in no loop itself."""
    none = np.zeros(0, np.int64)
    if not loops.whole:
        return none
    first, last, n_times = (np.concatenate(column) for column in zip(*loops.whole, strict=True))
    # In no loop of the same callers, and below none.
    inside = np.zeros(len(tree) + 1, np.int32)
    begin, end = callees.nodes[first], tree.end[callees.nodes[last - 1]]
    np.add.at(inside, begin, 1)
    np.subtract.at(inside, end, 1)
    n_around = np.cumsum(inside[:-1])
    alone = (n_around[tree.parent[begin]] == 0) & (n_times > 2)
    # Of nested ones of one sequence the outermost.
    order = np.lexsort((-last, first))
    reach = np.maximum.accumulate(last[order])
    alone[order[1:]] &= first[order[1:]] >= reach[:-1]
    first, last, n_times = first[alone], last[alone], n_times[alone]
    if not len(first):
        return none
    # Each callee beside its counterparts in the other repetitions, and beside a whole repetition.
    long = (last - first) // n_times
    at = ranges(first.astype(np.int32), last.astype(np.int32))
    loop = np.repeat(np.arange(len(first)), last - first)
    place = (np.cumsum(long) - long)[loop] + (at - first[loop]) % long[loop]
    ns = tree.floor_ns[callees.nodes[at]]
    of_place = np.zeros(int(long.sum()), np.int64)
    np.add.at(of_place, place, ns)
    n_others = (n_times - 1)[loop]
    slow = np.flatnonzero(ns >= _SLOW * np.maximum((of_place[place] - ns) // n_others, 1))
    usual = np.add.reduceat(of_place, np.cumsum(long) - long)
    slow = slow[ns[slow] >= (usual[loop[slow]] - ns[slow]) // n_times[loop[slow]]]
    # Of each loop the slowest few.
    slow = slow[np.lexsort((-ns[slow], loop[slow]))]
    rank = np.arange(len(slow)) - np.searchsorted(loop[slow], loop[slow])
    found: Int64 = at[slow[rank < _MOST_SLOW]].astype(np.int64)
    return found


def _members(tree: TreeTable, callees: _Callees, loops: Loops) -> tuple[Int32, Int32, Int32]:
    """(where the repetitions of all loops begin in the tree, where they end, how far back the first one of each is)."""
    first, last, like = (np.concatenate(column) for column in zip(*loops.members, strict=True))
    begin = callees.nodes[first]
    return begin, tree.end[callees.nodes[last - 1]], begin - callees.nodes[like]


def _alike(begin: Int32, end: Int32, back: Int32, said: UInt64, at: Int32) -> bool:
    """Whether all repetitions say what the first one of their loop says."""
    # What lies in another one is compared once: the inner ones of both are the same.
    order = np.lexsort((-end, begin))
    reach = np.maximum.accumulate(np.append(0, end[order]))[:-1]
    outer = order[begin[order] >= reach]
    size = (end - begin)[outer]
    first = 0
    for last in np.append(np.flatnonzero(np.diff(np.cumsum(size) // _PART)) + 1, len(outer)).tolist():
        some, sizes = outer[first:last], size[first:last]
        inside = ranges(at[begin[some]], at[begin[some]] + sizes)
        if (said[inside] != said[inside - np.repeat(back[some], sizes)]).any():
            return False
        first = last
    return True


def _folded(tree: TreeTable, callees: _Callees, loops: Loops, begin: Int32, end: Int32, back: Int32) -> Repeats:
    n = len(tree)
    rows = np.arange(n, dtype=np.int32)
    # A node's counterpart lies as far back as the repetition that it is in; the distances of loops in loops add up.
    steps = np.zeros(n + 1, np.int32)
    np.add.at(steps, begin, back)
    np.subtract.at(steps, end, back)
    first = rows - np.cumsum(steps[:n], dtype=np.int32)
    keep = first == rows
    n_before = counted(keep)
    node_of = n_before[first]
    kept, rest = np.flatnonzero(keep), np.flatnonzero(~keep)
    parent = n_before[tree.parent[kept]]
    parent[tree.level[kept] == 0] = -1
    folded = tree.join(
        kept, rest, node_of[rest], parent=parent, end=n_before[tree.end[kept]], level=tree.level[kept]
    )  # fmt: skip
    times = np.ones(len(kept), np.int64)
    for which, n_times in loops.runs:
        node = callees.nodes[which]
        here = keep[node]
        times[n_before[node[here]]] = n_times[here]
    if not loops.n_groups:
        return Repeats(folded, times, node_of)
    return _with_sequences(folded, times, node_of, callees, loops, keep, n_before, tree.end)


def _with_sequences(
    tree: TreeTable, times: Int64, node_of: Int32, callees: _Callees, loops: Loops, keep: Bool, n_before: Int32,
    end_before: Int32,
) -> Repeats:  # fmt: skip
    """``tree``, folded, with a node above the body of each sequence that repeats."""
    start = callees.nodes[np.concatenate(loops.first)]
    stop = n_before[end_before[callees.nodes[np.concatenate(loops.last) - 1]]]
    groups = np.flatnonzero(keep[start])
    start = n_before[start[groups]]
    stop, n_times = stop[groups], np.concatenate(loops.times)[groups]
    order = np.lexsort((-stop, start))
    groups, start, stop, n_times = groups[order], start[order], stop[order], n_times[order]
    n, g = len(tree), len(groups)
    nth = np.full(loops.n_groups, -1, np.int64)
    nth[groups] = np.arange(g)

    place = np.arange(n) + np.searchsorted(start, np.arange(n), side="right")
    at = start + np.arange(g)
    ends = np.concatenate((tree.end, stop))
    ends += np.searchsorted(start, ends, side="left").astype(ends.dtype)
    steps = np.bincount(start, minlength=n + 1) - np.bincount(stop, minlength=n + 1)
    around = np.cumsum(steps)[:n]
    # Those that begin at the same node, the outermost first.
    after = np.searchsorted(start, start, side="right") - np.arange(g)
    new_level = np.concatenate((tree.level + around, tree.level[start] + around[start] - after))
    parents = np.concatenate((place[tree.parent], place[tree.parent[start]]))
    parents[:n][tree.parent < 0] = -1
    part, owner = (np.concatenate(column) for column in zip(*loops.parts, strict=True))
    owner = nth[owner]
    part, owner = part[owner >= 0], owner[owner >= 0]
    single = part >= 0
    node = n_before[callees.nodes[part[single]]]
    parents[node] = at[owner[single]]
    inner = nth[-1 - part[~single]]
    parents[n + inner] = at[owner[~single]]

    columns = {
        name: _spread(values, place, at, tree.COLUMNS[name].dtype)
        for name, values in (("parent", parents), ("end", ends), ("level", new_level))
    }
    labels, label = _named(tree, times, node, owner[single], inner, owner[~single], n_times)
    total = np.zeros(g, np.int64)
    unknown = np.zeros(g, np.bool_)
    np.add.at(total, owner[single], tree.floor_ns[node])
    unknown[owner[single][tree.total_ns[node] < 0]] = True
    # Inner ones stand behind the ones around them.
    for k in np.argsort(-inner).tolist():
        total[owner[~single][k]] += total[inner[k]]
        unknown[owner[~single][k]] |= unknown[inner[k]]
    floor = {"floor_ns": total} if tree.has("floor_ns") or unknown.any() else {}
    out = tree.inserted(
        at, tree.labels + labels, place, **columns, kind=np.full(g, NodeKind.LOOP, np.uint8), label=label,
        total_ns=np.where(unknown, -1, total), **floor,
    )  # fmt: skip
    new_times = np.ones(n + g, np.int64)
    new_times[place], new_times[at] = times, n_times
    return Repeats(out, new_times, place[node_of].astype(np.int32))


def _spread(values: npt.NDArray[np.integer], place: Int64, at: Int64, dtype: type) -> npt.NDArray[np.integer]:
    """The values of the old nodes and the new ones, each in its place."""
    out: npt.NDArray[np.integer] = np.empty(len(values), dtype)
    out[place], out[at] = values[: len(place)], values[len(place) :]
    return out


def _named(
    tree: TreeTable, times: Int64, node: Int32, owner: Int64, inner: Int64, owner_of_inner: Int64, n_times: Int64
) -> tuple[tuple[str, ...], Int32]:
    """(the names of the sequences, the label of each)."""
    parts: list[list[tuple[int, str]]] = [[] for _ in n_times]
    starts = np.full(len(n_times), len(tree), np.int64)
    np.minimum.at(starts, owner, node)
    for i, g in zip(node.tolist(), owner.tolist(), strict=True):
        name = split_label(tree.labels[tree.label[i]])[0]
        name = f"{INTERRUPT_MARK}{name}" if tree.at("kind", i) == NodeKind.INTERRUPT else name
        parts[g].append((i, f"{name} × {times[i]:,}" if times[i] > 1 else name))
    names = [""] * len(parts)
    outer = dict(zip(inner.tolist(), owner_of_inner.tolist(), strict=True))
    # Inner ones stand behind the ones around them.
    for g in range(len(parts) - 1, -1, -1):
        said = [name for _, name in sorted(parts[g])]
        first = said if len(said) <= _NAMES else [*said[: _NAMES - 1], f"… {len(said) - _NAMES + 1} more"]
        names[g] = f"({' '.join(first)})"
        if g in outer:
            parts[outer[g]].append((int(starts[g]), f"{names[g]} × {n_times[g]:,}"))
    codes = {name: len(tree.labels) + i for i, name in enumerate(dict.fromkeys(names))}
    return tuple(codes), np.array([codes[name] for name in names], np.int32)
