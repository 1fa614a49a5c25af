"""Call trees: a selection of calls as a TreeTable, functions hidden from it, trees merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kfgraph.analyze.bounds import least_totals
from kfgraph.analyze.filters import Filters
from kfgraph.analyze.forest import Bool, Int16, Int32, covered, nearest_kept, outermost, ranges
from kfgraph.analyze.interrupt_rows import interrupts_of, with_interrupts
from kfgraph.analyze.merged import merged
from kfgraph.analyze.parts import UNKNOWN_COLUMNS, part_columns
from kfgraph.analyze.select import Selection, select
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.errors import NoMatchError, UsageError
from kfgraph.model.calls import Flag
from kfgraph.model.names import listed, matching
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable
from kfgraph.model.units import plural

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Unpack


@dataclass(frozen=True, eq=False)
class CallTree:
    """The tree, or trees, that were asked for.

    The roots of ``tree`` are the matches of ``root``; without it the tasks (``by_task``), which
    count no call of their own. ``matches`` are the rows of all matches in time order, ``nth`` the
    1-based place in it of each root of ``tree`` (empty for tasks and merged trees). ``n_hidden``
    calls were taken out by ``hide``, their children and their time are still there. ``of_callers``: it is upside down,
    see :mod:`kfgraph.analyze.callers`. ``n_makers_unknown``: tasks stand below the calls that made them, but for so
    many of which nothing tells; None: each task is a root.
    """

    trace: Trace
    tree: TreeTable
    selection: Selection
    matches: Int32
    nth: Int32
    by_task: bool
    merged: bool
    n_hidden: int = 0
    of_callers: bool = False
    n_makers_unknown: int | None = None

    @property
    def shown_rows(self) -> Int32 | None:
        """The rows of the CallTable that the tree is of (-1: a task); None: all of the selection, merged."""
        return None if self.merged else self.tree.row

    def task_lanes(self, nodes: Int32) -> Int32:
        """The lanes of these nodes, which are tasks."""
        return self.tree.label[nodes] - np.int32(len(self.trace.symbols))

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame with one row per node, in the tree's order; the index, ``node``, is what ``parent`` refers to.

        Columns: label (as the tree shows it), function and module (``<NA>`` for a task's node), level,
        parent, n_calls, n_unfinished, total_ns, self_ns, avg_ns, min_ns, max_ns, flags, row (the call's row in
        ``trace.calls``, ``<NA>`` for a node that stands for several or for none), where some call of the tree has no
        duration at_least_ns (the least that all calls of the node took), where the trace has sched_switch
        asleep_ns, preempted_ns, total_asleep_ns and total_preempted_ns (unknown_ns and total_unknown_ns too, where
        there is time of which it is not known how much was off the CPU), and where errors
        were recorded error and error_sure, as in :func:`kfgraph.to_pandas`, of a merged tree the most frequent error,
        and n_errors, the calls that returned one. Times are ns, sums over the calls whose value is known; unknown is
        ``<NA>``.
        """
        from kfgraph.analyze.treeframe import tree_frame

        return tree_frame(self.tree, self.trace)

    def __str__(self) -> str:
        from kfgraph import to_text

        return to_text(self)

    def __rich__(self) -> Any:
        from kfgraph import to_rich

        return to_rich(self)

    def _repr_html_(self) -> str:
        from kfgraph import to_html

        return to_html(self)

    def __repr__(self) -> str:
        tree = self.tree
        names = list(dict.fromkeys(tree.labels[code] for code in tree.label[tree.roots[:1000]].tolist()))
        more = ", …" if len(names) > 3 else ""
        nodes, roots = plural(len(tree), "node"), plural(len(tree.roots), "root")
        return f"<CallTree {', '.join(names[:3])}{more}: {nodes}, {roots}>"


