"""Which nodes of a tree are shown, and a count of all that is not. Every tree view goes through here."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int16, Int32, Int64, covered
from kfgraph.errors import NoMatchError
from kfgraph.model.names import matching
from kfgraph.model.tree import TreeTable
from kfgraph.render.repeats import fold_repeats, unfolded

ROWS = 80
"""About two screens, where no terminal says how large it is."""
MAX_ROOTS = 20
"""More roots than this are folded, the fastest first."""


class Why(enum.IntEnum):
    """Why a node is not shown. ``OPTION`` says what brings it back."""

    SHOWN = 0
    TIME = 1
    """It took less than what is shown: the least time was chosen so that the rows suffice."""
    MIN = 2
    """It took less than the least time that was asked for."""
    ROWS = 3
    """The number of rows asked for is used up."""
    DEPTH = 4
    COLLAPSED = 5
    OTHER_MATCH = 6
    """It lies below a match that is not open."""
    MORE_ROOTS = 7
    OFF_PATH = 8
    """It does not lead to the function asked for."""


OPTION = {
    Why.TIME: "--min 0",
    Why.MIN: "--min 0",
    Why.ROWS: "--max-rows 0",
    Why.DEPTH: "--depth",
    Why.COLLAPSED: "--collapse",
    Why.OTHER_MATCH: "--nth",
    Why.MORE_ROOTS: "--max-rows 0",
    Why.OFF_PATH: "--calls-to",
}


class Kind(enum.IntEnum):
    """What a row is."""

    CALL = 0
    REST = 1
    """The hidden children of the node above it."""
    LOSS = 2
    EVENT = 3
    """What else stood in the stream, see :mod:`kfgraph.render.places`."""
    OWN_COST = 4
    """What kfgraph itself took, see :mod:`kfgraph.render.ownrows`."""


@dataclass(frozen=True)
class FoldOptions:
    """What to show. None: no such limit.

    With ``max_rows``, the slowest nodes are shown that fit into so many rows. ``limit_asked`` says
    that the user gave that number. ``min_ns`` or ``min_share`` (0..1, of the root) hides what took
    less; ``depth`` counts from the root (0). The globs are names of functions: ``expand`` shows all
    children of those, ``collapse`` none, ``calls_to`` only what leads to one. ``open_roots`` "slowest"
    opens the slowest root alone.
    """

    max_rows: int | None = ROWS
    limit_asked: bool = False
    max_roots: int | None = MAX_ROOTS
    min_ns: int | None = None
    min_share: float | None = None
    depth: int | None = None
    expand: Sequence[str] = ()
    collapse: Sequence[str] = ()
    calls_to: Sequence[str] = ()
    repeats: bool = True
    open_roots: str = "all"


@dataclass(frozen=True)
class Folded:
    """The rows to show, top to bottom, as equal-length columns; and what they leave out.

    ``tree`` has its runs folded: ``times[i]`` members are in node i's run, ``node_of`` maps the nodes
    of the tree before. A CALL row shows ``node``; a REST row stands for the hidden children of
    ``node`` (-1: for hidden roots), at their ``level``. ``hidden_calls``, ``hidden_ns`` and
    ``hidden_losses`` are, for a REST row, what it stands for; for a CALL row, what of its children is
    hidden without a REST row. ``why`` is the first reason of it. ``share`` is of the root's total;
    ``hot`` a parent's slowest child, ``hot_path`` those reached from the root through hot ones only.
    LOSS, EVENT and OWN_COST rows stand in the call ``node`` and say ``texts[text]``; ``hidden_ns`` of an
    OWN_COST row is the cost (-1: not known).
    """

    tree: TreeTable
    times: Int64
    node_of: Int32
    visible: Bool
    kind: npt.NDArray[np.uint8]
    node: Int32
    level: Int16
    hidden_calls: Int64
    hidden_ns: Int64
    hidden_losses: Int64
    why: npt.NDArray[np.uint8]
    share: npt.NDArray[np.float64]
    hot: Bool
    hot_path: Bool
    text: npt.NDArray[np.int32]
    texts: tuple[str, ...] = ()

    ROW_COLUMNS: ClassVar[tuple[str, ...]] = (
        "kind", "node", "level", "hidden_calls", "hidden_ns", "hidden_losses", "why", "share", "hot", "hot_path",
        "text",
    )  # fmt: skip

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def n_hidden(self) -> int:
        """Calls that are not shown."""
        return int(self.hidden_calls.sum())

    @property
    def n_shown(self) -> int:
        """Calls that are."""
        return int(self.tree.count[self.node[self.kind == Kind.CALL]].sum())


def fold(tree: TreeTable, options: FoldOptions) -> Folded:
    """Decide what of ``tree`` is shown.

    Raises:
        NoMatchError: ``expand``, ``collapse`` or ``calls_to`` name no function of the tree.
    """
    repeats = fold_repeats(tree) if options.repeats else unfolded(tree)
    tree = repeats.tree
    why, least_ns = _reasons(tree, options)
    forced = _forced(tree, options, why)
    if options.max_rows is not None:
        fastest_ns = _fit(tree, why, forced, options.max_rows, Why.ROWS if options.limit_asked else Why.TIME)
        least_ns = np.maximum(least_ns, fastest_ns)
    hidden = np.flatnonzero(why).astype(np.int32)
    visible = np.ones(len(tree), np.bool_) if not len(hidden) else covered(hidden, tree.end[hidden], len(tree)) == 0
    return _rows(tree, repeats.times, repeats.node_of, why, visible, least_ns)


def _asked(tree: TreeTable, patterns: Sequence[str], option: str) -> Bool:
    """The nodes whose function a pattern names."""
    wanted: Bool = matching(patterns, tree.labels)[tree.label]
    if not wanted.any():
        raise NoMatchError(f"{option}: no call of {' or '.join(map(repr, patterns))} in this tree", "look with --merge")
    return wanted


def _reasons(tree: TreeTable, options: FoldOptions) -> tuple[npt.NDArray[np.uint8], Int64]:
    """(for every node the reason that hides it, whatever room there is; the least time asked for at it)."""
    n = len(tree)
    why = np.zeros(n, np.uint8)
    roots = tree.roots
    top = tree.parent < 0
    least_ns = np.full(n, options.min_ns or 0, np.int64)
    if options.min_share is not None and n:
        of_root = np.ceil(tree.floor_ns[roots] * options.min_share).astype(np.int64)
        least_ns = np.maximum(least_ns, of_root[_root_of(tree)])
    why[(tree.floor_ns < least_ns) & ~top] = Why.MIN
    if options.depth is not None:
        why[tree.level > options.depth] = Why.DEPTH
    if options.collapse:
        collapsed = _asked(tree, options.collapse, "--collapse")
        why[~top & collapsed[tree.parent]] = Why.COLLAPSED
    off_path = np.zeros(n, np.bool_)
    if options.calls_to:
        n_wanted = np.append(0, np.cumsum(_asked(tree, options.calls_to, "--calls-to")))
        off_path = n_wanted[tree.end] == n_wanted[:-1]
        roots = roots[~off_path[roots]]
    if options.open_roots == "slowest" and len(roots) > 1:
        closed = top.copy()
        closed[roots[np.argmax(tree.floor_ns[roots])]] = False
        why[~top & closed[tree.parent]] = Why.OTHER_MATCH
    if options.max_roots is not None and len(roots) > options.max_roots:
        slow_first = roots[np.argsort(-tree.floor_ns[roots], kind="stable")]
        why[slow_first[options.max_roots :]] = Why.MORE_ROOTS
    why[off_path] = Why.OFF_PATH
    return why, least_ns


def _root_of(tree: TreeTable) -> Int64:
    """The ordinal of each node's root."""
    return np.cumsum(tree.parent < 0) - 1


