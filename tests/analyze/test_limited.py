"""Trees made small: what becomes a sum, what is left out, and that nothing is lost of either."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.tables import Call, bushy, call, trace_of, traces
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.limited import LEFT_OUT, Limited, Limiter, under_one
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable

NONE = np.zeros(0, np.int32)
ENODEV, EIO = -19 & 0xFFFFFFFF, -5 & 0xFFFFFFFF


def result_of(tree: TreeTable, node: int) -> tuple[int, ...]:
    return int(tree.label[node]), int(tree.at("error", node)), int(tree.at("error_sure", node))


def accounts(tree: TreeTable, found: Limited) -> None:
    """Each call is in one node of the small tree, and each number of that is what its calls add up to."""
    small = found.tree
    small.check()
    assert len(found.node_of) == len(tree)
    members: list[list[int]] = [[] for _ in range(len(small))]
    for node, now in enumerate(found.node_of.tolist()):
        members[now].append(node)
        above, above_now = int(tree.parent[node]), int(small.parent[now])
        inside = small.kind[now] == NodeKind.REST and above >= 0 and found.node_of[above] == now
        assert inside or above_now == (found.node_of[above] if above >= 0 else -1)
    n_summed = n_left_out = 0
    for now, nodes in enumerate(members):
        totals = [int(tree.total_ns[node]) for node in nodes]
        calls = [node for node in nodes if tree.at("kind", node) == NodeKind.CALL]
        selves = [int(tree.self_ns[node]) for node in calls if tree.self_ns[node] >= 0]
        assert nodes, "a node of nothing"
        if small.at("kind", now) == NodeKind.TASK:
            assert len(nodes) == 1 and small.total_ns[now] == totals[0] and not calls
            continue
        assert small.count[now] == len(calls) == len(nodes)
        assert small.self_ns[now] == (sum(selves) if selves else -1)
        tops = [node for node in nodes if found.node_of[tree.parent[node]] != now]
        known = [int(tree.total_ns[node]) for node in tops if tree.total_ns[node] >= 0]
        assert small.floor_ns[now] == sum(int(tree.floor_ns[node]) for node in tops)
        ended = [not tree.flags[node] & Flag.NO_EXIT and tree.total_ns[node] >= 0 for node in nodes]
        assert small.total_ns[now] == (sum(known) if all(ended) else -1)
        assert small.min_ns[now] == min(known, default=-1) and small.max_ns[now] == max(known, default=-1)
        if small.at("kind", now) == NodeKind.REST:
            n_left_out += len(nodes)
            assert (small.row[now], small.flags[now], small.at("error", now)) == (-1, 0, 0), "of no call"
            assert len(nodes) > 1 and small.labels[small.label[now]] == LEFT_OUT and small.end[now] == now + 1
            assert all(tree.floor_ns[node] <= found.least_ns for node in tops)
            continue
        assert tops == nodes and {result_of(tree, node) for node in nodes} == {result_of(small, now)}
        if len(nodes) == 1:
            assert small.row[now] == tree.row[nodes[0]]
        else:
            n_summed += len(nodes)
            assert not small.flags[now] & Flag.IN_TRACER, "its total is in what its caller's is made of"
    assert found.n_left_out == n_left_out
    assert found.kept.tolist() == sorted(found.kept.tolist())
    for node, now in zip(found.kept.tolist(), found.now.tolist(), strict=True):
        assert members[now] == [node] and small.flags[now] == tree.flags[node]
    if not n_left_out:
        assert n_summed <= found.n_summed, "a call alone in what is summed"


@settings(max_examples=120, deadline=None)
@given(traces(), st.integers(0, 12), st.integers(1, 3), st.data())
def test_every_call_is_accounted_for(trace: Trace, most: int, single: int, data: st.DataObject) -> None:
    tree = call_tree(trace).tree
    calls = np.flatnonzero(tree.kind == NodeKind.CALL) if len(tree) else NONE
    wanted = NONE
    if len(calls) and data.draw(st.booleans()):
        wanted = np.array([data.draw(st.sampled_from(calls.tolist()))], np.int32)
    found = Limiter(tree, wanted, single=(single,)).limited(most)
    accounts(tree, found)
    for node in wanted.tolist():
        assert node in found.kept.tolist() or found.is_whole
    assert found.is_whole == (len(tree) <= most)


def many() -> Trace:
    """Calls of two functions, of 1 to 40 ns, the long ones in the middle; each calls another one."""
    times = [*range(1, 41, 2), *range(40, 0, -2)]
    calls: list[Call] = []
    for ns in times:
        calls += [call("f", 2 * ns, call("g", ns)), call("h", ns)]
    return trace_of([call("loop", 5, *calls)])


def test_the_slowest_of_a_function_stay_single_and_the_rest_is_a_sum() -> None:
    trace = many()
    tree = call_tree(trace).tree
    found = Limiter(tree, NONE).limited(60)
    accounts(tree, found)
    small = found.tree
    assert found.n_single == 10 and not found.n_left_out
    rows = [(small.labels[small.label[i]], int(small.count[i]), int(small.total_ns[i])) for i in range(len(small))]
    singles = sorted(ns for name, n, ns in rows if name == "f" and n == 1)
    assert singles == [3 * ns for ns in range(31, 41)]
    (all_f,) = [(i, row) for i, row in enumerate(rows) if row[:2] == ("f", 30)]
    assert all_f[1][2] == 3 * sum(range(1, 31)) and rows[all_f[0] + 1] == ("g", 30, sum(range(1, 31)))
    assert (small.min_ns[all_f[0]], small.max_ns[all_f[0]]) == (3, 90)
    assert [row for row in rows if row[:2] == ("h", 30)] == [("h", 30, sum(range(1, 31)))]
    # 10 of f with g, 10 of h; the task, the loop; two sums, one with g.
    assert len(small) == 10 * 3 + 2 + 3 and found.n_summed == 30 * 3


@pytest.mark.parametrize(("most", "n_single"), [(1_000, None), (121, 30), (97, 30), (94, 10), (36, 10), (34, 3)])
def test_as_many_stay_single_as_fit(most: int, n_single: int | None) -> None:
    tree = call_tree(many()).tree
    found = Limiter(tree, NONE).limited(most)
    assert found.n_single == n_single and len(found.tree) <= most and not found.n_left_out


def test_what_is_wanted_stays_single_and_so_does_what_leads_to_it() -> None:
    tree = call_tree(many()).tree
    fastest = int(np.flatnonzero((tree.total_ns == 1) & (tree.level == 3))[0])
    found = Limiter(tree, np.array([fastest], np.int32)).limited(36)
    accounts(tree, found)
    assert fastest in found.kept and tree.parent[fastest] in found.kept
    assert fastest not in Limiter(tree, NONE).limited(36).kept


def test_of_each_error_the_slowest_stay_and_it_is_in_a_sum_of_its_own() -> None:
    calls = [call("vfs_open", ns, retval=[0, ENODEV, EIO][ns % 3]) for ns in range(1, 61)]
    trace = trace_of([call("do_filp_open", 5, *calls, retval=0)])
    tree = call_tree(trace).tree
    found = Limiter(tree, NONE).limited(20)
    accounts(tree, found)
    small = found.tree
    sums = {int(small.error[i]): int(small.count[i]) for i in np.flatnonzero(small.count > 1).tolist()}
    assert found.n_single == 3 and sums == {0: 17, -19: 17, -5: 17}
    assert np.bincount(-small.error[small.count == 1].astype(int))[[5, 19]].tolist() == [3, 3]


def test_the_fastest_are_left_out_and_counted_where_they_were_but_no_error() -> None:
    def work(i: int) -> Call:
        return call(f"f{i}", 10 * i, *[call(f"g{i}_{k}", k) for k in range(1, 9)])

    failing = call("load_module", 1, call("get", 1, retval=ENODEV), retval=ENODEV)
    trace = trace_of([call("a", 5, *map(work, range(1, 30)), failing), call("b", 9, call("c", 2), call("d", 3))])
    tree = call_tree(trace).tree
    found = Limiter(tree, NONE).limited(40)
    accounts(tree, found)
    small = found.tree
    names = [small.labels[label] for label in small.label.tolist()]
    assert len(small) <= 40 and found.n_left_out > 200 and {"load_module", "get", "f29"} <= set(names)
    rests = np.flatnonzero(small.kind == NodeKind.REST)
    assert int(small.count[rests].sum()) == found.n_left_out
    assert int(small.count.sum()) == len(trace.calls)
    assert names[int(small.parent[rests[0]])] != LEFT_OUT and "f1" not in names


@pytest.mark.parametrize("most", [3_000, 400, 40])
def test_what_failed_and_does_not_fit_is_left_out_and_counted_by_function(most: int) -> None:
    tree = call_tree(bushy(8, n_names=50, errors=(-19, -2, 0))).tree
    fails = np.flatnonzero(tree.error_sure)
    assert len(tree) == 21_846 and len(fails) > 14_000
    wanted = fails[tree.level[fails] == 8][[77]].astype(np.int32)
    found = Limiter(tree, wanted).limited(most)
    accounts(tree, found)
    small = found.tree
    assert wanted[0] in found.kept and len(small) <= max(most, 2 * 8 + 2)
    left = np.setdiff1d(fails, found.kept)
    keys = [(tree.labels[tree.label[i]], int(tree.error[i])) for i in left.tolist()]
    told = {(one.function, one.error): one.n for one in found.failed_left_out}
    assert told == dict(Counter(keys)) and found.n_failed_left_out == len(left)
    counts = [one.n for one in found.failed_left_out]
    assert counts == sorted(counts, reverse=True)
    rests = np.flatnonzero(small.kind == NodeKind.REST)
    in_rests = np.bincount(found.node_of[left], minlength=len(small))
    assert small.n_errors[rests].tolist() == in_rests[rests].tolist() and small.n_errors[rests].sum() == len(left)
    if most == 3_000:
        some = {(int(tree.label[i]), int(tree.error[i])) for i in np.intersect1d(fails, found.kept)}
        assert len(some) == 100, "one of each function and error at least"


@pytest.mark.parametrize("most", [3_000, 400])
def test_what_seems_to_have_failed_is_counted_where_it_was_as_in_the_rows_that_stay(most: int) -> None:
    tree = call_tree(bushy(8, n_names=50, errors=(-19, -2, 0))).tree
    sure = tree.error_sure & (np.arange(len(tree)) % 3 == 0)
    tree = tree.with_columns(error_sure=sure, n_errors=(tree.error != 0).astype(np.int64))
    found = Limiter(tree, NONE).limited(most)
    small = found.tree
    rests = small.kind == NodeKind.REST
    rows = ~rests & (small.error != 0)
    assert small.n_errors[rests].sum() + small.count[rows].sum() == (tree.error != 0).sum() > found.n_failed_left_out
    kept = found.kept[sure[found.kept]]
    assert found.n_failed_left_out == sure.sum() - len(kept) > 0


def test_what_failed_stays_where_there_is_room_for_it() -> None:
    tree = call_tree(bushy(7, n_names=50, errors=(-19, *[0] * 60))).tree
    found = Limiter(tree, NONE).limited(1_500)
    accounts(tree, found)
    assert found.n_left_out > 3_000 and not found.failed_left_out
    assert np.isin(np.flatnonzero(tree.error_sure), found.kept).all() and not found.tree.has("n_errors")


def test_matches_can_be_sums_below_one_node() -> None:
    trace = trace_of([call("read", ns, call("copy", 1)) for ns in range(100)])
    tree = call_tree(trace, root="read").tree
    assert len(tree.roots) == 100
    one = under_one(tree, "matches")
    one.check()
    assert (one.labels[one.label[0]], one.total_ns[0], one.kind[0]) == ("matches", sum(range(100)) + 100, NodeKind.TASK)
    found = Limiter(one, NONE).limited(30)
    accounts(one, found)
    assert found.n_single == 10 and len(found.tree) == 1 + 20 + 2


def test_what_did_not_end_makes_a_lower_bound_of_the_sum() -> None:
    some: list[Any] = [call("f", ns, call("g", 7), unfinished=ns % 5 == 0) for ns in range(1, 31)]
    tree = call_tree(trace_of([call("loop", 5, *some)])).tree
    found = Limiter(tree, NONE).limited(25)
    accounts(tree, found)
    small = found.tree
    (total,) = np.flatnonzero((small.count > 1) & (small.level == 2))
    assert small.total_ns[total] == -1 and small.floor_ns[total] > 0 and small.min_ns[total] == 8


def test_interrupts_are_in_sums_and_one_without_an_end_makes_a_bound() -> None:
    def timer(ns: int) -> Call:
        tick = call("hrtimer_interrupt", 10, context=2)
        return call("__sysvec_apic_timer_interrupt", ns, tick, context=2, unfinished=ns == 2)

    def tree_of(times: range) -> TreeTable:
        hits = [one for ns in times for one in (timer(ns), call("f", 100))]
        return call_tree(trace_of([call("loop", 5, *hits)]), group_interrupts=True).tree

    for times, is_known in ((range(1, 31), False), (range(3, 33), True)):
        tree = tree_of(times)
        found = Limiter(tree, NONE).limited(40)
        small = found.tree
        small.check()
        (total,) = np.flatnonzero((small.kind == NodeKind.INTERRUPT) & (small.n_interrupts > 1))
        inside = found.node_of[tree.kind == NodeKind.INTERRUPT] == total
        irqs = np.flatnonzero(tree.kind == NodeKind.INTERRUPT)[inside]
        assert small.n_interrupts[total] == len(irqs) == 27
        assert small.floor_ns[total] == tree.floor_ns[irqs].sum()
        assert small.total_ns[total] == (tree.total_ns[irqs].sum() if is_known else -1)
        assert small.count[total] == 0 and small.n_calls(np.array([total]))[0] == 2 * 27


def test_one_call_more_than_stay_single_is_no_sum() -> None:
    few, more = (trace_of([call("loop", 5, *[call("f", ns) for ns in range(1, n + 1)])]) for n in (4, 5))
    assert len(Limiter(call_tree(few).tree, NONE).limited(5).tree) <= 5, "the fastest are left out"
    tree = call_tree(few).tree
    assert not (Limiter(tree, NONE)._summed(5).tree.count > 1).any()
    found = Limiter(call_tree(more).tree, NONE).limited(6)
    assert sorted(found.tree.count.tolist()) == [0, 1, 1, 1, 1, 2] and not found.n_left_out


def test_interrupts_in_the_tracer_are_in_sums_whose_time_counts() -> None:
    hits = [call("irq", ns, context=2, flags=int(Flag.IN_TRACER)) for ns in range(1, 30)]
    tree = call_tree(trace_of([call("loop", 500, *hits, unfinished=True)])).tree
    found = Limiter(tree, NONE).limited(10)
    accounts(tree, found)
    (total,) = np.flatnonzero(found.tree.count > 1)
    assert found.tree.total_ns[total] == sum(range(1, 27))
