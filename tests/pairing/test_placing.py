"""Interrupts at any moment, in the tracer too: where they stand, and whose time each nanosecond is.

The streams come from a machine that calls, returns and is interrupted. What ``split`` makes of them is compared with a
model that paints every nanosecond.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfgraph.model.calls import CallTable, Flag
from kfgraph.parse import pairing
from kfgraph.parse.records import ENTRY, EXIT, RecordBatch
from kfgraph.passes.irq_time import split

NAMES = ["?", "outer", "inner", "irq_enter_rcu", "__sysvec_apic_timer_interrupt", "irq_exit_rcu", "handler"]
OUTER, INNER, ENTER, VECTOR, LEAVE, HANDLER = range(1, 7)
PARTS = ((ENTER, 0), (VECTOR, 2), (LEAVE, 0))


@dataclass
class Called:
    """One call: ``hit`` says that it is a part of an interrupt, which hit ``parent``."""

    func: int
    parent: int
    hit: bool
    called: int = -1
    duration: int = -1


@dataclass
class Machine:
    """A CPU with one task. ``interrupts`` says, in the order of the moments, how many parts of one come."""

    interrupts: list[int]
    now: int = 1_000
    depth: int = -1
    irqs: int = 0
    calls: list[Called] = field(default_factory=list)
    records: list[tuple[int, ...]] = field(default_factory=list)
    stack: list[int] = field(default_factory=list)
    """Calls in whose time this is: the last one is the innermost."""

    def moment(self, ns: int) -> None:
        """Time passes, and an interrupt may come."""
        self.now += ns
        n = self.interrupts.pop() if self.interrupts and self.irqs < 2 else 0
        if not n:
            return
        self.irqs += 1
        for func, context in PARTS[:n] if n < 4 else ((VECTOR, 2),):
            self.call(func, context=max(context, 2 if self.irqs > 1 else 0), hit=True)
        self.irqs -= 1
        self.now += 1

    def call(self, func: int, *, context: int = 0, hit: bool = False, inside: tuple = ()) -> None:
        number = len(self.calls)
        self.calls.append(Called(func, self.stack[-1] if self.stack else -1, hit))
        quiet = hit or context
        if not quiet:
            self.moment(2)
        call = self.calls[number]
        call.called = self.now
        self.stack.append(number)
        self.now += 1
        if not quiet:
            self.moment(1)
        self.depth += 1
        depth = self.depth
        if not quiet:
            self.moment(1)
        self.records.append((ENTRY, func, depth, self.now, 0, 0, context, number))
        self.now += 3
        for one in inside:
            self.call(INNER, inside=one)
            self.moment(2)
        if hit and func == VECTOR:
            self.call(HANDLER, context=context)
        if not quiet:
            self.moment(1)
        self.depth -= 1
        if not quiet:
            self.moment(1)
        call.duration = self.now - call.called
        self.stack.pop()
        self.now += 1
        if not quiet:
            self.moment(2)
        self.records.append((EXIT, func, depth, self.now, call.duration, call.called, context, number))
        self.now += 2


TREES = st.recursive(st.just(()), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8)
INTERRUPTS = st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4]), max_size=60)


def run(tree: tuple, interrupts: list[int]) -> Machine:
    machine = Machine(list(interrupts))
    machine.call(OUTER, inside=tree)
    machine.moment(1)
    machine.call(OUTER)
    return machine


def pair(module, records) -> tuple[CallTable, list[int]]:
    """(the table, the number of each row's call)."""
    table = RecordBatch.empty(len(records), retval=True, arg=False)
    for i, (kind, func, depth, time, duration, called, context, number) in enumerate(records):
        table.kind[i], table.func[i], table.depth[i], table.time[i] = kind, func, depth, time
        table.duration[i], table.calltime[i], table.context[i] = duration, called, context
        table.pid[i], table.cpu[i], table.retval[i] = 1, 0, number
    pairer = module.Pairer(retval=True)
    pairer.feed(table, len(records))
    calls = pairer.finish().calls
    calls.check()
    calls = split(calls, NAMES)
    calls.check()
    return calls, calls.retval.tolist()


def painted(calls: list[Called]) -> tuple[list[int], list[int]]:
    """(self, irq) of each call, from a walk over every nanosecond: the innermost call has it, and each call whose
    direct inner one is an interrupt's is interrupted in it."""
    own, irq = [0] * len(calls), [0] * len(calls)
    for t in range(min(c.called for c in calls), max(c.called + c.duration for c in calls)):
        chain = sorted((i for i, c in enumerate(calls) if c.called <= t < c.called + c.duration),
                       key=lambda i: calls[i].called)  # fmt: skip
        if chain:
            own[chain[-1]] += 1
        for outer, inner in itertools.pairwise(chain):
            irq[outer] += calls[inner].hit
    return own, irq


@settings(max_examples=150, deadline=None)
@given(tree=TREES, interrupts=INTERRUPTS)
def test_every_nanosecond_is_in_one_place(pairer_module, tree, interrupts):
    machine = run(tree, interrupts)
    calls, number = pair(pairer_module, machine.records)
    own, irq = painted(machine.calls)
    row_of = {n: row for row, n in enumerate(number)}
    assert not calls.has(Flag.IN_TRACER).any()
    assert not calls.has(Flag.SELF_UNKNOWN).any()
    irq_ns = calls.irq_ns.dense(len(calls)) if calls.irq_ns else np.zeros(len(calls), np.int64)
    for row, n in enumerate(number):
        call = machine.calls[n]
        assert calls.parent[row] == (row_of[call.parent] if call.parent >= 0 else -1)
        assert bool(calls.flags[row] & Flag.INTERRUPT) == call.hit
        assert (calls.self_ns[row], irq_ns[row]) == (own[n], irq[n])


def test_without_interrupts_there_is_no_column():
    calls, _ = pair(pairing, run(((), ((),)), []).records)
    assert calls.irq_ns is None
    assert not calls.has(Flag.INTERRUPT).any()


def entry(func, depth, time, context=0):
    return (ENTRY, func, depth, time, 0, 0, context, -1)


def leave(func, depth, time, duration, called, context=0):
    return (EXIT, func, depth, time, duration, called, context, func)


def parts(calls: CallTable) -> list[tuple[int, int, int]]:
    """(parent, self, irq) of each row."""
    irq = calls.irq_ns.dense(len(calls)) if calls.irq_ns else np.zeros(len(calls), np.int64)
    return list(zip(calls.parent.tolist(), calls.self_ns.tolist(), irq.tolist(), strict=True))


class TestPlaces:
    def test_between_a_return_and_its_record_it_is_the_callers(self, pairer_module):
        # inner returned at 150, its exit record came at 900; the interrupt ran from 200 to 800.
        calls, _ = pair(
            pairer_module,
            [
                entry(OUTER, 0, 100),
                entry(INNER, 1, 111),
                entry(VECTOR, 2, 205, 2),
                leave(VECTOR, 2, 805, 600, 200, 2),
                leave(INNER, 1, 900, 40, 110),
                leave(OUTER, 0, 1000, 890, 99),
            ],
        )
        assert calls.func.tolist() == [OUTER, INNER, VECTOR]
        assert parts(calls) == [(-1, 250, 600), (0, 40, 0), (0, 600, 0)]
        assert calls.level.tolist() == [0, 1, 1]
        assert calls.end.tolist() == [3, 2, 3]

    def test_between_a_call_and_its_record_it_is_the_callees(self, pairer_module):
        # inner was called at 110, the interrupt ran (deeper) before its entry record, at 300.
        calls, _ = pair(
            pairer_module,
            [
                entry(OUTER, 0, 100),
                entry(VECTOR, 2, 120, 2),
                leave(VECTOR, 2, 290, 165, 119, 2),
                entry(INNER, 1, 300),
                leave(INNER, 1, 400, 285, 110),
                leave(OUTER, 0, 1000, 890, 99),
            ],
        )
        assert calls.func.tolist() == [OUTER, INNER, VECTOR]
        assert parts(calls) == [(-1, 605, 0), (0, 120, 165), (1, 165, 0)]
        assert not calls.has(Flag.DEPTH_JUMP).any()
        assert calls.start_ns.tolist() == [100, 300, 120]

    def test_of_an_outermost_call_it_is_nobodys(self, pairer_module):
        calls, _ = pair(
            pairer_module,
            [
                entry(OUTER, 0, 111),
                entry(VECTOR, 1, 205, 2),
                leave(VECTOR, 1, 805, 600, 200, 2),
                leave(OUTER, 0, 900, 40, 110),
                entry(INNER, 0, 910),
                leave(INNER, 0, 930, 15, 909),
            ],
        )
        assert calls.func.tolist() == [OUTER, VECTOR, INNER]
        assert parts(calls) == [(-1, 40, 0), (-1, 600, 0), (-1, 15, 0)]
        assert calls.has(Flag.INTERRUPT).tolist() == [False, True, False]

    @pytest.mark.parametrize(
        ("called", "expected"),
        [
            # Over 20 before the callee was called: in nobody's way. At the time: the same.
            (310, [(-1, 485, 165), (0, 165, 0), (0, 240, 0)]),
            (290, [(-1, 485, 165), (0, 165, 0), (0, 240, 0)]),
            # 65 of the interrupt's 165 were in the callee's time.
            (219, [(-1, 550, 100), (0, 165, 0), (0, 175, 65)]),
        ],
    )
    def test_what_was_in_two_calls_is_split(self, pairer_module, called, expected):
        calls, _ = pair(
            pairer_module,
            [
                entry(OUTER, 0, 100),
                entry(VECTOR, 2, 120, 2),
                leave(VECTOR, 2, 290, 165, 119, 2),
                entry(INNER, 1, 320),
                leave(INNER, 1, 600, 240, called),
                leave(OUTER, 0, 1000, 890, 99),
            ],
        )
        assert calls.func.tolist() == [OUTER, VECTOR, INNER]
        assert parts(calls) == expected
        assert calls.has(Flag.IN_TRACER).tolist() == [False, called == 219, False]

    def test_what_was_behind_a_return_in_part_is_split(self, pairer_module):
        calls, _ = pair(
            pairer_module,
            [
                entry(OUTER, 0, 100),
                entry(INNER, 1, 111),
                entry(VECTOR, 2, 205, 2),
                leave(VECTOR, 2, 805, 600, 200, 2),
                leave(INNER, 1, 900, 240, 110),
                leave(OUTER, 0, 1000, 890, 99),
            ],
        )
        assert calls.func.tolist() == [OUTER, INNER, VECTOR]
        assert parts(calls) == [(-1, 200, 450), (0, 90, 150), (1, 600, 0)]
        assert calls.has(Flag.IN_TRACER).tolist() == [False, False, True]

    def test_a_call_whose_entry_is_missing_is_before_what_hit_its_exit(self, pairer_module):
        calls, _ = pair(
            pairer_module,
            [
                entry(OUTER, 0, 100),
                entry(VECTOR, 1, 205, 2),
                leave(VECTOR, 1, 805, 600, 200, 2),
                leave(INNER, 1, 900, 40, 110),
                leave(OUTER, 0, 1000, 890, 99),
            ],
        )
        assert calls.func.tolist() == [OUTER, INNER, VECTOR]
        assert calls.parent.tolist() == [-1, 0, 0]
        assert parts(calls)[0] == (-1, 250, 600)
        assert not calls.has(Flag.IN_TRACER).any()

    def test_a_caller_whose_entry_is_missing_takes_both(self, pairer_module):
        # The interrupt hit the exit of inner; then outer, whose entry is missing, returns.
        calls, _ = pair(
            pairer_module,
            [
                entry(INNER, 1, 111),
                entry(VECTOR, 2, 205, 2),
                leave(VECTOR, 2, 805, 600, 200, 2),
                leave(INNER, 1, 900, 40, 110),
                leave(OUTER, 0, 1000, 890, 99),
            ],
        )
        assert calls.func.tolist() == [OUTER, INNER, VECTOR]
        assert calls.parent.tolist() == [-1, 0, 0]
        assert calls.irq_ns.dense(3).tolist() == [600, 0, 0]

    def test_at_the_depth_of_a_call_whose_entry_is_missing_and_in_its_time_it_hit_that(self, pairer_module):
        # Neither name nor context tells: the tracer had counted down when it came.
        calls, _ = pair(
            pairer_module,
            [
                entry(OUTER, 0, 100),
                entry(HANDLER, 1, 205),
                leave(HANDLER, 1, 505, 300, 200),
                leave(INNER, 1, 900, 700, 110),
                leave(OUTER, 0, 1000, 890, 99),
            ],
        )
        assert calls.func.tolist() == [OUTER, INNER, HANDLER]
        assert calls.parent.tolist() == [-1, 0, 1]
        assert calls.has(Flag.INTERRUPT).tolist() == [False, False, True]
        assert calls.self_ns[0] == 190
