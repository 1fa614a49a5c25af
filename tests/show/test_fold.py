"""Folding: what shows is what took the time, and nothing is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.tables import NAMES, Call, call, calls, deep, trace_of, traces, wide
from kfgraph.analyze import repeats as repeats_module
from kfgraph.analyze import row_budget
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.fold import Folded, Kind, fold
from kfgraph.analyze.loops import LONGEST
from kfgraph.analyze.repeats import Repeats, fold_repeats
from kfgraph.analyze.visibility import FoldOptions, Why
from kfgraph.errors import NoMatchError
from kfgraph.model.calls import Flag
from kfgraph.model.symbols import Returned
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable

ANY_OPTIONS = st.builds(
    FoldOptions,
    max_rows=st.one_of(st.none(), st.integers(1, 30)),
    limit_asked=st.booleans(),
    max_roots=st.one_of(st.none(), st.integers(1, 4)),
    min_ns=st.one_of(st.none(), st.integers(0, 20_000)),
    min_share=st.one_of(st.none(), st.floats(0, 1)),
    depth=st.one_of(st.none(), st.integers(0, 5)),
    repeats=st.booleans(),
    open_roots=st.sampled_from(["all", "one"]),
)


def shown(folded: Folded) -> list[str]:
    """The rows as ``level name xTimes …hidden``."""
    rows = []
    for i in range(len(folded)):
        node, indent = int(folded.node[i]), "  " * int(folded.level[i])
        if folded.kind[i] == Kind.REST:
            rows.append(f"{indent}… {folded.hidden_calls[i]}")
            continue
        name = folded.tree.labels[folded.tree.label[node]]
        times = f" x{folded.times[node]}" if folded.times[node] > 1 else ""
        hidden = f" … {folded.hidden_calls[i]}" if folded.hidden_calls[i] else ""
        rows.append(f"{indent}{name}{times}{hidden}")
    return rows


class Prototypes:
    """What functions return, by name."""

    def __init__(self, names: Any, types: dict[str, Returned]) -> None:
        self.names, self.types = names, types

    def returned(self, code: int) -> Returned | None:
        return self.types.get(self.names[code])


def tree_of(trace: Trace, root: str = "root") -> TreeTable:
    return call_tree(trace, root=[root]).tree


@settings(max_examples=300, deadline=None)
@given(traces(), ANY_OPTIONS)
def test_every_call_is_shown_or_counted(trace: Trace, options: FoldOptions) -> None:
    tree = call_tree(trace).tree
    folded = fold(tree, options)
    folded.tree.check()
    assert folded.n_shown + folded.n_hidden == int(tree.count.sum()) == len(trace.calls)


@settings(max_examples=200, deadline=None)
@given(traces(), ANY_OPTIONS)
def test_a_row_shows_below_its_callers_and_hidden_time_is_that_of_the_hidden_children(
    trace: Trace, options: FoldOptions
) -> None:
    folded = fold(call_tree(trace).tree, options)
    tree = folded.tree
    rows = folded.node[folded.kind == Kind.CALL].tolist()
    assert rows == sorted(rows)
    assert all(tree.parent[node] < 0 or tree.parent[node] in set(rows) for node in rows)
    visible = set(rows)
    for node in {*rows, -1}:
        children = np.flatnonzero(tree.parent == node)
        hidden = [c for c in children.tolist() if c not in visible]
        said = folded.hidden_ns[folded.node == node].sum()
        assert said == tree.floor_ns[hidden].sum()


@settings(max_examples=200, deadline=None)
@given(traces())
def test_folding_repeats_conserves_calls_and_time(trace: Trace) -> None:
    tree = call_tree(trace).tree
    repeats = fold_repeats(tree)
    folded = repeats.tree
    folded.check()
    assert folded.count.sum() == tree.count.sum()
    assert folded.n_unfinished.sum() == tree.n_unfinished.sum()
    assert np.maximum(folded.self_ns, 0).sum() == np.maximum(tree.self_ns, 0).sum()
    kind = folded.whole("kind")
    for node in range(len(folded)):
        members = np.flatnonzero(repeats.node_of == node)
        if kind[node] == NodeKind.LOOP:
            assert repeats.times[node] > 1 and not len(members)
            assert folded.floor_ns[node] == folded.floor_ns[folded.parent == node].sum()
            continue
        assert set(tree.label[members].tolist()) == {int(folded.label[node])}
        assert folded.floor_ns[node] == tree.floor_ns[members].sum()
        assert folded.max_ns[node] == tree.max_ns[members].max()
        parent, times = folded.parent[node], int(repeats.times[node])
        while parent >= 0 and kind[parent] == NodeKind.LOOP:
            parent, times = folded.parent[parent], times * int(repeats.times[parent])
        n_parents = int((repeats.node_of == parent).sum()) if parent >= 0 else len(members)
        assert times * n_parents == len(members)


APART = (Flag.CUT_BY_LOSS, Flag.NO_ENTRY, Flag.IN_TRACER)
"""Besides NO_EXIT."""


@pytest.mark.parametrize("flag", [*APART, Flag.NO_EXIT])
def test_what_is_not_whole_is_no_member_of_a_run_of_what_is(flag: Flag) -> None:
    step = call("step", 5, call("leaf", 1))
    tree = tree_of(trace_of([call("root", 5, *[step] * 7)]))
    first = np.flatnonzero(tree.level == 1)
    for odd, shape in (((3,), "step x3|leaf|step|leaf|step x3|leaf"), ((5, 6), "step x5|leaf|step x2|leaf")):
        for which in (first, first + 1):  # the member, or a call inside it
            flags = tree.flags.copy()
            flags[which[list(odd)]] |= np.uint32(flag)
            folded = fold(tree.with_columns(flags=flags), FoldOptions(max_rows=None))
            assert "|".join(row.strip() for row in shown(folded)) == f"root|{shape}"


KEPT_APART = Flag.NO_EXIT | Flag.NO_ENTRY | Flag.CUT_BY_LOSS | Flag.IN_TRACER


Symbols = list[tuple[object, int, int]]


def body_at(row: Symbols, at: int, period: int) -> list[object]:
    return [symbol for symbol, _, _ in row[at : at + period]]


def repeated(row: Symbols, period: int) -> list[tuple[int, int]]:
    """(where it begins, how often it is there) of the loops, from left to right; what one has no other one has."""
    found, at, least = [], 0, 2 if period == 1 else 3
    while at + least * period <= len(row):
        times = 1
        while body_at(row, at + times * period, period) == body_at(row, at, period):
            times += 1
        if times >= least and not (period == 1 and isinstance(row[at][0], list)):
            found.append((at, times))
            at += times * period
        else:
            at += 1
    return found


def in_step(row: Symbols, period: int, loops: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same: what is left behind a loop may stand before it, so that it begins as the one before it."""
    moved: list[tuple[int, int]] = []
    for (at, times), (following, _) in zip(loops, [*loops, (len(row), 0)][1:], strict=True):
        more = 0
        while at + times * period + more < following and more < period and (
            row[at + times * period + more][0] == row[at + more][0]
        ):
            more += 1
        starts = [k for k in range(more + 1) if moved and row[at + k][0] == row[moved[-1][0]][0]]
        moved.append((at + (starts[0] if starts else 0), times))
    return moved


