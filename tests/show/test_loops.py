"""Repetition: calls of one function that do not stand together are one row where much would be hidden."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from builder.tables import Call, call, trace_of, traces
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.fold import LOOP_ROWS, READABLE, Folded, Kind, fold
from kfgraph.analyze.sibling_groups import gather
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.cli.show_options import fold_options, least
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable
from kfgraph.model.units import parse_ns
from kfgraph.render.tree import TreeView, tree_view
from kfgraph.render.waysback import ns_option


def loop(n: int, *, seed: int = 3) -> Trace:
    """A task that writes ``n`` times, no two bodies in a row alike."""
    rng = np.random.default_rng(seed)

    def page(k: int) -> Call:
        allocated = [call("kmem_cache_alloc", 1_000 + k), call("lock", 50)] * (1 + k % 3)
        return call("generic_perform_write", 500, *allocated)

    def body(k: int) -> Call:
        pages = [page(k + i) for i in range(1 + k % 4)]
        return call("__x64_sys_write", 200, call("vfs_write", 400, *pages, *[call("fsnotify", 70)] * (k % 2)))

    slow = call("__x64_sys_fsync", 5, call("schedule", n * 1_000))
    bodies = [body(int(k)) for k in rng.integers(0, 24, n)]
    return trace_of([*bodies[: n // 2], slow, *bodies[n // 2 :]])


def rows(folded: Folded) -> list[tuple[str, int, int]]:
    """(function, calls, time) of each row of calls."""
    nodes = folded.node[folded.kind == Kind.CALL]
    tree = folded.tree
    return [(tree.labels[tree.label[i]], int(tree.count[i]), int(tree.floor_ns[i])) for i in nodes.tolist()]


def of(tree: TreeTable, name: str) -> tuple[int, int]:
    """(calls, time) of all calls of a function."""
    mine = tree.label == tree.labels.index(name)
    return int(tree.count[mine].sum()), int(tree.floor_ns[mine].sum())


def test_a_loop_with_varying_bodies_is_a_row_for_each_function() -> None:
    tree = call_tree(loop(3_000)).tree
    folded = fold(tree, FoldOptions())
    assert len(folded) <= 20
    shown = rows(folded)
    for name in ("__x64_sys_write", "vfs_write", "generic_perform_write", "kmem_cache_alloc", "__x64_sys_fsync"):
        assert [(calls, ns) for function, calls, ns in shown if function == name] == [of(tree, name)], shown
    # What is left out is next to nothing.
    assert folded.hidden_ns.sum() < 0.05 * tree.floor_ns[0]
    text = "".join(TreeView(call_tree(loop(3_000)), folded, 100).plain())
    calls, ns = of(tree, "kmem_cache_alloc")
    assert f"kmem_cache_alloc × {calls:,}  avg {ns / calls / 1_000:.1f} us" in text
    # A single slow call among them keeps its row, and its place before them.
    names = [name for name, *_ in shown]
    assert names.index("__x64_sys_fsync") < names.index("__x64_sys_write")


@pytest.mark.parametrize(
    "options",
    [
        FoldOptions(max_rows=12, limit_asked=True), FoldOptions(max_rows=38), FoldOptions(max_rows=200),
        FoldOptions(max_rows=None, min_share=0.2), FoldOptions(max_rows=None, min_ns=100_000),
    ],
)  # fmt: skip
def test_a_loop_fits_the_rows_there_are(options: FoldOptions) -> None:
    tree = call_tree(loop(3_000)).tree
    folded = fold(tree, options)
    assert len(folded) <= min(options.max_rows or LOOP_ROWS, LOOP_ROWS)
    shown = {name: calls for name, calls, _ in rows(folded)}
    assert shown["vfs_write"] == 3_000
    assert folded.n_shown + folded.n_hidden == len(loop(3_000).calls)


@pytest.mark.parametrize("n_callers", [0, 1, 3])
def test_a_loop_below_callers_is_gathered_below_the_last_of_them(n_callers: int) -> None:
    def body(k: int) -> Call:
        pages = [call("page", 500, *[call("alloc", 1_000 + k), call("lock", 50)] * (1 + k % 3))] * (1 + k % 4)
        return call("write", 200, *pages, *[call("notify", 70)] * (k % 2))

    kinds = np.random.default_rng(3).integers(0, 24, 400).tolist()
    work = call("work", 50, *[one for k in kinds for one in (body(k), call(f"odd{k}", 30))])
    for i in range(n_callers):
        work = call(f"up{i}", 10, call("first", 5), work)
    tree = call_tree(trace_of([work])).tree
    folded = fold(tree, FoldOptions(max_rows=25))
    shown = rows(folded)
    sums = [(name, calls) for name, calls, _ in shown if calls > 1]
    n_single = [calls for name, calls, _ in shown if name == "write"].count(1)
    assert [name for name, _ in sums] == ["write", "page", "alloc", "lock"]
    assert sums[0] == ("write", 400 - n_single) and folded.is_sum.sum() == 4
    assert folded.hidden_ns.sum() < 0.1 * tree.floor_ns[0]


def test_calls_of_different_functions_are_not_gathered() -> None:
    tree = call_tree(trace_of([call("root", 1, *[call(f"f{i}", 100 + i) for i in range(300)])]), root=["root"]).tree
    folded = fold(tree, FoldOptions(max_rows=20))
    assert not folded.is_sum.any()
    assert len(folded) == 20


def test_all_and_min_0_gather_nothing() -> None:
    tree = call_tree(loop(200)).tree
    for options in (FoldOptions(max_rows=None, repeats=False), FoldOptions(max_rows=None, min_ns=0)):
        folded = fold(tree, options)
        assert not folded.is_sum.any()
        assert folded.n_hidden == 0


OPTIONS = st.builds(
    FoldOptions,
    max_rows=st.one_of(st.none(), st.integers(1, 30)),
    min_ns=st.one_of(st.none(), st.integers(0, 3_000)),
    min_share=st.one_of(st.none(), st.floats(0, 1)),
    depth=st.one_of(st.none(), st.integers(0, 4)),
)


@settings(max_examples=300, deadline=None)
@given(traces(), OPTIONS)
def test_shown_and_hidden_are_all_calls_and_all_time(trace: Trace, options: FoldOptions) -> None:
    tree = call_tree(trace).tree
    folded = fold(tree, options)
    now = folded.tree
    now.check()
    assert folded.n_shown + folded.n_hidden == len(trace.calls)
    assert now.count.sum() == tree.count.sum()
    assert now.n_unfinished.sum() == tree.n_unfinished.sum()
    assert np.maximum(now.self_ns, 0).sum() == np.maximum(tree.self_ns, 0).sum()
    visible = set(folded.node[folded.kind == Kind.CALL].tolist())
    for node in visible:
        # A row's callees, shown and hidden, took what they took before.
        members = np.flatnonzero(folded.node_of == node)
        before = tree.floor_ns[np.isin(tree.parent, members)].sum()
        after = now.floor_ns[now.parent == node].sum()
        assert before == after
        assert now.count[node] == tree.count[members].sum()
        assert now.floor_ns[node] == tree.floor_ns[members].sum()
        assert set(tree.label[members].tolist()) == {int(now.label[node])}
    for node in (*visible, -1):
        hidden = [c for c in np.flatnonzero(now.parent == node).tolist() if c not in visible]
        assert folded.hidden_ns[folded.node == node].sum() == now.floor_ns[hidden].sum()


def slow_groups(tree: TreeTable, top: list[int], least_ns: int) -> dict[tuple[str, ...], tuple[int, int]]:
    """The groups below one parent as ``gather`` makes them, found one by one: path -> (calls, time)."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}

    def look(nodes: list[int], path: tuple[str, ...]) -> None:
        by_name: dict[str, list[int]] = {}
        for node in nodes:
            by_name.setdefault(tree.labels[tree.label[node]], []).append(node)
        for name, same in by_name.items():
            total = int(tree.floor_ns[same].sum())
            if total >= max(least_ns, 1):
                found[(*path, name)] = (int(tree.count[same].sum()), total)
                look([c for c in range(len(tree)) if tree.parent[c] in same], (*path, name))

    look(top, ())
    return found


