"""Which calls are looked at, and call trees of them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph
from builder.tables import NAMES, call, deep, trace_of, traces, wide
from kfgraph.analyze import paths
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.merged import merged
from kfgraph.analyze.select import nearest, select
from kfgraph.errors import NoMatchError, UsageError
from kfgraph.model import tree as tree_model
from kfgraph.model.calls import Flag
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace
from kfgraph.model.tree import TreeTable


def rows(trace: Trace, **filters: object) -> list[int]:
    return np.flatnonzero(select(trace, **filters).keep).tolist()  # type: ignore[arg-type]


def spelt(tree: TreeTable) -> list[str]:
    return [
        f"{'  ' * int(tree.level[i])}{tree.labels[tree.label[i]]} {tree.total_ns[i]} {tree.self_ns[i]}"
        for i in range(len(tree))
    ]


LOADER = [
    call("other", 5),
    call("load", 10, call("check", 7, call("load", 3)), call("init [foo]", 20)),
    call("load", 1),
]


def test_a_match_is_an_outermost_call_in_time_order() -> None:
    trace = trace_of(LOADER, [call("init [foo]", 2)], start_ns=1_000)
    assert select(trace, root=["load"]).roots.tolist() == [1, 5]
    assert rows(trace, root=["load"]) == [1, 2, 3, 4, 5]
    assert select(trace, root=["load", "init"]).roots.tolist() == [6, 1, 5]
    assert rows(trace, root=["init [foo]"]) == [4, 6]
    assert rows(trace, root=["* [f*]"]) == [4, 6]
    assert rows(trace, root=["o*"]) == [0]


@settings(max_examples=150, deadline=None)
@given(traces(), st.sampled_from([name for name in NAMES if name]))
def test_matches_equal_a_walk_down_from_each_root(trace: Trace, name: str) -> None:
    calls = trace.calls
    wanted = {code for code in range(len(trace.symbols)) if trace.symbols.label(code) == name}
    wanted |= {code for code in range(len(trace.symbols)) if trace.symbols.names[code] == name}
    found = []

    def walk(row: int) -> None:
        if int(calls.func[row]) in wanted:
            found.append(row)
            return
        for child in np.flatnonzero(calls.parent == row).tolist():
            walk(child)

    for root in calls.roots.tolist():
        walk(root)
    if not found:
        with pytest.raises(NoMatchError):
            select(trace, root=[name])
        return
    chosen = select(trace, root=[name])
    assert sorted(chosen.roots.tolist()) == found
    assert (np.diff(calls.start_ns[chosen.roots]) >= 0).all()
    assert int(chosen.keep.sum()) == sum(int(calls.end[row]) - row for row in found)


def test_no_match_names_the_nearest() -> None:
    with pytest.raises(NoMatchError, match="no call of 'chek'") as problem:
        select(trace_of(LOADER), root=["chek"])
    assert problem.value.hint == "did you mean check?"
    assert problem.value.exit_code == 6
    # Two letters are in too many names; none are in all.
    assert [nearest(part, ("load_module", "vfs_load")) for part in ("loa", "lo", "l", "*")] == [
        "did you mean vfs_load or load_module?", "", "", ""
    ]  # fmt: skip


def test_a_plain_name_finds_the_copies_that_the_compiler_made() -> None:
    trace = trace_of([call("load.isra.0"), call("load_more"), call("load.part.3")])
    assert rows(trace, root=["load"]) == [0, 2]


def test_tasks_by_comm_glob_label_and_pid() -> None:
    tasks = [Task(7, "insmod"), Task(8, "in sane-1"), Task(0, "<idle>", 1)]
    trace = trace_of([call("a")], [call("b")], [call("c")], tasks=tasks)
    assert rows(trace, task=["insmod"]) == [0]
    assert rows(trace, task=["in*"]) == [0, 1]
    assert rows(trace, task=["in sane-1-8"]) == [1]
    assert rows(trace, pid=[0], task=["insmod"]) == [0, 2]
    with pytest.raises(NoMatchError, match="no task 'insmd'") as problem:
        select(trace, task=["insmd"])
    assert problem.value.hint == "did you mean insmod?"
    with pytest.raises(NoMatchError, match="no task with pid 9"):
        select(trace, pid=[9])
    # Those with the most calls are told, not the first of the alphabet, which called nothing.
    busy = trace_of([], [call("b")], [call("c"), call("c")], tasks=[Task(7, "a"), Task(8, "b"), Task(9, "c")])
    with pytest.raises(NoMatchError) as problem:
        select(busy, pid=[1])
    assert problem.value.hint == "it has c-9, b-8, a-7"


def test_other_tasks_and_what_ran_before_the_exec_are_left_out_and_counted() -> None:
    before = call("write", 5, call("copy", flags=Flag.PRE_EXEC), flags=Flag.PRE_EXEC)
    built = trace_of([before, call("exec", 3)], [call("idle", 1), call("idle", 1)])
    trace = Trace(built.calls, built.symbols, built.tasks, meta=built.meta, command_lanes=frozenset({0}))
    chosen = select(trace)
    assert np.flatnonzero(chosen.keep).tolist() == [2]
    assert [(n.code, n.n, n.hint) for n in chosen.notices] == [
        ("other-tasks", 2, "--all-tasks"),
        ("pre-exec", 2, "--pre-exec"),
    ]
    assert rows(trace, all_tasks=True, pre_exec=True) == [0, 1, 2, 3, 4]
    assert rows(trace, task=["task1"]) == [3, 4]


def test_cpu_keeps_calls_entered_there_below_their_nearest_kept_caller() -> None:
    trace = trace_of([call("a", 1, call("b", 1, call("c", 1, cpu=0), cpu=1), cpu=0)])
    chosen = select(trace, cpu=[0])
    assert np.flatnonzero(chosen.keep).tolist() == [0, 2]
    assert chosen.parent[[0, 2]].tolist() == [-1, 0]
    tree = call_tree(trace, cpu=[0], root=["a"]).tree
    assert spelt(tree) == ["a 3 1", "  c 1 1"]
    assert select(trace, cpu=[1]).roots.tolist() == [1]
    with pytest.raises(NoMatchError, match="no call on CPU 5"):
        select(trace, cpu=[5])


def test_a_time_window_keeps_what_overlaps_it() -> None:
    trace = trace_of([call("a", 400), call("b", 400), call("c", 400, unfinished=True)])
    # a: 0-400, b: 1400-1800, c: from 2800 on.
    assert rows(trace, from_s=401e-9, to_s=2_000e-9) == [1]
    assert rows(trace, to_s=1_400e-9) == [0]
    assert rows(trace, from_s=10_000e-9) == [2]
    with pytest.raises(UsageError, match="is not before"):
        select(trace, from_s=1, to_s=1)
    with pytest.raises(NoMatchError):
        select(trace_of([call("a", 400)]), from_s=1)


def test_no_irq_takes_interrupts_and_their_time_out() -> None:
    irq = call("tick", 30, call("timer", 20, context=2), context=2)
    wrapper = call("irq_enter_rcu", 4)
    body = call("work", 100, irq, wrapper, call("leaf", 6))
    tree = call_tree(trace_of([call("root", 1, body)]), root=["root"], no_irq=True).tree
    assert spelt(tree) == ["root 107 1", "  work 106 100", "    leaf 6 6"]


def test_no_irq_refuses_where_the_context_is_unknown() -> None:
    with pytest.raises(UsageError, match="does not tell which calls ran in an interrupt") as problem:
        select(trace_of([call("a", context=255)]), no_irq=True)
    assert "trace.dat" in problem.value.hint


@settings(max_examples=150, deadline=None)
@given(traces())
def test_no_irq_conserves_the_time_of_what_stays(trace: Trace) -> None:
    calls = trace.calls
    if not (calls.context == 0).any():
        return
    try:
        tree = call_tree(trace, no_irq=True).tree
    except NoMatchError:
        assert (calls.context[calls.roots] > 0).all()
        return
    tree.check()
    for node in np.flatnonzero(tree.row >= 0).tolist():
        assert tree.self_ns[node] == calls.self_ns[tree.row[node]]
        children = np.flatnonzero(tree.parent == node)
        if tree.self_ns[node] >= 0:
            assert tree.total_ns[node] == tree.self_ns[node] + tree.total_ns[children].sum()


def test_tasks_are_the_roots_without_a_name() -> None:
    shown = call_tree(trace_of([call("a", 5), call("b", 7, unfinished=True)], [call("c", 9)]))
    assert shown.by_task
    assert spelt(shown.tree) == ["task0-100 -1 0", "  a 5 5", "  b -1 -1", "task1-101 9 0", "  c 9 9"]
    assert shown.tree.floor_ns.tolist() == [5, 5, 0, 9, 9]
    assert shown.tree.count.tolist() == [0, 1, 1, 0, 1]


def test_a_call_without_an_end_is_at_least_its_children() -> None:
    inner = call("b", 1, call("c", 4), unfinished=True)
    tree = call_tree(trace_of([call("a", 5, inner, call("d", 3))]), root=["a"]).tree
    assert tree.total_ns.tolist() == [13, -1, 4, 3]
    assert tree.floor_ns.tolist() == [13, 4, 4, 3]
    both = call_tree(trace_of([call("a", 5, inner, unfinished=True)]), root=["a"]).tree
    assert both.floor_ns.tolist() == [4, 4, 4]


def test_nth_and_slowest_choose_among_the_matches() -> None:
    trace = trace_of([call("f", 5), call("f", 9, call("g", 1)), call("f", 7)])

    def chosen(**options: int) -> CallTree:
        return call_tree(trace, root=["f"], **options)  # type: ignore[arg-type]

    assert chosen(nth=2).tree.row.tolist() == [1, 2]
    assert chosen(nth=2).nth.tolist() == [2]
    assert chosen(slowest=2).tree.row.tolist() == [1, 2, 3]
    assert chosen(slowest=2).nth.tolist() == [2, 3]
    assert chosen(slowest=3).tree.row.tolist() == [1, 2, 3, 0]
    assert chosen(slowest=9).matches.tolist() == [0, 1, 3]
    for tree in (chosen(slowest=3).tree, chosen(nth=3).tree):
        tree.check()
    with pytest.raises(NoMatchError, match="no match 4 of f: 3 calls matched"):
        chosen(nth=4)
    with pytest.raises(UsageError, match="counts from 1"):
        chosen(nth=0)
    with pytest.raises(UsageError, match="contradict"):
        chosen(nth=1, slowest=1)
    with pytest.raises(UsageError, match="among the matches of --root"):
        call_tree(trace, nth=1)


def test_hide_gives_children_and_time_to_the_caller() -> None:
    trace = trace_of([call("a", 5, call("b", 7, call("c", 3), call("b", 2, call("d", 1))), call("e", 4))])
    shown = call_tree(trace, root=["a"], hide=["b"])
    assert spelt(shown.tree) == ["a 22 14", "  c 3 3", "  d 1 1", "  e 4 4"]
    assert shown.n_hidden == 2
    assert spelt(call_tree(trace, root=["a"], hide=["*"]).tree) == ["a 22 22"]


@settings(max_examples=200, deadline=None)
@given(traces(), st.sets(st.sampled_from([name for name in NAMES if name]), min_size=1))
def test_hide_conserves_time(trace: Trace, names: set[str]) -> None:
    before = call_tree(trace).tree
    shown = call_tree(trace, hide=sorted(names))
    after = shown.tree
    after.check()
    assert len(after) == len(before) - shown.n_hidden
    assert after.floor_ns[after.roots].tolist() == before.floor_ns[before.roots].tolist()
    kept = {int(row): i for i, row in enumerate(before.row) if row >= 0}
    for node in range(len(after)):
        if after.row[node] >= 0:
            assert after.total_ns[node] == before.total_ns[kept[int(after.row[node])]]
        children = np.flatnonzero(after.parent == node)
        if after.self_ns[node] >= 0 and after.total_ns[node] >= 0:
            assert after.total_ns[node] == after.self_ns[node] + after.total_ns[children].sum()
    if not trace.n_unfinished:
        assert after.self_ns.sum() == before.self_ns.sum()


def test_hide_keeps_the_time_of_what_hit_the_tracer_out_of_its_caller() -> None:
    trace = trace_of([call("a", 50, call("b", 1))])
    calls = trace.calls
    inside = Flag.IN_TRACER
    odd = calls.with_columns(
        duration_ns=np.array([50, 90], np.int64),
        self_ns=np.array([50, 90], np.int64),
        flags=np.array([0, inside], np.uint32),
    )
    tree = call_tree(Trace(odd, trace.symbols, trace.tasks), root=["a"], hide=["b"]).tree
    assert spelt(tree) == ["a 50 50"]


def test_merge_sums_calls_of_one_path_slowest_first() -> None:
    first = call("a", 1, call("b", 2), call("c", 9), call("b", 4, call("d", 1)))
    trace = trace_of([first], [call("a", 5, call("b", 8, unfinished=True))])
    shown = call_tree(trace, root=["a"], merge=True)
    tree = shown.tree
    tree.check()
    assert spelt(tree) == ["a 30 1", "  c 9 9", "  b 7 6", "    d 1 1"]
    assert tree.count.tolist() == [2, 1, 3, 1]
    assert tree.n_unfinished.tolist() == [0, 0, 1, 0]
    assert (tree.min_ns[2], tree.max_ns[2]) == (2, 5)
    assert tree.row.tolist() == [-1] * 4


@settings(max_examples=150, deadline=None)
@given(traces(), st.sampled_from([(paths._PART, paths._MOST_BITS), (1, 0), (3, 1), (2, 22)]))
def test_merge_conserves_calls_and_time(trace: Trace, sizes: tuple[int, int]) -> None:
    tree = call_tree(trace).tree
    part, bits = sizes
    # In pieces, and with many paths in one place of the table.
    with (
        patch.object(paths, "_PART", part),
        patch.object(paths, "_LEAST_BITS", 0),
        patch.object(paths, "_MOST_BITS", bits),
        patch.object(tree_model, "_PART", part),
    ):
        one = merged(tree)
    one.check()
    assert one.count.sum() == tree.count.sum()
    assert one.n_unfinished.sum() == tree.n_unfinished.sum()
    assert np.maximum(one.self_ns, 0).sum() == np.maximum(tree.self_ns, 0).sum()
    of_path: dict[tuple[int, ...], int] = {}
    for node in range(len(tree)):
        path, at = [], node
        while at >= 0:
            path.append(int(tree.label[at]))
            at = int(tree.parent[at])
        of_path[tuple(path)] = of_path.get(tuple(path), 0) + int(tree.floor_ns[node])
    assert len(one) == len(of_path)
    assert sorted(one.floor_ns.tolist()) == sorted(of_path.values())


@pytest.mark.parametrize("trace", [deep(5_000), wide(100_000), trace_of()], ids=["deep", "wide", "empty"])
def test_large_and_empty_shapes(trace: Trace) -> None:
    n = len(trace.calls)
    shown = call_tree(trace)
    shown.tree.check()
    assert int(shown.tree.count.sum()) == n
    one = merged(shown.tree)
    assert int(one.count.sum()) == n
    if n:
        assert int(one.self_ns.sum()) == int(trace.calls.self_ns.sum())
        assert len(call_tree(trace, hide=["f*", "leaf"]).tree) <= 2


def test_shared_traces_keep_every_call(shared_traces: Path) -> None:
    trace = kfgraph.load(str(shared_traces / "6.1" / "pipe-syscalls-sched.dat"))
    tree = call_tree(trace, all_tasks=True, pre_exec=True).tree
    tree.check()
    assert int(tree.count.sum()) == len(trace.calls)


def test_a_system_calls_name_stands_for_its_handler_unless_a_function_has_that_name() -> None:
    trace = trace_of([call("__x64_sys_openat", 5, call("__se_sys_openat", 5)), call("__x64_sys_close")])
    assert select(trace, root="openat").roots.tolist() == [0]
    named = trace_of([call("__x64_sys_openat"), call("openat")])
    assert select(named, root="openat").roots.tolist() == [1]
    with pytest.raises(NoMatchError):
        select(trace, root="open")