def has_several_names(body: list[object]) -> bool:
    names = [symbol[0] if isinstance(symbol, tuple) else None for symbol in body]
    names = [name[0] if isinstance(name, tuple) else name for name in names]
    return None in names or len(set(names)) > 1


def loops_by_hand(tree: TreeTable) -> list[int]:
    """For each node its counterpart in the first repetitions of its loops, found one symbol at a time."""
    back = [0] * len(tree)

    def spelt(node: int) -> tuple[object, ...]:
        return (int(tree.label[node]), int(tree.flags[node]) & KEPT_APART, *map(spelt, children(node)))

    def children(node: int) -> list[int]:
        return np.flatnonzero(tree.parent == node).tolist()

    def look(row: Symbols) -> None:
        """``row``: (symbol, first node, node behind it) of the callees of one node."""
        period = 1
        while period <= LONGEST and (2 if period == 1 else 3) * period <= len(row):
            loops = repeated(row, period)
            if period > 1:
                loops = [one for one in in_step(row, period, loops) if has_several_names(body_at(row, one[0], period))]
            for at, times in reversed(loops):
                body, start = body_at(row, at, period), row[at][1]
                for nth in range(1, times):
                    first, end = row[at + nth * period][1], row[at + (nth + 1) * period - 1][2]
                    for node in range(first, end):
                        back[node] += first - start
                symbol = (body[0], times) if period == 1 else [body, times]
                row[at : at + times * period] = [(symbol, start, row[at + times * period - 1][2])]
            period = 2 if loops and period > 1 else period + 1

    for node in range(len(tree)):
        look([(spelt(child), child, int(tree.end[child])) for child in children(node)])
    return [node - back[node] for node in range(len(tree))]


