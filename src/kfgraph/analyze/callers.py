"""Who calls a function: its calls by their callers, upside down to the roots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kfgraph.analyze.aggregate import nested
from kfgraph.analyze.bounds import least_totals
from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.analyze.hotpath import path_hashes
from kfgraph.analyze.merged import merged
from kfgraph.analyze.select import Selection, functions_named, select
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.model.merging import Array
from kfgraph.model.names import listed
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable

if TYPE_CHECKING:
    from typing_extensions import Unpack


class CallersTable(TreeTable):
    """A tree in which a node is the caller of the one above it: all columns but the structure, ``kind`` and ``label``
    are those of the calls of the root's function that came that way. Errors and flags are at the roots only."""

    __slots__ = ()

    def n_calls(self, nodes: Array) -> Array:
        """How many calls of the root's function came through each of the nodes."""
        return self.at("count", nodes)


Of = Literal["total", "self"]
"""Which time of a function's calls is shared out among their callers."""


def callers(
    trace: Trace, function: str | Sequence[str], *, compensate: bool = False, **filters: Unpack[Filters]
) -> CallTree:
    """The callers of ``function`` (one or several names or globs), merged, upside down: the function is a root, its
    callers are below it, the tasks are the leaves (with ``root`` the functions that were named there).

    The total of a node is that of the outermost calls of the function that came that way, so that the totals of the
    callers of a node are its total; counts count all calls, in a recursion the inner ones too. ``compensate``: all
    times less what tracing took, by an estimate.

    Raises:
        NoMatchError: nothing matches.
    """
    chosen = select(trace, compensate=compensate, **filters)
    return callers_in(chosen, functions_named(trace, listed(function), chosen.keep))


def callers_in(chosen: Selection, wanted: Bool, *, of: Of = "total") -> CallTree:
    """The callers of the functions (by code) that are ``wanted``, in a selection.

    ``of`` "self": the totals of the nodes are sums of the own times of the calls, and ``n_unfinished`` counts the calls
    whose own time is not known.
    """
    trace = chosen.trace
    rows = np.flatnonzero(chosen.keep & wanted[trace.calls.func]).astype(np.int32)
    groups, first = _by_path(chosen, rows, of)
    parent, level, label, group = _chains(chosen, groups, first)
    n, n_functions = len(parent), len(trace.symbols)
    top = level == 0
    kind = np.where(label < n_functions, NodeKind.CALL, NodeKind.TASK).astype(np.uint8)
    # A chain goes on to its end: the next one begins behind it.
    starts = np.append(np.flatnonzero(top), n)
    end = np.repeat(starts[1:], np.diff(starts)).astype(np.int32)
    blank: dict[str, Any] = {"flags": np.where(top, groups.flags[group], 0).astype(np.uint32)}
    for name in ("error", "error_sure", "error_event", "n_errors", "errors_differ"):
        if groups.has(name):
            values = groups.whole(name)[group]
            blank[name] = np.where(top, values, np.zeros(1, values.dtype))
    labels = trace.symbols.labels + tuple(task.label for task in trace.tasks.tasks)
    taken = groups.take(group, parent=parent, end=end, level=level, kind=kind, label=label, **blank)
    columns = {name: taken.whole(name) for name in TreeTable.COLUMNS if taken.has(name)}
    tree = merged(CallersTable(labels, **columns))
    none = np.zeros(0, np.int32)
    return CallTree(trace, tree, chosen, none, none, False, True, of_callers=True)


def _by_path(chosen: Selection, rows: Int32, of: Of) -> tuple[TreeTable, Int32]:
    """(the calls ``rows`` with those of one path as one node each, the first row of each)."""
    calls = chosen.trace.calls
    kept = np.flatnonzero(chosen.keep)
    path = path_hashes(chosen, calls.func)[np.searchsorted(kept, rows) if len(kept) < len(calls) else rows]
    # Idle tasks and others may have the same functions on their stacks.
    keys = path ^ (calls.lane[rows].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    n = len(rows)
    total = (chosen.self_ns if of == "self" else chosen.total_ns)[rows]
    floor = np.maximum(total, 0) if of == "self" else _floors(chosen, rows)
    lasted = total.copy()
    inner = np.zeros(0, np.intp)
    if of == "total":
        func, every = calls.func[rows].astype(np.int32), np.ones(len(chosen.trace.symbols), np.bool_)
        inner = nested(rows, func, calls.end[rows], total, every)
        total[inner], floor[inner] = 0, 0
    more: dict[str, Any] = error_columns(chosen.trace, rows)
    if len(chosen.own_cost):
        more["own_cost_ns"] = chosen.own_cost.of(rows)
    if chosen.tracer is not None:
        more |= chosen.tracer.columns(rows)
        for name in ("tracer_ns", "uncertain_ns"):
            more[f"total_{name}"] = more[name].copy() if of == "self" else more[f"total_{name}"]
            more[f"total_{name}"][inner] = 0
    each = TreeTable(
        ("",) * len(first), parent=np.full(n, -1, np.int32), end=np.arange(1, n + 1, dtype=np.int32),
        level=np.zeros(n, np.int16), label=which.astype(np.int32), total_ns=total, self_ns=chosen.self_ns[rows],
        floor_ns=floor, min_ns=lasted, max_ns=lasted, row=rows, flags=calls.flags[rows],
        n_unfinished=(lasted < 0).astype(np.int64), **more,
    )  # fmt: skip
    groups = merged(each)
    return groups, rows[first[groups.label]]


def _floors(chosen: Selection, rows: Int32) -> Int64:
    """The least that each of the calls took."""
    total, calls = chosen.total_ns[rows], chosen.trace.calls
    if not len(total) or total.min() >= 0:
        return total.copy()
    every = np.arange(len(calls), dtype=np.int32)
    parent = np.where(chosen.keep, chosen.parent, np.int32(-1))
    return least_totals(chosen.trace, every, parent=parent, level=calls.level, total_ns=chosen.total_ns)[rows]


def _chains(chosen: Selection, groups: TreeTable, first: Int32) -> tuple[Int32, Array, Int32, Int64]:
    """(parent, level, label, group) of a chain for each group: its function, the caller of it, and so on."""
    calls, n_functions = chosen.trace.calls, len(chosen.trace.symbols)
    levels: list[tuple[Array, ...]] = []
    group, here, level = np.arange(len(groups)), first, 0
    while len(group):
        levels.append((group, np.full(len(group), level), calls.func[here].astype(np.int64)))
        above = chosen.parent[here]
        if not chosen.named:
            ends = above < 0
            lanes = n_functions + calls.lane[here[ends]].astype(np.int64)
            levels.append((group[ends], np.full(len(lanes), level + 1), lanes))
        group, here, level = group[above >= 0], above[above >= 0], level + 1
    of, depth, label = (np.concatenate(column) for column in zip(*levels, strict=True))
    order = np.lexsort((depth, of))
    of, depth, label = of[order], depth[order], label[order]
    parent = np.where(depth == 0, -1, np.arange(len(of)) - 1)
    return parent.astype(np.int32), depth.astype(np.int16), label.astype(np.int32), of

