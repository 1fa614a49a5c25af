"""Which nodes of a tree are shown, and a count of all that is not. Every tree view goes through here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64, counted, covered, numbered
from kfgraph.analyze.named_calls import NONE_NAMED, named_in
from kfgraph.analyze.repeats import Repeats, fold_repeats, unfolded
from kfgraph.analyze.row_budget import Fit, children_of
from kfgraph.analyze.sibling_groups import Gathered, gather
from kfgraph.analyze.tree_errors import failed, failures, unsure_failures
from kfgraph.analyze.tree_rows import Folded, Kind
from kfgraph.analyze.visibility import (
    READABLE,
    FoldOptions,
    Why,
    asked_for,
    close_interrupts,
    ends_of,
    interrupts,
    open_ways,
    open_what_shows,
    reasons,
    root_of,
    wholes_of,
)
from kfgraph.model.arrays import distinct
from kfgraph.model.tree import NodeKind, TreeTable

__all__ = ["FoldOptions", "Folded", "Kind", "Why", "fold"]

LOOP_ROWS = 48
"""So many rows at most where calls of one function are gathered: they are sums, a screen of them is enough."""
_MUCH = 0.05
"""Where more than this share of a root is hidden at a node, its callees are gathered."""
_LITTLE = 0.002
"""What took less than this share of the root gets no row for being slow."""
_GROUPS = 24
"""So many gathered rows at least find room."""
_WANTED_GROUPS = 60
"""So many gathered rows at most are there for being asked for."""
_COST_ROWS = 6
"""Room for rows of kfgraph's own cost, where there may be no more rows than asked for."""


@dataclass(eq=False, repr=False)
class _Choice:
    """What is shown of ``tree``: the reason that hides each node, and the least time of a row of hidden ones; whether
    interrupts are open."""

    tree: TreeTable
    times: Int64
    is_sum: Bool
    why: npt.NDArray[np.uint8]
    least_ns: Int64
    opens: bool

    def visible(self) -> Bool:
        """The nodes that show: neither hidden nor below a hidden one."""
        return open_ways(self.tree, self.why == Why.SHOWN)