def call_tree(
    trace: Trace,
    *,
    merge: bool = False,
    nth: int | None = None,
    slowest: int | None = None,
    hide: str | Sequence[str] = (),
    group_interrupts: bool = False,
    compensate: bool = False,
    follow_tree: bool = False,
    **filters: Unpack[Filters],
) -> CallTree:
    """The call tree below the functions ``root``, or of every task.

    Roots are in time order, with ``slowest`` from slow to fast; merged siblings from slow to fast.

    Args:
        merge: one aggregated tree: calls with the same path from a root become one node.
        nth: the nth match only, in time order, from 1.
        slowest: this many of the matches, the slowest ones.
        hide: one or several names or globs of functions to take out; their children take their place, their own
            time is added to their caller's. A root stays.
        group_interrupts: a node above the calls of each interrupt (``NodeKind.INTERRUPT``), unless ``irq`` asks for
            interrupts alone.
        compensate: all times less what tracing took, by an estimate.
        follow_tree: each task below the call that made it (:mod:`kfgraph.analyze.made`), with ``root`` too. Its time is
            in no total above it.
        filters: which calls, as for :func:`kfgraph.analyze.select.select`: ``root``, one or several names or globs, of
            which a match is an outermost call; ``task``, ``pid``, ``cpu``, ``from_s``, ``to_s``, ``no_irq``,
            ``all_tasks``, ``pre_exec``.

    Raises:
        NoMatchError: nothing matches, or there is no nth match.
        UsageError: arguments that contradict one another.
    """
    root, hide = listed(filters.get("root", ())), listed(hide)
    if nth is not None and slowest is not None:
        raise UsageError("--nth and --slowest contradict each other", "give one of them")
    if not root and (nth is not None or slowest is not None):
        raise UsageError("--nth and --slowest choose among the matches of --root", "add --root FUNC")
    for name, value in (("--nth", nth), ("--slowest", slowest)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value}: it counts from 1", f"{name} 1")
    chosen = select(trace, compensate=compensate, **filters)
    n_makers_unknown = None
    if follow_tree:
        tree, chosen, n_makers_unknown = _followed(chosen, compensate=compensate, filters=filters)
    else:
        tree = _tree_of(chosen)
    matches = chosen.roots if chosen.named else np.zeros(0, np.int32)
    place = np.arange(1, len(matches) + 1, dtype=np.int32)
    if nth is not None:
        if nth > len(matches):
            raise NoMatchError(
                f"there is no match {nth} of {', '.join(root)}: {plural(len(matches), 'call')} matched",
                f"--nth {len(matches)} is the last",
            )
        place = place[nth - 1 : nth]
    elif slowest is not None:
        place = place[np.argsort(-tree.floor_ns[tree.roots], kind="stable")[:slowest]]
    if len(place) < len(matches) or slowest is not None:
        tree = subtrees(tree, tree.roots[place - 1])
    n_hidden = 0
    if hide:
        hidden = matching(hide, tree.labels)[tree.label] & (tree.parent >= 0)
        n_hidden = int(hidden.sum())
        tree = without(tree, hidden)
    found = interrupts_of(tree, trace) if group_interrupts and not filters.get("irq") else None
    if merge:
        tree, place = merged(tree, found), place[:0]
    elif found:
        tree = with_interrupts(tree, found)
    by_task = not chosen.named
    return CallTree(trace, tree, chosen, matches, place, by_task, merge, n_hidden, n_makers_unknown=n_makers_unknown)


def _followed(chosen: Selection, *, compensate: bool, filters: Filters) -> tuple[TreeTable, Selection, int]:
    """(the tree with tasks below the calls that made them; the selection that it is of; of how many tasks nothing tells
    who made them). Of matches in one another, also of other tasks, the outermost ones."""
    from kfgraph.analyze.made import followed  # few ask for it

    trace = chosen.trace
    if not chosen.named:
        found = followed(_tree_of(chosen), trace)
        return found.tree, chosen, found.n_unknown
    rest: Any = {name: value for name, value in filters.items() if name != "root"}
    whole = select(trace, compensate=compensate, **rest)
    tree = followed(_tree_of(whole), trace).tree
    nodes = outermost(np.flatnonzero(np.isin(tree.row, chosen.roots)).astype(np.int32), tree.end)
    nodes = nodes[np.argsort(trace.calls.start_ns[tree.row[nodes]], kind="stable")]
    return subtrees(tree, nodes), replace(whole, named=True, roots=tree.row[nodes]), 0