def _forced(tree: TreeTable, options: FoldOptions, why: npt.NDArray[np.uint8]) -> Bool:
    """The nodes that must show: the way of an error, and what ``expand`` opens with all above it, whatever hid that."""
    forced = tree.parent < 0
    if options.expand:
        opened = _asked(tree, options.expand, "--expand")
        child = (tree.parent >= 0) & opened[tree.parent]
        n_wanted = np.append(0, np.cumsum(child | opened))
        above = n_wanted[tree.end] > n_wanted[:-1]
        off_path = why == Why.OFF_PATH
        why[(child | above) & ~off_path] = Why.SHOWN
        forced = forced | ((child | above) & ~off_path)
    shown: Bool = why == Why.SHOWN
    return (forced | _error_chain(tree, shown)) & shown


def _error_chain(tree: TreeTable, shown: Bool) -> Bool:
    """The calls that handed their root's error up to it: where they end is where it came from."""
    chain = np.zeros(len(tree), np.bool_)
    if "error" in tree.extras:
        error = tree.extras["error"]
        chain[tree.roots] = error[tree.roots] != 0
        for node in np.flatnonzero(shown & (error != 0) & (tree.parent >= 0) & (error == error[tree.parent])).tolist():
            chain[node] = chain[tree.parent[node]]
    return chain