def unfold(repeats: Repeats) -> list[tuple[int, int, int]]:
    """(node, level, flags) of every call that a folded tree stands for, in order: each loop as often as it says."""
    tree, times = repeats.tree, repeats.times.tolist()
    kind, end, flags = tree.whole("kind").tolist(), tree.end.tolist(), tree.flags.tolist()

    def give(node: int, level: int) -> list[tuple[int, int, int]]:
        loop = kind[node] == NodeKind.LOOP
        once = [] if loop else [(node, level, flags[node] & KEPT_APART)]
        child = node + 1
        while child < end[node]:
            once += give(child, level + (not loop))
            child = end[child]
        return once * times[node]

    return [call for root in tree.roots.tolist() for call in give(root, 0)]


BODIES = st.one_of(
    st.lists(calls(NAMES[:2], flags=[Flag.CUT_BY_LOSS]), min_size=1, max_size=4),
    st.lists(st.sampled_from([call(name, 1) for name in NAMES[:3]]), min_size=1, max_size=3),
)
REPEATED = st.lists(st.tuples(BODIES, st.integers(1, 5)), min_size=1, max_size=4).map(
    lambda parts: [one for body, times in parts for one in body * times]
)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(REPEATED, REPEATED.map(lambda items: items * 3)),
    st.sampled_from([repeats_module._BASE, np.uint64(1)]),
    st.sampled_from([1, 3, repeats_module._PART]),
)
def test_unfolding_gives_the_tree_back(items: list[Call], base: int, piece: int) -> None:
    tree = call_tree(trace_of([call("root", 1, *items), call("root", 2, *items)])).tree
    # Whatever is equal by chance: a hash that knows no order.
    with patch.object(repeats_module, "_BASE", base), patch.object(repeats_module, "_PART", piece):
        repeats = fold_repeats(tree)
    repeats.tree.check()
    assert [node for node, _, _ in unfold(repeats)] == repeats.node_of.tolist()
    assert [level for _, level, _ in unfold(repeats)] == tree.level.tolist()
    assert [repeats.tree.label[node] for node, _, _ in unfold(repeats)] == tree.label.tolist()
    assert [apart for _, _, apart in unfold(repeats)] == (tree.flags & np.uint32(KEPT_APART)).tolist()


@settings(max_examples=200, deadline=None)
@given(st.one_of(REPEATED, REPEATED.map(lambda items: items * 3)))
def test_loops_are_those_found_one_symbol_at_a_time(items: list[Call]) -> None:
    tree = call_tree(trace_of([call("root", 1, *items)])).tree
    with patch.object(repeats_module, "_SLOW", 1 << 40):
        repeats = fold_repeats(tree)
    first = loops_by_hand(tree)
    begins = {int(node): i for i, node in reversed(list(enumerate(repeats.node_of.tolist())))}
    assert [begins[node] for node in repeats.node_of.tolist()] == first


def test_the_order_of_callees_is_part_of_a_shape_whatever_its_hash() -> None:
    loops = [call("step", 1, call("lock", 1), call("unlock", 1)), call("step", 1, call("unlock", 1), call("lock", 1))]
    tree = tree_of(trace_of([call("root", 1, *loops, *loops[1:])]))
    for base in (repeats_module._BASE, np.uint64(1)):
        with patch.object(repeats_module, "_BASE", base):
            assert fold_repeats(tree).times.tolist()[-6:] == [1, 1, 1, 2, 1, 1]


