"""Rows for kfgraph's own cost: below the notifier call that includes it, or where that call is hidden."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kfgraph.analyze.event_rows import Extra, inserted
from kfgraph.analyze.tree_rows import Folded, Kind, OwnCostDetail
from kfgraph.analyze.visibility import FoldOptions, Why

_FOLDED = (Why.SHOWN, Why.TIME, Why.MIN, Why.ROWS)
"""The cost of calls hidden for these reasons gets a row. Calls that an option closed or left out stay hidden."""


class UnseenCost(NamedTuple):
    """The own cost that has no row: ``n_calls`` calls, at most ``at_most_ns`` (-1: not known)."""

    n_calls: int
    at_most_ns: int
    label: str


def with_own_cost(folded: Folded, options: FoldOptions, label: str) -> tuple[Folded, UnseenCost | None]:
    """``folded`` with rows for the costs, named ``label``, and what of them has none.

    A row stands below its call; where that is folded away, between the callees of the nearest caller that shows,
    and names the call.
    """
    tree = folded.tree
    nodes = np.flatnonzero(tree.own_cost_ns).tolist()
    rows = _Rows(folded, options) if nodes else None
    costs: dict[tuple[int, int, int], int] = {}
    n_unseen, unseen_ns = 0, 0
    for node in nodes:
        cost = max(int(tree.own_cost_ns[node]), -1)
        place = rows.place(node) if rows else None
        if place is None:
            n_unseen += int(tree.at("count", node))
            unseen_ns = -1 if -1 in (unseen_ns, cost) else unseen_ns + cost
        else:
            before = costs.get(place, 0)
            costs[place] = -1 if -1 in (before, cost) else before + cost
    # Of two in one place the inner one comes first.
    places = sorted(costs, key=lambda place: (place[0], -int(tree.level[place[1]]), place))
    details = tuple(OwnCostDetail(tree.labels[code] if code >= 0 else "", label) for _, _, code in places)
    at, inside = (np.array([place[i] for place in places], np.int32) for i in (0, 1))
    folded = inserted(folded, Extra(at, inside, Kind.OWN_COST, details))
    if places:
        hidden_ns = folded.hidden_ns.copy()
        hidden_ns[folded.kind == Kind.OWN_COST] = [costs[place] for place in places]
        folded = replace(folded, hidden_ns=hidden_ns)
    return folded, UnseenCost(n_unseen, unseen_ns, label) if n_unseen else None


class _Rows:
    """Where the rows of a Folded are."""

    def __init__(self, folded: Folded, options: FoldOptions) -> None:
        self.folded, self.depth = folded, options.depth
        self.call_rows = np.flatnonzero(folded.kind == Kind.CALL)
        self.call_nodes = folded.node[self.call_rows]
        rest = np.flatnonzero(folded.kind == Kind.REST)
        self.rest_of = dict(zip(folded.node[rest].tolist(), rest.tolist(), strict=True))

    def place(self, node: int) -> tuple[int, int, int] | None:
        """(the row before which its cost stands, the node that it stands in, the label it names or -1), if anywhere."""
        folded = self.folded
        tree = folded.tree
        shown = node
        while shown >= 0 and not folded.visible[shown]:
            shown = int(tree.parent[shown])
        if shown < 0:
            return None
        level = int(tree.level[shown]) + 1
        row = int(self.call_rows[np.searchsorted(self.call_nodes, shown)])
        why = Why(int(folded.why[self.rest_of.get(shown, row)]))
        if why not in _FOLDED or (self.depth is not None and level > self.depth):
            return None
        if shown == node:
            return row + 1, shown, -1
        if not (tree.parent[self.call_nodes] == shown).any():
            return None
        following = int(np.searchsorted(self.call_nodes, tree.end[node]))
        at = int(np.append(self.call_rows, len(folded))[following])
        # At the end of its caller, before the counts of what is hidden there and further out.
        while folded.kind[at - 1] == Kind.REST and folded.level[at - 1] <= level:
            at -= 1
        return at, shown, int(tree.label[node])
