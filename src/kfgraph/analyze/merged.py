"""Call trees merged: the nodes of one path as one node."""

from __future__ import annotations

import numpy as np

from kfgraph.analyze.forest import Int32, Int64, preorder
from kfgraph.analyze.interrupt_rows import Interrupts, with_kinds, with_merged
from kfgraph.analyze.paths import parts, same_paths
from kfgraph.analyze.tree_errors import merged_columns
from kfgraph.model.merging import SUM
from kfgraph.model.tree import TreeTable


def merged(tree: TreeTable, interrupts: Interrupts | None = None) -> TreeTable:
    """The nodes of ``tree`` that have the same path from a root as one node each.

    Siblings go from the largest total to the smallest, equal ones in the order of first sight. ``interrupts`` of it get
    a node above those of each kind.
    """
    return merged_paths(tree, interrupts)[0]


def merged_paths(tree: TreeTable, interrupts: Interrupts | None = None) -> tuple[TreeTable, Int64]:
    """(``tree`` merged, the first node of ``tree`` that is part of each of its nodes; without ``interrupts``)."""
    n = len(tree)
    if not n:
        return tree, np.zeros(0, np.int64)
    label = tree.label if interrupts is None else with_kinds(tree, interrupts)
    node, parent, level, first = same_paths(tree.end, tree.level, label, tree.parent)
    n_nodes = len(first)
    floor_ns = SUM.into(np.zeros(n_nodes, np.int64), tree.floor_ns, node)
    weight, rank = floor_ns, first
    if interrupts is not None:
        weight, rank = _together(parent, label[first], floor_ns, first, n_labels=len(tree.labels))
    order, size = preorder(parent, level, weight, rank)
    new = np.empty(n_nodes, np.int32)
    new[order] = np.arange(n_nodes, dtype=np.int32)
    is_rest = np.ones(n, np.bool_)
    is_rest[first] = False
    rest, into = np.arange(n, dtype=np.int32)[is_rest], node[is_rest]
    for part in parts(len(into)):
        into[part] = new[into[part]]
    table = tree.join(
        first[order],
        rest,
        into,
        parent=np.where(parent < 0, -1, new[parent])[order].astype(np.int32),
        end=(np.arange(n_nodes) + size[order]).astype(np.int32),
        level=level[order].astype(np.int16),
        row=np.full(n_nodes, -1, np.int32),
        **{name: column[order] for name, column in merged_columns(tree, node, n_nodes).items()},
    )
    if interrupts is not None:
        table = with_merged(table, interrupts, new[node[interrupts.tops]])
    return table, first[order]


def _together(parent: Int64, label: Int32, floor_ns: Int64, first: Int64, *, n_labels: int) -> tuple[Int64, Int64]:
    """A weight and a rank of each node by which the parts of interrupts of one kind stand together, slow ones first:
    those that have labels of their own, from ``n_labels`` on, with the kind as the quotient."""
    parts = np.flatnonzero(label >= n_labels)
    kind = label[parts] // n_labels
    _, of = np.unique(parent[parts] * (int(kind.max(initial=0)) + 1) + kind, return_inverse=True)
    n_groups = int(of.max(initial=-1)) + 1
    # Those of one stand where the first one of them would.
    weight, seen = floor_ns.copy(), np.full(n_groups, np.iinfo(np.int64).max)
    weight[parts] = SUM.into(np.zeros(n_groups, np.int64), floor_ns[parts], of)[of]
    np.minimum.at(seen, of, first[parts])
    rank = first * (len(parts) + 1)
    order = np.lexsort((first[parts], -floor_ns[parts]))
    rank[parts[order]] = seen[of[order]] * (len(parts) + 1) + np.arange(len(parts))
    return weight, rank
