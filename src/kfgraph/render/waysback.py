"""What brings back the rows that a tree does not show: options as they are typed, each with a readable result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kfgraph.analyze.calltree import CallTree
from kfgraph.analyze.fold import fold
from kfgraph.analyze.merged import merged
from kfgraph.analyze.tree_rows import Folded, Kind
from kfgraph.analyze.visibility import READABLE, ROWS, FoldOptions, Why, roots_for
from kfgraph.model.arrays import distinct
from kfgraph.model.names import split_label
from kfgraph.model.spelling import shell_word
from kfgraph.model.units import parse_ns, plural

_FEW_NODES = 16 * READABLE
_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns"))


def ways_back(
    call_tree: CallTree, folded: Folded, options: FoldOptions, *, may_merge: bool
) -> dict[Why, tuple[str, str]]:
    """For each reason the option that brings rows back, in a readable amount, and what it does.

    ``may_merge``: ``--merge`` can be added to what was asked for.
    """
    tree = folded.tree
    few = not folded.readable_ns
    more = (f"--min {ns_option(folded.readable_ns)}", "shows more")
    all_ = ("--min 0", "shows them")
    sums = ("--merge", "sums them up") if may_merge else more
    further = "--expand FUNC opens one function"
    if not call_tree.of_callers:
        further += ", --root FUNC goes there"
    by_time = all_ if few else sums
    said = set(distinct(folded.why[folded.hidden_calls > 0]).tolist())
    if Why.TIME in said and by_time == ("--merge", "sums them up") and len(tree) <= _FEW_NODES:
        # Where hardly two paths are alike, that hides no less.
        whole = fold(merged(call_tree.tree), replace(options, open_roots="all"))
        by_time = by_time if whole.n_hidden < folded.n_hidden else more
    deeper = (options.depth or 0) + 1
    shallow = int((tree.level <= deeper).sum()) <= READABLE or not may_merge
    n_roots = len(tree.roots)
    # What lists all roots must not show fewer rows below them.
    room = max(2 * n_roots, (options.max_rows or 0) + n_roots)
    all_roots = ("--max-rows 0", "lists all") if few else (f"--max-rows {room}", "lists all")
    one_root = ("--task COMM", "shows one") if call_tree.by_task else ("--nth N", "shows one")
    on_path = [name for name, given in (("--calls-to", options.calls_to), ("--errors", options.errors)) if given]
    return {
        Why.TIME: (by_time[0], f"{by_time[1]}, {further}"),
        Why.MIN: _shorter(call_tree, folded, options, may_merge=may_merge) if Why.MIN in said else all_,
        Why.ROWS: _more_rows(call_tree, folded, options, sums) if Why.ROWS in said else all_,
        Why.DEPTH: (f"--depth {deeper}" if shallow else f"--merge --depth {deeper}", "goes deeper"),
        Why.COLLAPSED: ("--collapse", "closed them"),
        Why.OTHER_MATCH: ("--nth N", "opens another match"),
        Why.MORE_ROOTS: all_roots if n_roots <= READABLE else sums if may_merge else one_root,
        Why.OFF_PATH: (" and ".join(on_path), "left them out"),
        Why.INTERRUPT: ("--open-irq", "opens interrupts"),
    }


def _shorter(call_tree: CallTree, folded: Folded, options: FoldOptions, *, may_merge: bool) -> tuple[str, str]:
    """A least time with which more calls show: a few screens of them, or twice as many as now. Else what shows all."""
    tree = folded.repeats.tree
    wanted = max(READABLE, 2 * int(folded.visible.sum()))
    if len(tree) > wanted:
        ns = 1 + int(np.partition(tree.floor_ns, len(tree) - wanted)[len(tree) - wanted])
        for shorter in (ns_option(ns), f"{ns}ns"):
            shown = np.flatnonzero(tree.floor_ns >= parse_ns(shorter))
            if int(tree.at("count", shown).sum()) > folded.n_shown:
                return f"--min {shorter}", "shows more"
        if may_merge:
            sums = merged(call_tree.tree)
            if fold(sums, options).n_hidden < folded.n_hidden:
                return "--merge", "sums them up"
            if len(sums) <= 2 * READABLE:
                return "--merge --min 0", "sums them up"
    return "--min 0", "shows them"


def _more_rows(
    call_tree: CallTree, folded: Folded, options: FoldOptions, sums: tuple[str, str]
) -> tuple[str, str]:
    """A number of rows with which more shows: twice what was asked for, or what it takes."""
    if not folded.readable_ns:
        return "--max-rows 0", "shows them"
    asked = options.max_rows or ROWS
    tries = [2 * asked, len(folded) + asked, 2 * (len(folded) + asked), 4 * (len(folded) + asked)]
    for rows in sorted(rows for rows in tries if 2 * asked <= rows <= max(2 * asked, READABLE)):
        more = replace(options, max_rows=rows, max_roots=options.max_roots and roots_for(rows))
        if fold(call_tree.tree, more, repeats=folded.first_repeats).n_hidden < folded.n_hidden:
            return f"--max-rows {rows}", "shows more"
    return sums if sums[0] == "--merge" else ("--max-rows 0", "shows them")


def not_shown(
    call_tree: CallTree, folded: Folded, options: FoldOptions, ways: dict[Why, tuple[str, str]], *, may_merge: bool
) -> list[str]:
    """How many calls are not shown, and what brings them back; ``ways`` are the :func:`ways_back`."""
    said = [_named(call_tree, folded, options, may_merge=may_merge)] if folded.named.n_hidden else []
    if not folded.n_hidden:
        return said
    reasons = {Why(why) for why in folded.why[folded.hidden_calls > 0].tolist()}
    if Why.ROWS in reasons:
        reasons.discard(Why.MORE_ROOTS)
    if Why.MIN in reasons:
        reasons.discard(Why.TIME)
    words = [" ".join(ways[why]) for why in sorted(reasons)]
    what = f"{folded.n_hidden:,} of {plural(folded.n_hidden + folded.n_shown, 'call')}"
    if call_tree.of_callers:
        what = f"{int((~folded.visible).sum()):,} of {plural(len(folded.tree), 'row')}"
    return [*said, f"{what} not shown: {', '.join(words)}"]


def _named(call_tree: CallTree, folded: Folded, options: FoldOptions, *, may_merge: bool) -> str:
    """How many calls of the functions asked for by name are on no row, and what shows them."""
    named = folded.named
    if named.least_depth >= 0:
        how = f"--depth {named.most_depth if named.n_rows <= READABLE else named.least_depth} shows them"
    elif options.collapse:
        how = "--collapse closed them"
    elif named.n_rows <= READABLE or (call_tree.merged and named.n_merged_rows <= READABLE):
        how = "--max-rows 0 shows them"
    elif may_merge and named.n_merged_rows <= READABLE:
        how = "--merge --max-rows 0 sums them up"
    else:
        how = f"{' '.join(f'--callers {shell_word(name)}' for name in options.calls_to)} sums them up"
    which = "failed calls" if options.errors else "calls"
    return f"{named.n_hidden:,} of {named.n:,} {which} of {' and '.join(options.calls_to)} not shown: {how}"


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
