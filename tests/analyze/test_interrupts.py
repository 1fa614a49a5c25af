"""Which calls are an interrupt's, and how much of the time of what they hit they took."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builder.tables import Call, call, trace_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.kernel.interrupts import EXIT_PARTS, HARD, LEVELS, NMI, SOFT, level_of
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.marks import Losses
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given
from kfgraph.passes.irq_time import apply, split


def told(trace: Trace) -> dict[str, int]:
    """label -> irq_ns of its first call, of the calls that have any."""
    calls = trace.calls
    if calls.irq_ns is None:
        return {}
    rows = zip(calls.irq_ns.rows.tolist(), calls.irq_ns.values.tolist(), strict=True)
    return {trace.symbols.label(int(calls.func[row])): ns for row, ns in rows}


def tops(trace: Trace) -> list[str]:
    calls = trace.calls
    return [trace.symbols.label(int(code)) for code in calls.func[calls.has(Flag.INTERRUPT)]]


def timer(*inside: Call, context: int = 0) -> tuple[Call, Call, Call]:
    """A timer interrupt, with what its end runs."""
    vector = call("__sysvec_apic_timer_interrupt", 7, call("hrtimer_interrupt", 20, context=2), context=2)
    return (call("irq_enter_rcu", 3, context=context), vector, call("irq_exit_rcu", 2, *inside, context=context))


def softirq(*inside: Call) -> Call:
    return call("handle_softirqs", 4, call("net_rx_action", 10, *inside, context=1))


def test_the_parts_of_an_interrupt_are_of_the_call_that_they_hit() -> None:
    trace = trace_of([call("read", 100, call("copy", 10, *timer(softirq())), call("unlock", 5))])
    assert tops(trace) == ["irq_enter_rcu", "__sysvec_apic_timer_interrupt", "irq_exit_rcu"]
    assert told(trace) == {"copy": 3 + 27 + 2 + 14}
    assert trace.calls.self_ns[1] == 10


def test_one_that_hits_a_softirq_is_the_softirqs() -> None:
    trace = trace_of([call("read", 100, *timer(softirq(*timer(context=1))))])
    assert tops(trace) == [*(names := ["irq_enter_rcu", "__sysvec_apic_timer_interrupt", "irq_exit_rcu"]), *names]
    assert told(trace) == {"read": 32 + 32 + 14, "net_rx_action": 32}


def test_one_that_hits_the_softirqs_own_frame_is_its_too() -> None:
    inside = call("handle_softirqs", 4, *timer(context=1), call("net_rx_action", 10, context=1))
    trace = trace_of([call("read", 100, *timer(inside))])
    assert told(trace) == {"read": 32 + 32 + 14, "handle_softirqs": 32}


def test_softirqs_that_a_task_runs_itself_are_not_the_tasks() -> None:
    trace = trace_of([call("local_bh_enable", 10, call("do_softirq", 1, softirq()))])
    assert tops(trace) == ["do_softirq"]
    assert told(trace) == {"local_bh_enable": 15}


def test_an_nmi_is_of_the_interrupt_that_it_hits() -> None:
    nmi = call("exc_nmi", 5, call("perf_event_nmi_handler", 6, context=3), context=2)
    vector = call("__sysvec_apic_timer_interrupt", 7, call("tick", 1, nmi, context=2), context=2)
    trace = trace_of([call("read", 9, vector)])
    assert told(trace) == {"read": 19, "tick": 11}


def test_task_context_inside_an_interrupt_hides_nothing() -> None:
    inside = call("invoke", 1, call("net_rx_action", 10, *timer(context=1), context=1))
    trace = trace_of([call("read", 9, call("irq_exit_rcu", 2, inside))])
    assert told(trace) == {"read": 45, "net_rx_action": 32}


def test_what_ends_an_interrupt_is_of_it_directly_behind_it_only() -> None:
    # As on 7.2: the same functions run at the end of a page fault, and where the scheduler rearms the timer.
    end = [call("raw_irqentry_exit_cond_resched", 1), call("__hrtimer_rearm_deferred", 2, call("reprogram", 3))]
    hit = trace_of([call("read", 9, *timer(), *end, call("up_read", 5), *end)])
    assert tops(hit)[3:] == ["raw_irqentry_exit_cond_resched", "__hrtimer_rearm_deferred"]
    assert told(hit) == {"read": 32 + 1 + 5}
    # Another task's turn is not the interrupt's.
    turn = call("raw_irqentry_exit_cond_resched", 1, call("preempt_schedule_irq", 900))
    assert told(trace_of([call("read", 9, *timer(), turn)])) == {"read": 32}
    assert told(trace_of([call("read", 9, call("f", 1, *timer()), end[1])])) == {"f": 32}


def test_without_contexts_the_wrappers_decide() -> None:
    def untold(*calls: Call) -> Trace:
        return trace_of([call("read", 9, *calls, context=UNKNOWN_CONTEXT)])

    wrapped = call("common_interrupt", 1, call("handle_edge_irq", 5, context=UNKNOWN_CONTEXT), context=UNKNOWN_CONTEXT)
    assert told(untold(wrapped)) == {"read": 6}
    assert told(untold(call("handle_edge_irq", 5, context=UNKNOWN_CONTEXT))) == {}


def test_an_interrupt_in_no_call_is_nobodys_and_flagged() -> None:
    trace = trace_of([*timer(), call("read", 5)])
    assert len(tops(trace)) == 3
    assert trace.calls.irq_ns is None


def test_a_table_without_interrupts_is_not_copied() -> None:
    calls = trace_of([call("read", 5, call("copy", 2))]).calls
    assert split(calls, ["", "read", "copy"]) is calls


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("irq_enter_rcu", HARD),
        ("__sysvec_irq_work.constprop.0", HARD),
        ("sysvec_hyperv_stimer0", HARD),
        ("asm_sysvec_reschedule_ipi", HARD),
        ("asm_exc_page_fault", 0),
        ("el1h_64_irq_handler", HARD),
        ("gic_handle_irq", HARD),
        ("handle_riscv_irq", HARD),
        ("do_ext_irq", HARD),
        ("timer_interrupt", HARD),
        ("handle_softirqs", SOFT),
        ("do_softirq_own_stack", SOFT),
        ("exc_nmi", NMI),
        ("hrtimer_interrupt", 0),
        ("schedule", 0),
    ],
)
def test_wrappers(name: str, level: int) -> None:
    assert level_of(name) == level


def test_the_table_names_each_wrapper_once() -> None:
    assert not LEVELS.keys() & EXIT_PARTS
    assert set(LEVELS.values()) == {SOFT, HARD, NMI}


def hits_unknown(trace: Trace) -> list[str]:
    """What CALLER_LOST says after the pass, and that its notice counts that."""
    after = apply(trace, Given())
    after.check()
    lost = after.calls.has(Flag.CALLER_LOST)
    assert [one.n for one in after.notices if one.code == "caller-lost"] == [int(lost.sum())] * bool(lost.any())
    return [after.symbols.label(int(code)) for code in after.calls.func[lost]]


CUT = int(Flag.CUT_BY_LOSS)


def test_what_an_interrupt_hit_is_not_known_where_the_record_that_tells_is_lost() -> None:
    # Behind all callees of a call whose exit is lost: it may have returned, and the interrupt hit the tracer.
    parts = ["irq_enter_rcu", "__sysvec_apic_timer_interrupt", "irq_exit_rcu"]
    behind = call("copy", 10, call("lock", 5), *timer(), unfinished=True, flags=CUT)
    assert hits_unknown(trace_of([call("read", 9, behind, flags=CUT)])) == parts
    # Not: before a callee, where nothing was lost, where the call was seen to return, at the end of the trace.
    before = call("copy", 10, *timer(), call("lock", 5), unfinished=True, flags=CUT)
    assert hits_unknown(trace_of([call("read", 9, before, flags=CUT)])) == []
    assert hits_unknown(trace_of([call("read", 9, call("copy", 10, *timer()), flags=CUT)])) == []
    assert hits_unknown(trace_of([call("read", 9, call("copy", 10, *timer(), unfinished=True))])) == []
    # Of one that no callee stands before; of a root.
    assert hits_unknown(trace_of([call("copy", 10, *timer(), unfinished=True, flags=CUT)])) == parts
    assert hits_unknown(trace_of([*timer()])) == []


def switched(*, ends: tuple[str, ...] = ("finish_task_switch.isra.0",)) -> list[Call]:
    """What __schedule, which is not traced, calls when the tracer, or a call, gives the CPU away."""
    return [call(name, 3, call("leaf", 1)) for name in ("rcu_note_context_switch", "update_rq_clock", *ends)]


def test_another_tasks_turn_behind_an_interrupt_may_have_been_in_the_tracer_too() -> None:
    parts = ["irq_enter_rcu", "__sysvec_apic_timer_interrupt", "irq_exit_rcu"]
    turn = ["rcu_note_context_switch", "update_rq_clock", "finish_task_switch.isra.0"]

    def lost(*inside: Call, name: str = "copy") -> list[str]:
        trace = trace_of([call("read", 9, call(name, 10, *inside, unfinished=True, flags=CUT), flags=CUT)])
        return hits_unknown(trace)

    assert lost(call("lock", 5), *timer(), *switched()) == [*parts, *turn]
    # Without a switch the run queue is only unlocked.
    unlocked = ("__balance_callbacks", "_raw_spin_unlock")
    assert lost(*timer(), *switched(ends=unlocked)) == [*parts, *turn[:2], *unlocked]
    assert lost(*timer(), *switched(ends=())) == [*parts, *turn[:2]]
    # Twice; the second time something else follows, which tells that the call went on.
    assert lost(*timer(), *switched(), *timer(), *switched()) == [*parts, *turn, *parts, *turn]
    assert lost(*timer(), *switched(), call("lock", 5)) == []
    assert lost(*timer(), *switched(), call("lock", 5), *timer()) == parts
    # Where the call gives the CPU away itself, or no interrupt asked for it, nothing is in doubt but interrupts.
    assert lost(*timer(), *switched(), name="schedule") == []
    assert lost(*switched()) == [] and lost(*switched(), *timer()) == parts


def test_a_turn_that_may_have_been_in_the_tracer_is_in_no_bound() -> None:
    copy = call("copy", 10, call("lock", 5), *timer(), *switched(), unfinished=True, flags=CUT)
    trace = apply(trace_of([call("read", 9, copy, flags=CUT)]), Given())
    tree = call_tree(trace).tree
    (node,) = np.flatnonzero(tree.label == tree.labels.index("copy")).tolist()
    assert (tree.total_ns[node], tree.floor_ns[node]) == (-1, 5)


def test_an_interrupt_without_an_exit_that_began_when_the_call_above_had_returned_hit_another() -> None:
    vector = call("__sysvec_apic_timer_interrupt", 7, context=2, unfinished=True, flags=CUT)
    trace = trace_of([call("copy", 10, call("lock", 5), vector, flags=CUT | Flag.SELF_UNKNOWN)])
    calls = trace.calls
    (row,) = (row for row in range(3) if trace.symbols.label(int(calls.func[row])) == "__sysvec_apic_timer_interrupt")
    over = int(calls.start_ns[0] + calls.duration_ns[0])
    for begin, expected in ((over, ["__sysvec_apic_timer_interrupt"]), (over - 1, [])):
        start = calls.start_ns.copy()
        start[row] = begin
        assert hits_unknown(replace(trace, calls=calls.with_columns(start_ns=start))) == expected


def self_times(trace: Trace, *losses: tuple[int, int]) -> dict[str, int]:
    """label -> self time after the pass, with losses: (CPU, time of the next record)."""
    n = len(losses)
    cpu, time = np.array(losses, np.int64).reshape(n, 2).T
    lane = np.zeros(n, np.int32)
    lost = Losses(time, cpu.astype(np.int16), np.full(n, -1), lane, lane, lane)
    after = apply(replace(trace, losses=lost), Given())
    after.calls.check()
    calls = after.calls
    return {after.symbols.label(int(code)): int(ns) for code, ns in zip(calls.func, calls.self_ns, strict=True)}


def test_an_interrupt_whose_first_part_is_cut_may_have_had_another_part() -> None:
    for flags, expected in ((CUT | Flag.NO_ENTRY, -1), (CUT, 10), (Flag.NO_ENTRY, 10)):
        vector = call("__sysvec_apic_timer_interrupt", 7, context=2, flags=flags)
        trace = trace_of([call("read", 9, call("copy", 10, vector, call("irq_exit_rcu", 2)))])
        assert self_times(trace)["copy"] == expected
        assert self_times(trace)["read"] == 9


def test_records_lost_behind_a_return_were_an_interrupts_that_hit_the_tracer() -> None:
    """The exit record came behind the gap, and tells that the call had returned before it."""
    trace = trace_of([call("read", 9, call("copy", 40_000, call("lock", 8_000), call("unlock", 700)))])
    calls = trace.calls
    over = [int(ns) for ns in calls.start_ns + calls.duration_ns]

    def told(inside: int, end: int) -> list[int]:
        one = np.zeros(1, np.int32)
        at, of, lane, row = np.array([end]), one.astype(np.int16), one, one + inside + 1
        lost = Losses(at, of, np.array([-1]), lane, row, one + inside, at - 50_000)
        after = apply(replace(trace, losses=lost), Given())
        after.check()
        return [row for row, ns in enumerate(after.calls.self_ns.tolist()) if ns < 0]

    # lock had returned long before the first record behind the gap, which came while it was still open: its exit's.
    assert told(2, over[2] + 10_000) == [1]
    # An exit's record comes a little later than the return; a gap before that is the callee's.
    assert told(2, over[2] + 4_000) == told(2, over[2] - 10) == []
    # Its caller had returned, too. Of a call that is still open, and of a root, nothing is in doubt.
    assert told(2, over[1] + 9_000) == [0, 1]
    assert told(1, over[1] - 10) == told(-1, over[0] + 99_000) == told(0, over[0] + 99_000) == []


def test_a_loss_right_before_an_interrupt_in_the_tracer_may_have_had_its_first_part() -> None:
    trace = trace_of([call("read", 9, call("copy", 10, call("irq_exit_rcu", 2, cpu=1), cpu=1))])
    calls = trace.calls
    begin = int(calls.start_ns[2])
    early = calls.start_ns.copy()
    early[1] = begin + 5
    placed = replace(trace, calls=calls.with_columns(start_ns=early))
    assert self_times(placed, (1, begin)) == {"read": 9, "copy": -1, "irq_exit_rcu": 2}
    for other in ((0, begin), (1, begin - 1), (1, begin + 5)):
        assert self_times(placed, other)["copy"] == 10
    assert self_times(trace, (1, begin))["copy"] == 10