def _fit(tree: TreeTable, why: npt.NDArray[np.uint8], forced: Bool, max_rows: int, reason: Why) -> int:
    """Hide all but the slowest nodes, so that ``max_rows`` rows suffice; writes into ``why``.

    Returns the time of the fastest one that stays: hidden children that together took less get no
    row of their own.
    """
    n = len(tree)
    hidden = np.flatnonzero(why).astype(np.int32)
    free = np.ones(n, np.bool_) if not len(hidden) else covered(hidden, tree.end[hidden], n) == 0
    candidates = np.flatnonzero(free & ~forced)
    slow = _closed(tree, _slowest(tree, candidates, max_rows), forced)
    has_parent = tree.parent >= 0
    n_children = np.bincount(tree.parent[has_parent], minlength=n)
    children_ns = np.zeros(n, np.int64)
    np.add.at(children_ns, tree.parent[has_parent], tree.floor_ns[has_parent])
    always = np.flatnonzero(forced & has_parent)
    n_forced = int(forced.sum())

    def n_rows(k: int) -> int:
        shown = np.concatenate((always, slow[:k]))
        opened, inverse = np.unique(tree.parent[shown], return_inverse=True)
        n_left = n_children[opened] - np.bincount(inverse, minlength=len(opened))
        shown_ns = np.zeros(len(opened), np.int64)
        np.add.at(shown_ns, inverse, tree.floor_ns[shown])
        rest = (n_left > 0) & (children_ns[opened] - shown_ns >= tree.floor_ns[slow[k - 1]])
        return n_forced + k + int(rest.sum())

    low, high = 0, min(len(slow), max_rows)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if n_rows(middle) <= max_rows else (low, middle - 1)
    why[candidates] = np.where(np.isin(candidates, slow[:low]), Why.SHOWN, reason)
    return int(tree.floor_ns[slow[low - 1]]) if low else 0


def _slowest(tree: TreeTable, nodes: Int64, n_wanted: int) -> Int64:
    """Somewhat more than ``n_wanted`` of the nodes, slow ones first, and a parent before its children."""
    n_some = 8 * n_wanted + 64
    if len(nodes) > n_some:
        # What lies above a node took as long as the node: so many of the slowest are enough.
        floor_ns = tree.floor_ns[nodes]
        least = np.partition(floor_ns, len(nodes) - n_some)[len(nodes) - n_some]
        nodes = np.concatenate((nodes[floor_ns > least], nodes[floor_ns == least][:n_some]))
    return nodes[np.lexsort((nodes, tree.level[nodes], -tree.floor_ns[nodes]))]


def _closed(tree: TreeTable, nodes: Int64, forced: Bool) -> Int64:
    """Those of the nodes, in order, whose parent is forced or comes before them."""
    shown = set(np.flatnonzero(forced).tolist())
    closed = []
    for node, parent in zip(nodes.tolist(), tree.parent[nodes].tolist(), strict=True):
        if parent in shown:
            shown.add(node)
            closed.append(node)
    return np.array(closed, np.int64)