def test_a_loop_is_one_row_with_its_sums() -> None:
    body = [call("step", 10 * i, call("lock", 1), call("unlock", 2)) for i in range(1, 5)]
    tree = tree_of(trace_of([call("root", 5, call("begin", 7), *body, call("end", 9))]))
    folded = fold(tree, FoldOptions(max_rows=None))
    assert shown(folded) == ["root", "  begin", "  step x4", "    lock", "    unlock", "  end"]
    step, lock = folded.node[2], folded.node[3]
    assert folded.tree.total_ns[step] == 10 + 20 + 30 + 40 + 4 * 3
    assert folded.tree.self_ns[step] == 100
    assert (folded.tree.count[step], folded.tree.count[lock]) == (4, 4)
    assert (folded.tree.min_ns[step], folded.tree.max_ns[step]) == (13, 43)


def test_loops_in_loops_and_no_loop_across_a_difference() -> None:
    inner = [call("inner", 1, call("leaf", 1)) for _ in range(3)]
    outer = [call("outer", 1, *inner) for _ in range(2)]
    other = call("outer", 1, *inner[:2])
    folded = fold(tree_of(trace_of([call("root", 1, *outer, other)])), FoldOptions(max_rows=None))
    assert shown(folded) == [
        "root", "  outer x2", "    inner x3", "      leaf", "  outer", "    inner x2", "      leaf",
    ]  # fmt: skip
    assert folded.tree.count[folded.node[2]] == 6


def test_an_unfinished_or_failed_call_is_never_folded_away() -> None:
    items = [call("step", 5), call("step", 5), call("step", 5, unfinished=True)]
    folded = fold(tree_of(trace_of([call("root", 5, *items)])), FoldOptions(max_rows=None))
    assert shown(folded) == ["root", "  step x2", "  step"]
    trace = trace_of([call("root", 5, *[call("step", 5) for _ in range(3)])])
    retval = np.array([0, 0, -19, 0], np.int64)
    flags = trace.calls.flags | np.uint32(Flag.HAS_RETVAL)
    failing = Trace(trace.calls.with_columns(retval=retval, flags=flags), trace.symbols, trace.tasks)
    assert shown(fold(tree_of(failing), FoldOptions(max_rows=None))) == ["root", "  step", "  step", "  step"]


def test_the_way_of_an_error_is_shown_however_fast_it_was() -> None:
    slow = [call(f"slow{i}", 1_000) for i in range(9)]
    tree = call("root", 5, *slow, call("init", 1, call("probe", 1, call("read", 1), call("undo", 1)), call("fine", 1)))
    trace = trace_of([tree])
    error = {"root": -19, "init": -19, "probe": -19, "read": -19, "undo": -22, "fine": -19}
    names = [trace.symbols.names[code] for code in trace.calls.func]
    # "undo" failed otherwise, "fine" got -19 of its own: both returned to a caller that failed.
    retval = np.array([error.get(name, 0) & 0xFFFFFFFF for name in names], np.int64)
    flags = trace.calls.flags | np.uint32(Flag.HAS_RETVAL)
    failing = Trace(trace.calls.with_columns(retval=retval, flags=flags), trace.symbols, trace.tasks)
    rows = shown(fold(tree_of(failing), FoldOptions(max_rows=8)))
    assert [row.strip().split(" ")[0] for row in rows if "slow" not in row and row.strip()[0] != "…"] == [
        "root", "init", "probe", "read", "undo", "fine",
    ]  # fmt: skip
    # Asked for, a limit is a limit.
    assert [row.split(" ")[0] for row in shown(fold(tree_of(failing), FoldOptions(depth=0)))] == ["root"]


def test_the_slowest_calls_are_those_that_fit() -> None:
    branches = [call(f"f{i}", 10, call(f"g{i}", 1_000 * i), call(f"h{i}", 1)) for i in range(1, 7)]
    tree = tree_of(trace_of([call("root", 5, *branches)]))
    folded = fold(tree, FoldOptions(max_rows=6))
    assert shown(folded) == ["root", "  f5 … 1", "    g5", "  f6 … 1", "    g6", "  … 12"]
    assert folded.hidden_ns[-1] == sum(1_000 * i + 11 for i in range(1, 5))
    assert folded.why[-1] == Why.TIME
    assert fold(tree, FoldOptions(max_rows=6, limit_asked=True)).why[-1] == Why.ROWS


