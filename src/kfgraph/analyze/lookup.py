"""Finding calls in a tree: by name, by time, by error; and where a call stands among those of its function."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from kfgraph.analyze.errors import failed, seems_failed
from kfgraph.analyze.forest import Int32
from kfgraph.errors import UsageError
from kfgraph.model.tree import NodeKind, TreeTable

N_SLOW = 100
"""So many calls count as slow: those with the most self time."""


def named(tree: TreeTable, pattern: str) -> Int32:
    """The nodes whose label a regular expression matches, ascending; small letters match capitals too.

    Raises:
        UsageError: it is no regular expression.
    """
    flags = 0 if any(letter.isupper() for letter in pattern) else re.IGNORECASE
    try:
        wanted = re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError) as problem:
        raise UsageError(f"{pattern}: no regular expression: {problem}") from None
    found = np.fromiter((wanted.search(label) is not None for label in tree.labels), np.bool_, len(tree.labels))
    return np.flatnonzero(found[tree.label]).astype(np.int32)


def slow(tree: TreeTable) -> Int32:
    """The calls with the most self time, ``N_SLOW`` at most, ascending."""
    n = len(tree)
    if n > N_SLOW:
        least = int(np.partition(tree.self_ns, n - N_SLOW)[n - N_SLOW])
        nodes = np.flatnonzero(tree.self_ns >= max(least, 1))
        order = np.lexsort((nodes, -tree.self_ns[nodes]))
        nodes = np.sort(nodes[order[:N_SLOW]])
    else:
        nodes = np.flatnonzero(tree.self_ns > 0)
    calls: Int32 = nodes[tree.at("kind", nodes) == NodeKind.CALL].astype(np.int32)
    return calls


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
    """Where a call stands among the calls of its function whose duration is known: ``rank`` counts from the slowest,
    1 (0: its own is not known). Times in ns."""

    n_calls: int
    n_known: int
    rank: int
    p50_ns: int
    p95_ns: int
    p99_ns: int
    max_ns: int
    total_ns: int


class Standings:
    """The standings of the calls of a tree of single calls."""

    def __init__(self, tree: TreeTable) -> None:
        self._tree = tree
        self._sorted: dict[int, tuple[int, np.ndarray]] = {}

    def of(self, node: int) -> Standing:
        """That of one call."""
        tree = self._tree
        label = int(tree.label[node])
        if label not in self._sorted:
            calls = np.flatnonzero(tree.label == label)
            total = tree.total_ns[calls]
            if len(self._sorted) >= 8:
                self._sorted.pop(next(iter(self._sorted)))
            self._sorted[label] = len(calls), np.sort(total[total >= 0])
        n_calls, known = self._sorted[label]
        n, own = len(known), int(tree.total_ns[node])
        if not n:
            return Standing(n_calls, 0, 0, -1, -1, -1, -1, -1)
        # As in the tables of top: the least value that so many are not above.
        p50, p95, p99 = (int(known[min(-(-n * share // 100), n) - 1]) for share in (50, 95, 99))
        rank = n - int(np.searchsorted(known, own, side="right")) + 1 if own >= 0 else 0
        return Standing(n_calls, n, rank, p50, p95, p99, int(known[-1]), int(known.sum()))


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
