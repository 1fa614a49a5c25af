"""Finding calls in a tree: by name, by time, by error; and where a call stands among those of its function."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kfgraph.analyze.aggregate import Aggregate, of_one_key
from kfgraph.analyze.forest import Int32, Int64
from kfgraph.analyze.tree_errors import failed, seems_failed
from kfgraph.errors import UsageError
from kfgraph.model.tree import NodeKind, TreeTable

N_SLOW = 100
"""So many calls count as slow: those with the most self time."""
_SAMPLE = 1_000


def expression(pattern: str) -> re.Pattern[str]:
    """A regular expression to search with; without a capital in it, it matches capitals too.

    Raises:
        UsageError: it is none.
    """
    flags = 0 if any(letter.isupper() for letter in pattern) else re.IGNORECASE
    try:
        return re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError) as problem:
        raise UsageError(f"{pattern}: no regular expression: {problem}") from None


def named(tree: TreeTable, pattern: str) -> Int32:
    """The nodes whose label a regular expression matches, ascending (see :func:`expression`)."""
    return matching(tree.labels, tree.label, expression(pattern))


def matching(labels: Sequence[str], label: Int32, wanted: re.Pattern[str]) -> Int32:
    """Where ``label``, indices into ``labels``, is of one that the expression matches; ascending."""
    found = np.fromiter((wanted.search(one) is not None for one in labels), np.bool_, len(labels))
    return np.flatnonzero(found[label]).astype(np.int32)


def slow(tree: TreeTable) -> Int32:
    """The calls with the most self time, ``N_SLOW`` at most, ascending."""
    nodes = _largest(tree.self_ns, N_SLOW)
    order = np.lexsort((nodes, -tree.self_ns[nodes]))
    nodes = np.sort(nodes[order[:N_SLOW]])
    calls: Int32 = nodes[tree.at("kind", nodes) == NodeKind.CALL].astype(np.int32)
    return calls


def _largest(values: Int64, n: int) -> Int32:
    """Where the ``n`` largest of the positive values are, and those that equal the least of them; ascending."""
    least = 1
    if len(values) > _SAMPLE * n:
        # Of a sample, so many are as large as this that of all about 20 n are: far fewer than to be put in order.
        some = values[:: len(values) // (_SAMPLE * n) + 1]
        least = max(int(np.partition(some, len(some) - 20)[len(some) - 20]), 1)
    found = np.flatnonzero(values >= least)
    if len(found) < n:
        found = np.flatnonzero(values > 0)
    if len(found) > n:
        kept = values[found]
        found = found[kept >= np.partition(kept, len(kept) - n)[len(kept) - n]]
    return found.astype(np.int32)


def failing(tree: TreeTable) -> Int32:
    """The calls that failed for sure; where there are none, those that seem to have. Ascending."""
    for which in (failed(tree), seems_failed(tree)):
        if which.any():
            return np.flatnonzero(which).astype(np.int32)
    return np.zeros(0, np.int32)


def next_of(nodes: Int32, at: int, *, step: int = 1) -> int:
    """The place in ``nodes`` (ascending) of the next one after node ``at``, or with ``step`` -1 before it; from the
    other end where there is none. -1: there are no nodes."""
    if not len(nodes):
        return -1
    if step > 0:
        return int(np.searchsorted(nodes, at, side="right")) % len(nodes)
    return (int(np.searchsorted(nodes, at, side="left")) - 1) % len(nodes)


@dataclass(frozen=True)
class Standing:
    """Where a call stands among the calls of its function: ``rank`` counts from the slowest, 1 (0: its own duration is
    not known); ``among``, of one row, sums them up."""

    rank: int
    among: Aggregate


class Standings:
    """The standings of the calls of a tree of single calls."""

    def __init__(self, tree: TreeTable) -> None:
        self._tree = tree
        self._known: dict[int, tuple[Int64, Aggregate]] = {}

    def of(self, node: int) -> Standing:
        """That of one call."""
        label = int(self._tree.label[node])
        if label not in self._known:
            times_ns = self._tree.total_ns[np.flatnonzero(self._tree.label == label)]
            if len(self._known) >= 8:
                self._known.pop(next(iter(self._known)))
            self._known[label] = times_ns, of_one_key(times_ns)
        times_ns, among = self._known[label]
        own_ns = int(self._tree.total_ns[node])
        return Standing(int(np.count_nonzero(times_ns > own_ns)) + 1 if own_ns >= 0 else 0, among)


def node_of_call(tree: TreeTable, row: int) -> int:
    """The node that is this call, a row of the CallTable; -1: it is not in the tree, which is one of single calls."""
    roots = tree.roots
    # Below each root the calls are in the order of the table; a task has no row, what follows it is its first call.
    last = tree.row[tree.end[roots] - 1]
    first = tree.row[np.where(tree.row[roots] < 0, np.minimum(roots + 1, len(tree) - 1), roots)]
    for root in roots[(first <= row) & (row <= last)].tolist():
        begin = root + (int(tree.row[root]) < 0)
        node = begin + int(np.searchsorted(tree.row[begin : tree.end[root]], row))
        if node < int(tree.end[root]) and int(tree.row[node]) == row:
            return int(node)
    return -1


def slowest_of(tree: TreeTable, label: str) -> int:
    """The node with this label that took the longest; -1: there is none."""
    codes = [code for code, known in enumerate(tree.labels) if known == label]
    nodes = np.flatnonzero(np.isin(tree.label, codes))
    return int(nodes[np.argmax(tree.floor_ns[nodes])]) if len(nodes) else -1
