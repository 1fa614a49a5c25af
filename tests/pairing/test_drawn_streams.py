"""Drawn streams of records in which much goes wrong at once: what pairing makes of each is recorded.

Times stand at the limits of what pairing takes for the tracer's own delay, and beside them. Records are late, missing,
doubled or in disorder; interrupts hit the tracer, tasks move, CPUs lose records.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

import recorded
from described import codes
from kfgraph.model.calls import CallTable
from kfgraph.parse.pairing import Paired, Pairer
from kfgraph.parse.records import ENTRY, EXIT, LEAF, LOSS, MARK, UNTOLD, RecordBatch

NAMES = (
    b"", b"f", b"g", b"h", b"k", b"schedule", b"finish_task_switch", b"irq_enter_rcu", b"sysvec_apic_timer_interrupt",
    b"irq_exit_rcu", b"preempt_schedule_irq", b"io_schedule_timeout", b"nmi_enter", b"schedule_tail", b"do_IRQ [m]",
)  # fmt: skip
PLAIN, INTERRUPTS = (1, 1, 2, 3, 4, 5, 6, 11, 13), (7, 8, 9, 10, 12, 14)
STEPS = (1, 40, 100, 100, 300, 499, 500, 900, 1_000, 2_000)
LATE = (
    0, 0, 0, 0, 0, 0, 1_000, 1_500, 1_501, 2_000, 2_001, 3_000, 5_000, 5_001, 9_000, 20_000, 99_999, 100_000, 100_001,
    400_000, 1_000_000, 5_999_999, 6_000_000, 6_000_001, 9_999_999, 10_000_000, 10_000_001, 12_000_000,
)  # fmt: skip


class Record(NamedTuple):
    kind: int
    func: int
    pid: int
    cpu: int
    time: int
    depth: int = -1
    duration: int = -1
    calltime: int = -1
    context: int = 0
    retval: int = 0
    caller: int = 0
    arg: int = -1


class Drawn:
    """One stream. ``text``: exits have mostly no name and no calltime, and times may be rounded."""

    def __init__(self, rng: random.Random, *, text: bool) -> None:
        self.rng, self.text = rng, text
        self.now, self.records = rng.choice((0, 20_000_000, 20_000_000)), list[Record]()
        self.unit = rng.choice((1, 1, 1_000)) if text else 1
        self.named, self.depths = rng.random() < 0.3 or not text, rng.random() < 0.9
        self.too_deep = text and rng.random() < 0.1
        self.restless = rng.choice((0, 0.02, 0.1))
        self.cpu = dict.fromkeys((0, 7, 8), 0)
        self.open: dict[int, list[tuple[int, int]]] = {pid: [] for pid in self.cpu}
        for _ in range(rng.choice((20, 40, 70))):
            self.step(rng.choice((0, 7, 7, 7, 8)))

    def wait(self) -> None:
        late = self.rng.choice(LATE) if self.rng.random() < 0.15 else 0
        self.now += self.rng.choice(STEPS) + late

    def add(self, kind: int, func: int, pid: int, depth: int, **more: int) -> None:
        rng, time = self.rng, self.now // self.unit * self.unit
        if rng.random() < self.restless / 4:
            time = max(time - rng.choice((1, 1_500, 1_501, 10_000, 10_000_000, 10_000_001)), rng.choice((-1, 0)))
        more = {"context": rng.choice((0, 0, 0, 0, 1, 2, 255)), **more}
        record = Record(kind, func, pid, self.cpu[pid], time, depth if self.depths else -1, **more)
        if rng.random() >= self.restless:
            self.records.append(record)
        if rng.random() < self.restless / 4:
            self.records.insert(rng.randrange(max(len(self.records) - 4, 0), len(self.records) + 1), record)

    def delayed(self, pid: int, depth: int, *deeper: int) -> None:
        """An interrupt, or nothing at all, comes before the record."""
        if self.rng.random() < 0.15:
            self.wait()
            if self.rng.random() < 0.5:
                self.whole(pid, self.rng.choice(INTERRUPTS), depth + self.rng.choice(deeper))

    def enter(self, pid: int, func: int, depth: int) -> int:
        """The time of the call."""
        called = self.now
        self.delayed(pid, depth, 1)
        self.add(ENTRY, func, pid, depth, caller=self.rng.randrange(3), arg=len(self.records))
        return called

    def leave(self, pid: int, func: int, depth: int, called: int) -> None:
        rng = self.rng
        took = max(self.now - called + rng.choice((0,) * 12 + (-1_500, -1_501, -2_001, 1_501, 5_001)), 0)
        self.delayed(pid, depth, 0, 1, 1, 2)
        told = rng.choice((func, func, 0)) if self.text else func
        known = -1 if self.text else called if rng.random() < 0.95 else rng.choice((0, -1))
        times = {"duration": took if rng.random() < 0.97 else -1, "calltime": known}
        self.add(EXIT, told if self.named else 0, pid, depth + self.too_deep, **times, retval=len(self.records))

    def whole(self, pid: int, func: int, depth: int) -> None:
        """A call with nothing in it, or an interrupt with a part in it."""
        began, context = self.now, 2 if func in INTERRUPTS else 0
        if self.text and self.rng.random() < 0.5:
            took = self.rng.choice(STEPS)
            self.add(LEAF, func, pid, depth, duration=took, context=context, arg=3)
            self.now += took
        else:
            self.add(ENTRY, func, pid, depth, context=context)
            self.wait()
            if context and self.rng.random() < 0.3:
                self.whole(pid, 2, depth + 1)
            times = {"duration": self.now - began, "calltime": -1 if self.text else began}
            self.add(EXIT, func if self.named else 0, pid, depth, context=context, **times)
        self.now += self.rng.choice((0, 100, 1_000))

    def step(self, pid: int) -> None:
        rng, stack, what = self.rng, self.open[pid], self.rng.randrange(20)
        self.wait()
        if what < 8 and len(stack) < 5:
            func = rng.choice(PLAIN)
            stack.append((func, self.enter(pid, func, len(stack))))
        elif what < 14 and stack:
            func, called = stack.pop()
            self.leave(pid, func, len(stack), called)
        elif what < 16:
            self.whole(pid, rng.choice(PLAIN + INTERRUPTS), len(stack) + rng.choice((0, 0, 0, 1)))
        elif what == 16 and pid == 0 and self.text:
            # Another CPU's idle task: the exit of its call is taken for one of this leaf.
            began, depth = self.now, len(stack)
            self.add(LEAF, 1, 0, depth, duration=5)
            self.whole(0, rng.choice(PLAIN), depth + rng.choice((0, 1, 1, 2)))
            late = rng.choice((0, 0, 1_999, 2_000, 2_001, -2_000, -2_001))
            self.add(EXIT, 0, 0, depth, duration=max(self.now - began + late, 0))
        elif what == 16:
            self.cpu[pid] = 1 - self.cpu[pid]
        elif what == 17:
            self.records.append(Record(MARK, rng.randrange(2), pid, self.cpu[pid], self.now))
        elif what == 18 and rng.random() < 0.3:
            self.records.append(Record(LOSS, 0, -1, rng.randrange(2), -1, duration=rng.choice((-1, 3))))
        elif stack and rng.random() < 0.3:
            stack.pop()


def paired(rng: random.Random, *, text: bool) -> Paired:
    drawn, size = Drawn(rng, text=text), rng.choice((3, 16, 1_000))
    pairer = Pairer(
        retval=True, caller=True, args=True, same_clock=rng.random() < 0.8, untold=UNTOLD if text else {},
    )  # fmt: skip
    ticks, without_times = rng.random() < 0.05, text and rng.random() < 0.1
    pairer.delays.facts = (lambda: {"names": NAMES, "ticks": ticks}) if text else None
    for at in range(0, len(drawn.records), size):
        rows = drawn.records[at : at + size]
        batch = RecordBatch.empty(len(rows), retval=True, caller=True, arg=True)
        for name, values in zip(Record._fields, zip(*rows, strict=True), strict=True):
            getattr(batch, name)[:] = values
        if without_times:
            batch.time.fill(-1)
        pairer.feed(batch, len(rows))
        if rng.random() < 0.02:
            pairer.feed(batch, -1)
    return pairer.finish(clock_is_ns=rng.random() < 0.95)


def told(paired: Paired) -> str:
    """The notices; sums of the calls, of the other events and losses, and of the rest."""
    calls = paired.calls
    calls.check()
    columns = [getattr(calls, name) for name in CallTable.declared()]
    irq = calls.irq_ns.dense(len(calls)) if calls.irq_ns is not None else None
    rest = (paired.arg, irq, paired.n_records, paired.first_time, paired.last_time)
    places = [*vars(paired.marks).values(), *vars(paired.losses).values()]
    return f"{codes(paired)} {recorded.digest(*columns)} {recorded.digest(*places)} {recorded.digest(*rest)}"


@pytest.mark.parametrize("form", ["text", "binary"])
def test_what_is_made_of_drawn_streams(form: str) -> None:
    recorded.compare_each(f"streams-{form}", 220, lambda rng: told(paired(rng, text=form == "text")))
