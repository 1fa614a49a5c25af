"""Traces with a little of everything, drawn by a number: the same ones on every machine and in every Python."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from builder.tables import Call, trace_of
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.companion import Companion, ReturnProbe
from kfgraph.model.marks import Losses, Marks
from kfgraph.model.offcpu import OffCpu
from kfgraph.model.returned import Returned
from kfgraph.model.sparse import Sparse
from kfgraph.model.tasks import Task
from kfgraph.model.trace import Trace

T = TypeVar("T")
NAMES = (
    "vfs_open", "do_filp_open", "kmalloc", "kfree", "mutex_lock", "widget_probe [widget]", "widget_read [widget]",
    "__x64_sys_openat", "__x64_sys_read", "do_syscall_64", "__sysvec_apic_timer_interrupt", "irq_enter_rcu",
    "__irq_exit_rcu", "handle_softirqs", "exc_nmi", "hrtimer_interrupt", "schedule", "try_to_wake_up", "kernel_clone",
    "do_exit", "do_init_module", "do_one_initcall", "load_module", "0xffffffffc0a9d01f", "", "wait_for_completion",
    "blocking_notifier_call_chain", "notifier_call_chain", "trace_kprobe_module_callback", "process_one_work",
    "kmem_cache_alloc", "is_module_address", "security_file_open", "put_device", "widget_undo [widget]", "flush_work",
)  # fmt: skip
RESULTS = (0, 0, 0, 1, 5, 101, 102, -1, -2, -2, -12, -19, -19, -22, -110, -517, -4095, -4096)
TYPES = (
    None, Returned("int", 32, True, "int", signed=True), Returned("long", 64, True, "int", signed=True),
    Returned("void", 0, False, "void"), Returned("struct file *", 64, True, "pointer"), Returned("int", 32, True),
    Returned("bool", 8, False, "bool"), Returned("unsigned int", 32, False, "int"),
)  # fmt: skip
EVENTS = (
    "sys_enter_openat", "sys_exit_openat", "sys_enter", "sys_exit", "sched_process_fork", "workqueue_queue_work",
    "workqueue_execute_start", "sched_switch", "console",
)  # fmt: skip
ODD = (Flag.CUT_BY_LOSS, Flag.DEPTH_JUMP, Flag.PRE_EXEC, Flag.MIGRATED, Flag.CALLER_LOST, Flag.OFF_CPU_UNKNOWN)


class Draw:
    """Drawn by the hash of a name and a number: the same on every machine and in every Python."""

    def __init__(self, name: str) -> None:
        self._name, self._n = name, 0

    def below(self, n: int) -> int:
        self._n += 1
        return int.from_bytes(hashlib.sha256(f"{self._name} {self._n}".encode()).digest()[:8], "little") % n

    def one(self, pool: Sequence[T]) -> T:
        return pool[self.below(len(pool))]

    def some(self, pool: Sequence[T], most: int) -> list[T]:
        left = list(pool)
        return [left.pop(self.below(len(left))) for _ in range(self.below(min(most, len(left)) + 1))]


def _calls(draw: Draw, names: Sequence[str], level: int, *, returns: bool) -> list[Call]:
    """Siblings: patterns of a call or two, some of them several times, with other times."""
    made: list[Call] = []
    for _ in range(draw.below(3) if level else 1 + draw.below(2)):
        pattern = [
            (draw.one(names), _calls(draw, names, level + 1, returns=returns) if level < 5 else [])
            for _ in range(1 + (draw.below(3) == 0))
        ]
        for name, children in pattern * (draw.one((1, 1, 1, 1, 2, 3, 6)) if level in (1, 4, 5) else 1):
            retval = draw.one(RESULTS) & 0xFFFFFFFFFFFFFFFF if returns and draw.below(4) else None
            self_ns = draw.one((0, 10, 40, 200, 900, 5_000, 20_000, 300_000)) + draw.below(8)
            odd: dict[str, Any] = {"unfinished": draw.below(20) == 0, "cpu": draw.one((0, 0, 0, 1)), "retval": retval}
            odd["context"] = draw.one((0, 0, 0, 0, 0, 0, 1, 2, 3, UNKNOWN_CONTEXT)) if level else 0
            odd["flags"] = int(draw.one(ODD)) if draw.below(12) == 0 else 0
            odd["args"] = f"fd={draw.below(3)}, flags=0x{draw.below(99):x}" if returns and draw.below(3) else ""
            made.append(Call(name, self_ns, tuple(children), **odd))
    return made


def _steady(draw: Draw) -> Call:
    """Calls that tell what it takes to trace one."""
    inside = [[Call(f"short_{k % 7}", 60 + draw.below(9), context=2 * (k % 7 == 0))] * 2 for k in range(147)]
    each = [Call(f"short_caller_{k % 7}", 200 + draw.below(20), tuple(two)) for k, two in enumerate(inside)]
    return Call("many_calls", 5_000, tuple(sorted(each, key=lambda one: one.name)))


def _places(draw: Draw, trace: Trace, n: int) -> dict[str, Any]:
    """Columns of things that stand between calls, in time order."""
    calls, found = trace.calls, []
    for _ in range(draw.below(n)):
        row = 1 + draw.below(len(calls))
        way, lane = [row - 1], int(calls.lane[row - 1])
        inside = row < len(calls) and calls.lane[row] == lane
        while way[-1] != (calls.parent[row] if inside else -1):
            way.append(int(calls.parent[way[-1]]))
        end_ns = calls.start_ns[row - 1] + max(calls.duration_ns[row - 1], 0)
        found.append((int(calls.start_ns[row] if inside else end_ns), lane, row, draw.one(way), draw.below(2)))
    types = {"time_ns": np.int64, "lane": np.int32, "row": np.int32, "parent": np.int32, "cpu": np.int16}
    return {name: np.array([one[k] for one in sorted(found)], dtype) for k, (name, dtype) in enumerate(types.items())}


def _marks(draw: Draw, trace: Trace) -> Marks:
    places, texts = _places(draw, trace, 14), []
    names = [draw.one(EVENTS) for _ in places["row"]]
    fields = {field: np.array([of[draw.below(len(of))] for _ in names], np.int64) for field, of in (
        ("id", (0, 257)), ("ret", RESULTS), ("child_pid", (101, 102, 103)))}  # fmt: skip
    for name, number, ret in zip(names, fields["id"].tolist(), fields["ret"].tolist(), strict=True):
        work = f"work struct ffff88800000000{draw.below(2)} function {draw.one(NAMES)}"
        enter = f'filename: "/etc/{draw.below(3)}", flags: 0x{draw.below(9)}'
        texts.append(f"NR {number} = {ret}" if "exit" in name else work if "work" in name else enter)
    source: Any = SimpleNamespace(names=lambda code: tuple(fields), columns=lambda code, rows, asked: [
        (fields[name][rows], np.ones(len(rows), np.bool_)) if name in fields else None for name in asked])  # fmt: skip
    code = np.array([EVENTS.index(name) for name in names], np.int32)
    return Marks(name=code, names=EVENTS, text=texts, source=source, **places)


def _losses(draw: Draw, trace: Trace) -> Losses:
    places = _places(draw, trace, 4)
    counts, gaps = (np.array([draw.one(of) for _ in places["row"]], np.int64) for of in ((-1, 7, 300), (-1, 50, 4_000)))
    return Losses(n_lost=counts, begin_ns=np.where(gaps < 0, -1, places["time_ns"] - gaps), **places)


def _off_cpu(draw: Draw, trace: Trace) -> Trace:
    """Some of the time of some calls was off the CPU."""
    calls, self_ns = trace.calls, trace.calls.self_ns.copy()
    rows = np.array([row for row in np.flatnonzero(self_ns > 500).tolist() if draw.below(3) == 0], np.int32)
    ns = np.array([1 + draw.below(int(self_ns[row])) for row in rows], np.int64)
    asleep = np.array([draw.below(3) > 0 for _ in rows], np.bool_)
    self_ns[rows] -= ns
    parts = {"asleep_ns": Sparse(rows[asleep], ns[asleep]), "preempted_ns": Sparse(rows[~asleep], ns[~asleep])}
    wakers = np.array([draw.below(len(calls) + 1) - 1 for _ in rows], np.int32)
    by = np.where(wakers < 0, -1, calls.lane[wakers]).astype(np.int32)
    context = np.array([UNKNOWN_CONTEXT if row < 0 else draw.one((0, 0, 1, 2)) for row in wakers], np.uint8)
    begin = calls.start_ns[rows]
    order = np.argsort(begin + ns, kind="stable")
    columns = (calls.lane[rows], rows, begin, begin + ns, asleep, by, wakers, context)
    off = OffCpu(*(column[order] for column in columns))  # type: ignore[arg-type]
    return replace(trace, calls=calls.with_columns(self_ns=self_ns, **parts), off_cpu=off)


def drawn(seed: int) -> Trace:
    """Up to three tasks of some dozen calls."""
    draw = Draw(f"trace {seed}")
    names = [draw.one(NAMES) for _ in range(3 + draw.below(7))]
    returns = draw.below(3) > 0
    lanes = [_calls(draw, names, 0, returns=returns) for _ in range(1 + draw.below(3))]
    lanes[0] += [_steady(draw)] if seed % 7 == 3 else []
    tasks = [Task(100 + lane, draw.one(("sh", "cat", "insmod"))) for lane in range(len(lanes))]
    trace = trace_of(*lanes, start_ns=1_000_000_000, tasks=tasks)
    trace = _off_cpu(draw, trace) if draw.below(3) == 0 else trace
    calls, flags = trace.calls, trace.calls.flags.copy()
    hits = np.flatnonzero(calls.has(Flag.INTERRUPT) & (calls.end == np.arange(len(calls)) + 1) & (calls.parent >= 0))
    flags[[row for row in hits.tolist() if draw.below(4) == 0]] |= np.uint32(Flag.IN_TRACER)
    trace = replace(trace, calls=calls.with_columns(flags=flags))
    if draw.below(2):
        returned = [draw.one(TYPES) for _ in trace.symbols.names].__getitem__
        types: Any = SimpleNamespace(returned=returned, arguments=lambda code: None)
        trace = replace(trace, symbols=replace(trace.symbols, prototypes=types))
    if draw.below(4) == 0:
        probe = ReturnProbe("kfgraph", "p", "widget_read", "widget")
        trace = replace(trace, companion=Companion(pids=(100,), exit_status=draw.below(3), probes=(probe,)))
    own = frozenset([0]) if draw.below(3) == 0 else None
    trace = replace(trace, marks=_marks(draw, trace), losses=_losses(draw, trace), command_lanes=own)
    trace.check()
    return trace
