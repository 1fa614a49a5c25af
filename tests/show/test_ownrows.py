"""kfgraph's own cost in a tree: a row below its call, or where that is folded away; never a share or the hot child."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

import kfgraph
from builder.tables import Call, call, calls, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.owncost import LABEL
from kfgraph.analyze.select import select
from kfgraph.analyze.tree_rows import Kind
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.model.companion import Companion, ReturnProbe
from kfgraph.model.trace import Trace
from kfgraph.render.tree import TreeView, tree_view

EXAMPLE = Path(__file__).parents[2] / "examples" / "insmod-foo-fail19.dat"
ALL = FoldOptions(max_rows=None, max_roots=None, repeats=False)
ROBUST = "blocking_notifier_call_chain_robust"
CHAIN = "blocking_notifier_call_chain"


def probed(*roots: Call) -> Trace:
    probe = ReturnProbe("kfgraph", "foo_init", "foo_init", "foo")
    return replace(trace_of(list(roots)), companion=Companion(probes=(probe,)))


def screen(view: TreeView) -> list[str]:
    return "".join(view.plain()).splitlines()


LOAD = call(
    "load_module",
    2_000,
    call("check", 5_000),
    call(ROBUST, 900_000, call("down_read", 40), call("up_read", 30)),
    call("do_init_module", 7_000, call("foo_init [foo]", 1_000), call(CHAIN, 100_000), call("free", 300)),
    call("put", 100),
)


def test_with_room_the_row_stands_below_its_call() -> None:
    assert screen(tree_view(call_tree(probed(LOAD), root=["load_module"]), ALL, width=100)) == [
        "task0-100, CPU 0, 0.000000 s after the start",
        "       total       self  share calls  function",
        "+  15.470 us   2.000 us 100.0%     1  load_module",
        "    5.000 us   5.000 us  32.3%     1  ├ check",
        "    0.070 us   0.000 us   0.5%     1  ├ blocking_notifier_call_chain_robust",
        " ≤900.000 us                          │ ├ kfgraph: setting return probes",
        "    0.040 us   0.040 us   0.3%     1  │ ├▸down_read",
        "    0.030 us   0.030 us   0.2%     1  │ ├ up_read",
        "    8.300 us   7.000 us  53.7%     1  ├▸do_init_module",
        "    1.000 us   1.000 us   6.5%     1  │ ├▸foo_init [foo]",
        "    0.000 us   0.000 us   0.0%     1  │ ├ blocking_notifier_call_chain",
        " ≤100.000 us                          │ │ ├ kfgraph: setting return probes",
        "    0.300 us   0.300 us   1.9%     1  │ ├ free",
        "    0.100 us   0.100 us   0.6%     1  ├ put",
        "+ over 10 us  ▸ slowest callee",
        "≤ at most: in no time and no share above it",
    ]


def tree_of(lines: list[str]) -> list[str]:
    """The tree's part of the lines."""
    head = next(line for line in lines if line.endswith("function"))
    return [line[len(head) - len("function") :] for line in lines[lines.index(head) + 1 :]]


def test_where_its_call_is_folded_the_row_stands_in_its_place_and_names_it() -> None:
    lines = screen(tree_view(call_tree(probed(LOAD), root=["load_module"]), FoldOptions(min_ns=250), width=120))
    assert tree_of(lines)[:7] == [
        "load_module … 4 calls",
        "├ check",
        f"├ kfgraph: setting return probes in {ROBUST}",
        "├▸do_init_module … 1 call",
        "│ ├▸foo_init [foo]",
        f"│ ├ kfgraph: setting return probes in {CHAIN}",
        "│ ├ free",
    ]
    assert lines[4].startswith(" ≤900.000 us  ")
    # Before the count of what its caller hides.
    last = call("load_module", 2_000, call("a", 900), call("b", 600), call("c", 600), call(ROBUST, 800_000))
    view = tree_view(call_tree(probed(last), root=["load_module"]), FoldOptions(max_rows=3), width=120)
    assert tree_of(screen(view))[:4] == [
        "load_module",
        "├▸a",
        f"├ kfgraph: setting return probes in {ROBUST}",
        "├ … 3 calls, 1.200 us (--min 0)",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (FoldOptions(depth=1, max_rows=None), "took ≤ 1.000 ms in 2 calls not shown; no time above holds it"),
        (FoldOptions(depth=2, max_rows=None), "took ≤ 100.000 us in 1 call not shown; no time above holds it"),
        (FoldOptions(collapse=["do_init*"]), "took ≤ 100.000 us in 1 call not shown; no time above holds it"),
        (FoldOptions(calls_to=["check"]), "took ≤ 1.000 ms in 2 calls not shown; no time above holds it"),
        (ALL, ""),
    ],
)
def test_what_has_no_row_is_said_below(options: FoldOptions, said: str) -> None:
    lines = screen(tree_view(call_tree(probed(LOAD), root=["load_module"]), options, width=100))
    assert [line for line in lines if line.startswith("kfgraph: ")] == ([f"{LABEL} {said}"] if said else [])
    assert sum(f"├ {LABEL}" in line for line in lines) == (2 if not said else 2 - int(said.split(" call")[0][-1]))


def test_closed_matches_keep_theirs_closed() -> None:
    view = tree_view(call_tree(probed(LOAD, LOAD), root=["load_module"]), FoldOptions(open_roots="one"), width=100)
    lines = screen(view)
    assert sum("├ kfgraph: setting" in line for line in lines) == 2
    assert lines[-1] == f"{LABEL} took ≤ 1.000 ms in 2 calls not shown; no time above holds it"


