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
from kfgraph.render.tree import tree_view

HERE = Path(__file__).parents[2]
REAL = (
    HERE / "examples" / "cat-enoent.dat",
    HERE / "examples" / "insmod-foo-fail19.dat",
    HERE / "tests" / "fixtures" / "traces" / "s390x-true.dat",
    HERE / "tests" / "fixtures" / "cases" / "irq_in_self.dat",
)


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
    row_of = dict(zip(by_irq.labels, by_irq.values()["irq_ns"].tolist(), strict=True))
    assert sum(row_of.values()) == int(trace.calls.irq_ns.values.sum())


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
