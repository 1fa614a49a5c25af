"""The rows of a tree that are no calls, for a tree that is opened step by step: losses, kfgraph's own cost."""

from __future__ import annotations

import numpy as np

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.event_rows import loss_detail, nodes_of
from kfgraph.analyze.open_rows import Beside
from kfgraph.analyze.tree_rows import Detail, OwnCostDetail


def rows_beside(call_tree: CallTree) -> tuple[list[Beside], list[Detail], list[int]]:
    """(the rows, what each stands for, the cost of those that are kfgraph's own: ns, -1 unknown; 0 for the others).

    A merged tree has no place in time: it has none.
    """
    tree = call_tree.tree
    rows: list[Beside] = []
    details: list[Detail] = []
    costs: list[int] = []
    if call_tree.merged:
        return rows, details, costs
    losses = call_tree.trace.losses
    if len(losses):
        node, first = nodes_of(call_tree, losses.parent, losses.row, losses.lane)
        places: dict[tuple[int, int], list[int]] = {}
        for i in np.flatnonzero(node >= 0).tolist():
            inside = int(node[i])
            before = int(first[i]) if first[i] >= 0 else int(tree.end[inside])
            places.setdefault((inside, before), []).append(i)
        for (inside, before), which in places.items():
            rows.append(Beside(inside, before, len(details)))
            details.append(loss_detail(losses, np.array(which, np.int32)))
            costs.append(0)
    if tree.has("own_cost_ns"):
        for node_with_cost in np.flatnonzero(tree.own_cost_ns).tolist():
            rows.append(Beside(node_with_cost, node_with_cost + 1, len(details)))
            details.append(OwnCostDetail("", call_tree.selection.own_cost.label))
            costs.append(max(int(tree.own_cost_ns[node_with_cost]), -1))
    return rows, details, costs
