"""Nested literals to a Trace, and random ones for property tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kfgraph.model.args import TextArgs
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.returned import Returned
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.tasks import Task, TaskTable
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.passes.irq_time import split


@dataclass(frozen=True)
class Call:
    """One call: its own time, what it called, and what is odd about it.

    The duration is its own time and its children's; ``unfinished``: none is known. ``name`` may be
    ``f [module]`` or an address. ``retval`` is the register, None where no value was recorded; ``args`` is the text of
    the arguments.
    """

    name: str
    self_ns: int = 100
    children: tuple[Call, ...] = ()
    unfinished: bool = False
    context: int = 0
    cpu: int = 0
    flags: int = 0
    retval: int | None = None
    args: str = ""

    @cached_property
    def duration_ns(self) -> int:
        return self.self_ns + sum([child.duration_ns for child in self.children])

    @property
    def has_open_child(self) -> bool:
        return bool(self.children) and any(child.unfinished for child in self.children)


def call(name: str, self_ns: int = 100, *children: Call, **odd: Any) -> Call:
    """``call("f", 10, call("g"))``: f, 10 ns of its own, which calls g."""
    return Call(name, self_ns, children, **odd)


def symbols_of(labels: Sequence[str]) -> SymbolTable:
    """A SymbolTable of labels as ``SymbolTable.label`` prints them, the unknown function first."""
    parts = [label.removesuffix("]").split(" [") if label.endswith("]") else [label, ""] for label in labels]
    return SymbolTable.build(["", *(p[0] for p in parts)], modules=["", *(p[1] for p in parts)])


def trace_of(*lanes: Sequence[Call], start_ns: int = 1_000_000, tasks: Sequence[Task] = ()) -> Trace:
    """One lane per sequence of root calls, one after another in time; checked."""
    codes: dict[str, int] = {"": 0}
    # Numbers: an operation on an enum is a call or two.
    no_exit, self_unknown, has_retval = int(Flag.NO_EXIT), int(Flag.SELF_UNKNOWN), int(Flag.HAS_RETVAL)
    rows: list[dict[str, int]] = []
    registers: list[int] = []
    arguments: list[str] = []

    def add(item: Call, lane: int, at: int, parent: int) -> int:
        row = len(rows)
        flags = item.flags
        if item.unfinished:
            flags |= no_exit
        elif item.has_open_child:
            flags |= self_unknown
        if item.retval is not None:
            flags |= has_retval
        registers.append(item.retval or 0)
        arguments.append(item.args)
        level = rows[parent]["level"] + 1 if parent >= 0 else 0
        rows.append(
            {
                "func": codes.setdefault(item.name, len(codes)),
                "lane": lane,
                "cpu": item.cpu,
                "exit_cpu": -1 if item.unfinished else item.cpu,
                "start_ns": at,
                "duration_ns": -1 if item.unfinished else item.duration_ns,
                "self_ns": -1 if item.unfinished or item.has_open_child else item.self_ns,
                "level": level,
                "depth": level,
                "parent": parent,
                "end": -1,
                "context": item.context,
                "flags": flags,
            }
        )
        inside = at + item.self_ns // 2
        for child in item.children:
            inside = add(child, lane, inside, row)
        rows[row]["end"] = len(rows)
        return at + item.duration_ns

    for lane, roots in enumerate(lanes):
        at = start_ns
        for root in roots:
            at = add(root, lane, at, -1) + 1_000
    table = CallTable.from_rows(rows)
    if table.has(Flag.HAS_RETVAL).any():
        table = table.with_columns(retval=np.array(registers, np.uint64).astype(np.int64))
    if any(arguments):
        index = np.array([row if text else -1 for row, text in enumerate(arguments)], np.int32)
        table = table.with_columns(args=TextArgs(index, arguments))
    table = split(table, list(codes))
    named = tuple(tasks) or tuple(Task(100 + lane, f"task{lane}") for lane in range(len(lanes)))
    last = max((r["start_ns"] + max(r["duration_ns"], 0) for r in rows), default=-1)
    meta = TraceMeta(path="built", reader="builder", first_ns=start_ns if rows else -1, last_ns=last, clock="local")
    trace = Trace(table, symbols_of([name for name in codes if name]), TaskTable(named), meta=meta)
    trace.check()
    return trace


def deep(depth: int) -> Trace:
    """One chain of ``depth`` calls f0 → f1 → …, 1 ns of their own each, made without recursion."""
    rows = np.arange(depth)
    table = CallTable(
        func=(rows + 1).astype(np.int32),
        lane=np.zeros(depth, np.int32),
        cpu=np.zeros(depth, np.int16),
        exit_cpu=np.zeros(depth, np.int16),
        start_ns=rows + 1_000,
        duration_ns=depth - rows,
        self_ns=np.ones(depth, np.int64),
        level=rows.astype(np.int16),
        depth=rows.astype(np.int16),
        parent=(rows - 1).astype(np.int32),
        end=np.full(depth, depth, np.int32),
        context=np.zeros(depth, np.uint8),
        flags=np.zeros(depth, np.uint32),
    )
    trace = Trace(table, symbols_of([f"f{i}" for i in range(depth)]), TaskTable((Task(1, "deep"),)))
    trace.check()
    return trace


def wide(n_leaves: int, *, name: str = "leaf") -> Trace:
    """One root with ``n_leaves`` leaves of 7 ns, one every 10 ns: for sizes that literals cannot have."""
    n = n_leaves + 1
    ones = np.ones(n, np.int64)
    table = CallTable(
        func=np.r_[1, np.full(n_leaves, 2)].astype(np.int32),
        lane=np.zeros(n, np.int32),
        cpu=np.zeros(n, np.int16),
        exit_cpu=np.zeros(n, np.int16),
        start_ns=np.arange(n, dtype=np.int64) * 10 + 1_000,
        duration_ns=np.r_[n_leaves * 10 + 10, 7 * ones[1:]],
        self_ns=np.r_[n_leaves * 3 + 10, 7 * ones[1:]],
        level=np.r_[0, np.ones(n_leaves)].astype(np.int16),
        depth=np.r_[0, np.ones(n_leaves)].astype(np.int16),
        parent=np.r_[-1, np.zeros(n_leaves)].astype(np.int32),
        end=np.r_[n, np.arange(2, n + 1)].astype(np.int32),
        context=np.zeros(n, np.uint8),
        flags=np.zeros(n, np.uint32),
    )
    trace = Trace(table, symbols_of(["root", name]), TaskTable((Task(1, "wide"),)))
    trace.check()
    return trace


NAMES = ("alpha", "beta", "gamma", "delta [mod]", "alpha [mod]", "0xffffffffc0a9d01f", "")


def calls(names: Sequence[str] = NAMES, *, flags: Sequence[int] = ()) -> st.SearchStrategy[Call]:
    """Random calls, nested a few levels, some unfinished, some in interrupts, one in ten with one of ``flags``."""

    def node(children: st.SearchStrategy[list[Call]]) -> st.SearchStrategy[Call]:
        return st.builds(
            Call,
            st.sampled_from(names),
            st.integers(0, 10_000),
            children.map(tuple),
            st.sampled_from([False] * 9 + [True]),
            st.sampled_from([0] * 5 + [2]),
            flags=st.sampled_from([0] * (9 * len(flags) or 1) + [*flags]),
        )

    leaves = node(st.just([]))
    return st.recursive(leaves, lambda inner: node(st.lists(inner, max_size=4)), max_leaves=30)


def traces(names: Sequence[str] = NAMES) -> st.SearchStrategy[Trace]:
    """Random traces of up to three tasks."""
    lanes = st.lists(st.lists(calls(names), max_size=3), min_size=1, max_size=3)
    return lanes.map(lambda them: trace_of(*them))


class _Ints:
    """Types by which every function returns an int."""

    def returned(self, code: int) -> Returned | None:
        return Returned("int", 32, True, "int", signed=True)

    def arguments(self, code: int) -> None:
        return None


def bushy(levels: int, *, fan: int = 4, n_names: int = 500, errors: Sequence[int] = (), unlike: int = 0) -> Trace:
    """A tree in which each call has ``fan`` callees down to ``levels``, of functions in no order; each returns one of
    ``errors`` (0: it does not fail), where some are given. ``unlike`` makes another one."""
    level = np.zeros(1, np.int64)
    for _ in range(levels - 1):
        level = np.concatenate([level[:1], *[level + 1] * fan])
    n = len(level)
    sizes = np.array([(fan**k - 1) // (fan - 1) for k in range(levels, 0, -1)])
    rows, size = np.arange(n), sizes[level]
    parent = np.full(n, -1)
    for k in range(1, levels):
        here, above = np.flatnonzero(level == k), np.flatnonzero(level == k - 1)
        parent[here] = above[np.searchsorted(above, here) - 1]
    chosen = np.random.default_rng(unlike)
    table = CallTable(
        func=chosen.integers(1, n_names + 1, n).astype(np.int32),
        lane=np.zeros(n, np.int32),
        cpu=np.zeros(n, np.int16),
        exit_cpu=np.zeros(n, np.int16),
        start_ns=rows * 10 + 1_000,
        duration_ns=size * 10,
        self_ns=np.full(n, 10, np.int64),
        level=level.astype(np.int16),
        depth=level.astype(np.int16),
        parent=parent.astype(np.int32),
        end=(rows + size).astype(np.int32),
        context=np.zeros(n, np.uint8),
        flags=np.full(n, Flag.HAS_RETVAL if errors else 0, np.uint32),
    )
    if errors:
        table = table.with_columns(retval=(chosen.choice(errors, n) & 0xFFFFFFFF).astype(np.int64))
    symbols = replace(symbols_of([f"bushy_f{i}" for i in range(n_names)]), prototypes=_Ints())
    meta = TraceMeta(path="bushy.dat", reader="builder", first_ns=1_000, last_ns=n * 10 + 1_000, clock="local")
    trace = Trace(table, symbols, TaskTable((Task(1, "bushy"),)), meta=meta)
    trace.check()
    return trace
