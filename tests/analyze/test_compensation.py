"""What tracing took: a tracer of known cost is recovered, and what is taken is what it took."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph
from builder.tables import Call, call, trace_of, traces
from kfgraph.analyze import compensation, tracercost
from kfgraph.analyze.callers import callers
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.compensation import TRACER_COLUMNS
from kfgraph.analyze.info import info
from kfgraph.analyze.select import Selection, in_interrupts, select
from kfgraph.analyze.syscalls import EstimatedSum, chosen_calls, summed
from kfgraph.analyze.top import top
from kfgraph.analyze.tracercost import FLOOR, LEAST_CALLS, CallCost, Rate, call_cost
from kfgraph.analyze.weights import weighted
from kfgraph.errors import UsageError
from kfgraph.export.jsonl import write_calls, write_nodes
from kfgraph.model.calls import Flag
from kfgraph.model.sparse import Sparse
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_ns

HERE = Path(__file__).parents[2]
REAL = [
    *sorted((HERE / "examples").glob("*.dat")),
    HERE / "tests" / "fixtures" / "traces" / "s390x-true.dat",
    HERE / "tests" / "fixtures" / "cases" / "irq_in_self.dat",
]
INSIDE, OUTSIDE = 700, 640
ALL = {"all_tasks": True, "pre_exec": True}


def traced(work: Call, inside: int = INSIDE, outside: int = OUTSIDE, jitter: Sequence[int] = (0,)) -> Call:
    """``work`` as a tracer records it that takes ``inside`` in each call and ``outside`` beside it, and ``jitter`` more
    in one call after another."""
    number = 0

    def more(item: Call) -> Call:
        nonlocal number
        number += 1
        extra = jitter[number % len(jitter)]
        children = tuple(more(child) for child in item.children)
        return replace(item, self_ns=item.self_ns + inside + len(children) * outside + extra, children=children)

    return more(work)


def kernel(n: int = LEAST_CALLS + 5, *, idle: int = FLOOR + 1) -> Call:
    """Functions that do nothing, callers that do nothing but call, and some that work."""
    small = [call(f"get_{k}", 0) for k in range(idle)]
    pure = [call(f"pass_{k}", 0, *small[: 1 + k % 3]) for k in range(idle)]
    works = [call(f"work_{k}", 300 * (k + 1), small[k % idle]) for k in range(4)]
    return call("vfs_read", 5_000, *(small + pure + works) * n)


def test_a_tracer_of_known_cost_is_recovered_exactly() -> None:
    work = kernel()
    trace = trace_of([traced(work)])
    cost = call_cost(trace)
    assert cost is not None
    assert {(rate.ns) for rate in cost.inside} == {INSIDE}
    assert {(rate.ns) for rate in cost.outside} == {OUTSIDE}
    # No call lasts less than it should: what is left is what there was without a tracer, to the nanosecond.
    before, after = select(trace_of([work])), select(trace, compensate=True)
    np.testing.assert_array_equal(after.self_ns, before.self_ns)
    np.testing.assert_array_equal(after.total_ns, before.total_ns)
    assert after.tracer is not None and not after.tracer.limited.any()
    n = len(trace.calls)
    assert int(after.tracer.in_total_ns[0]) == n * INSIDE + (n - 1) * OUTSIDE
    assert int(after.tracer.error_ns[0]) == n * cost.inside[0].error_ns + (n - 1) * cost.outside[0].error_ns


@settings(max_examples=25, deadline=None)
@given(
    st.integers(50, 3_000),
    st.integers(50, 3_000),
    st.lists(st.integers(0, 100), min_size=7, max_size=31),
    st.integers(0, 9),
)
def test_with_noise_the_truth_is_within_the_uncertainty(
    inside: int, outside: int, percent: list[int], share: int
) -> None:
    """Noise of up to a tenth of what is taken inside, with any distribution."""
    jitter = [inside * share * one // 10_000 for one in percent]
    work = kernel()
    trace = trace_of([traced(work, inside, outside, jitter)])
    cost = call_cost(trace)
    assert cost is not None
    mean = sum(jitter) / len(jitter)
    assert abs(cost.inside[0].ns - inside - mean) <= cost.inside[0].error_ns
    assert abs(cost.outside[0].ns - outside) <= cost.outside[0].error_ns
    before, after = select(trace_of([work])), select(trace, compensate=True)
    assert after.tracer is not None
    assert (np.abs(after.total_ns - before.total_ns) <= after.tracer.error_ns)[before.total_ns > 5_000].all()


def test_each_context_has_its_own_cost_where_there_are_enough_calls() -> None:
    n = 25
    soft = [call(f"soft_{k}", 0, context=1) for k in range(n)]
    around = [call(f"run_{k}", 0, soft[k], soft[k - 1], context=1) for k in range(n)]
    root = call("__do_softirq", 100, *around * LEAST_CALLS, context=1)
    few = call("irq_work", 100, call("irq_few", 0, context=2), context=2)
    trace = trace_of([traced(kernel())], [traced(root, 900, 800)], [traced(few)])
    cost = call_cost(trace)
    assert cost is not None
    assert [rate.ns for rate in cost.inside] == [INSIDE, 900, INSIDE, INSIDE]
    assert [rate.ns for rate in cost.outside] == [OUTSIDE, 800, OUTSIDE, OUTSIDE]
    # An unknown context counts as a task's.
    calls = trace.calls
    unknown = replace(trace, calls=calls.with_columns(context=np.full(len(calls), 255, np.uint8)))
    chosen = select(unknown, compensate=True)
    assert chosen.tracer is not None
    assert int(chosen.tracer.own_ns[1]) == chosen.tracer.cost.inside[0].ns


@pytest.mark.parametrize(
    ("why", "work"),
    [
        ("too few functions", kernel(idle=FLOOR - 1)),
        ("too few calls of each", kernel(LEAST_CALLS // 4 - 1)),
        ("functions far apart", call("f", 0, *[call(f"g{k}", 1 << k, call(f"h{k}", 900 << k)) for k in range(9)] * 30)),
    ],
)
def test_without_a_floor_nothing_is_estimated(why: str, work: Call) -> None:
    trace = trace_of([traced(work)])
    assert call_cost(trace) is None, why
    assert info(trace).tracing is None
    with pytest.raises(UsageError, match="does not tell what it costs to trace a call"):
        select(trace, compensate=True)


def test_a_few_functions_below_the_floor_are_no_floor_but_uncertainty() -> None:
    hot = traced(call("loop", 0, *[call("spin", 0)] * 40), 400, OUTSIDE)
    trace = trace_of([traced(kernel())], [hot])
    cost = call_cost(trace)
    assert cost is not None
    assert cost.inside[0].ns == INSIDE
    assert cost.inside[0].error_ns >= INSIDE - 400


def test_a_call_that_took_less_is_left_with_nothing_and_counted() -> None:
    short = call("get_0", 0)
    work = call("read", 0, traced(kernel()), *[replace(short, self_ns=500)] * 3)
    trace = trace_of([work])
    chosen = select(trace, compensate=True)
    assert chosen.tracer is not None
    rows = np.flatnonzero(trace.calls.self_ns == 500)
    assert chosen.self_ns[rows].tolist() == [0, 0, 0] and chosen.total_ns[rows].tolist() == [0, 0, 0]
    assert chosen.tracer.own_ns[rows].tolist() == [500, 500, 500]
    # The caller did not even take what its callees cost beside them.
    assert chosen.tracer.limited.sum() == 4 and chosen.self_ns[0] == 0
    result = top(trace, compensate=True)
    assert result.to_dict()["tracer"]["n_limited"] == 4


def conserved(trace: Trace, before: Selection, after: Selection) -> None:
    """Each nanosecond is the call's, a callee's, a part's, or the tracer's."""
    taken = after.tracer
    assert taken is not None
    calls, known = trace.calls, before.self_ns >= 0
    assert ((after.self_ns < 0) == ~known).all() and ((after.total_ns < 0) == (before.total_ns < 0)).all()
    assert (after.self_ns[known] + taken.own_ns[known] == before.self_ns[known]).all()
    finished = before.total_ns >= 0
    assert (after.total_ns[finished] >= 0).all() and (taken.own_ns >= 0).all()
    apart = calls.has(Flag.IN_TRACER) | calls.has(Flag.INTERRUPT)
    for row in np.flatnonzero(known & finished & before.keep).tolist():
        total, child = int(after.self_ns[row]), row + 1
        while child < calls.end[row]:
            total += 0 if apart[child] else int(after.total_ns[child])
            child = int(calls.end[child])
        total += sum(int(part.own.at(np.array([row]))[0]) for part in after.parts.values())
        assert total == after.total_ns[row], row


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
@pytest.mark.parametrize("filters", [ALL, {**ALL, "no_irq": True}, {}], ids=["all", "no-irq", "default"])
def test_time_is_conserved_in_real_traces(path: Path, filters: dict[str, bool]) -> None:
    trace = kfgraph.load(path)
    if call_cost(trace) is None:
        assert path.stem == "irq_in_self"
        return
    conserved(trace, select(trace, **filters), select(trace, compensate=True, **filters))


@settings(max_examples=150, deadline=None)
@given(traces(), st.integers(0, 150), st.integers(0, 150), st.booleans())
def test_time_is_conserved_in_any_trace(trace: Trace, inside: int, outside: int, no_irq: bool) -> None:
    """With unfinished calls, interrupts, calls that hit the tracer, and costs above what there is."""
    if not len(trace.calls):
        return
    cost = CallCost.uniform(Rate(inside, 10), Rate(outside, 10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compensation, "call_cost", lambda _: cost)
        filters = {"no_irq": True} if no_irq and not in_interrupts(trace.calls).all() else {}
        before, after = select(trace, **filters), select(trace, compensate=True, **filters)
    calls, taken = trace.calls, after.tracer
    assert taken is not None
    known = before.self_ns >= 0
    assert (after.self_ns[known] + taken.own_ns[known] == before.self_ns[known]).all()
    outside_of = calls.has(Flag.IN_TRACER)
    for row in range(len(calls)):
        inner = [row]
        skip = row
        for below in range(row + 1, int(calls.end[row])):
            if below < skip:
                continue
            if outside_of[below]:
                skip = int(calls.end[below])
            else:
                inner.append(below)
        assert int(taken.in_total_ns[row]) == int(taken.own_ns[inner].sum()), row
        if before.total_ns[row] >= 0:
            assert after.total_ns[row] == max(before.total_ns[row] - taken.in_total_ns[row], 0)


def test_every_view_has_the_estimates_and_what_was_taken() -> None:
    trace = kfgraph.load(HERE / "examples" / "cat-enoent.dat")
    chosen = select(trace, compensate=True)
    taken = chosen.tracer
    assert taken is not None
    keep = chosen.keep
    # top
    result, plain = top(trace, compensate=True), top(trace)
    assert result.self_ns + result.waiting_ns + result.tracer_ns[0] == plain.self_ns + plain.waiting_ns + int(
        taken.own_ns[keep & (chosen.self_ns < 0)].sum()
    )
    # Calls in interrupts have a row of their own.
    same = [record for record in result.records() if record["function"] == "kmem_cache_free"]
    assert {record["kind"] for record in same} == {"work", "interrupt"}
    row = {name: sum(record[name] for record in same) for name in ("self_ns", "total_ns", *TRACER_COLUMNS)}
    code = trace.symbols.names.index("kmem_cache_free")
    of_it = np.flatnonzero((trace.calls.func == code) & keep)
    assert row["self_ns"] == int(chosen.self_ns[of_it].sum())
    assert row["tracer_ns"] == int(taken.own_ns[of_it].sum()) > 0
    assert row["uncertain_ns"] == int(taken.own_error_ns[of_it].sum()) > 0
    assert row["total_tracer_ns"] == int(taken.in_total_ns[of_it].sum())
    assert "tracer_ns" not in plain.records()[0] and "tracer" not in plain.to_dict()
    # show, single calls and merged
    tree = call_tree(trace, root="path_openat", compensate=True)
    out = io.StringIO()
    write_calls(tree, out)
    for line in out.getvalue().splitlines()[:200]:
        record = json.loads(line)
        at = record["row"]
        assert record["total_ns"] == chosen.total_ns[at] and record["self_ns"] == chosen.self_ns[at]
        assert record["duration_ns"] == trace.calls.duration_ns[at]
        assert record["duration_ns"] == record["total_ns"] + record["total_tracer_ns"]
        assert record["total_uncertain_ns"] == taken.error_ns[at]
    merged = call_tree(trace, root="path_openat", merge=True, compensate=True)
    out = io.StringIO()
    write_nodes(merged, out)
    (first, *_) = json.loads(out.getvalue())
    roots = tree.tree.row[tree.tree.roots]
    assert first["total_ns"] == int(chosen.total_ns[roots].sum())
    assert first["total_tracer_ns"] == int(taken.in_total_ns[roots].sum())
    assert next(iter(merged.to_pandas()["tracer_ns"])) == int(taken.own_ns[roots].sum())
    # callers: the calls of the function that came this way, those in one another once
    up = callers(trace, "kmem_cache_free", compensate=True).tree
    assert int(up.at("total_tracer_ns", up.roots)[0]) == row["total_tracer_ns"]
    assert int(up.total_ns[up.roots][0]) == row["total_ns"]
    # system calls
    for one in chosen_calls(trace, compensate=True):
        if one.total_ns >= 0 <= one.row:
            assert one.total_ns == chosen.total_ns[one.row] == one.duration_ns - one.tracer_ns
            assert one.uncertain_ns == taken.error_ns[one.row] > 0
    (sums,) = summed(trace, chosen_calls(trace, names="openat", compensate=True), compensate=True)
    assert isinstance(sums, EstimatedSum) and sums.tracer_ns == sum(
        one.tracer_ns for one in chosen_calls(trace, names="openat", compensate=True)
    )
    assert sums.total_ns == sum(one.total_ns for one in chosen_calls(trace, names="openat", compensate=True))
    # info
    told = info(trace).tracing
    assert told is not None and told.cost == taken.cost
    n, n_inner = len(trace.calls), int((trace.calls.parent >= 0).sum())
    by_context = np.bincount(trace.calls.context, minlength=4)[:4]
    assert by_context.sum() == n
    inner = np.bincount(trace.calls.context[trace.calls.parent >= 0], minlength=4)[:4]
    assert n_inner == inner.sum()
    assert told.ns == sum(
        int(count) * rate.ns
        for counts, rates in ((by_context, told.cost.inside), (inner, told.cost.outside))
        for count, rate in zip(counts, rates, strict=True)
    )
    assert set(TRACER_COLUMNS) == {"tracer_ns", "total_tracer_ns", "uncertain_ns", "total_uncertain_ns"}


@pytest.mark.parametrize(("n", "size"), [(6, 700), (2, 1_500), (64, 64)])
def test_of_a_large_trace_places_suffice(monkeypatch: pytest.MonkeyPatch, n: int, size: int) -> None:
    """Also where a place begins and ends inside calls: what is not whole there is not looked at."""
    trace = trace_of([traced(kernel(60)), *(traced(kernel(20)) for _ in range(4))])
    assert len(trace.calls) > n * size
    monkeypatch.setattr(tracercost, "_BLOCKS", n)
    monkeypatch.setattr(tracercost, "_BLOCK", size)
    cost = call_cost(trace)
    assert cost is not None
    assert (cost.inside[0].ns, cost.outside[0].ns) == (INSIDE, OUTSIDE)


def with_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 ± 3 ns inside each call, 5 ± 2 ns in its caller."""
    monkeypatch.setattr(compensation, "call_cost", lambda _: CallCost.uniform(Rate(10, 3), Rate(5, 2)))