@settings(max_examples=200, deadline=None)
@given(traces(), st.integers(0, 5_000))
def test_gathering_is_what_a_slow_search_finds(trace: Trace, least_ns: int) -> None:
    tree = call_tree(trace).tree
    top = np.flatnonzero(tree.parent == 0).astype(np.int32)
    made = gather(tree, top, np.zeros(len(tree), np.bool_), np.full(len(top), least_ns, np.int64))
    expected = slow_groups(tree, top.tolist(), least_ns)
    if made is None:
        assert expected == {}
        return
    made.tree.check()
    now = made.tree
    got = {}
    for node in np.flatnonzero(made.is_group).tolist():
        path: tuple[str, ...] = ()
        at = node
        while now.parent[at] >= 0:
            path = (now.labels[now.label[at]], *path)
            at = int(now.parent[at])
        got[path] = (int(now.count[node]), int(now.floor_ns[node]))
    assert got == expected
    heaviest_first = [now.floor_ns[c] for c in np.flatnonzero((now.parent == 0) & made.is_group)]
    assert heaviest_first == sorted(heaviest_first, reverse=True)


# Sequences


def screen(*calls_of_root: Call, options: FoldOptions | None = None) -> list[str]:
    """What stands right of the numbers below ``root``."""
    trace = trace_of([call("root", 1, *calls_of_root)])
    view = tree_view(call_tree(trace, root=["root"]), options or FoldOptions(max_rows=None, min_ns=0), width=None)
    lines = [view.model.line(i) for i in range(len(view))]
    return [f"{'  ' * (int(view.folded.level[i]) - 1)}{lines[i].name}{lines[i].note}" for i in range(1, len(lines))]


