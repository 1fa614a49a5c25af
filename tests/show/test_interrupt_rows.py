"""An interrupt is one row of a tree: named after what its calls tell, closed, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph
from builder.tables import Call, call, trace_of
from kfgraph.analyze.calltree import CallTree, call_tree
from kfgraph.analyze.fold import Kind, fold
from kfgraph.analyze.merged import merged
from kfgraph.analyze.visibility import FoldOptions, Why
from kfgraph.model.calls import Flag
from kfgraph.model.marks import Marks
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable
from kfgraph.render.tree import TreeView, tree_view
from show.test_fold import ANY_OPTIONS
from show.test_what_stays import failing

TRACES = Path(__file__).parents[1] / "fixtures" / "traces"
EXAMPLES = Path(__file__).parents[2] / "examples"
HARD, SOFT, NMI = 2, 1, 3


def enter(ns: int = 4) -> Call:
    return call("irq_enter_rcu", ns)


def leave(ns: int = 6, *items: Call) -> Call:
    return call("irq_exit_rcu", ns, *items)


def timer(ns: int = 30) -> list[Call]:
    vector = call("__sysvec_apic_timer_interrupt", ns, call("hrtimer_interrupt", 10, context=HARD))
    return [enter(), vector, leave()]


def device(handler: str, ns: int = 30) -> list[Call]:
    handling = call("__handle_irq_event_percpu", 2, call("_raw_spin_lock", 1), call(handler, ns), context=HARD)
    return [enter(), call("__common_interrupt", 3, call("handle_edge_irq", 2, handling)), leave()]


def tree_of(*items: Call, **how: object) -> CallTree:
    trace = trace_of([call("read", 100, call("before", 5), *items, call("behind", 7))])
    return call_tree(trace, root=["read"], group_interrupts=True, **how)  # type: ignore[arg-type]


def named(tree: TreeTable) -> list[str]:
    """The interrupts of a tree, in order: ``name × how many, total``."""
    nodes = np.flatnonzero(tree.kind == NodeKind.INTERRUPT) if tree.has("kind") else []
    return [f"{tree.labels[tree.label[i]]} × {tree.n_interrupts[i]}, {tree.total_ns[i]}" for i in nodes]


def rows(view: TreeView) -> list[str]:
    """What stands right of the numbers, with guides."""
    return [view.model.line(i).text for i in range(len(view))]


# Which calls are one interrupt, and of what kind


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (timer(), ["timer interrupt × 1, 50"]),
        (device("vring_interrupt"), ["interrupt (vring_interrupt) × 1, 48"]),
        ([*timer(), *device("a"), *device("b"), *timer(), *timer()],
         ["timer interrupt × 1, 50", "interrupt (a) × 1, 48", "interrupt (b) × 1, 48", "timer interrupt × 2, 100"]),
        ([*timer(), call("between", 9), *timer()], ["timer interrupt × 1, 50", "timer interrupt × 1, 50"]),
        # A part is missing: lost, or not traced.
        (timer()[1:], ["timer interrupt × 1, 46"]),
        ([*timer()[:2], *timer()], ["timer interrupt × 2, 94"]),
        ([*timer(), *timer()[1:]], ["timer interrupt × 2, 96"]),
        ([enter(), leave()], ["interrupt × 1, 10"]),
        ([leave(), leave()], ["interrupt × 2, 12"]),
        ([leave(8, call("__do_softirq", 1, call("rcu_core_si", 2, context=SOFT)))], ["interrupt × 1, 11"]),
        # Wrappers that are all of their interrupt.
        ([call("smp_apic_timer_interrupt", 9), call("smp_apic_timer_interrupt", 8)], ["timer interrupt × 2, 17"]),
        ([call("do_IRQ", 3, call("handle_irq_event_percpu", 2, call("ata_bmdma_interrupt", 4)))],
         ["interrupt (ata_bmdma_interrupt) × 1, 9"]),
        # s390: a loop between one entry and its exit.
        ([enter(), call("do_irq_async", 5), call("do_irq_async", 5, call("clock_comparator_work", 2)), leave()],
         ["timer interrupt × 1, 22"]),
        # 7.2: what ends an interrupt.
        ([*timer(), call("raw_irqentry_exit_cond_resched", 3), call("__hrtimer_rearm_deferred", 2), *timer()],
         ["timer interrupt × 2, 105"]),
        # Softirqs that a task runs itself.
        ([call("do_softirq", 2, call("__do_softirq", 3, call("net_rx_action", 9, context=SOFT),
                                     call("rcu_core_si", 4, call("rcu_core", 4, context=SOFT), context=SOFT)))],
         ["softirq (net_rx_action, rcu_core_si) × 1, 22"]),
        ([call("handle_softirqs", 2)], ["softirq × 1, 2"]),
        # A vector is named as it is.
        ([enter(), call("__sysvec_thermal", 5), leave()], ["thermal interrupt × 1, 15"]),
        ([enter(), call("__sysvec_irq_work", 5), leave()], ["irq_work interrupt × 1, 15"]),
        ([call("sysvec_reschedule_ipi", 5)], ["reschedule interrupt × 1, 5"]),
        ([enter(), call("__sysvec_call_function_single", 5), leave()], ["call function interrupt × 1, 15"]),
        # arm64: the timer and inter-processor interrupts come through handlers.
        ([enter(), call("gic_handle_irq", 2, call("handle_percpu_devid_irq", 3, call("gic_eoi_irq", 1),
                                                  call("arch_timer_handler_virt", 8))), leave()],
         ["timer interrupt × 1, 24"]),
        ([enter(), call("gic_handle_irq", 2, call("handle_percpu_devid_irq", 3, call(
            "ipi_handler", 1, call("do_handle_IPI", 1, call("scheduler_ipi", 1))))), leave()],
         ["reschedule interrupt × 1, 18"]),
        ([call("nmi_handle", 4, call("perf_event_nmi_handler", 6, context=NMI), context=NMI)],
         ["NMI (perf_event_nmi_handler) × 1, 10"]),
        # What the context alone tells.
        ([call("odd", 5, context=HARD), call("odder", 4, context=HARD)], ["interrupt × 1, 9"]),
        ([call("odd", 5, context=HARD), call("odder", 4, context=NMI)], ["interrupt × 1, 5", "NMI × 1, 4"]),
        ([call("odd", 5, context=SOFT)], ["softirq × 1, 5"]),
        # The compiler's copies.
        ([call("__sysvec_apic_timer_interrupt.isra.0", 5)], ["timer interrupt × 1, 5"]),
    ],
)  # fmt: skip
def test_an_interrupt_is_named_after_what_its_calls_tell(items: Sequence[Call], said: list[str]) -> None:
    tree = tree_of(*items).tree
    tree.check()
    assert named(tree) == said


def test_one_in_another_is_a_row_of_its_own_and_names_only_itself() -> None:
    soft = call("__do_softirq", 3, *device("vring_interrupt"), call("net_rx_action", 9, context=SOFT))
    tree = tree_of(enter(), call("__common_interrupt", 5), leave(6, soft)).tree
    assert named(tree) == ["interrupt × 1, 75", "interrupt (vring_interrupt) × 1, 48"]
    body = call("__common_interrupt", 5, call("nmi_handle", 4, call("hrtimer_interrupt", 1, context=NMI), context=NMI))
    assert named(tree_of(enter(), body, leave()).tree) == ["interrupt × 1, 20", "timer interrupt × 1, 5"]


def test_what_is_in_no_call_and_what_was_asked_for_stays_as_it_is() -> None:
    trace = trace_of([*timer(), call("read", 5, *timer())])
    everything = call_tree(trace, group_interrupts=True)
    # Below the task, those that hit it in user space.
    assert named(everything.tree) == ["timer interrupt × 1, 50"] * 2
    root = call_tree(trace, root=["__sysvec_apic_timer_interrupt"], group_interrupts=True)
    assert named(root.tree) == []
    assert not named(call_tree(trace, irq=True, group_interrupts=True).tree)
    assert not named(call_tree(trace, no_irq=True, group_interrupts=True).tree)
    assert not named(call_tree(trace).tree)


# What shows


def test_an_interrupt_is_one_closed_row_and_opens() -> None:
    shown = tree_of(*timer(30_000), *timer(12_000))
    view = tree_view(shown, FoldOptions())
    assert rows(view) == ["read", "├ before", "├ ⚡ timer interrupt × 2  avg 21.0 us … 8 calls", "├▸behind"]
    text = "".join(view.plain())
    assert "\n8 of 11 calls not shown: --open-irq opens interrupts\n" in text
    line = next(line for line in text.splitlines() if "⚡" in line)
    # Its total, and neither time nor calls of its own.
    assert line.split()[:5] == ["+", "42.040", "us", "99.7%", "├"]
    opened = tree_view(shown, FoldOptions(open_irq=True))
    assert rows(opened)[2:] == [
        "├ ⚡ timer interrupt × 2  avg 21.0 us", "│ ├ irq_enter_rcu", "│ ├▸__sysvec_apic_timer_interrupt",
        "│ │ ├▸hrtimer_interrupt", "│ ├ irq_exit_rcu", "│ ├ irq_enter_rcu", "│ ├ __sysvec_apic_timer_interrupt",
        "│ │ ├▸hrtimer_interrupt", "│ ├ irq_exit_rcu", "├▸behind",
    ]  # fmt: skip
    assert "not shown" not in "".join(opened.plain())
    # All calls are all calls.
    assert len(rows(tree_view(shown, FoldOptions(repeats=False, max_rows=None)))) == 12


def test_a_kind_of_interrupt_opens_by_its_name() -> None:
    shown = tree_of(*timer(), *device("handler"))
    view = tree_view(shown, FoldOptions(expand=["interrupt (handler)"]))
    assert [row.strip("│ ├▸") for row in rows(view)] == [
        "read", "before", "⚡ timer interrupt … 4 calls", "⚡ interrupt (handler)", "irq_enter_rcu",
        "__common_interrupt", "handle_edge_irq", "__handle_irq_event_percpu", "_raw_spin_lock", "handler",
        "irq_exit_rcu", "behind",
    ]  # fmt: skip


def test_merged_interrupts_of_a_kind_are_one_row_with_their_number() -> None:
    calls = [call("f", 10, *timer(100 * i), *device("slow", 900)) for i in range(1, 4)]
    tree = call_tree(trace_of(calls), root=["f"], merge=True, group_interrupts=True)
    assert named(tree.tree) == ["interrupt (slow) × 3, 2754", "timer interrupt × 3, 660"]
    assert rows(tree_view(tree, FoldOptions(), width=90)) == [
        "f", "├ ⚡ interrupt (slow) × 3 … 21 calls", "├ ⚡ timer interrupt × 3 … 12 calls",
    ]  # fmt: skip
    line = next(line for line in "".join(tree_view(tree, FoldOptions()).plain()).splitlines() if "timer" in line)
    # Total, average, share.
    assert line.split()[:5] == ["0.660", "us", "0.220", "us", "19.2%"]


def test_an_interrupt_is_never_the_slowest_callee() -> None:
    folded = fold(tree_of(*timer(9_000_000)).tree, FoldOptions())
    hot = [folded.tree.labels[folded.tree.label[node]] for node in folded.node[folded.hot].tolist()]
    assert hot == ["behind"]


def test_an_unfinished_interrupt_took_at_least_what_is_known_of_it() -> None:
    body = call("__sysvec_apic_timer_interrupt", 1, call("hrtimer_interrupt", 5_000), unfinished=True)
    trace = trace_of([call("f", 10, enter(100), body, leave(200), call("g", 5), *timer(), unfinished=True)])
    for merge in (False, True):
        shown = call_tree(trace, root=["f"], merge=merge, group_interrupts=True)
        totals = sorted(shown.tree.total_ns[shown.tree.kind == NodeKind.INTERRUPT].tolist())
        assert totals == ([-1] if merge else [-1, 50])
        line = next(line for line in "".join(tree_view(shown, FoldOptions()).plain()).splitlines() if "⚡" in line)
        assert line.strip().startswith("≥") and ("5.350 us" if merge else "5.300 us") in line


def test_an_error_and_what_was_asked_for_open_the_interrupt_they_are_in() -> None:
    bad = call("handler", 3, call("why", 2), retval=0)
    body = call("__common_interrupt", 3, call("__handle_irq_event_percpu", 2, bad, context=HARD))
    trace = failing(
        call("load_module", 9, enter(), body, leave(), call("rest", 5)), values={"handler": -22, "load_module": -22}
    )
    tree = call_tree(trace, root=["load_module"], group_interrupts=True)
    asked = rows(tree_view(tree, FoldOptions(calls_to=["why"])))
    assert [row.strip("│ ├▸").split(" = ")[0].split(" …")[0] for row in asked] == [
        "load_module", "⚡ interrupt (handler)", "__common_interrupt", "__handle_irq_event_percpu", "handler", "why",
    ]  # fmt: skip


def test_what_happened_before_an_interrupt_stands_before_its_row_and_what_was_in_it_is_counted_there() -> None:
    trace = trace_of([call("read", 100, call("before", 5), *timer(), call("behind", 7))])
    # Rows: read 0, before 1, irq_enter_rcu 2, the vector 3, hrtimer_interrupt 4, irq_exit_rcu 5, behind 6.
    at = np.array([2, 4], np.int32)
    parent = np.array([0, 3], np.int32)
    zeros = np.zeros(2, np.int32)
    marks = Marks(
        np.array([1_000_010, 1_000_020]), zeros, zeros.astype(np.int16), zeros, at, parent, ("sched_waking",),
        ("early", "inside"),
    )  # fmt: skip
    tree = call_tree(replace(trace, marks=marks), root=["read"], group_interrupts=True)
    assert [row.strip("│ ├▸") for row in rows(tree_view(tree, FoldOptions(), events=["*"]))] == [
        "read", "before", "· sched_waking: early", "⚡ timer interrupt … 4 calls", "· sched_waking: inside", "behind",
    ]  # fmt: skip


def test_an_interrupt_stays_closed_where_its_parts_are_below_the_least_time() -> None:
    # Much of the root's time is in them, so siblings of one function are combined: not inside of an interrupt.
    parts = [enter(600), call("irq_enter_rcu", 700, call("alpha", 10)), call("irq_enter_rcu", 800, call("beta", 5))]
    folded = fold(tree_of(*parts).tree, FoldOptions(max_rows=None, min_share=0.5))
    assert [folded.tree.labels[folded.tree.label[node]] for node in folded.node] == ["read", "interrupt"]
    assert (folded.hidden_calls.tolist(), folded.n_shown) == ([2, 5], 1)


# Nothing is lost, and every way to it gives the same


NAMES = (
    "alpha", "beta", "irq_enter_rcu", "irq_exit_rcu", "__sysvec_apic_timer_interrupt", "__common_interrupt",
    "__handle_irq_event_percpu", "handle_softirqs", "rcu_core_si", "nmi_handle", "__hrtimer_rearm_deferred",
)  # fmt: skip


def nodes(children: st.SearchStrategy[list[Call]]) -> st.SearchStrategy[Call]:
    return st.builds(
        Call, st.sampled_from(NAMES), st.integers(0, 10_000), children.map(tuple),
        st.sampled_from([False] * 9 + [True]), st.sampled_from([0] * 6 + [1, 2, 3]),
    )  # fmt: skip


CALLS = st.recursive(nodes(st.just([])), lambda inner: nodes(st.lists(inner, max_size=6)), max_leaves=40)
INTERRUPTED = st.lists(st.lists(CALLS, max_size=4), min_size=1, max_size=2).map(lambda lanes: trace_of(*lanes))
OPTIONS = st.builds(lambda options, opens: replace(options, open_irq=opens), ANY_OPTIONS, st.booleans())


@settings(max_examples=120, deadline=None)
@given(INTERRUPTED, OPTIONS, st.booleans())
def test_every_call_is_shown_or_counted_and_all_of_the_time(trace: Trace, options: FoldOptions, merge: bool) -> None:
    plain = call_tree(trace, merge=merge).tree
    tree = call_tree(trace, merge=merge, group_interrupts=True).tree
    tree.check()
    assert tree.count.sum() == plain.count.sum() == len(trace.calls)
    assert np.maximum(tree.self_ns, 0).sum() == np.maximum(plain.self_ns, 0).sum()
    folded = fold(tree, options)
    folded.tree.check()
    assert folded.n_shown + folded.n_hidden == len(trace.calls)
    # What a row hides is all that its node has below it and no other row shows.
    shown = folded.tree
    visible = set(folded.node[folded.kind == Kind.CALL].tolist())
    assert all(shown.parent[node] < 0 or shown.parent[node] in visible for node in visible)
    for node in {*visible, -1}:
        below = [child for child in np.flatnonzero(shown.parent == node).tolist() if child not in visible]
        assert folded.hidden_ns[folded.node == node].sum() == shown.floor_ns[below].sum()
    closed = (folded.kind == Kind.CALL) & (shown.at("kind", folded.node) == NodeKind.INTERRUPT)
    if options.open_irq or not options.repeats:
        assert not (folded.why[closed] == Why.INTERRUPT).any()
    assert (folded.hidden_calls[closed] > 0).all() or options.open_irq or not options.repeats


@settings(max_examples=80, deadline=None)
@given(INTERRUPTED)
def test_the_calls_of_an_interrupt_are_the_flagged_ones_and_add_up(trace: Trace) -> None:
    tree = call_tree(trace, group_interrupts=True).tree
    if not tree.has("n_interrupts"):
        assert not trace.calls.has(Flag.INTERRUPT).any()
        return
    is_irq = tree.kind == NodeKind.INTERRUPT
    flagged = np.flatnonzero((tree.flags & Flag.INTERRUPT != 0) & (tree.kind == NodeKind.CALL))
    assert is_irq[tree.parent[flagged]].all()
    for node in np.flatnonzero(is_irq).tolist():
        parts = np.flatnonzero(tree.parent == node)
        assert set(parts) <= set(flagged)
        assert tree.floor_ns[node] == tree.floor_ns[parts].sum()
        assert tree.total_ns[node] in (-1, tree.floor_ns[node])
        assert (tree.total_ns[node] < 0) == bool((tree.total_ns[parts] < 0).any())
        assert 1 <= tree.n_interrupts[node] <= len(parts)
        assert (tree.self_ns[node], tree.count[node], tree.row[node]) == (0, 0, -1)
        assert not is_irq[tree.parent[node]]


@settings(max_examples=80, deadline=None)
@given(INTERRUPTED)
def test_merging_at_once_gives_what_merging_afterwards_gives(trace: Trace) -> None:
    at_once = call_tree(trace, merge=True, group_interrupts=True).tree
    afterwards = merged(call_tree(trace, group_interrupts=True).tree)
    assert len(at_once) == len(afterwards)
    for name in TreeTable.COLUMNS:
        # What an unfinished one among several does to their known sum differs.
        if name not in ("total_ns", "flags"):
            assert at_once.whole(name).tolist() == afterwards.whole(name).tolist(), name
    some = at_once.at("kind", slice(None)) != NodeKind.INTERRUPT
    assert at_once.total_ns[some].tolist() == afterwards.total_ns[some].tolist()
    assert (at_once.flags & Flag.NO_EXIT).tolist() == (afterwards.flags & Flag.NO_EXIT).tolist()


@settings(max_examples=80, deadline=None)
@given(INTERRUPTED, ANY_OPTIONS)
def test_opening_shows_more_and_hides_nothing_that_showed(trace: Trace, options: FoldOptions) -> None:
    tree = call_tree(trace, group_interrupts=True).tree
    closed, opened = fold(tree, options), fold(tree, replace(options, open_irq=True))
    hidden = closed.hidden_calls[(closed.why == Why.INTERRUPT) & (closed.hidden_calls > 0)]
    if len(hidden) and closed.gathered is None and opened.gathered is None:
        assert opened.n_hidden < closed.n_hidden
    assert opened.n_hidden <= closed.n_hidden or closed.gathered is not None or opened.gathered is not None


SAID: dict[str, dict[str, int]] = {
    "cat-enoent": {
        "timer interrupt": 46, "irq_work interrupt": 2, "interrupt (vp_interrupt)": 1, "call function interrupt": 1,
    },
    "insmod-foo-fail19": {"timer interrupt": 6},
    "s390x-true": {"timer interrupt": 26},
    "irq_in_self": {"timer interrupt": 1},
}  # fmt: skip
REAL = (
    EXAMPLES / "cat-enoent.dat", EXAMPLES / "insmod-foo-fail19.dat", TRACES / "s390x-true.dat",
    Path(__file__).parents[1] / "fixtures" / "cases" / "irq_in_self.dat",
)  # fmt: skip


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_interrupts_have_names(path: Path) -> None:
    trace = kfgraph.load(path)
    tree = call_tree(trace, group_interrupts=True).tree
    is_irq = tree.kind == NodeKind.INTERRUPT
    found: dict[str, int] = {}
    for label, n in zip(tree.label[is_irq].tolist(), tree.n_interrupts[is_irq].tolist(), strict=True):
        found[tree.labels[label]] = found.get(tree.labels[label], 0) + n
    assert found == SAID[path.stem]