def _rows(
    tree: TreeTable, times: Int64, node_of: Int32, why: npt.NDArray[np.uint8], visible: Bool, least_ns: Int64
) -> Folded:
    """The rows. What is hidden at a node gets a row of its own where something else of it shows and it
    took at least ``least_ns``; else it is counted on the node's own row."""
    n = len(tree)
    calls_before = np.append(0, np.cumsum(tree.count))
    shown = np.flatnonzero(visible).astype(np.int32)
    # Hidden nodes whose parent shows (or that are roots): each is counted at its parent; slot n is for roots.
    cut = np.flatnonzero(~visible & np.append(visible, True)[tree.parent]).astype(np.int32)
    at = np.where(tree.parent[cut] < 0, n, tree.parent[cut])
    hidden_calls, hidden_ns = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    np.add.at(hidden_calls, at, calls_before[tree.end[cut]] - calls_before[cut])
    np.add.at(hidden_ns, at, tree.floor_ns[cut])
    reason = np.zeros(n + 1, np.uint8)
    np.maximum.at(reason, at, why[cut])
    opened = np.zeros(n + 1, np.bool_)
    opened[tree.parent[shown]] = True
    opened &= (hidden_ns >= np.append(least_ns, 0)) & (reason != Why.OFF_PATH)
    opened[n] = True

    rest = np.unique(at)
    rest = rest[opened[rest]].astype(np.int32)
    end = np.append(tree.end, n)[rest]
    inline = np.where(opened[shown], 0, hidden_calls[shown])
    inline_ns = np.where(opened[shown], 0, hidden_ns[shown])

    node = np.concatenate((shown, np.where(rest == n, -1, rest).astype(np.int32)))
    is_rest = np.repeat([False, True], [len(shown), len(rest)])
    level = np.concatenate((tree.level[shown], np.append(tree.level, np.int16(-1))[rest] + np.int16(1)))
    where = np.concatenate((shown, end))
    # Before the node at the same place, the deepest first.
    order = np.lexsort((-level, ~is_rest, where)) if len(rest) else np.arange(len(shown))
    floor = np.maximum(tree.floor_ns[tree.roots], 0)
    whole = floor[_root_of(tree)] if n else floor
    shown_ns = np.concatenate((tree.floor_ns[shown], hidden_ns[rest]))
    whole_ns = np.append(whole, 0)[node]
    share = np.where(whole_ns > 0, shown_ns / np.maximum(whole_ns, 1), -1.0)
    hot, hot_path = _hot(tree)
    return Folded(
        tree=tree,
        times=times,
        node_of=node_of,
        visible=visible,
        kind=np.where(is_rest, Kind.REST, Kind.CALL).astype(np.uint8)[order],
        node=node[order],
        level=level[order],
        hidden_calls=np.concatenate((inline, hidden_calls[rest]))[order],
        hidden_ns=np.concatenate((inline_ns, hidden_ns[rest]))[order],
        hidden_losses=np.zeros(len(order), np.int64),
        why=np.concatenate((reason[shown], reason[rest]))[order],
        share=share[order],
        hot=np.append(hot, False)[np.where(is_rest, n, node)][order],
        hot_path=np.append(hot_path, False)[np.where(is_rest, n, node)][order],
        text=np.full(len(order), -1, np.int32),
    )


def _hot(tree: TreeTable) -> tuple[Bool, Bool]:
    """(the slowest child of each parent, those reached from a root through such children only).

    Of equally slow children the first is hot; one without any time is not.
    """
    n = len(tree)
    child = np.flatnonzero(tree.parent >= 0)
    most = np.zeros(n, np.int64)
    np.maximum.at(most, tree.parent[child], tree.floor_ns[child])
    best = child[(tree.floor_ns[child] == most[tree.parent[child]]) & (tree.floor_ns[child] > 0)][::-1]
    hottest = np.full(n, -1, np.int64)
    hottest[tree.parent[best]] = best
    hot = np.zeros(n, np.bool_)
    hot[hottest[hottest >= 0]] = True
    cold = np.flatnonzero(~hot & (tree.parent >= 0)).astype(np.int32)
    return hot, covered(cold, tree.end[cold], n) == 0
