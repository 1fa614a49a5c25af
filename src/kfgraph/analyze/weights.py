"""A merged tree with the time of each stack: what flame graphs and all formats of stacks are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kfgraph.analyze.filters import Filters
from kfgraph.analyze.forest import Bool, Int64
from kfgraph.analyze.tracer_interrupts import stacks
from kfgraph.errors import Notice, notice
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True, eq=False, repr=False)
class Weighted:
    """``tree`` is merged. ``total_ns`` is what the calls of a node took together: the sum of ``own_ns`` of it and all
    below it. Of a call without a known duration that is what is known inside; where a self time is not known, the
    own time is all that is in no callee. ``in_interrupt``: the first call of a node was in the context of one.
    ``about`` is where the trace came from, for a title."""

    tree: TreeTable
    total_ns: Int64
    own_ns: Int64
    in_interrupt: Bool
    about: str
    notices: tuple[Notice, ...]


def weighted(trace: Trace, *, selves: bool = False, **filters: Unpack[Filters]) -> tuple[Weighted, tuple[Notice, ...]]:
    """(the weighted tree of the selected calls, with the ``selves`` of its nodes or without; what the selection left
    out)."""
    merged, in_interrupt, n_beside = stacks(trace, selves=selves, **filters)
    tree = merged.tree
    own = tree.floor_ns.astype(np.int64, copy=True)
    child = np.flatnonzero(tree.parent >= 0)
    np.subtract.at(own, tree.parent[child], tree.floor_ns[child])
    # A task has no time of its own.
    own[tree.count == 0] = 0
    own = np.maximum(own, 0)
    before = np.append(0, np.cumsum(own))
    total = before[tree.end] - before[:-1]
    found = {"export-unfinished": int(tree.n_unfinished.sum()), "export-in-tracer": n_beside}
    notices = tuple(notice(kind, n) for kind, n in found.items() if n)
    return Weighted(tree, total, own, in_interrupt, trace.meta.path, notices), merged.selection.notices