def test_calls_that_hit_the_tracer_are_in_no_total_above_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """f calls g and k; g hit the tracer, so did h in it, and what h called."""
    with_cost(monkeypatch)
    hit = int(Flag.IN_TRACER)
    made = [("f", -1, 5, 100, 90, 0), ("g", 0, 4, 80, 80, hit), ("h", 1, 4, 70, 30, hit), ("k", 2, 4, 40, 40, 0)]
    made.append(("k", 0, 5, 10, 10, 0))
    trace = trace_of([call("f", 1, call("g", 1, call("h", 1, call("k", 1))), call("k", 1))])
    columns = {
        name: np.array([one[at] for one in made], dtype)
        for name, at, dtype in (("duration_ns", 3, np.int64), ("self_ns", 4, np.int64), ("flags", 5, np.uint32))
    }
    trace = replace(trace, calls=trace.calls.with_columns(**columns))
    trace.check()
    chosen = select(trace, compensate=True)
    assert chosen.tracer is not None
    # Each call 10, and 5 for each of its callees, those that hit the tracer too.
    assert chosen.tracer.own_ns.tolist() == [20, 15, 15, 10, 10]
    assert chosen.tracer.in_total_ns.tolist() == [30, 15, 25, 10, 10]
    assert chosen.total_ns.tolist() == [70, 65, 45, 30, 0]
    assert chosen.tracer.error_ns.tolist() == [7 + 3, 5, 5 + 3, 3, 3]


