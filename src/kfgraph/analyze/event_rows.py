"""Lost records and other events as rows of a tree, where they happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.analyze.tree_rows import Detail, EventDetail, Folded, Kind, LossDetail, MoreEventsDetail
from kfgraph.errors import NoMatchError
from kfgraph.model.arrays import distinct
from kfgraph.model.marks import Losses, Marks
from kfgraph.model.names import matching
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind

EVENT_ROWS = 100
"""So many events at least have rows of their own in a folded tree. Where there are more, the first ones of each place
have, as many everywhere, and a count of its others stands behind them."""


class Extra(NamedTuple):
    """Rows to insert: each stands before row ``at`` (ascending) of a Folded, inside the call ``node``."""

    at: Int32
    node: Int32
    kind: Kind
    details: tuple[Detail, ...]


def with_losses(folded: Folded, call_tree: CallTree) -> Folded:
    """``folded`` with a row where records were lost: directly inside a call that shows.

    Those further down are counted where their call is (``hidden_losses``). A merged tree has no
    place in time: it is returned as it is.
    """
    losses = call_tree.trace.losses
    if not len(losses) or call_tree.merged:
        return folded
    node, first = _folded(folded, *nodes_of(call_tree, losses.parent, losses.row, losses.lane))
    inside = np.flatnonzero(node >= 0)
    shown, at = _rows_of(folded, node[inside], first[inside])
    hidden = folded.hidden_losses.copy()
    np.add.at(hidden, at[~shown], 1)
    folded = replace(folded, hidden_losses=hidden)
    here, at, node = inside[shown], at[shown], node[inside][shown]
    details, places, nodes = [], [], []
    for place in sorted(set(zip(at.tolist(), node.tolist(), strict=True))):
        which = here[(at == place[0]) & (node == place[1])]
        details.append(loss_detail(losses, which))
        places.append(place[0])
        nodes.append(place[1])
    return inserted(folded, Extra(np.array(places, np.int32), np.array(nodes, np.int32), Kind.LOSS, tuple(details)))


def loss_detail(losses: Losses, which: Int32) -> LossDetail:
    """What a row says of the losses ``which``."""
    return LossDetail(*(tuple(of[which].tolist()) for of in (losses.n_lost, losses.lasted_ns, losses.cpu)))


def event_nodes(call_tree: CallTree, patterns: Sequence[str]) -> Int32:
    """The nodes in which the events happened that ``patterns`` name, in the order of time, each once.

    Raises:
        NoMatchError: no event of the trace has such a name.
    """
    marks = call_tree.trace.marks
    asked = np.flatnonzero(_wanted(call_tree.trace, patterns)[marks.name]) if len(marks) else np.zeros(0, np.int32)
    if not len(asked):
        return np.zeros(0, np.int32)
    node, _ = nodes_of(call_tree, marks.parent[asked], marks.row[asked], marks.lane[asked])
    return np.array(list(dict.fromkeys(node[node >= 0].tolist())), np.int32)


def with_events(
    folded: Folded, call_tree: CallTree, patterns: Sequence[str], *, limit: int | None = EVENT_ROWS
) -> tuple[Folded, int]:
    """(``folded`` with the events that ``patterns`` name, how many others of the tree's calls are not shown).

    An event shows in the call that it happened in, or in the nearest caller that shows, in the order of time.
    More than ``limit`` of them are counted where they happened (None: all show). Those in trees of which not even
    the root shows are ``hidden_events``.

    Raises:
        NoMatchError: no event of the trace has such a name.
    """
    marks = call_tree.trace.marks
    wanted = _wanted(call_tree.trace, patterns)
    if not len(marks) or call_tree.merged:
        return folded, 0
    node, first = nodes_of(call_tree, marks.parent, marks.row, marks.lane)
    inside = np.flatnonzero(node >= 0)
    if not wanted.any():
        return folded, len(inside)
    node, first = _folded(folded, node, first)
    asked = inside[wanted[marks.name[inside]]]
    n_others = len(inside) - len(asked)
    host, at = _hosts(folded, node[asked], first[asked])
    shown = host >= 0
    hidden = folded.hidden_events.copy()
    np.add.at(hidden, at[~shown], 1)
    folded = replace(folded, hidden_events=hidden)
    asked, at, host = asked[shown], at[shown], host[shown]
    order = np.lexsort((asked, at))
    asked, at, host = asked[order], at[order], host[order]
    begins = np.flatnonzero(np.append(True, (at[1:] != at[:-1]) | (host[1:] != host[:-1])))[: len(at)]
    n_here = np.diff(np.append(begins, len(at)))
    most = n_here if limit is None else np.minimum(n_here, _per_place(n_here, limit))
    details: list[Detail] = []
    rows: list[int] = []
    nodes: list[int] = []
    for begin, n, n_rows in zip(begins.tolist(), n_here.tolist(), most.tolist(), strict=True):
        here = asked[begin : begin + n]
        details += [EventDetail(marks.names[marks.name[i]], marks.text[i]) for i in here[:n_rows].tolist()]
        if n_rows < n:
            names = distinct(marks.name[here[n_rows:]]).tolist()
            details.append(MoreEventsDetail(n - n_rows, marks.names[names[0]] if len(names) == 1 else ""))
        rows += [at[begin]] * (len(details) - len(rows))
        nodes += [host[begin]] * (len(details) - len(nodes))
    extra = Extra(np.array(rows, np.int32), np.array(nodes, np.int32), Kind.EVENT, tuple(details))
    return inserted(folded, extra), n_others


def n_without_place(call_tree: CallTree) -> tuple[int, int]:
    """(at how many places records were lost, how many other events happened) among the calls that a merged tree of
    tasks is of: it has no places for them."""
    trace, keep = call_tree.trace, call_tree.selection.keep
    n = len(keep)
    kept = np.append(keep, [False, False])
    wanted = np.zeros(len(trace.tasks) + 1, np.bool_)
    wanted[call_tree.task_lanes(np.append(call_tree.tree.roots, call_tree.tree.tasks_below))] = True

    def inside(places: Losses | Marks) -> int:
        # Before a call or behind one.
        beside = kept[np.minimum(places.row, n)] | kept[places.row - 1]
        return int(np.count_nonzero(wanted[places.lane] & (kept[places.parent] | beside)))

    return inside(trace.losses), inside(trace.marks)


def _per_place(n_here: Int64, limit: int) -> int:
    """So many at each place that ``limit`` suffices for all of them; at least one."""
    if n_here.sum() <= limit:
        return limit
    return max((n for n in range(1, limit) if np.minimum(n_here, n).sum() <= limit), default=1)


def _wanted(trace: Trace, patterns: Sequence[str]) -> Bool:
    wanted = np.zeros(len(trace.marks.names), np.bool_)
    for pattern in patterns:
        found = matching([pattern], trace.marks.names)
        if not found.any():
            have = ", ".join(sorted(trace.marks.names)[:6])
            raise NoMatchError(f"no event {pattern!r} in this trace", f"it has {have}" if have else "it has none")
        wanted |= found
    return wanted


def nodes_of(call_tree: CallTree, parent: Int32, row: Int32, lane: Int32) -> tuple[Int32, Int32]:
    """For each place the node of the unfolded tree it is in (-1: none) and the first node of that subtree after it
    (-1: none)."""
    tree, calls = call_tree.tree, call_tree.trace.calls
    n_calls = len(calls)
    node_at = np.full(n_calls + 1, -1, np.int32)
    is_call = tree.row >= 0
    node_at[tree.row[is_call]] = np.flatnonzero(is_call)
    # A call that was hidden or filtered out hands its places to its caller.
    above = np.where(parent >= 0, parent, n_calls)
    while True:
        outside = (above < n_calls) & (node_at[above] < 0)
        if not outside.any():
            break
        up = calls.parent[above[outside]]
        above[outside] = np.where(up < 0, n_calls, up)
    node = node_at[above]
    tops = np.append(tree.roots if call_tree.by_task else tree.roots[:0], tree.tasks_below)
    if len(tops):
        task_of = np.full(len(call_tree.trace.tasks) + 1, -1, np.int32)
        task_of[call_tree.task_lanes(tops)] = tops
        node = np.where((above == n_calls) & (lane >= 0), task_of[lane], node)
    # The first node at or after the row: nodes of one subtree stand in row order.
    following = np.full(n_calls + 1, len(tree), np.int32)
    following[:n_calls] = np.where(node_at[:n_calls] >= 0, node_at[:n_calls], len(tree))
    end = np.append(tree.end, np.int32(0))[node]
    sorted_rows = np.flatnonzero(node_at[:n_calls] >= 0)
    after = np.append(sorted_rows, n_calls)[np.searchsorted(sorted_rows, row)]
    first = np.where(following[after] < end, np.maximum(following[after], node + 1), -1)
    first[first >= end] = -1
    return node.astype(np.int32), first.astype(np.int32)


def _folded(folded: Folded, node: Int32, first: Int32) -> tuple[Int32, Int32]:
    """The same in the folded tree. Of a place in a sum, the first node is the one after it in time."""
    end = np.append(folded.tree.end, np.int32(0))
    now = np.where(node >= 0, np.append(folded.node_of, np.int32(-1))[node], -1).astype(np.int32)
    in_sum = np.append(folded.is_sum, False)[now]
    # What follows the first call of a run in a sum is in that sum too: any later node will do.
    later = np.where(first >= 0, first, np.where(in_sum, node, -1))
    after = np.where(later >= 0, folded.next_kept(np.maximum(later, 0)), len(folded.tree))
    tree = folded.tree
    if tree.has("kind"):
        # Between the repetitions of a sequence, or before the first part of an interrupt: before all of them.
        parent, n = np.append(tree.parent, np.int32(-1)), len(tree)
        loop = np.append(np.isin(tree.kind, (NodeKind.LOOP, NodeKind.INTERRUPT)), False)
        while (inside := (after < n) & loop[parent[after]] & (parent[after] != now)).any():
            after[inside] = parent[after[inside]]
    return now, np.where(in_sum, after, np.minimum(after, end[now])).astype(np.int32)


def _hosts(folded: Folded, node: Int32, first: Int32) -> tuple[Int32, Int32]:
    """For each place (the nearest node above it that shows and is no sum, -1: none; the row that the place stands
    before in it, or is counted at)."""
    tree = folded.tree
    call_rows = np.flatnonzero(folded.kind == Kind.CALL)
    call_nodes = folded.node[call_rows]
    has_row = np.zeros(len(tree) + 1, np.bool_)
    has_row[call_nodes] = ~folded.is_sum[call_nodes]
    host = node.copy()
    while (out := (host >= 0) & ~has_row[host]).any():
        host[out] = tree.parent[host[out]]
    rest = np.flatnonzero((folded.kind == Kind.REST) & (folded.node < 0))
    following = np.searchsorted(call_nodes, np.minimum(first, np.append(tree.end, np.int32(0))[host]))
    at = np.append(call_rows, len(folded))[following]
    return host, np.where(host >= 0, _before_rests(folded, host, at), rest[0] if len(rest) else 0).astype(np.int32)


def _before_rests(folded: Folded, node: Int32, at: Int64) -> Int64:
    """The rows ``at`` (of which a place in ``node`` stands before one), ahead of the counts of what is further out."""
    places, inverse = np.unique(
        np.stack((at, np.append(folded.tree.level, np.int16(0))[node] + 1), axis=1), axis=0, return_inverse=True
    )
    ahead = []
    for row, level in places.tolist():
        while row > 0 and folded.kind[row - 1] == Kind.REST and folded.level[row - 1] <= level:
            row -= 1
        ahead.append(row)
    found: Int64 = np.array(ahead, np.int64)[inverse.reshape(-1)]
    return found


def _rows_of(folded: Folded, node: Int32, first: Int32) -> tuple[Bool, Int32]:
    """For each place (whether it shows, the row that it stands before or is counted at)."""
    tree = folded.tree
    is_call = folded.kind == Kind.CALL
    call_rows = np.flatnonzero(is_call)
    call_nodes = folded.node[call_rows]
    row_of = np.full(len(tree) + 1, -1, np.int64)
    row_of[call_nodes] = call_rows
    rest_of = np.full(len(tree) + 1, -1, np.int64)
    rest = np.flatnonzero(folded.kind == Kind.REST)
    rest_of[folded.node[rest]] = rest
    nearest = node.copy()
    while True:
        hidden = (nearest >= 0) & (row_of[nearest] < 0)
        if not hidden.any():
            break
        nearest[hidden] = tree.parent[nearest[hidden]]
    opened = np.zeros(len(tree) + 1, np.bool_)
    opened[tree.parent[call_nodes]] = True
    leaf = np.append(tree.end, 0) == np.arange(len(tree) + 1) + 1
    # What is in a sum has no place in time.
    shown = (nearest == node) & (opened[node] | leaf[node]) & ~np.append(folded.is_sum, False)[node]
    counted = np.where(rest_of[nearest] >= 0, rest_of[nearest], np.maximum(row_of[nearest], 0))
    # Before the next call that shows inside the node; at its end, before the counts of what is further out.
    following = np.searchsorted(call_nodes, first)
    at = np.append(call_rows, len(folded))[following]
    return shown, np.where(shown, _before_rests(folded, node, at), counted).astype(np.int32)


def inserted(folded: Folded, extra: Extra) -> Folded:
    """``folded`` with those rows."""
    if not len(extra.at):
        return folded
    n = len(extra.at)
    values = {
        "kind": np.full(n, extra.kind),
        "node": extra.node,
        "level": folded.tree.level[extra.node] + 1,
        "share": np.full(n, -1.0),
        "detail": np.arange(n) + len(folded.details),
    }
    columns: dict[str, Any] = {}
    for name in Folded.ROW_COLUMNS:
        column = getattr(folded, name)
        columns[name] = np.insert(column, extra.at, values.get(name, np.zeros(n)).astype(column.dtype))
    return replace(folded, details=folded.details + extra.details, **columns)