A, B, C = call("a", 100, call("x", 50)), call("b [mod]", 200), call("c", 300)


def test_a_sequence_that_repeats_is_one_row_with_its_calls_below() -> None:
    assert screen(C, *[A, B] * 3, C) == [
        "c", "(a b) × 3  avg 350 ns", "  a", "    x", "  b [mod]", "c",
    ]  # fmt: skip
    assert screen(*[A, B] * 2) == ["a", "  x", "b [mod]"] * 2
    five = [call(f"f{i}") for i in range(5)]
    assert screen(*five * 3)[0] == "(f0 f1 f2 … 2 more) × 3  avg 500 ns"


def test_a_loop_in_a_loop_and_a_run_in_a_sequence() -> None:
    assert screen(*[*[A, B] * 3, C] * 4) == [
        "((a b) × 3 c) × 4  avg 1.4 us", "  (a b) × 3  avg 350 ns", "    a", "      x", "    b [mod]", "  c",
    ]  # fmt: skip
    assert screen(*[B, B, C] * 5)[:2] == ["(b × 2 c) × 5  avg 700 ns", "  b [mod] × 2  avg 200 ns"]


ODD = {
    "another callee": call("a", 100, call("y", 50)),
    "no callee": call("a", 100),
    "an error": call("a", 100, call("x", 50), retval=(1 << 64) - 19),
    "ten times the time": call("a", 1_500, call("x", 50)),
}


@pytest.mark.parametrize("why", ODD)
def test_the_odd_one_out_stands_apart_in_its_place(why: str) -> None:
    shown = screen(*[A, B] * 6, ODD[why], B, *[A, B] * 4)
    top = [row for row in shown if not row.startswith(" ")]
    assert [row.split("  ")[0].split(" = ")[0] for row in top] == ["(a b) × 6", "a", "b [mod]", "(a b) × 4"], shown
    assert ("= -19 ENODEV" in top[1]) == (why == "an error")
    alone = screen(*[A] * 5, ODD[why], *[A] * 9)
    top = [row for row in alone if not row.startswith(" ")]
    assert [row.split("  ")[0].split(" = ")[0] for row in top] == ["a × 5", "a", "a × 9"], alone


@pytest.mark.parametrize(
    ("slow", "apart"), [([50, 53], [50, 53]), ([50, 53, 52], [50, 53, 52]), ([51, 53, 50, 54, 52], [53, 54, 52])]
)
def test_the_three_slowest_of_a_loop_stand_apart_in_their_places(slow: list[int], apart: list[int]) -> None:
    took = {5 + 7 * i: 1_000 * us for i, us in enumerate(slow)}
    bodies = [one for i in range(100) for one in (call("a", 100), call("b", took.get(i, 100)))]
    folded = fold(call_tree(trace_of([call("root", 1, *bodies)])).tree, FoldOptions(max_rows=60))
    shown = [(calls, ns) for name, calls, ns in rows(folded) if name == "b"]
    assert [ns for calls, ns in shown if calls == 1] == [1_000 * us for us in apart]
    assert (sum(calls for calls, _ in shown), sum(ns for _, ns in shown)) == (
        100, 100 * (100 - len(slow)) + 1_000 * sum(slow)
    )


