"""The plain function tracer: who called whom, in order, and no durations."""

from __future__ import annotations

import io
import random

import pytest

from builder import tracedat as build
from kfgraph import call_tree, info, load
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.parse.function_tracer import Entries, calls_of


def text(*lines: str, header: str = "# tracer: function\n#\n") -> Trace:
    """Each line ``f <-g``, or ``pid letters f <-g``."""
    made = []
    for i, line in enumerate(lines):
        if line.startswith("CPU:"):
            made.append(line + "\n")
            continue
        *front, func, caller = line.split(" ")
        pid, letters = front or ("7", ".....")
        made.append(f"            demo-{pid}     [000] {letters}     1.{i + 1:06d}: {func} {caller}\n")
    trace = load(io.BytesIO((header + "".join(made)).encode()))
    trace.check()
    return trace


def tree(trace: Trace) -> list[tuple[int, str]]:
    labels = trace.symbols.labels
    return [(int(i), labels[f]) for i, f in zip(trace.calls.level.tolist(), trace.calls.func.tolist(), strict=True)]


def test_a_call_is_below_the_innermost_open_call_of_its_caller() -> None:
    trace = text("a <-entry", "b <-a", "c <-b", "d <-b", "e <-a", "b <-a", "c <-b", "a <-entry", "c <-a")
    assert tree(trace) == [
        (0, "a"), (1, "b"), (2, "c"), (2, "d"), (1, "e"), (1, "b"), (2, "c"), (0, "a"), (1, "c"),
    ]  # fmt: skip
    assert (trace.calls.duration_ns == -1).all() and trace.calls.has(Flag.NO_EXIT).all()
    assert trace.calls.start_ns.tolist() == [1_000_000_000 + 1000 * i for i in range(1, 10)]
    said = trace.notices[0].sentence
    assert "records no returns" in said and "inferred" in said


def test_no_time_is_told_of_a_task() -> None:
    (task,) = info(text("a <-entry", "b <-a")).tasks
    assert (task.n_calls, task.n_roots, task.root_ns) == (2, 1, -1)


def test_a_recursion_hangs_below_its_innermost_call() -> None:
    assert tree(text("f <-entry", "f <-f", "g <-f", "g <-f")) == [(0, "f"), (1, "f"), (2, "g"), (2, "g")]


def test_a_caller_that_was_not_recorded_is_named_and_ends_nothing() -> None:
    trace = text("a <-entry", "b <-hidden", "c <-b", "d <-a")
    # What the hidden one was called by is not known, and a goes on: its calls are rows of its tree.
    assert tree(trace) == [(0, "a"), (1, "d"), (0, "b"), (1, "c")]
    shown = str(call_tree(trace))
    assert "b ?  ← hidden" in shown and "a ?  ← entry" in shown and "← b" not in shown


def test_an_interrupt_leaves_open_what_it_interrupts() -> None:
    trace = text(
        "a <-entry", "b <-a", "7 d..2. irq_enter_rcu <-sysvec", "7 d.h2. tick <-sysvec", "7 d.h2. b <-tick",
        "7 d.h3. c <-b", "7 d.s3. timers <-soft", "7 d.s3. c <-timers", "c <-b", "d <-a",
    )  # fmt: skip
    assert tree(trace) == [
        (0, "a"), (1, "b"), (2, "c"), (1, "d"), (0, "irq_enter_rcu"), (0, "tick"), (1, "b"), (2, "c"), (0, "timers"),
        (1, "c"),
    ]  # fmt: skip
    assert trace.calls.context.tolist() == [0, 0, 0, 0, 0, 2, 2, 2, 1, 1]


def test_tasks_are_apart_and_a_loss_closes_what_was_open_on_its_cpu() -> None:
    trace = text("a <-entry", "8 ..... a <-entry", "b <-a", "8 ..... c <-a", "CPU:0 [LOST 12 EVENTS]", "d <-a", "e <-d")
    assert tree(trace) == [(0, "a"), (1, "b"), (0, "d"), (1, "e"), (0, "a"), (1, "c")]
    assert trace.calls.has(Flag.CALLER_LOST).tolist() == [False, False, True, False, False, False]
    assert trace.losses.n_lost.tolist() == [12] and trace.losses.row.tolist() == [2]
    assert {one.code: one.n for one in trace.notices} == {"no-duration": 6, "lost-records": 1, "caller-lost": 1}


def test_a_true_tree_whose_functions_differ_on_each_path_comes_back() -> None:
    rng = random.Random(5)
    entries, truth, stack = Entries(), [], [0]
    for row in range(3_000):
        del stack[rng.randint(1, len(stack)) :]
        truth.append(stack[-1] - 2)
        entries.func.append(row + 2)
        entries.caller.append(stack[-1] or 1)
        stack.append(row + 2)
        for column, value in ((entries.time, row), (entries.lane, 0), (entries.cpu, 0), (entries.context, 0)):
            column.append(value)
    calls, _ = calls_of(entries, ["", "entry", *(f"f{i}" for i in range(3_000))])
    calls.check()
    assert calls.func.tolist() == list(range(2, 3_002))
    assert calls.parent.tolist() == [max(above, -1) for above in truth]


@pytest.mark.parametrize("long_size", [8, 4])
def test_the_events_of_a_trace_dat(long_size: int) -> None:
    kernel = build.Kernel(long_size=long_size)
    cpu = build.Cpu(kernel, 0)
    number = 300

    def function(time: int, ip: int, parent_ip: int, flags: int = 0, pid: int = 7) -> None:
        cpu.event(time, pid, number, kernel.pack("LL", ip, parent_ip), flags=flags)

    function(1_000, 0x1000, 0x9010)
    function(2_000, 0x2000, 0x1024)
    function(2_500, 0x3000, 0x4000, flags=0x08)
    cpu.event(2_600, 7, 301, kernel.pack("i", 5))
    function(3_000, 0x3000, 0x2008)
    cpu.lose(9)
    function(4_000, 0x3000, 0x1028)
    fields = [("unsigned long", "ip", long_size), ("unsigned long", "parent_ip", long_size)]
    events = [("ftrace", "function", number, fields), ("demo", "other", 301, [("int", "n", 4)])]
    symbols = {0x1000: ("T", "a", ""), 0x2000: ("T", "b", ""), 0x3000: ("T", "c", ""), 0x4000: ("T", "irq", ""),
               0x9000: ("T", "entry", "")}  # fmt: skip
    data = build.trace_dat(kernel, [cpu], symbols=symbols, extra=build.Extra(events=events, comms={7: "demo"}))
    trace = load(io.BytesIO(data))
    trace.check()
    assert tree(trace) == [(0, "a"), (1, "b"), (2, "c"), (0, "c"), (0, "c")]
    labels = trace.symbols.labels
    assert [labels[code] for code in trace.calls.caller.tolist()] == ["entry", "a", "b", "irq", "a"]
    assert trace.calls.start_ns.tolist() == [1_000, 2_000, 3_000, 2_500, 4_000]
    assert trace.calls.context.tolist() == [0, 0, 0, 2, 0]
    assert trace.calls.has(Flag.CALLER_LOST).tolist() == [False, False, False, False, True]
    assert (trace.marks.names[trace.marks.name[0]], trace.marks.time_ns.tolist()) == ("other", [2_600])
    assert trace.marks.field("other", "n").values.tolist() == [5] and trace.marks.text[0] == "n=5"
    assert (trace.losses.n_lost.tolist(), trace.losses.begin_ns.tolist()) == ([9], [3_000])
    assert trace.tasks[0].comm == "demo"
