"""One node for each interrupt of a tree, above the calls that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64, counted, covered, outermost, ranges
from kfgraph.analyze.paths import parts
from kfgraph.kernel.interrupt_kinds import (
    ACTIONS,
    AFTER,
    BODY,
    ENTER,
    EXIT,
    HANDLING,
    WRAPPER,
    kind_of,
    may_handle,
    part_of,
)
from kfgraph.kernel.interrupts import NMI, SOFT, level_of
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable


class Interrupts(NamedTuple):
    """The interrupts of a tree of single calls: ``tops`` are the calls that they are made of, those of one together.

    One ends at ``last`` of them (ascending), and the next one begins behind it. ``kind`` is the place of its name in
    ``names``. Several of one kind, one directly after another, are one; ``n_each`` says how many.
    """

    tops: Int64
    last: Int64
    kind: Int64
    n_each: Int64
    names: tuple[str, ...]

    @property
    def number(self) -> Int64:
        """Of which interrupt each of ``tops`` is a part."""
        return np.searchsorted(self.last, np.arange(len(self.tops)))


def interrupts_of(tree: TreeTable, trace: Trace) -> Interrupts | None:
    """The interrupts of ``tree``, which is of single calls; None: it has none. A root is a part of none.

    The calls of one stand side by side: ``irq_enter_rcu``, ``__sysvec_apic_timer_interrupt``, ``irq_exit_rcu``.
    """
    flags = tree.flags
    tops = np.concatenate([
        part.start + np.flatnonzero(flags[part] & np.uint32(Flag.INTERRUPT)) for part in parts(len(tree))
    ] or [np.zeros(0, np.int64)])  # fmt: skip
    tops = tops[tree.parent[tops] >= 0]
    if not len(tops):
        return None
    # Those of one caller together, in order: others may lie inside one.
    tops = tops[np.argsort(tree.parent[tops], kind="stable")]
    beside = np.zeros(len(tops), np.bool_)
    beside[1:] = (tree.end[tops[:-1]] == tops[1:]) & (tree.parent[tops[:-1]] == tree.parent[tops[1:]])
    begins, part, level = _begins(trace, tree.row[tops], beside)
    of_each = _names(trace, tree.row[tops], part, level, np.cumsum(begins) - 1)
    names = {name: code for code, name in enumerate(dict.fromkeys(of_each))}
    kind = np.array([names[name] for name in of_each], np.int64)
    first = np.flatnonzero(begins)
    apart = ~beside[first]
    apart[1:] |= kind[1:] != kind[:-1]
    n_each = np.diff(np.append(np.flatnonzero(apart), len(first)))
    last = np.append(first[apart][1:], len(tops)) - 1
    return Interrupts(tops, last, kind[apart], n_each, tuple(names))


def with_interrupts(tree: TreeTable, found: Interrupts) -> TreeTable:
    """``tree`` with a ``NodeKind.INTERRUPT`` above the calls of each interrupt. Its total is the sum of theirs; it has
    no time of its own."""
    return _inserted(tree, found.tops, found.last, found.kind, found.n_each, found.names)


def with_kinds(tree: TreeTable, found: Interrupts) -> Int32:
    """The labels of ``tree``, with others for the parts of interrupts: in their quotient by the number of labels they
    have the kind, from 1 on."""
    label = tree.label.copy()
    label[found.tops] += ((found.kind[found.number] + 1) * len(tree.labels)).astype(np.int32)
    return label


def with_merged(tree: TreeTable, found: Interrupts, nodes: Int32) -> TreeTable:
    """``tree``, which is merged by such labels, with a node above the parts of the interrupts of each kind, which stand
    side by side; ``nodes`` are where ``found.tops`` are in it."""
    number = found.number
    tops, at = np.unique(nodes, return_index=True)
    kind = found.kind[number[at]]
    order = np.argsort(tree.parent[tops], kind="stable")
    tops, kind = tops[order], kind[order]
    parent = tree.parent[tops]
    ends = np.append((parent[1:] != parent[:-1]) | (kind[1:] != kind[:-1]), True)
    last = np.flatnonzero(ends)
    which = np.empty(len(tops), np.int64)
    which[order] = np.cumsum(ends) - ends
    n_each = np.zeros(len(last), np.int64)
    first = np.append(0, found.last[:-1] + 1)
    np.add.at(n_each, which[np.searchsorted(np.sort(tops), nodes[first])], found.n_each)
    return _inserted(tree, tops, last, kind[last], n_each, found.names)


def _begins(trace: Trace, rows: Int32, beside: Bool) -> tuple[Bool, Int64, Int64]:
    """(which of the calls ``rows`` begin another interrupt than the one before does, the part of its interrupt that
    each is, its level). ``beside``: it stands directly behind the one before."""
    calls, symbols = trace.calls, trace.symbols
    codes, which = np.unique(calls.func[rows], return_inverse=True)
    part = np.array([part_of(symbols.names[code]) for code in codes.tolist()], np.int64)[which]
    level = np.array([level_of(symbols.names[code]) for code in codes.tolist()], np.int64)[which]
    context = calls.context[rows].astype(np.int64)
    level = np.maximum(level, np.where(context == UNKNOWN_CONTEXT, 0, context))
    before, level_before = np.roll(part, 1), np.roll(level, 1)
    is_body = (part == WRAPPER) | (part == BODY)
    begins = ~beside | (part == ENTER)
    begins |= (before >= EXIT) & (part < AFTER)
    begins |= is_body & (level != level_before) & ((level == NMI) | (level_before == NMI))
    # Several bodies between one entry and its exit are one interrupt; without its entry each wrapper is one.
    first = np.maximum.accumulate(np.where(begins, np.arange(len(part)), 0))
    entered = part[first] == ENTER
    follows = (before == WRAPPER) | (before == BODY)
    begins |= is_body & follows & ~entered & ((part == WRAPPER) | (level != level_before))
    return begins, part, level


def _names(trace: Trace, rows: Int32, part: Int64, level: Int64, number: Int64) -> list[str]:
    """What each interrupt is, by its ``number``: the first vector or handler that its calls tell; of a softirq its
    actions."""
    calls, symbols = trace.calls, trace.symbols
    n = int(number[-1]) + 1
    is_body = (part == WRAPPER) | (part == BODY)
    of = np.zeros(n, np.int64)
    np.maximum.at(of, number[is_body], level[is_body])
    order = np.argsort(rows)
    inside = outermost(rows[order][is_body[order]], calls.end)
    inside = ranges(inside, calls.end[inside])
    func, above = calls.func[inside], calls.func[calls.parent[inside]]
    called = np.flatnonzero(np.bincount(func, minlength=len(symbols)) + np.bincount(above, minlength=len(symbols)))
    bare = {code: symbols.names[code].split(".", 1)[0] for code in called.tolist()}
    kinds = {code: kind_of(name) for code, name in bare.items()}
    tells, handling, handler, action = np.zeros((4, len(symbols)), np.bool_)
    tells[called] = [kinds[code] != "" for code in called.tolist()]
    handling[called] = [bare[code] in HANDLING for code in called.tolist()]
    handler[called] = [may_handle(bare[code]) for code in called.tolist()]
    action[called] = [bare[code] in ACTIONS for code in called.tolist()]
    by_handler = handling[above] & handler[func]
    telling = np.flatnonzero(tells[func] | by_handler | (action[func] & ~action[above]))
    at = inside[telling]
    # The innermost interrupt that each is in.
    top = np.searchsorted(rows[order], at, side="right") - 1
    while len(past := np.flatnonzero(at >= calls.end[rows[order][top]])):
        top[past] -= 1
    top = order[top]
    telling, which = telling[is_body[top]], number[top[is_body[top]]]
    is_soft = of[which] == SOFT
    acts = is_soft & action[func[telling]]
    actions: dict[int, dict[str, None]] = {}
    for each, code in zip(which[acts].tolist(), func[telling[acts]].tolist(), strict=True):
        actions.setdefault(each, {})[bare[code]] = None
    is_hard = ~is_soft & (tells[func[telling]] | by_handler[telling])
    # The first one of each interrupt.
    hard, first = np.unique(which[is_hard], return_index=True)
    told = np.zeros(n, np.int64)
    told[hard] = func[telling[is_hard][first]]
    made: dict[tuple[int, int], str] = {}
    names = []
    for each, key in enumerate(zip(of.tolist(), told.tolist(), strict=True)):
        if key not in made:
            name = {SOFT: "softirq", NMI: "NMI"}.get(key[0], "interrupt")
            made[key] = kinds[key[1]] or f"{name} ({bare[key[1]]})" if key[1] else name
        names.append(f"{made[key]} ({', '.join(actions[each])})" if each in actions else made[key])
    return names


def _inserted(
    tree: TreeTable, tops: npt.NDArray[Any], last: Int64, kind: Int64, n_each: Int64, names: Sequence[str]
) -> TreeTable:
    """``tree`` with nodes above siblings of it: each above those of ``tops`` up to ``last``, behind the one before."""
    n = len(tree)
    node = np.searchsorted(last, np.arange(len(tops)))
    first = np.append(0, last[:-1] + 1)
    # In the order of the tree.
    order = np.argsort(tops[first])
    first, last, kind, n_each = first[order], last[order], kind[order], n_each[order]
    node = np.argsort(order)[node]
    start, stop = tops[first].astype(np.int32), tree.end[tops[last]]
    begins = np.zeros(n, np.bool_)
    begins[start] = True
    n_before = counted(begins)
    at = start + np.arange(len(start), dtype=np.int32)
    place = np.arange(n, dtype=np.int32) + n_before[1:]
    n_all = n + len(at)
    old = np.ones(n_all, np.bool_)
    old[at] = False
    around = covered(start, stop, n)
    parent, end, level = np.empty(n_all, np.int32), np.empty(n_all, np.int32), np.empty(n_all, np.int16)
    parents = place[tree.parent]
    parents[tree.parent < 0] = -1
    above = parents[start]
    parents[tops] = at[node]
    parent[old], parent[at] = parents, above
    end[old], end[at] = tree.end + n_before[tree.end], stop + n_before[stop]
    level[old] = tree.level + around
    level[at] = tree.level[start] + around[start] - 1

    floor, unknown = np.zeros(len(at), np.int64), np.zeros(len(at), np.bool_)
    np.add.at(floor, node, tree.floor_ns[tops])
    unknown[node[(tree.total_ns[tops] < 0) | (tree.at("n_unfinished", tops) > 0)]] = True
    sums = {"floor_ns": floor} if tree.has("floor_ns") else {}
    sums |= tree.parts_below(tops, node, len(at))
    return tree.inserted(
        at, tree.labels + tuple(names), old, parent=parent, end=end, level=level,
        kind=np.full(len(at), NodeKind.INTERRUPT, np.uint8), label=len(tree.labels) + kind,
        total_ns=np.where(unknown, -1, floor), flags=np.where(unknown, np.uint32(Flag.NO_EXIT), np.uint32(0)),
        n_interrupts=n_each, **sums,
    )  # fmt: skip