@pytest.mark.parametrize("piece", [7, 100, row_budget._PART])
def test_the_slowest_of_many_are_found_piece_by_piece(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_budget, "_PART", piece)
    # Every tenth of 500 calls is slow, from the 300th on they are slowest; of those just as slow the first ones show.
    times = [5_000 + i if i % 10 == 0 and i >= 300 else 3_000 if i % 10 == 0 else 1_000 for i in range(500)]
    tree = tree_of(trace_of([call("root", 1, *[call(f"f{i}", ns) for i, ns in enumerate(times)])]))
    folded = fold(tree, FoldOptions(max_rows=32))
    slow = {f"  f{i}" for i in range(300, 500, 10)} | {f"  f{i}" for i in range(0, 100, 10)}
    rows = shown(folded)
    assert rows[0] == "root" and set(rows[1:-1]) == slow
    assert rows[-1] == f"  … {500 - len(slow)}"


@settings(max_examples=100, deadline=None)
@given(traces(), st.integers(3, 40))
def test_rows_stay_within_the_limit(trace: Trace, limit: int) -> None:
    tree = call_tree(trace).tree
    assert len(fold(tree, FoldOptions(max_rows=limit))) <= max(limit, len(tree.roots))


def test_min_depth_expand_and_collapse() -> None:
    quick = call("quick", 5, call("inside", 1))
    slow = call("slow", 1_000, call("slower", 5_000, call("slowest", 9_000)))
    tree = tree_of(trace_of([call("root", 10, quick, slow)]))
    assert shown(fold(tree, FoldOptions(max_rows=None, min_ns=9_000))) == [
        "root … 2", "  slow", "    slower", "      slowest",
    ]  # fmt: skip
    assert shown(fold(tree, FoldOptions(max_rows=None, min_share=0.95))) == ["root … 2", "  slow … 2"]
    assert shown(fold(tree, FoldOptions(max_rows=None, depth=0))) == ["root … 5"]
    assert shown(fold(tree, FoldOptions(max_rows=None, depth=1))) == ["root", "  quick … 1", "  slow … 2"]
    assert shown(fold(tree, FoldOptions(max_rows=2, expand=["qu*"]))) == ["root", "  quick", "    inside", "  … 3"]
    assert shown(fold(tree, FoldOptions(max_rows=None, collapse=["slow"]))) == [
        "root", "  quick", "    inside", "  slow … 2",
    ]  # fmt: skip
    assert shown(fold(tree, FoldOptions(calls_to=["inside"]))) == ["root … 3", "  quick", "    inside"]


@pytest.mark.parametrize("option", ["expand", "collapse", "calls_to"])
def test_a_name_that_is_not_there_is_said(option: str) -> None:
    tree = tree_of(trace_of([call("root", 10, call("leaf"))]))
    with pytest.raises(NoMatchError, match="no call of 'nothing'"):
        fold(tree, FoldOptions(**{option: ["nothing"]}))  # type: ignore[arg-type]


def test_what_is_not_there_is_no_matter_of_merging() -> None:
    """`look with --merge` was said, and with --merge the same again; of several names only one had to be there."""
    trace = trace_of([call("root", 10, call("leaf")), call("other", 1)])
    for options, hint in (
        (FoldOptions(calls_to=["leaf", "leef"]), "did you mean leaf?"),
        (FoldOptions(expand=["zzz"]), "kfgraph top shows the functions of a trace"),
    ):
        with pytest.raises(NoMatchError) as problem:
            fold(tree_of(trace), options)
        assert problem.value.hint == hint
    with pytest.raises(NoMatchError) as problem:
        fold(call_tree(trace, root=["root"]).tree, FoldOptions(calls_to=["other"]))
    assert problem.value.hint == "it is called elsewhere in the trace: widen the filters"


def test_several_matches_open_the_slowest_and_fold_above_the_limit() -> None:
    roots = [call("root", 10, call("leaf", 10 * i)) for i in range(30)]
    tree = tree_of(trace_of(roots))
    folded = fold(tree, FoldOptions(open_roots="one"))
    rows = shown(folded)
    assert rows[:2] == ["root … 1", "root … 1"]
    assert rows[-3:] == ["root", "  leaf", "… 20"]
    assert len(rows) == 22
    assert folded.hidden_ns[-1] == sum(10 + 10 * i for i in range(10))


