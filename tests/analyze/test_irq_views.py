"""Every view tells the same of interrupts: top, show, --no-irq, --irq, JSON, CSV, pandas."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import kfgraph
from builder.tables import call, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.fold import FoldOptions
from kfgraph.analyze.select import in_interrupts, select
from kfgraph.analyze.top import top
from kfgraph.errors import UsageError
from kfgraph.export.callrows import write_rows
from kfgraph.export.jsonl import write_calls
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.trace import Trace
from kfgraph.render.top import TopView
from kfgraph.render.tree import tree_view

HERE = Path(__file__).parents[2]
REAL = (
    HERE / "examples" / "cat-enoent.dat",
    HERE / "examples" / "insmod-foo-fail19.dat",
    HERE / "tests" / "fixtures" / "traces" / "s390x-true.dat",
    HERE / "tests" / "fixtures" / "cases" / "irq_in_self.dat",
)


KINDS = {"interrupt": {"irq": True}, "work": {"no_irq": True}}


@pytest.fixture(scope="module", params=REAL, ids=lambda path: path.stem)
def trace(request: pytest.FixtureRequest) -> Iterator[Trace]:
    yield kfgraph.load(request.param)


def hit() -> Trace:
    nested = call("__sysvec_irq_work", 5, context=2)
    soft = call("irq_exit_rcu", 2, call("__do_softirq", 3, call("net_rx_action", 20, nested, context=1)))
    vector = call("__sysvec_apic_timer_interrupt", 30, context=2)
    return trace_of([call("read", 100, call("copy", 10, vector, soft), call("copy", 7)), call("irq_enter_rcu", 1)])


def naive(trace: Trace) -> list[int]:
    """What interrupts took of each call, from the rows below it."""
    calls = trace.calls
    found = [0] * len(calls)
    for row in np.flatnonzero(calls.has(Flag.INTERRUPT) & ~calls.has(Flag.IN_TRACER)).tolist():
        above = int(calls.parent[row])
        while above >= 0:
            found[above] += max(int(calls.duration_ns[row]), 0)
            if calls.flags[above] & (Flag.INTERRUPT | Flag.IN_TRACER):
                break
            above = int(calls.parent[above])
    return found


def test_what_a_nested_one_took_is_in_the_outer_ones_time_once() -> None:
    made = hit()
    total = select(made).parts["irq_ns"].total.dense(len(made.calls)).tolist()
    label = [made.symbols.label(int(code)) for code in made.calls.func]
    assert dict(zip(label, total, strict=True)) == {
        "read": 60, "copy": 0, "__sysvec_apic_timer_interrupt": 0, "irq_exit_rcu": 5, "__do_softirq": 5,
        "net_rx_action": 5, "__sysvec_irq_work": 0, "irq_enter_rcu": 0,
    }  # fmt: skip
    assert total[1] == 60


def test_the_views_agree(trace: Trace) -> None:
    n, calls = len(trace.calls), trace.calls
    expected = naive(trace)
    part = select(trace, all_tasks=True, pre_exec=True).parts["irq_ns"]
    assert part.total.dense(n).tolist() == expected
    frame = kfgraph.to_pandas(trace, all_tasks=True, pre_exec=True)
    assert frame["total_irq_ns"].tolist() == expected
    out, cells = io.StringIO(), io.StringIO()
    write_calls(call_tree(trace, all_tasks=True, pre_exec=True), out)
    lines = {line["row"]: line["total_irq_ns"] for line in map(json.loads, out.getvalue().splitlines())}
    assert [lines[row] for row in range(n)] == expected
    write_rows(select(trace, all_tasks=True, pre_exec=True), cells)
    head = cells.getvalue().split("\n", 1)[0].split(",")
    assert {"irq_ns", "total_irq_ns"} <= set(head)
    # Without interrupts each total is less by what they took.
    without = select(trace, no_irq=True, all_tasks=True, pre_exec=True)
    less = select(trace, all_tasks=True, pre_exec=True).total_ns - np.array(expected)
    known = without.keep & (calls.duration_ns >= 0)
    assert without.total_ns[known].tolist() == less[known].tolist()
    assert (without.keep == ~in_interrupts(calls)).all()


def test_the_sums_of_top_are_those_of_the_calls(trace: Trace) -> None:
    options = {"all_tasks": True, "pre_exec": True}
    everything, without, alone = (top(trace, **options, **more) for more in ({}, {"no_irq": True}, {"irq": True}))
    assert everything.n_calls == without.n_calls + alone.n_calls
    for name in ("self_ns", "waiting_ns"):
        assert getattr(everything, name) == getattr(without, name) + getattr(alone, name)
    by_irq = top(trace, by="irq", **options)
    values = by_irq.values()["total_irq_ns"][: by_irq.n_work].tolist()
    assert values == sorted(values, reverse=True) and values[0] > 0
    assert int(by_irq.values()["irq_ns"].sum()) == int(trace.calls.irq_ns.values.sum())
    # The rows of interrupts are those of interrupts alone, the others those without.
    for group in ("function", "module"):
        apart = {kind: top(trace, group=group, **options, **more) for kind, more in KINDS.items()}
        rows = top(trace, group=group, **options).records()
        interrupts = [row for row in rows if row["kind"] == "interrupt"]
        assert interrupts == apart["interrupt"].records()
        same = ("kind", "module", *(["function"] if group == "function" else []), "n_calls", "self_ns", "n_unfinished")
        told = [tuple(row[name] for name in same) for row in rows if row["kind"] != "interrupt"]
        assert told == [tuple(row[name] for name in same) for row in apart["work"].records()]
    assert everything.interrupt_ns == alone.self_ns == alone.interrupt_ns
    assert without.interrupt_ns == 0
    assert everything.hot_paths and [(path.path, path.self_ns) for path in everything.hot_paths] == [
        (path.path, path.self_ns) for path in without.hot_paths
    ]
    assert abs(everything.self_share[everything.self_share >= 0].sum() - 1) < 1e-9


def test_a_column_of_the_tree_on_request() -> None:
    made = hit()
    plain = "".join(tree_view(call_tree(made), FoldOptions(max_rows=None)).plain())
    wide = "".join(tree_view(call_tree(made), FoldOptions(max_rows=None), beside=("irq",)).plain())
    assert " irq " not in plain.split("\n")[0] and " irq " in wide.split("\n")[0]
    rows = {line.split()[-1].strip("│├▸"): line.split() for line in wide.split("\n") if " us " in line}
    assert rows["read"][:6] == ["0.177", "us", "0.100", "us", "0.060", "us"]
    assert rows["net_rx_action"][:6] == ["0.025", "us", "0.020", "us", "0.005", "us"]
    assert rows["__sysvec_irq_work"][:5] == ["0.005", "us", "0.005", "us", "2.8%"]


def test_interrupts_alone_are_roots() -> None:
    made = hit()
    tree = call_tree(made, irq=True).tree
    assert [tree.labels[tree.label[node]] for node in np.flatnonzero(tree.level == 1)] == [
        "__sysvec_apic_timer_interrupt",
        "irq_exit_rcu",
        "irq_enter_rcu",
    ]


def test_what_contradicts_or_is_not_told_is_refused() -> None:
    with pytest.raises(UsageError, match="contradict"):
        select(hit(), irq=True, no_irq=True)
    untold = trace_of([call("read", 9, context=UNKNOWN_CONTEXT)])
    for option in ({"irq": True}, {"no_irq": True}):
        with pytest.raises(UsageError, match="does not tell"):
            select(untold, **option)
    with pytest.raises(UsageError, match="no interrupt hit"):
        top(trace_of([call("read", 9)]), by="irq")
    named = trace_of([call("read", 9, call("irq_exit_rcu", 2, context=UNKNOWN_CONTEXT), context=UNKNOWN_CONTEXT)])
    assert len(select(named, no_irq=True)) == 1


def test_top_lists_interrupts_apart_a_function_that_both_call_has_two_rows() -> None:
    vector = call("__sysvec_apic_timer_interrupt", 30, call("_raw_spin_lock", 40, context=2), context=2)
    trace = trace_of([
        call("read", 100, call("_raw_spin_lock", 10), call("_raw_spin_lock", 7, vector), call("schedule", 500))
    ])  # fmt: skip
    result = top(trace)
    assert [(row["function"], row["kind"], row["n_calls"], row["self_ns"]) for row in result.records()] == [
        ("read", "work", 1, 100), ("_raw_spin_lock", "work", 2, 17), ("schedule", "waiting", 1, 500),
        ("_raw_spin_lock", "interrupt", 1, 40), ("__sysvec_apic_timer_interrupt", "interrupt", 1, 30),
    ]  # fmt: skip
    assert (result.self_ns, result.interrupt_ns, result.waiting_ns) == (187, 70, 500)
    assert (result.n_work, result.n_rows, result.n_interrupt_rows, result.n_names) == (2, 2, 2, 4)
    assert [round(share, 3) for share in result.self_share.tolist()] == [0.535, 0.091, -1.0, 0.214, 0.16]
    # One in the other is no recursion: each row has its own.
    assert result.numbers.total_ns.tolist() == [687, 87, 500, 40, 70]
    assert [path.path for path in result.hot_paths] == [("read",), ("read", "_raw_spin_lock")]
    lines = [line.plain for line in TopView(result, 20).lines(120)]
    assert lines[0] == (
        "4 functions, 6 calls, 187 ns of self time, by self, 70 ns of it in interrupts (⚡); 500 ns waiting"
    )
    assert [line.split("  ")[-1] for line in lines[2:7]] == [
        "read", "_raw_spin_lock", "schedule (waiting)", "⚡ _raw_spin_lock", "⚡ __sysvec_apic_timer_interrupt",
    ]  # fmt: skip


def test_what_is_not_shown_of_both_is_counted_with_its_share() -> None:
    hits = [call(f"vector{i}", 100 - i, context=2) for i in range(12)]
    trace = trace_of([call("read", 1_000, *[call(f"f{i}", 50 + i) for i in range(30)], *hits)])
    lines = [line.plain for line in TopView(top(trace, limit=8), 8).lines(120)]
    assert sum("⚡ vector" in line for line in lines) == 2
    # Of work 24 of 31 are on no row, the slower ones are; of interrupts 10 of 12, 935 of 1,134 ns.
    work, everything = sum(50 + i for i in range(23)), 1_000 + sum(50 + i for i in range(30)) + 1_134
    assert [line for line in lines if line.startswith("…")] == [
        f"… 23 more functions, {work / everything:.1%} of the self time (--limit 0)",
        f"… 10 more functions in interrupts, {935 / everything:.1%} of the self time (--limit 0)",
    ]
    assert len(top(trace, limit=8)) == 10
    lines = [line.plain for line in TopView(top(trace)).lines(120)]
    assert sum("⚡ vector" in line for line in lines) == 12 and not any(line.startswith("…") for line in lines)


def test_interrupts_alone_are_the_table() -> None:
    result = top(hit(), irq=True)
    assert set(result.kinds) == {"interrupt"} and result.n_work == len(result) == result.n_rows
    assert result.n_interrupt_rows == 0 and result.hot_paths and result.interrupt_ns == result.self_ns
    assert not any("⚡" in line.plain for line in TopView(result).lines(120))
    assert top(hit(), no_irq=True).interrupt_ns == 0


def test_what_waits_in_an_interrupt_is_the_interrupts() -> None:
    trace = trace_of([call("read", 10, call("schedule", 50), call("irq_exit_rcu", 2, call("schedule", 30, context=2)))])
    for group, waiting in (("function", "schedule"), ("module", "[waiting]")):
        result = top(trace, group=group)
        assert result.kinds[result.labels.index(waiting)] == "waiting"
        assert (result.waiting_ns, result.interrupt_ns, result.self_ns) == (50, 32, 42)