def test_nine_times_the_time_is_none_and_neither_is_what_a_loop_around_it_repeats() -> None:
    slow = call("a", 1_200, call("x", 50))
    assert len([row for row in screen(*[A, B] * 6, slow, B, *[A, B] * 4) if "× 11" in row]) == 1
    slower = call("a", 9_000, call("x", 50))
    outer = [call("o", 1, A, A, slower, A), call("o", 1, A, A, A, A), call("o", 1, slower, A, A, A)]
    assert screen(*outer)[:2] == ["o × 3  avg 6.5 us", "  a × 4  avg 1.6 us"]


def test_a_loop_is_no_level_of_calls() -> None:
    one = FoldOptions(max_rows=None, depth=1)
    assert screen(*[A, B] * 3, options=one) == ["(a b) × 3  avg 350 ns", "  a … 3 calls", "  b [mod]"]
    opened = FoldOptions(max_rows=3, expand=["root"])
    assert screen(*[A, B] * 3, options=opened)[:3] == ["(a b) × 3  avg 350 ns", "  a … 3 calls", "  b [mod]"]


# Hints: as typed, and a readable screen


def typed(hint: str) -> FoldOptions:
    """The options of ``kfgraph show`` in a hint."""
    given = dict(re.findall(r"--(min|max-rows|depth) (\S+)", hint))
    return fold_options(
        several=False, screen_rows=None, all_=False, depth=int(given["depth"]) if "depth" in given else None,
        least=least(given.get("min")), max_rows=int(given["max-rows"]) if "max-rows" in given else None,
        expand=(), collapse=(), calls_to=(),
    )  # fmt: skip


@pytest.mark.parametrize("n", [5, 40, 3_000])
@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        FoldOptions(), FoldOptions(max_rows=None, min_ns=1_000_000), FoldOptions(max_rows=9, limit_asked=True),
        FoldOptions(max_rows=None, depth=1),
    ],
    ids=["default", "min", "rows", "depth"],
)  # fmt: skip
def test_a_hint_shows_more_on_a_readable_screen(n: int, merge: bool, options: FoldOptions) -> None:
    trace = loop(n)
    view = tree_view(call_tree(trace, merge=merge), options, width=100)
    (said,) = [line for line in view.summary() if "not shown" in line] or [""]
    if not said:
        assert view.folded.n_hidden == 0
        return
    hints = re.findall(r"--(?:merge|min|max-rows|depth)(?: [\w.]+)?(?: --(?:depth|min) \d+)?", " ".join(view.summary()))
    assert hints
    for hint in hints:
        more = tree_view(call_tree(trace, merge=merge or "--merge" in hint), typed(hint), width=100)
        assert len(more) <= 2 * READABLE, hint
        # More rows may be more single calls.
        assert more.folded.n_hidden < view.folded.n_hidden or ("--max-rows" in hint and len(more) > len(view)), hint


def test_times_for_options_round_up_to_two_digits() -> None:
    said = {1: "1ns", 99: "99ns", 101: "110ns", 1_000: "1us", 1_001: "1.1us", 43_210: "44us", 999_999: "1000us",
            1_234_567: "1.3ms", 12_000_001: "13ms", 2_000_000_001: "2.1s"}  # fmt: skip
    assert {ns: ns_option(ns) for ns in said} == said
    for ns, text in said.items():
        assert ns <= parse_ns(text) <= ns * 1.1 + 1


@pytest.mark.parametrize("width", [30, 60, 70, 80, 120, 200])
def test_a_loop_fits_every_width(width: int) -> None:
    view = tree_view(call_tree(loop(2_000)), FoldOptions(), width=width)
    lines = "".join(view.plain()).splitlines()
    assert all(cell_len(line) <= width for line in lines)
    assert sum(" × 2,000" in line for line in lines) == (2 if width >= 60 else 0)