def test_calls_to_opens_every_match_that_leads_there() -> None:
    roots = [call("root", 10, call("a", 9)), call("root", 5, call("b", 1, call("c", 1))), call("root", 1, call("b", 1))]
    folded = fold(tree_of(trace_of(roots)), FoldOptions(open_roots="one", calls_to=["b"]))
    assert shown(folded) == ["root", "  b … 1", "root", "  b", "… 2"]
    assert folded.why[-1] == Why.OFF_PATH


def test_the_hot_child_is_the_slowest_one() -> None:
    tree = tree_of(trace_of([call("root", 1, call("a", 5), call("b", 9, call("c", 1)), call("d", 9))]))
    folded = fold(tree, FoldOptions(max_rows=None))
    assert [shown(folded)[i].strip() for i in np.flatnonzero(folded.hot)] == ["b", "c"]
    assert folded.hot_path.tolist() == [True, False, True, True, False]


@pytest.mark.parametrize("trace", [deep(5_000), wide(100_000)], ids=["deep", "wide"])
def test_large_shapes_fold_within_the_limit(trace: Trace) -> None:
    tree = call_tree(trace).tree
    folded = fold(tree, FoldOptions(max_rows=50))
    assert len(folded) <= 50
    assert folded.n_shown + folded.n_hidden == len(trace.calls)
    everything = fold(tree, FoldOptions(max_rows=None, repeats=False))
    assert everything.n_shown == len(trace.calls)


@pytest.mark.parametrize("n_others", range(40))
def test_what_stands_deeper_is_of_another_shape_whatever_its_function(n_others: int) -> None:
    beside, below = call("step", 1, call("a", 1), call("b", 1)), call("step", 1, call("a", 1, call("b", 1)))
    # The numbers of the functions grow with those before them.
    others = [call(f"x{i}", 1) for i in range(n_others)]
    trace = trace_of([call("root", 1, *others, beside, below, below, beside, beside, below)])
    rows = shown(fold(tree_of(trace), FoldOptions(max_rows=None)))[1 + n_others :]
    steps = [(row.strip(), rows[i + 2].startswith(" " * 6)) for i, row in enumerate(rows) if "step" in row]
    assert steps == [("step", False), ("step x2", True), ("step x2", False), ("step", True)]


def test_a_failed_root_is_shown_also_where_the_last_call_of_all_failed_with_many() -> None:
    many = [call("busy", 1, retval=(1 << 32) - 16) for _ in range(40)]
    roots = [call("root", 5, call("open", 5, retval=(1 << 32) - 2), retval=(1 << 32) - 2)]
    trace = trace_of([*roots, call("other", 5, *many, retval=0)])
    names = ["root", "open", "busy", "other"]
    returned = Returned("int", 32, True, "int", signed=True)
    symbols = replace(trace.symbols, prototypes=Prototypes(trace.symbols.names, dict.fromkeys(names, returned)))
    folded = fold(call_tree(replace(trace, symbols=symbols), root=["root", "other"]).tree, FoldOptions(errors=True))
    assert [row.split(" …")[0] for row in shown(folded)][:2] == ["root", "  open"]


@pytest.mark.parametrize(("number", "sure"), [(-1, False), (-1, True), (-22, False), (-22, True), (0, True)])
def test_a_call_with_another_error_is_not_in_the_run(number: int, sure: bool) -> None:
    tree = tree_of(trace_of([call("root", 1, *[call("step", 5)] * 5)]))
    at = np.arange(len(tree)) == 3
    columns = {"error": np.where(at, number, 0).astype(np.int16), "error_sure": at & sure}
    folded = fold_repeats(tree.with_columns(**columns))
    assert folded.times.tolist()[-3:] == [2, 1, 2]
    assert [int(one) for one in folded.tree.at("error", slice(None))][-3:] == [0, number, 0]
    # All with the same: one run, which keeps it.
    step = np.arange(len(tree)) >= 1
    columns = {"error": np.where(step, number, 0).astype(np.int16), "error_sure": step & sure}
    folded = fold_repeats(tree.with_columns(**columns))
    assert folded.times.tolist()[-1] == 5 and int(folded.tree.at("error", slice(None))[-1]) == number
