"""A merged tree as a graph: functions, and who calls whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kfgraph.analyze.aggregate import nested
from kfgraph.analyze.forest import Int32, Int64
from kfgraph.analyze.weights import Weighted, below


@dataclass(frozen=True, eq=False, repr=False)
class CallGraph:
    """``functions`` are the labels that occur (tasks too), in the order of first sight. ``own_ns``, ``total_ns`` and
    ``n_calls`` are by label; a total counts the outermost calls of a recursion only. Edges are sorted by caller, the
    heaviest callee first; ``edge_ns`` is what the callee took there, inner calls of a recursion too. ``own_events`` and
    ``edge_events`` are the same for each of the events that times are the sum of: a column each."""

    functions: Int32
    own_ns: Int64
    total_ns: Int64
    n_calls: Int64
    caller: Int32
    callee: Int32
    edge_calls: Int64
    edge_ns: Int64
    own_events: Int64
    edge_events: Int64

    def callees(self, code: int) -> Iterator[tuple[int, int, list[int]]]:
        """(callee, calls, what they took of each event) of a function."""
        first, last = np.searchsorted(self.caller, [code, code + 1])
        yield from zip(
            self.callee[first:last].tolist(), self.edge_calls[first:last].tolist(),
            self.edge_events[first:last].tolist(), strict=True,
        )  # fmt: skip


def call_graph(weighted: Weighted) -> CallGraph:
    """Sum up the nodes of the tree by function, and by caller and callee."""
    tree, n_labels = weighted.tree, len(weighted.tree.labels)
    label = tree.label
    own, total, n_calls = (np.zeros(n_labels, np.int64) for _ in range(3))
    np.add.at(own, label, weighted.own_ns)
    np.add.at(n_calls, label, tree.count)
    np.add.at(total, label, weighted.total_ns)
    inner = nested(None, label, tree.end, weighted.total_ns, np.ones(n_labels, np.bool_))
    np.subtract.at(total, label[inner], weighted.total_ns[inner])
    child = np.flatnonzero(tree.parent >= 0)
    key = label[tree.parent[child]].astype(np.int64) * n_labels + label[child]
    keys, of = np.unique(key, return_inverse=True)
    calls, ns = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
    np.add.at(calls, of, tree.count[child])
    np.add.at(ns, of, weighted.total_ns[child])
    own_events, edge_events = np.zeros((n_labels, len(weighted.events)), np.int64), []
    for column, values in enumerate(weighted.events.values()):
        np.add.at(own_events[:, column], label, values)
        edge_events.append(np.zeros(len(keys), np.int64))
        np.add.at(edge_events[-1], of, below(tree, values)[child])
    caller, callee = keys // n_labels, keys % n_labels
    order = np.lexsort((-ns, caller))
    seen, first = np.unique(label, return_index=True)
    return CallGraph(
        seen[np.argsort(first)].astype(np.int32), own, total, n_calls,
        caller[order].astype(np.int32), callee[order].astype(np.int32), calls[order], ns[order], own_events,
        np.stack(edge_events, axis=1)[order],
    )  # fmt: skip
