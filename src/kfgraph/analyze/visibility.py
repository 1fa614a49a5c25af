"""Which nodes of a tree are visible: the reasons that hide nodes, and the nodes that are always shown."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64, by_level, covered
from kfgraph.analyze.row_budget import children_of, within
from kfgraph.analyze.select import nearest
from kfgraph.analyze.tree_errors import chains, failed, seems_failed
from kfgraph.errors import NoMatchError
from kfgraph.model.arrays import distinct
from kfgraph.model.names import matching
from kfgraph.model.tree import NodeKind, TreeTable

ROWS = 80
"""About two screens, where no terminal says how large it is."""
MAX_ROOTS = 20
"""More roots than this are folded, the fastest first."""
READABLE = 400
"""So many rows at most come from what a hint says to type."""
_LEAST_ROOM = 24
"""Rows for what must show, however few there are for the rest."""
_FEW = 3
"""Calls that failed in one way more often than this are shown together."""


class Why(enum.IntEnum):
    """Why a node is not shown."""

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
    INTERRUPT = 9
    """It is in an interrupt, which is one row."""


@dataclass(frozen=True)
class FoldOptions:
    """What to show. None: no such limit.

    With ``max_rows``, the slowest nodes are shown that fit into so many rows; what must show may need more, but where
    that is all the room there is (``no_more``), what does not fit of it is counted. ``limit_asked`` says that the user
    gave that number. ``min_ns`` or ``min_share`` (0..1, of the root) hides what took
    less; ``depth`` counts from the root (0). The globs are names of functions: ``expand`` shows all
    children of those, ``collapse`` none, ``calls_to`` only what leads to one; ``errors`` only what leads to
    a call that failed; both only what leads to a call of one that failed. ``open_roots`` "one" opens one root alone,
    see :func:`open_root`. An interrupt is one row, unless ``open_irq`` opens all, something must show in it, nothing is
    folded (not ``repeats``), or all rows lead to what was asked for (``calls_to``, ``errors``).
    """

    max_rows: int | None = ROWS
    limit_asked: bool = False
    no_more: bool = False
    max_roots: int | None = MAX_ROOTS
    min_ns: int | None = None
    min_share: float | None = None
    depth: int | None = None
    expand: Sequence[str] = ()
    collapse: Sequence[str] = ()
    calls_to: Sequence[str] = ()
    errors: bool = False
    repeats: bool = True
    open_roots: str = "all"
    open_irq: bool = False


def roots_for(max_rows: int | None) -> int:
    """How many roots have rows, where so many rows were asked for (None: none were)."""
    return MAX_ROOTS if max_rows is None else max(max_rows // 2, 1)


def reasons(tree: TreeTable, options: FoldOptions) -> tuple[npt.NDArray[np.uint8], Int64]:
    """(for every node the reason that hides it, whatever room there is; the least time asked for at it).

    Raises:
        NoMatchError: what was asked for is not in the tree.
    """
    n = len(tree)
    why = np.zeros(n, np.uint8)
    roots = tree.roots
    top = tree.parent < 0
    least_ns: Int64 = np.broadcast_to(np.int64(options.min_ns or 0), n)
    if options.min_share is not None and n:
        of_root = np.ceil(tree.floor_ns[roots] * options.min_share).astype(np.int64)
        least_ns = np.maximum(least_ns, np.repeat(of_root, tree.end[roots] - roots))
    if options.min_ns or options.min_share is not None:
        why[(tree.floor_ns < least_ns) & ~top] = Why.MIN
    if options.depth is not None:
        why[tree.level - _n_added_around(tree) > options.depth] = Why.DEPTH
    if options.collapse:
        collapsed = _asked(tree, options.collapse, "--collapse")
        why[~top & collapsed[tree.parent]] = Why.COLLAPSED
    off_path = np.zeros(n, np.bool_)
    leads_to = _leads_to(tree, options)
    if leads_to is not None:
        off_path = ~ways_to(tree, leads_to)
        roots = roots[~off_path[roots]]
    elif options.open_roots == "one" and len(roots) > 1:
        closed = top.copy()
        closed[open_root(tree)] = False
        why[~top & closed[tree.parent]] = Why.OTHER_MATCH
    if options.max_roots is not None and len(roots) > options.max_roots:
        first = roots[np.lexsort((-tree.floor_ns[roots], ~seems_failed(tree)[roots], ~failed(tree)[roots]))]
        why[first[options.max_roots :]] = Why.MORE_ROOTS
    why[off_path] = Why.OFF_PATH
    return why, least_ns


def close_interrupts(tree: TreeTable, options: FoldOptions, why: npt.NDArray[np.uint8]) -> Int64:
    """Hide what interrupts are made of, where nothing else does; gives these nodes. None where nothing is folded, or
    all that shows leads to what was asked for."""
    if not (tree.has("n_interrupts") and options.repeats) or options.calls_to or options.errors:
        return np.zeros(0, np.int64)
    parts: Int64 = children_of(tree, interrupts(tree))
    parts = parts[why[parts] == Why.SHOWN]
    why[parts] = Why.INTERRUPT
    return parts


def open_what_shows(tree: TreeTable, closed: Int64, why: npt.NDArray[np.uint8]) -> None:
    """Open the interrupts, made of ``closed``, of which something shows."""
    shown = closed[why[closed] == Why.SHOWN]
    if len(shown):
        opened = np.zeros(len(tree), np.bool_)
        opened[tree.parent[shown]] = True
        why[closed[opened[tree.parent[closed]]]] = Why.SHOWN


def open_root(tree: TreeTable) -> int:
    """The root that is open where one is: the first that failed, else one that seems to have, else the slowest."""
    roots = tree.roots
    for which in (failed(tree), seems_failed(tree)):
        failing = roots[which[roots]]
        if len(failing):
            return int(failing[0])
    return int(roots[np.argmax(tree.floor_ns[roots])])


class Asked(NamedTuple):
    """``forced`` nodes show whatever their time is, each with what leads to it. Of ``wanted`` ones the function, and
    the result, must be on a row. ``named`` ones are those that ``calls_to`` asks for (None: it was not given), also
    where ``depth`` or the like hides them. ``chain`` nodes are in chains of errors, which end at ``origins`` where
    these have rows of their own."""

    forced: Bool
    wanted: Bool
    named: Bool | None
    chain: Bool
    origins: Int64

    def complete(self, tree: TreeTable, why: npt.NDArray[np.uint8], visible: Bool, most: int = READABLE) -> bool:
        """Force one origin below each row of a chain of which none shows; whether there was any."""
        hidden = self.origins[~visible[self.origins]]
        if not len(hidden):
            return False
        above = tree.parent[hidden]
        while (out := (above >= 0) & ~visible[above]).any():
            above[out] = tree.parent[above[out]]
        # Of several the last that returned what the row says: after it, the row's call failed.
        error = tree.error
        order = np.lexsort((hidden, error[hidden] == error[above], above))
        last = order[np.append(above[order][1:] != above[order][:-1], True)]
        last = last[(above[last] >= 0) & self.chain[above[last]]]
        shown = np.zeros(len(tree), np.bool_)
        shown[self.origins[visible[self.origins]]] = True
        n_shown = np.append(0, np.cumsum(shown))
        last = last[n_shown[tree.end[above[last]]] == n_shown[above[last]]]
        ways, _ = within(tree, hidden[last].astype(np.int64), self.forced, most)
        self.forced[ways] = True
        why[ways] = Why.SHOWN
        return len(ways) > 0


def asked_for(tree: TreeTable, options: FoldOptions, why: npt.NDArray[np.uint8], places: Int32) -> Asked:
    """What must show, whatever room there is. Takes reasons that give way out of ``why``.

    That is: the roots, what ``expand`` opens, the calls that ``calls_to`` and ``errors`` ask for, every chain of
    errors down to its origin, and the ``places``. A few of a kind get rows of their own, many are shown together.
    """
    forced = tree.parent < 0
    if options.expand:
        opened = _with_loops(tree, _asked(tree, options.expand, "--expand"))
        child = (tree.parent >= 0) & opened[tree.parent]
        ways = ways_to(tree, child | opened) & (why != Why.OFF_PATH)
        why[ways] = Why.SHOWN
        forced |= ways
    least_room = 0 if options.no_more else _LEAST_ROOM
    limit = max((options.max_rows or ROWS) // 2, least_room) if options.repeats else None
    is_firm = np.zeros(len(Why), np.bool_)
    is_firm[list(_FIRM)] = True
    reached = open_ways(tree, ~is_firm[why])

    def force(nodes: Int64, *, all_or_none: bool = False, most: int | None = limit) -> None:
        ways, n_done = within(tree, nodes, forced, most)
        if n_done == len(nodes) or not all_or_none:
            forced[ways] = True
            why[ways] = Why.SHOWN

    wanted = np.zeros(len(tree), np.bool_)
    leads_to = _leads_to(tree, options)
    if leads_to is not None:
        wanted |= leads_to & reached
        # With calls_to nothing but what leads there needs room.
        room = max(limit, options.max_rows or ROWS) if limit and options.calls_to else limit
        force(np.flatnonzero(wanted), all_or_none=True, most=room)
    chain = chains(tree)
    errors = (chain | failed(tree)) & reached
    wanted |= errors
    single = _singles(tree, errors)
    origins = np.flatnonzero(ends_of(tree, single & chain))
    most = READABLE if options.errors and limit and not options.limit_asked else limit
    # A chain shows from its system call down to its origin, or not at all.
    force(np.concatenate((origins, np.flatnonzero(single & ~chain))), most=most)
    if len(places):
        # What happened in an interrupt is shown on its row.
        outside = is_firm.copy()
        outside[Why.INTERRUPT] = True
        force(places[open_ways(tree, ~outside[why])[places]].astype(np.int64))
    named = leads_to if options.calls_to else None
    return Asked(forced & (why == Why.SHOWN), wanted, named, chain, origins)


def ends_of(tree: TreeTable, nodes: Bool) -> Bool:
    """Those of the nodes that have none of them below."""
    if not nodes.any():
        return nodes
    n_before = np.append(0, np.cumsum(nodes))
    ends: Bool = nodes & (n_before[tree.end] - n_before[:-1] == 1)
    return ends


def _singles(tree: TreeTable, errors: Bool) -> Bool:
    """Those of the failed calls that are few of their function and error, below such ones only.

    Below a failed call only its own callees are counted: what cannot be shown together is apart.
    """
    single = np.zeros(len(tree), np.bool_)
    nodes = np.flatnonzero(errors)
    if not len(nodes):
        return single
    kind = tree.label[nodes].astype(np.int64) << 16 | (tree.error[nodes].astype(np.int64) & 0xFFFF)
    parent = tree.parent[nodes].astype(np.int64)
    below = np.where((parent >= 0) & errors[parent], parent, -1)
    order = np.lexsort((kind, below))
    new = np.append(True, (kind[order][1:] != kind[order][:-1]) | (below[order][1:] != below[order][:-1]))
    inverse = np.empty(len(nodes), np.int64)
    inverse[order] = np.cumsum(new) - 1
    times = np.bincount(inverse)
    for node, few in zip(nodes.tolist(), (times[inverse] <= _FEW).tolist(), strict=True):
        above = tree.parent[node]
        single[node] = few and (above < 0 or not errors[above] or single[above])
    return single


def _asked(tree: TreeTable, patterns: Sequence[str], option: str) -> Bool:
    """The nodes whose function a pattern names; each must name one."""
    found = np.zeros(len(tree), np.bool_)
    for pattern in patterns:
        named = matching([pattern], tree.labels)
        wanted: Bool = named[tree.label]
        if not wanted.any():
            here = {tree.labels[label] for label in distinct(tree.label)}
            hint = "kfgraph top shows the functions of a trace"
            if named.any():
                hint = "it is called elsewhere in the trace: widen the filters"
            raise NoMatchError(f"{option}: no call of {pattern!r} in this tree", nearest(pattern, here) or hint)
        found |= wanted
    return found


def _with_loops(tree: TreeTable, opened: Bool) -> Bool:
    """The nodes, and the loops that are directly below them: what repeats there are their callees too."""
    loops = _of_kinds(tree, NodeKind.LOOP)
    while len(new := loops[opened[tree.parent[loops]] & ~opened[loops]]):
        opened[new] = True
    return opened


def _n_added_around(tree: TreeTable) -> Int32 | int:
    """In how many loops and interrupts each node is: these are no levels of calls."""
    added = _of_kinds(tree, NodeKind.LOOP, NodeKind.INTERRUPT)
    return covered(added + np.int32(1), tree.end[added], len(tree)) if len(added) else 0


def interrupts(tree: TreeTable) -> Int32:
    """The nodes that are interrupts."""
    return _of_kinds(tree, NodeKind.INTERRUPT)


def _of_kinds(tree: TreeTable, *kinds: NodeKind) -> Int32:
    some = np.isin(tree.kind, kinds) if tree.has("kind") else np.zeros(0, np.bool_)
    return np.flatnonzero(some).astype(np.int32)


def _leads_to(tree: TreeTable, options: FoldOptions) -> Bool | None:
    """The nodes that alone are of interest, with what leads to them; None: all are."""
    if not (options.calls_to or options.errors):
        return None
    wanted = np.ones(len(tree), np.bool_)
    if options.calls_to:
        wanted &= _asked(tree, options.calls_to, "--calls-to")
    if options.errors:
        errors = failed(tree) | chains(tree)
        if not errors.any():
            raise NoMatchError("--errors: no call in this tree failed, as far as results were recorded", "leave it out")
        wanted &= errors
    if not wanted.any():
        functions = " or ".join(map(repr, options.calls_to))
        what = f"--calls-to with --errors: no call of {functions} failed, as far as results were recorded"
        raise NoMatchError(what, "leave one of them out")
    return wanted


def ways_to(tree: TreeTable, nodes: Bool) -> Bool:
    """The nodes, and all that leads to them."""
    n_before = np.append(0, np.cumsum(nodes))
    ways: Bool = n_before[tree.end] > n_before[:-1]
    return ways


def root_of(tree: TreeTable, nodes: npt.NDArray[Any]) -> Int64:
    """The ordinal of the root of each of the nodes."""
    if len(nodes) < len(tree) // 8:
        return np.searchsorted(tree.roots, nodes, side="right") - 1
    ordinal: Int64 = (np.cumsum(tree.parent < 0) - 1)[nodes]
    return ordinal


def wholes_of(tree: TreeTable, nodes: npt.NDArray[Any]) -> Int64:
    """Of what each of the nodes is a share: the time of its root, or of a task below a call that it is in."""
    below = tree.tasks_below
    if not len(below):
        whole_ns: Int64 = tree.floor_ns[tree.roots][root_of(tree, nodes)]
        return whole_ns
    heads = np.sort(np.append(tree.roots, below))
    at = np.searchsorted(heads, nodes, side="right") - 1
    while len(past := np.flatnonzero(tree.end[heads[at]] <= nodes)):
        at[past] -= 1
    found: Int64 = tree.floor_ns[heads[at]]
    return found


def open_ways(tree: TreeTable, opened: Bool) -> Bool:
    """The nodes that are ``opened``, and so are all above them."""
    n, n_opened = len(tree), np.count_nonzero(opened)
    if n_opened == n:
        return opened
    if n_opened > n // 8:
        closed = np.flatnonzero(~opened).astype(np.int32)
        inside: Bool = covered(closed, tree.end[closed], n) == 0
        return inside
    ways = np.zeros(n + 1, np.bool_)
    # Above a root.
    ways[n] = True
    for group in by_level(np.flatnonzero(opened).astype(np.int32), tree.level):
        ways[group] = ways[tree.parent[group]]
    return ways[:n]


_FIRM = (Why.DEPTH, Why.COLLAPSED, Why.OFF_PATH, Why.MORE_ROOTS, Why.OTHER_MATCH)
"""Reasons that do not give way to what must show."""
