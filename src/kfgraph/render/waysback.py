"""What brings back the rows that a tree does not show: options as they are typed, each with a readable result."""

from __future__ import annotations

import numpy as np

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.fold import Folded, Kind
from kfgraph.analyze.visibility import READABLE, ROWS, FoldOptions, Why
from kfgraph.model.arrays import distinct
from kfgraph.model.names import split_label
from kfgraph.model.spelling import shell_word

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns"))


def ways_back(call_tree: CallTree, folded: Folded, options: FoldOptions, *, single: bool) -> dict[Why, tuple[str, str]]:
    """For each reason the option that brings rows back, in a readable amount, and what it does.

    ``single``: something was asked for that only trees of single calls have.
    """
    tree = folded.tree
    few = not folded.readable_ns
    may_merge = not (call_tree.merged or single)
    more = f"--min {ns_option(folded.readable_ns)}"
    sums = ("--merge", "sums them up") if may_merge else (more, "shows more")
    everything = ("--min 0", "shows them") if few else sums
    further = "--expand FUNC opens one function"
    if not call_tree.of_callers:
        further += ", --root FUNC goes there"
    rows = (options.max_rows or ROWS) * 2
    deeper = (options.depth or 0) + 1
    shallow = int((tree.level <= deeper).sum()) <= READABLE or not may_merge
    n_roots = len(tree.roots)
    all_roots = ("--max-rows 0", "lists all") if few else (f"--max-rows {2 * n_roots}", "lists all")
    one_root = ("--task COMM", "shows one") if call_tree.by_task else ("--nth N", "shows one")
    return {
        Why.TIME: (everything[0], f"{everything[1]}, {further}"),
        Why.MIN: everything,
        Why.ROWS: ("--max-rows 0", "shows them") if few else (f"--max-rows {rows}", "shows more"),
        Why.DEPTH: (f"--depth {deeper}" if shallow else f"--merge --depth {deeper}", "goes deeper"),
        Why.COLLAPSED: ("--collapse", "closed them"),
        Why.OTHER_MATCH: ("--nth N", "opens another match"),
        Why.MORE_ROOTS: all_roots if n_roots <= READABLE else sums if may_merge else one_root,
        Why.OFF_PATH: ("--errors" if options.errors else "--calls-to", "left them out"),
    }


def opening(call_tree: CallTree, folded: Folded) -> dict[int, str]:
    """For the nodes of a merged tree of which some callees are counted in a row: the option that shows these callees.

    None where that would show too many others, or where the name would be taken for a pattern.
    """
    if not call_tree.merged or call_tree.of_callers:
        return {}
    tree = folded.tree
    rests = (folded.kind == Kind.REST) & (folded.node >= 0) & (folded.why == Why.TIME)
    found = {}
    n_callees = None
    for node in distinct(folded.node[rests]).tolist():
        label = tree.labels[tree.label[node]]
        if not label or set(split_label(label)[0]) & set("*?["):
            continue
        if n_callees is None:
            n_callees = np.bincount(tree.parent[tree.parent >= 0], minlength=len(tree))
        same = np.flatnonzero(tree.label == tree.label[node])
        if int(n_callees[same].sum() + tree.level[same].sum()) <= READABLE:
            found[node] = f"--expand {shell_word(label)}"
    return found


def ns_option(ns: int) -> str:
    """A time as ``--min`` takes it, two digits, rounded up: 43210 -> ``44us``."""
    unit, name = next(((size, name) for size, name in _UNITS if ns >= size), _UNITS[-1])
    step = max(10 ** (len(str(ns // unit)) - 2), 1) * unit if ns >= 10 * unit else max(unit // 10, 1)
    tenths = -(-ns // step) * step * 10 // unit
    return f"{tenths // 10}{f'.{tenths % 10}' if tenths % 10 else ''}{name}"
