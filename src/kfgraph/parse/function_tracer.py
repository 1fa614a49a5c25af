"""The plain function tracer: an entry with its caller for each call, no exit, no depth -> a tree without durations.

A call is below the innermost open call of the function that called it; what was open further in is over then. If its
caller is not open (it is not traced, or its record is missing), the call is a root that says who called it. So order
and callers are as recorded, and where a call ends is inferred: no duration is known.

An interrupt leaves open what it interrupts: each level of context has a stack of its own, by the flags of the record,
and by the names of the wrappers around an interrupt (:mod:`kfgraph.kernel.interrupts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from kfgraph.errors import Notice, notice
from kfgraph.kernel.interrupts import level_of
from kfgraph.model.calls import UNKNOWN_CONTEXT, CallTable, Flag, contexts_of
from kfgraph.model.fields import Column, FieldSource
from kfgraph.model.lazily import MadeWhenAsked
from kfgraph.model.marks import Losses, Marks
from kfgraph.model.symbols import SymbolTable
from kfgraph.model.tasks import TaskTable
from kfgraph.model.trace import Trace, TraceMeta

Int32: TypeAlias = npt.NDArray[np.int32]
Addresses: TypeAlias = npt.NDArray[np.uint64]
TRACER = "function"


@dataclass
class Entries:
    """The records in their order, a row each; ``lost`` has (row, CPU, number or -1) of losses before a row."""

    time: list[int] = field(default_factory=list)
    lane: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)
    func: list[int] = field(default_factory=list)
    caller: list[int] = field(default_factory=list)
    caller_offset: list[int] = field(default_factory=list)
    context: list[int] = field(default_factory=list)
    lost: list[tuple[int, int, int]] = field(default_factory=list)


class _Stacks:
    """The open calls of one lane: for each level of context (row, function, who called it where it is a root)."""

    def __init__(self) -> None:
        self.levels: list[list[tuple[int, int, int]]] = [[], [], [], []]
        self.lost = False

    def place(self, row: int, func: int, caller: int, level: int, *, told: bool) -> int:
        """The row that ``row`` is below, -1 for none."""
        here: list[int] = [level, *range(level - 1, -1, -1)]
        if level or not told:
            here += range(level + 1, 4)
        above: int
        for one in here:
            stack = self.levels[one]
            for at in range(len(stack) - 1, -1, -1):
                above, its_func, its_caller = stack[at]
                if its_func == caller:
                    del stack[at + 1 :]
                    self._push(one, (row, func, 0))
                    return above
                if its_caller == caller:
                    # Another call of one that is not recorded.
                    del stack[at:]
                    self._push(one, (row, func, caller))
                    return -1
        self._push(level, (row, func, caller))
        return -1

    def _push(self, level: int, call: tuple[int, int, int]) -> None:
        self.levels[level].append(call)
        for over in self.levels[level + 1 :]:
            over.clear()

    def lose(self) -> None:
        """What is open may have returned."""
        self.lost = True
        for stack in self.levels:
            stack.clear()


def calls_of(entries: Entries, names: Sequence[str]) -> tuple[CallTable, Losses]:
    """The tree. ``names`` are those of the function codes."""
    n = len(entries.func)
    level_by_name = [level_of(name) for name in names]
    stacks: dict[int, _Stacks] = {}
    last_cpu: dict[int, int] = {}
    parent, level, root = np.full(n, -1, np.int32), np.zeros(n, np.int16), np.arange(n, dtype=np.int64)
    flags = np.full(n, Flag.NO_EXIT, np.uint32)
    lost = iter([*entries.lost, (n + 1, -1, -1)])
    next_loss = next(lost)
    rows = zip(entries.lane, entries.cpu, entries.func, entries.caller, entries.context, strict=True)
    for row, (lane, cpu, func, caller, context) in enumerate(rows):
        while next_loss[0] <= row:
            for each, where in last_cpu.items():
                if where == next_loss[1]:
                    stacks[each].lose()
            next_loss = next(lost)
        stack = stacks.get(lane)
        if stack is None:
            stack = stacks[lane] = _Stacks()
        last_cpu[lane] = cpu
        told = context != UNKNOWN_CONTEXT
        above = stack.place(row, func, caller, max(context if told else 0, level_by_name[func]), told=told)
        if above >= 0:
            parent[row], level[row], root[row] = above, level[above] + 1, root[above]
        elif stack.lost:
            flags[row] |= Flag.CALLER_LOST
            stack.lost = False
    lanes = np.array(entries.lane, np.int32)
    order = np.lexsort((np.arange(n), root, lanes))
    new_row = np.empty(n + 1, np.int32)
    new_row[order], new_row[n] = np.arange(n), -1
    end = np.arange(1, n + 1, dtype=np.int32)
    parent = new_row[parent[order]]
    above_of = parent.tolist()
    for row in range(n - 1, -1, -1):
        if above_of[row] >= 0 and end[row] > end[above_of[row]]:
            end[above_of[row]] = end[row]

    def column(values: list[int], kind: Any) -> Any:
        return np.array(values, kind)[order]

    unknown = np.full(n, -1, np.int64)
    calls = CallTable(
        func=column(entries.func, np.int32),
        lane=lanes[order],
        cpu=column(entries.cpu, np.int16),
        exit_cpu=np.full(n, -1, np.int16),
        start_ns=column(entries.time, np.int64),
        duration_ns=unknown,
        self_ns=unknown.copy(),
        level=level[order],
        depth=np.full(n, -1, np.int16),
        parent=parent,
        end=end,
        context=column(entries.context, np.uint8),
        flags=flags[order],
        caller=column(entries.caller, np.int32),
        caller_offset=column(entries.caller_offset, np.int32) if entries.caller_offset else None,
    )
    calls.flags[calls.start_ns < 0] |= np.uint32(Flag.START_UNKNOWN)
    return calls, _losses(entries, new_row, n)


def _losses(entries: Entries, new_row: Int32, n: int) -> Losses:
    at = np.array([min(row, n) for row, _, _ in entries.lost], np.int64)
    after = at < n
    inside = np.minimum(at, n - 1)
    return Losses(
        time_ns=np.where(after, np.array(entries.time, np.int64)[inside], -1),
        cpu=np.array([cpu for _, cpu, _ in entries.lost], np.int16),
        n_lost=np.array([count for _, _, count in entries.lost], np.int64),
        lane=np.where(after, np.array(entries.lane, np.int32)[inside], -1).astype(np.int32),
        row=np.where(after, new_row[inside], -1).astype(np.int32),
        parent=np.full(len(at), -1, np.int32),
    )


def trace_of(
    entries: Entries, symbols: SymbolTable, tasks: TaskTable, meta: TraceMeta, notices: Iterable[Notice], marks: Marks
) -> Trace:
    """The trace of these records; ``marks`` are the other events."""
    calls, losses = calls_of(entries, symbols.names)
    calls.flags[~symbols.resolved[calls.func]] |= np.uint32(Flag.NAME_UNRESOLVED)
    times = [time for time in (entries.time[:1] + entries.time[-1:]) if time >= 0]
    meta = replace(
        meta, first_ns=times[0] if times else -1, last_ns=times[-1] if times else -1,
        details={**meta.details, "tracer": TRACER},
    )  # fmt: skip
    said = [*notices, notice("no-duration:function", len(calls))]
    if len(losses):
        details = {"n_lost_counted": losses.n_lost_counted, "n_uncounted": int((losses.n_lost < 0).sum())}
        said.append(notice("lost-records", len(losses), details=details))
    if n_lost := int(calls.has(Flag.CALLER_LOST).sum()):
        said.append(notice("caller-lost", n_lost, flag=int(Flag.CALLER_LOST)))
    return Trace(calls, symbols, tasks, marks, losses, meta, tuple(said))


def of_events(trace: Trace, table: Callable[[Addresses, Addresses], tuple[SymbolTable, Int32, Int32]]) -> Trace:
    """The tree of a trace.dat's events ``function``, which are no events beside it then. ``table``: as of ``Names``."""
    marks = trace.marks
    ip, parent_ip, flags = marks.fields(TRACER, "ip", "parent_ip", "common_flags")
    if ip is None or parent_ip is None:
        return trace
    functions, func = np.unique(ip.values.astype(np.uint64), return_inverse=True)
    callers, caller = np.unique(parent_ip.values.astype(np.uint64), return_inverse=True)
    symbols, code_of_caller, offset_of_caller = table(functions, callers)
    rows = ip.rows
    context = np.zeros(len(rows), np.uint8) if flags is None else contexts_of(flags.values)
    losses = trace.losses
    behind = np.searchsorted(marks.time_ns[rows], losses.time_ns)
    behind[losses.time_ns < 0] = len(rows)
    entries = Entries(
        time=marks.time_ns[rows].tolist(),
        lane=marks.lane[rows].tolist(),
        cpu=marks.cpu[rows].tolist(),
        func=(func + 1).tolist(),
        caller=code_of_caller[caller + 1].tolist(),
        caller_offset=offset_of_caller[caller + 1].tolist() if (offset_of_caller >= 0).any() else [],
        context=context.tolist(),
        lost=sorted(zip(behind.tolist(), losses.cpu.tolist(), losses.n_lost.tolist(), strict=True)),
    )
    others = np.setdiff1d(np.arange(len(marks)), rows).astype(np.int32)
    rest = [one for one in trace.notices if one.code != "lost-records"]
    made = trace_of(entries, symbols, trace.tasks, trace.meta, rest, _only(marks, others))
    if losses.begin_ns is not None:
        order = np.lexsort((losses.n_lost, losses.cpu, behind))
        made = replace(made, losses=replace(made.losses, begin_ns=losses.begin_ns[order]))
    return made


def _only(marks: Marks, which: Int32) -> Marks:
    """Those of the marks, in no call: nothing tells where a call ended."""
    if not len(which):
        return Marks.empty()
    nowhere = np.full(len(which), -1, np.int32)
    columns = {name: getattr(marks, name)[which] for name in ("time_ns", "lane", "cpu", "name")}
    source = None if marks.source is None else _Those(marks.source, which)
    texts = _Texts(marks.text, which)
    return replace(marks, **columns, row=nowhere + 1, parent=nowhere, text=texts, source=source)


class _Texts(MadeWhenAsked[str]):
    """The texts of some of the marks."""

    def __init__(self, texts: Sequence[str], which: Int32) -> None:
        self._texts, self._which = texts, which

    def __len__(self) -> int:
        return len(self._which)

    def _made(self, at: int) -> str:
        return self._texts[int(self._which[at])]


class _Those:
    """The fields of some of the marks."""

    def __init__(self, source: FieldSource, which: Int32) -> None:
        self._source, self._which = source, which

    def names(self, code: int) -> tuple[str, ...]:
        return self._source.names(code)

    def columns(self, code: int, rows: Int32, names: Sequence[str]) -> list[Column | None]:
        return self._source.columns(code, self._which[rows], names)