def fold(
    tree: TreeTable, options: FoldOptions, *, places: Int32 | None = None, repeats: Repeats | None = None
) -> Folded:
    """Decide which nodes of ``tree`` are shown; the rows are in pre-order, with counts of what each hides.

    Args:
        places: nodes in which something happened that was asked for (a loss, an event): they and their callers show.
        repeats: the ``first_repeats`` of ``tree``, where it was folded before.

    Raises:
        NoMatchError: ``expand``, ``collapse`` or ``calls_to`` name no function of the tree; ``errors``: there is none.
    """
    first = repeats = repeats or (fold_repeats(tree) if options.repeats else unfolded(tree))
    folded = _folded(tree, repeats, options, places)
    if folded.gathers_much and repeats.tree.has("kind") and (repeats.tree.kind == NodeKind.LOOP).any():
        # Where calls of one function are summed up, all of them are.
        repeats = fold_repeats(tree, sequences=False)
        folded = _folded(tree, repeats, options, places)
    limit = options.max_rows
    if options.no_more and limit is not None:
        most, room = limit - min(int(np.count_nonzero(tree.own_cost_ns)), _COST_ROWS), limit
        while len(folded) > most and room > 1:
            room = room * 3 // 4
            n_roots = min(options.max_roots or room, max(room // 2, 1))
            folded = _folded(tree, repeats, replace(options, max_rows=room, max_roots=n_roots), places)
    return replace(folded, first_repeats=first)


def _folded(tree: TreeTable, repeats: Repeats, options: FoldOptions, places: Int32 | None) -> Folded:
    n_errors = int(failures(tree).sum())
    tree, made, named = repeats.tree, None, NONE_NAMED
    why, asked_ns = reasons(tree, options)
    closed = close_interrupts(tree, options, why)
    at = np.zeros(0, np.int32) if places is None else repeats.node_of[places]
    asked = asked_for(tree, options, why, at)
    open_what_shows(tree, closed, why)
    opens = options.open_irq or bool(options.calls_to) or options.errors
    choice = _Choice(tree, repeats.times, np.zeros(len(tree), np.bool_), why, asked_ns, opens)
    limit, fit = options.max_rows, None
    reason = Why.ROWS if options.limit_asked else Why.TIME
    free = choice.visible()
    if limit is not None:
        fit = Fit(tree, free, asked.forced, most=limit)
        _fill(choice, fit, limit, reason, asked_ns)
    most_ways = limit // 2 if options.no_more and limit is not None else READABLE
    if asked.complete(tree, why, choice.visible(), most_ways) and limit is not None:
        fit = Fit(tree, free, asked.forced, most=limit)
        _fill(choice, fit, limit, reason, asked_ns)
    visible = choice.visible()
    if options.open_irq and len(closed):
        visible = _opened(choice, visible, closed, limit, reason)
    gathers_much = False
    if options.repeats:
        much = _much_hidden(choice, visible)
        if fit is not None and limit is not None and much.any():
            if not options.limit_asked:
                limit = min(max(LOOP_ROWS, fit.n_forced + _GROUPS), limit)
            _fill(choice, fit, (fit.n_forced + limit) // 2, reason, asked_ns, least_share=_LITTLE)
            visible = choice.visible()
            much |= _much_hidden(choice, visible)
        gathers_much = bool(much.any())
        most = limit if options.no_more and limit is not None else _WANTED_GROUPS
        if asked.named is not None or options.limit_asked:
            most = max(most, options.max_rows or 0)
        single = choice
        gathered = _gathered(single, visible, much, asked.wanted, limit, most)
        if options.limit_asked and limit is not None and fit is not None and much.any():
            # What the groups leave of the rows that were asked for is room for single calls.
            n_groups = 0 if gathered is None else int((gathered[0].visible() & gathered[0].is_sum).sum())
            if (fit.n_forced + limit) // 2 + n_groups < limit:
                _fill(single, fit, limit - n_groups, reason, asked_ns, least_share=_LITTLE)
                gathered = _gathered(single, visible := single.visible(), much, asked.wanted, limit, most)
        if gathered is not None:
            choice, made = gathered
            visible = choice.visible()
        if gathered is not None and fit is not None and asked.named is not None:
            # What was named and does not fit is combined from the roots on, if more of it is shown then.
            single.why[fit.candidates] = reason
            again = _gathered(single, single.visible(), np.zeros(len(tree), np.bool_), asked.wanted, limit, most)
            if again is not None:
                named = named_in(tree, asked.named, options, again[0].visible(), again[1])
                if named.n_hidden < named_in(tree, asked.named, options, visible, made).n_hidden:
                    choice, made = again
                    visible = choice.visible()
    if asked.named is not None:
        n_rows = named.n_merged_rows
        named = named_in(tree, asked.named, options, visible, made)
        named = named._replace(n_merged_rows=n_rows or named.n_merged_rows)
        gathers_much |= named.n_hidden > 0 and options.repeats
    unsure = np.flatnonzero(unsure_failures(tree) | (asked.chain & ~failed(tree)))
    unsure = unsure[~visible[unsure if made is None else made.node_of[unsure]]]
    n_unsure = int(tree.at("n_errors", unsure).sum())
    readable_ns = _readable_ns(tree, fit)
    shown = _rows(choice, repeats, made, visible, n_errors=(n_errors, n_unsure), readable_ns=readable_ns)
    return replace(shown, gathers_much=gathers_much, named=named)


def _opened(choice: _Choice, visible: Bool, closed: Int64, limit: int | None, reason: Why) -> Bool:
    """Show also what the interrupts among the ``visible`` nodes are made of, which is ``closed``: the slowest of it, in
    rows besides the ``limit``. All nodes that are visible then."""
    tree, why = choice.tree, choice.why
    why[closed[why[closed] == Why.INTERRUPT]] = Why.SHOWN
    opened = choice.visible()
    if limit is not None:
        fit = Fit(tree, opened, visible, most=limit)
        chosen, _ = fit.choose(2 * fit.n_forced + limit // 2)
        why[fit.candidates] = reason
        why[chosen] = Why.SHOWN
        opened = choice.visible()
    return opened


def _fill(choice: _Choice, fit: Fit, limit: int, reason: Why, asked_ns: Int64, *, least_share: float = 0) -> None:
    """Hide all but the slowest nodes, so that ``limit`` rows suffice, and what took less than a share of its root."""
    chosen, fastest_ns = fit.choose(limit)
    if least_share and len(chosen):
        tree = choice.tree
        of_root = wholes_of(tree, chosen) * least_share
        chosen = chosen[tree.floor_ns[chosen] >= of_root]
    choice.why[fit.candidates] = reason
    choice.why[chosen] = Why.SHOWN
    # One number for all nodes takes no room.
    same = asked_ns.strides == (0,)
    least_ns = np.maximum(asked_ns[:1] if same else asked_ns, fastest_ns)
    choice.least_ns = np.broadcast_to(least_ns, asked_ns.shape)


def _cut(choice: _Choice, visible: Bool) -> Int32:
    """The hidden children of nodes that show, hidden for the time they took."""
    parent = choice.tree.parent
    by_time = (choice.why > 0) & (choice.why <= Why.ROWS)
    return np.flatnonzero(by_time & (parent >= 0) & visible[parent]).astype(np.int32)


def _much_hidden(choice: _Choice, visible: Bool) -> Bool:
    """The nodes at which so much time of calls of the same functions is hidden that a count of it says too little."""
    tree = choice.tree
    much = np.zeros(len(tree), np.bool_)
    if not len(tree) or not (tree.row >= 0).any():
        # Of a merged tree siblings are sums already.
        return much
    cut = _cut(choice, visible)
    parent = tree.parent[cut]
    hidden = _sums_at(parent, tree.floor_ns[cut], len(tree))
    roots_ns = tree.floor_ns[tree.roots]
    root_ns = np.maximum(roots_ns, roots_ns.sum() // 5)[root_of(tree, cut)]
    cut = cut[(hidden[parent] > root_ns * _MUCH) & (hidden[parent] > choice.least_ns[parent])]
    if not len(cut):
        return much
    parent = tree.parent[cut]
    _, nth = numbered(parent)
    first, which = numbered(nth * len(tree.labels) + tree.label[cut])
    n_members = np.bincount(which)
    total = _sums_at(which, tree.floor_ns[cut], len(first))
    at = parent[first]
    root_ns = np.maximum(roots_ns, roots_ns.sum() // 5)[root_of(tree, at)]
    worth = (n_members > 1) & (total >= choice.least_ns[at]) & (total >= root_ns * _LITTLE)
    grouped = _sums_at(at[worth], total[worth], len(tree))
    much[at] = grouped[at] > root_ns * _MUCH
    return much


def _sums_at(at: npt.NDArray[Any], values: Int64, n: int) -> Int64:
    sums = np.zeros(n, np.int64)
    np.add.at(sums, at.astype(np.intp, copy=False), values)
    return sums


def _holding(tree: TreeTable, nodes: Int32, some: Bool) -> Bool:
    """Which of the ``nodes`` are one of ``some``, or have one below them."""
    if not some.any():
        return np.zeros(len(nodes), np.bool_)
    n_before = counted(some)
    return n_before[tree.end[nodes]] > n_before[nodes]


def _gathered(
    choice: _Choice, visible: Bool, much: Bool, wanted: Bool, limit: int | None, n_wanted_groups: int
) -> tuple[_Choice, Gathered] | None:
    """``choice`` with the hidden callees gathered where ``much`` is hidden, and where ``wanted`` nodes are, in so many
    groups at most."""
    tree = choice.tree
    cut = _cut(choice, visible)
    wanted = wanted & ~visible
    holds_wanted = _holding(tree, cut, wanted)
    # kfgraph's own cost is said with the call that holds it: that stays a call.
    if tree.has("own_cost_ns"):
        some = ~_holding(tree, cut, tree.own_cost_ns != 0) | holds_wanted
        cut, holds_wanted = cut[some], holds_wanted[some]
    # An interrupt stays closed, also where what it is made of is hidden for its time.
    if not choice.opens and tree.has("n_interrupts"):
        cut = cut[(tree.at("kind", tree.parent[cut]) != NodeKind.INTERRUPT) | holds_wanted]
    parent = tree.parent[cut]
    never = np.iinfo(np.int64).max
    if not len(cut):
        return None
    little = (wholes_of(tree, parent) * _LITTLE).astype(np.int64)
    least = np.where(much[parent], np.maximum(choice.least_ns[parent], little), never)
    made = gather(tree, cut, wanted, least)
    if made is None:
        return None
    new = made.tree
    n_new = len(new)
    why = np.full(n_new, int(choice.why[cut].max()), np.uint8)
    times = new.count.copy()
    least_ns = np.full(n_new, never, np.int64)
    in_groups = new.at("kind", made.now) == NodeKind.LOOP
    np.add.at(times, made.now[in_groups], choice.times[made.nodes[in_groups]])
    kept = made.kept_now
    for column, before in ((why, choice.why), (times, choice.times), (least_ns, choice.least_ns)):
        column[kept] = before[made.kept_nodes]
    wanted_now = np.zeros(n_new, np.bool_)
    wanted_now[made.node_of[wanted]] = True
    holds = _holding(new, np.arange(n_new, dtype=np.int32), wanted_now)
    of_groups = interrupts(new)
    of_groups = of_groups[made.is_group[of_groups]]
    inside = (covered(of_groups + np.int32(1), new.end[of_groups], n_new) > 0) & ~holds
    groups = np.flatnonzero(made.is_group)
    ends = ends_of(new, holds & made.is_group)
    order = groups[np.lexsort((groups, -new.floor_ns[groups], ~ends[groups], inside[groups]))]
    if not choice.opens:
        parts = children_of(new, of_groups)
        why[parts[~holds[parts]]] = Why.INTERRUPT
        order = order[~inside[order]]
    room = _GROUPS
    if limit is not None:
        # What is hidden has a row where something of the same caller shows, and where groups come.
        some = much.copy()
        some[tree.parent[visible & (tree.parent >= 0)]] = True
        hidden = _sums_at(parent, tree.floor_ns[cut], len(tree))
        room = limit - int(visible.sum()) - int((some & (hidden > 0) & (hidden >= choice.least_ns)).sum())
    shown = np.zeros(n_new, np.bool_)
    shown[kept] = True
    n_shown, n_inside = 0, 0
    for node in order.tolist():
        # What was asked for shows with all that leads to it, or not at all.
        way = [node]
        while ends[node] and not shown[new.parent[way[-1]]]:
            way.append(int(new.parent[way[-1]]))
        most = n_wanted_groups if ends[node] else room
        if inside[node]:
            # Interrupts that are opened have rows besides.
            most, n_inside = n_shown + 1 if n_inside < _GROUPS else 0, n_inside + 1
        if n_shown < most and shown[new.parent[way[-1]]] and not (holds[node] and not ends[node]):
            shown[way] = True
            n_shown += len(way)
    why[groups[shown[groups]]] = Why.SHOWN
    return _Choice(new, times, made.is_group, why, least_ns, choice.opens), made


def _rows(
    choice: _Choice,
    repeats: Repeats,
    gathered: Gathered | None,
    visible: Bool,
    *,
    n_errors: tuple[int, int],
    readable_ns: int,
) -> Folded:
    """The rows. What is hidden at a node gets a row of its own where something else of it shows and it
    took at least ``least_ns``; else it is counted on the node's own row."""
    tree, times, why, least_ns = choice.tree, choice.times, choice.why, choice.least_ns
    n = len(tree)
    shown = np.flatnonzero(visible).astype(np.int32)
    # Hidden nodes whose parent shows (or that are roots): each is counted at its parent; slot n is for roots.
    cut = np.flatnonzero(~visible & np.append(visible, True)[tree.parent]).astype(np.int32)
    at = np.where(tree.parent[cut] < 0, n, tree.parent[cut])
    hidden_calls, hidden_ns = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    np.add.at(hidden_calls, at, tree.n_calls(cut))
    np.add.at(hidden_ns, at, tree.floor_ns[cut])
    reason = np.zeros(n + 1, np.uint8)
    np.maximum.at(reason, at, why[cut])
    opened = np.zeros(n + 1, np.bool_)
    parents = tree.parent[shown[tree.parent[shown] >= 0]]
    opened[parents] = (hidden_ns[parents] >= least_ns[parents]) & (reason[parents] != Why.OFF_PATH)
    opened[n] = True

    rest = distinct(at)
    rest = rest[opened[rest]].astype(np.int32)
    of_roots = rest == n
    end, rest_level = np.full(len(rest), n, np.int32), np.full(len(rest), -1, np.int16)
    end[~of_roots], rest_level[~of_roots] = tree.end[rest[~of_roots]], tree.level[rest[~of_roots]]
    inline = np.where(opened[shown], 0, hidden_calls[shown])
    inline_ns = np.where(opened[shown], 0, hidden_ns[shown])

    node = np.concatenate((shown, np.where(of_roots, -1, rest).astype(np.int32)))
    is_rest = np.repeat([False, True], [len(shown), len(rest)])
    level = np.concatenate((tree.level[shown], rest_level + np.int16(1)))
    where = np.concatenate((shown, end))
    # Before the node at the same place, the deepest first.
    order = np.lexsort((-level, ~is_rest, where)) if len(rest) else np.arange(len(shown))
    shown_ns = np.concatenate((tree.floor_ns[shown], hidden_ns[rest]))
    whole_ns = np.zeros(len(node), np.int64)
    whole_ns[node >= 0] = np.maximum(wholes_of(tree, node[node >= 0]), 0)
    share = np.where(whole_ns > 0, shown_ns / np.maximum(whole_ns, 1), -1.0)
    hot, hot_path = _hot(tree, shown)
    no_heat = np.zeros(len(rest), np.bool_)
    return Folded(
        tree=tree,
        times=times,
        is_sum=choice.is_sum,
        repeats=repeats,
        gathered=gathered,
        visible=visible,
        n_errors_hidden=n_errors[0] - int(failures(tree)[shown].sum()),
        n_unsure_hidden=n_errors[1],
        readable_ns=readable_ns,
        kind=np.where(is_rest, Kind.REST, Kind.CALL).astype(np.uint8)[order],
        node=node[order],
        level=level[order],
        hidden_calls=np.concatenate((inline, hidden_calls[rest]))[order],
        hidden_ns=np.concatenate((inline_ns, hidden_ns[rest]))[order],
        hidden_losses=np.zeros(len(order), np.int64),
        hidden_events=np.zeros(len(order), np.int64),
        why=np.concatenate((reason[shown], reason[rest]))[order],
        share=share[order],
        hot=np.append(hot, no_heat)[order],
        hot_path=np.append(hot_path, no_heat)[order],
        detail=np.full(len(order), -1, np.int32),
    )


def _readable_ns(tree: TreeTable, fit: Fit | None) -> int:
    """A least time that about READABLE nodes took; 0 if there are no more nodes."""
    n = len(tree)
    if n <= READABLE:
        return 0
    found = fit.ns_at(READABLE) if fit is not None else 0
    return 1 + (found or int(np.partition(tree.floor_ns, n - READABLE)[n - READABLE]))


def _hot(tree: TreeTable, shown: Int32) -> tuple[Bool, Bool]:
    """(which of the nodes ``shown`` are the slowest child of their parent, which of them are reached from a root
    through such children only); what leads to one of them is one of them.

    Of equally slow children the first is hot; one without any time is not.
    """
    n = len(tree)
    child = children_of(tree, tree.parent[shown])
    # An interrupt is no callee, nor is a task.
    child = child[~np.isin(tree.at("kind", child), (NodeKind.INTERRUPT, NodeKind.MADE))]
    parent, floor_ns = tree.parent[child], tree.floor_ns[child]
    most = np.zeros(n, np.int64)
    np.maximum.at(most, parent, floor_ns)
    best = (floor_ns == most[parent]) & (floor_ns > 0)
    hottest = np.full(n + 1, -1, np.int32)
    # The last assignment counts.
    hottest[parent[best][::-1]] = child[best][::-1]
    hot: Bool = hottest[tree.parent[shown]] == shown
    cold = np.flatnonzero(~hot & (tree.parent[shown] >= 0)).astype(np.int32)
    end = np.searchsorted(shown, tree.end[shown[cold]]).astype(np.int32)
    return hot, covered(cold, end, len(shown)) == 0