def _tree_of(chosen: Selection) -> TreeTable:
    """The selected calls as a tree; without named roots, under one node for each task."""
    trace, keep = chosen.trace, chosen.keep
    calls, n = trace.calls, len(trace.calls)
    if not chosen.named and keep.all():
        return _under_tasks(_whole(chosen), chosen)
    if chosen.named:
        rows = ranges(chosen.roots, calls.end[chosen.roots])
        rows = rows[keep[rows]]
    else:
        rows = np.flatnonzero(keep).astype(np.int32)
    n_kept_before = np.append(0, np.cumsum(keep))
    size = (n_kept_before[calls.end[rows]] - n_kept_before[rows]).astype(np.int32)
    level = calls.level[rows]
    if not keep.all():
        gone = np.flatnonzero(~keep).astype(np.int32)
        level = (level - covered(gone, calls.end[gone], n)[rows]).astype(np.int16)
    here = np.full(n + 1, -1, np.int32)
    here[rows] = np.arange(len(rows), dtype=np.int32)
    parent = here[chosen.parent[rows]]
    top = parent < 0
    # A root's level is 0: what lay above it is not part of the tree.
    level = level - level[np.maximum.accumulate(np.where(top, np.arange(len(rows)), 0))] if len(rows) else level
    end = np.arange(len(rows), dtype=np.int32) + size
    tree = _table(chosen, rows, rows, parent=parent, end=end, level=level.astype(np.int16))
    return tree if chosen.named else _under_tasks(tree, chosen)


def _whole(chosen: Selection) -> TreeTable:
    """All calls of the trace as a tree: no column moves."""
    calls = chosen.trace.calls
    rows = np.arange(len(calls), dtype=np.int32)
    return _table(chosen, rows, slice(None), parent=chosen.parent, end=calls.end, level=calls.level)


def _table(
    chosen: Selection, rows: Int32, taken: Int32 | slice, *, parent: Int32, end: Int32, level: Int16
) -> TreeTable:
    """The calls ``rows`` of the trace, which ``taken`` takes out of its columns, with that structure."""
    trace, calls = chosen.trace, chosen.trace.calls
    total_ns = chosen.total_ns[taken]
    flags, tops = calls.flags[taken], np.flatnonzero(parent < 0)
    if (flags[tops] & Flag.IN_TRACER).any():
        flags = flags.copy()
        flags[tops] &= ~np.uint32(Flag.IN_TRACER)
    more: dict[str, Any] = error_columns(trace, rows)
    if len(total_ns) and total_ns.min() < 0:
        more["floor_ns"] = least_totals(trace, rows, parent=parent, level=level, total_ns=total_ns)
    if len(chosen.own_cost):
        more["own_cost_ns"] = chosen.own_cost.of(rows)
    more |= part_columns(chosen.parts, rows)
    if chosen.unknown is not None:
        more |= part_columns({UNKNOWN_COLUMNS[0]: chosen.unknown}, rows)
    if chosen.tracer is not None:
        more |= chosen.tracer.columns(taken)
    return TreeTable.of_calls(
        calls,
        taken,
        trace.symbols.labels,
        parent=parent,
        end=end,
        level=level,
        total_ns=total_ns,
        self_ns=chosen.self_ns[taken],
        row=rows,
        flags=flags,
        **more,
    )