def test_unknown_is_said_to_be_unknown() -> None:
    trace = probed(call("load_module", 100, call(ROBUST, 900, call("down_read", 40, unfinished=True)), call("free", 7)))
    lines = screen(tree_view(call_tree(trace, root=["load_module"]), ALL, width=100))
    assert [line.split() for line in lines[2:5]] == [
        ["≥", "0.007", "us", "0.100", "us", "100.0%", "1", "load_module"],
        ["?", "?", "1", "├", ROBUST],
        ["≤", "?", "│", "├", *LABEL.split()],
    ]
    both = probed(LOAD, call("load_module", 1, call(ROBUST, 5, call("down_read", unfinished=True))))
    lines = screen(tree_view(call_tree(both, root=["load_module"], merge=True), ALL, width=100))
    (row,) = [i for i, line in enumerate(lines) if line.endswith(ROBUST)]
    assert lines[row + 1].split() == ["≤", "?", "│", "├", "kfgraph:", "setting", "return", "probes"]


def test_a_run_and_a_merged_node_sum_up() -> None:
    trace = probed(call("outer", 1, LOAD, LOAD, LOAD))
    lines = screen(tree_view(call_tree(trace, root=["outer"]), FoldOptions(), width=100))
    assert [line[:12] for line in lines if LABEL in line] == [" ≤  2.700 ms", " ≤300.000 us"]
    lines = screen(tree_view(call_tree(trace, merge=True), FoldOptions(), width=100))
    assert sorted(line[:12] for line in lines if LABEL in line) == [" ≤  2.700 ms", " ≤300.000 us"]
    hidden = screen(tree_view(call_tree(trace, hide=["*chain*", "do_init*"], root=["outer"]), ALL, width=100))
    assert [line[:12] for line in hidden if LABEL in line] == [" ≤  1.000 ms"] * 3


NAMES = ("load_module", ROBUST, CHAIN, "notifier_call_chain", "x", "y")
OPTIONS = st.builds(
    FoldOptions,
    max_rows=st.one_of(st.none(), st.integers(1, 20)),
    min_ns=st.one_of(st.none(), st.integers(0, 20_000)),
    depth=st.one_of(st.none(), st.integers(0, 4)),
    max_roots=st.one_of(st.none(), st.integers(1, 3)),
    repeats=st.booleans(),
    open_roots=st.sampled_from(["all", "one"]),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(calls(NAMES), min_size=1, max_size=4), OPTIONS, st.booleans(), st.integers(60, 200))
def test_no_cost_is_lost_on_the_way_to_the_screen(
    roots: list[Call], options: FoldOptions, merge: bool, width: int
) -> None:
    trace = probed(*roots)
    cost = select(trace).own_cost
    view = tree_view(call_tree(trace, merge=merge), options, width=width)
    folded = view.folded
    is_cost = folded.kind == Kind.OWN_COST
    shown = folded.hidden_ns[is_cost]
    unseen = view.unseen_cost
    known = shown[shown >= 0].sum()
    assert (-1 in shown or (unseen is not None and unseen.at_most_ns == -1)) == bool(cost.n_unknown)
    if not cost.n_unknown:
        assert int(known) + (unseen.at_most_ns if unseen else 0) == cost.known_ns
    else:
        assert known <= cost.known_ns
    assert not folded.hot[is_cost].any()
    assert (folded.share[is_cost] < 0).all()
    assert (folded.level[is_cost] == folded.tree.level[folded.node[is_cost]] + 1).all()
    # Below the call that it stands in, and before what follows that.
    for row in np.flatnonzero(is_cost).tolist():
        above = row
        while folded.level[above] >= folded.level[row]:
            above -= 1
        assert (folded.kind[above], folded.node[above]) == (Kind.CALL, folded.node[row])
    if options.depth is not None:
        assert (folded.level[is_cost] <= options.depth).all()
    lines = screen(view)
    assert all(cell_len(line) <= width for line in lines)
    assert sum(line.startswith(" ≤") for line in lines) == len(shown)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_failing_insmod_of_the_examples(width: int) -> None:
    trace = kfgraph.load(EXAMPLE)
    lines = screen(tree_view(call_tree(trace, root=["load_module"]), FoldOptions(max_rows=38), width=width))
    rows = [line for line in lines if LABEL in line]
    assert [row.split()[0] for row in rows] == (["≤502.3", "≤100.6"] if width == 60 else ["≤502.346", "≤100.568"])
    assert not any("%" in row or "▸" in row for row in rows)
    (root,) = [line for line in lines if "load_module" in line]
    assert ("60.0 ms" if width == 60 else "59.972 ms") in root
    (hot,) = [line for line in lines if "▸do_init_module" in line]
    assert ("59.9%" in hot) == (width > 60)  # there the names of what failed need the room


def test_styles_say_the_same_as_the_plain_text() -> None:
    view = tree_view(call_tree(probed(LOAD)), ALL, width=100)
    console = Console(file=io.StringIO(), width=100, color_system=None, force_terminal=True)
    assert [line.rstrip() for line in "".join(view.styled(console)).splitlines()] == [
        line.rstrip() for line in screen(view)
    ]
    (pieces,) = [p for p in view.lines() if "≤900" in p[0][0]]
    assert {style for _, style in pieces} == {"dim"}


def test_of_two_costs_in_one_place_the_inner_one_comes_first() -> None:
    robust = call(ROBUST, 900_000, call("down_read", 20), call("up_read", 20))
    trace = probed(call("load_module", 5, robust, call(CHAIN, 100_000)))
    lines = screen(tree_view(call_tree(trace, root=["load_module"]), FoldOptions(min_ns=30), width=120))
    assert tree_of(lines)[:4] == [
        "load_module … 1 call",
        f"├▸{ROBUST} … 2 calls",
        f"│ ├ {LABEL}",
        f"├ {LABEL} in {CHAIN}",
    ]