def test_where_the_self_time_is_unknown_the_rest_of_the_total_is_what_can_be_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_cost(monkeypatch)
    trace = trace_of([call("f", 100, call("g", 100, unfinished=True), call("h", 20))])
    for asleep_ns, own_ns in ((0, 20), (190, 10), (200, 0)):
        part = Sparse(np.array([0], np.int32), np.array([asleep_ns], np.int64))
        told = replace(trace, calls=trace.calls.with_columns(asleep_ns=part if asleep_ns else None))
        chosen = select(told, compensate=True)
        assert chosen.tracer is not None
        assert chosen.tracer.own_ns.tolist() == [own_ns, 0, 10]
        assert chosen.total_ns.tolist() == [220 - own_ns - 10, -1, 10] and chosen.self_ns.tolist() == [-1, -1, 10]
        # What nothing was taken from is not uncertain.
        assert chosen.tracer.own_error_ns.tolist() == [7 if own_ns else 0, 0, 3]
        assert chosen.tracer.limited.tolist() == [own_ns < 20, False, False]


@pytest.mark.parametrize("filters", [{}, {"root": "path_openat"}])
def test_what_weighs_calls_says_what_was_taken_off_those_that_were_chosen(filters: dict[str, str]) -> None:
    trace = kfgraph.load(HERE / "examples" / "cat-enoent.dat")
    chosen = select(trace, compensate=True, **filters)
    assert chosen.tracer is not None and 0 < chosen.keep.sum() <= len(trace.calls)
    ns = int(chosen.tracer.own_ns[chosen.keep].sum())
    found, _ = weighted(trace, compensate=True, **filters)
    (said,) = [one for one in found.remarks if one.startswith("estimates: ")]
    assert ns > 0 and f": less what tracing took, {format_ns(ns)} ± " in said