def _under_tasks(tree: TreeTable, chosen: Selection) -> TreeTable:
    """``tree`` (rows in table order) with a node above the calls of each task."""
    trace = chosen.trace
    lane = trace.calls.lane if len(tree) == len(trace.calls) else trace.calls.lane[tree.row]
    first = np.flatnonzero(np.append(True, lane[1:] != lane[:-1])[: len(lane)]).astype(np.int32)
    if not len(first):
        return tree
    tops = np.flatnonzero(tree.parent < 0)
    above = np.searchsorted(first, tops, side="right") - 1
    total, unknown = np.zeros(len(first), np.int64), np.zeros(len(first), np.bool_)
    np.add.at(total, above, tree.floor_ns[tops])
    unknown[above[tree.total_ns[tops] < 0]] = True
    sums = {"floor_ns": total} if unknown.any() or tree.has("floor_ns") else {}
    sums |= tree.parts_below(tops, above, len(first))
    return tree.under(
        first,
        tree.labels + tuple(task.label for task in trace.tasks.tasks),
        kind=NodeKind.TASK,
        label=len(tree.labels) + lane[first],
        total_ns=np.where(unknown, -1, total),
        **sums,
    )


def subtrees(tree: TreeTable, roots: Int32) -> TreeTable:
    """The subtrees at these nodes of ``tree``, in the order given, as roots of their own."""
    nodes = ranges(roots, tree.end[roots])
    size = tree.end[roots] - roots
    begin = np.cumsum(size) - size
    moved = np.repeat(begin - roots, size).astype(np.int32)
    parent = (tree.parent[nodes] + moved).astype(np.int32)
    parent[begin] = -1
    level = (tree.level[nodes] - np.repeat(tree.level[roots], size)).astype(np.int16)
    return tree.take(nodes, end=tree.end[nodes] + moved, parent=parent, level=level)


def without(tree: TreeTable, hidden: Bool) -> TreeTable:
    """``tree`` without the ``hidden`` nodes: their children move up, their self time goes to the caller.

    So does kfgraph's own cost. Every total that stays is the same as before, and so is the sum of all self times
    but for that of hidden calls that hit the tracer itself (IN_TRACER): their time was not in their caller's.
    """
    keep = ~hidden
    if keep.all():
        return tree
    n = len(tree)
    gone = np.flatnonzero(hidden).astype(np.int32)
    above = nearest_kept(tree.parent, keep)
    outside = hidden & ((tree.flags & Flag.IN_TRACER) != 0)
    out = np.flatnonzero(outside).astype(np.int32)
    n_outside = covered(out, tree.end[out], n)
    is_outside = (above >= 0) & (n_outside > n_outside[above])

    self_ns, flags = tree.self_ns.copy(), tree.flags.copy()
    given = gone[~is_outside[gone]]
    known = given[tree.self_ns[given] >= 0]
    np.add.at(self_ns, above[known], tree.self_ns[known])
    unknown = above[given[tree.self_ns[given] < 0]]
    unknown = np.append(unknown, np.flatnonzero(tree.self_ns < 0))
    self_ns[unknown] = -1
    flags[unknown[(flags[unknown] & Flag.NO_EXIT) == 0]] |= np.uint32(Flag.SELF_UNKNOWN)
    flags[is_outside & keep] |= np.uint32(Flag.IN_TRACER)

    n_before = np.append(0, np.cumsum(keep)).astype(np.int32)
    level = tree.level - covered(gone, tree.end[gone], n)
    below = gone[above[gone] >= 0]
    moved_up = {
        column.name: rule.into(tree.whole(column.name).copy(), tree.at(column.name, below), above[below])
        for column, rule in tree.merging()
        if column.to_caller
    }
    moved = tree.with_columns(
        parent=np.where(above < 0, -1, n_before[above]).astype(np.int32),
        end=n_before[tree.end],
        level=level.astype(np.int16),
        flags=flags,
        # Unlike in a sum of calls, an unknown part makes it unknown.
        **{**moved_up, "self_ns": self_ns},
    )
    return moved.take(keep)
