"""Which call of one task made another task, and trees in which a task stands below that call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kfgraph.analyze.forest import Int32
from kfgraph.analyze.retval import values_of
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable

_MAKES = re.compile(r"(?:kernel_clone|_do_fork|do_fork)(?:\.\w+)*")
"""They return the pid of the task that they made (kernel/fork.c)."""
_SKEW_NS = 1_000_000
"""The clocks of two CPUs are not further apart."""


class Made(NamedTuple):
    """``lane`` was made by the task of ``parent``, inside the call ``row`` (-1: outside any), before ``place``."""

    lane: int
    parent: int
    row: int
    place: int


def made_tasks(trace: Trace) -> list[Made]:
    """Who made which task, by lane: as ``sched_process_fork`` tells, else the return value of the function that makes
    tasks. Only tasks whose first record is after that."""
    first = _first_ns(trace)
    found: dict[int, Made] = {}
    for lane, pid, row, place, at_ns, by_ns in [*_events(trace), *_returns(trace)]:
        child = trace.tasks.lane_of(pid, by_ns) if pid > 0 else -1
        if child not in (-1, lane) and child not in found and first[child] >= at_ns - _SKEW_NS:
            found[child] = Made(child, lane, row, place)
    return [found[lane] for lane in sorted(found)]


def _events(trace: Trace) -> list[tuple[int, int, int, int, int, int]]:
    """(lane of the maker, pid made, call, place, time at which it was made at the earliest, at the latest) of each
    ``sched_process_fork``."""
    marks = trace.marks
    child = marks.field("sched_process_fork", "child_pid")
    if child is None or not child.is_number:
        return []
    when = marks.time_ns
    return [
        (int(marks.lane[at]), int(pid), int(marks.parent[at]), int(marks.row[at]), int(when[at]), int(when[at]))
        for at, pid, known in zip(child.rows.tolist(), child.values.tolist(), child.known.tolist(), strict=True)
        if known and marks.lane[at] >= 0
    ]


def _returns(trace: Trace) -> list[tuple[int, int, int, int, int, int]]:
    """The same of each call that returned a pid: the task was made somewhere in it."""
    calls, symbols = trace.calls, trace.symbols
    if calls.retval is None:
        return []
    codes = symbols.codes_where(_MAKES.fullmatch(name) is not None for name in symbols.names)
    rows = np.flatnonzero(np.isin(calls.func, codes) & calls.has(Flag.HAS_RETVAL)).astype(np.int32)
    pids, known = values_of(calls, symbols, rows)
    rows, pids = rows[known], pids[known]
    begin, over = calls.start_ns[rows], calls.start_ns[rows] + np.maximum(calls.duration_ns[rows], 0)
    return [
        (int(calls.lane[row]), int(pid), int(row), int(calls.end[row]), int(begin[i]), int(over[i]))
        for i, (row, pid) in enumerate(zip(rows.tolist(), pids.tolist(), strict=True))
    ]


def _first_ns(trace: Trace) -> list[int]:
    """When the first call of each lane began; the end of time where none did."""
    calls, n = trace.calls, len(trace.tasks)
    begin, end = np.searchsorted(calls.lane, [np.arange(n), np.arange(1, n + 1)])
    never = np.iinfo(np.int64).max
    return [int(calls.start_ns[b]) if b < e else never for b, e in zip(begin.tolist(), end.tolist(), strict=True)]


@dataclass(frozen=True)
class Followed:
    """``n_below`` tasks of ``tree`` stand below the call that made them, or the task that did where that call is not in
    the tree; of ``n_unknown`` nothing tells who made them: they stay roots, as does the first one."""

    tree: TreeTable
    n_below: int
    n_unknown: int


def followed(tree: TreeTable, trace: Trace) -> Followed:
    """``tree``, of single calls under their tasks, with each task below the call that made it."""
    n_symbols = len(trace.symbols)
    tasks = tree.roots
    node_of = {int(tree.label[node]) - n_symbols: int(node) for node in tasks}
    is_call = np.flatnonzero(tree.row >= 0)
    rows = tree.row[is_call]

    def node_at(row: int) -> int:
        """The node of a call, or of the nearest caller that has one; -1: none."""
        while row >= 0:
            at = int(np.searchsorted(rows, row))
            if at < len(rows) and rows[at] == row:
                return int(is_call[at])
            row = int(trace.calls.parent[row])
        return -1

    inside: dict[int, list[tuple[int, int, int, int]]] = {}
    host_of: dict[int, int] = {}
    for lane, maker, row, place in made_tasks(trace):
        if lane not in node_of or maker not in node_of or _made_by(host_of, node_of, maker, lane, tree):
            continue
        task, above = node_of[lane], node_of[maker]
        host = max(node_at(row), above)
        at = int(np.searchsorted(rows, place))
        before = max(min(int(is_call[at]) if at < len(rows) else len(tree), int(tree.end[host])), host + 1)
        while before < tree.end[host] and tree.parent[before] != host:
            before = int(tree.end[tree.parent[before]])
        host_of[task] = host
        # Where several end, what the innermost one made comes first.
        inside.setdefault(above, []).append((before, -int(tree.level[host]), lane, task))
    if not host_of:
        return Followed(tree, 0, max(len(tasks) - 1, 0))
    order = _order(tree, tasks.tolist(), host_of, inside)
    return Followed(_moved(tree, order, host_of), len(host_of), len(tasks) - len(host_of) - 1)


def _made_by(host_of: dict[int, int], node_of: dict[int, int], maker: int, lane: int, tree: TreeTable) -> bool:
    """Whether ``maker`` stands below ``lane`` already: records that contradict one another."""
    node, task = node_of[maker], node_of[lane]
    while node != task and node in host_of:
        node = host_of[node]
        while tree.parent[node] >= 0:
            node = int(tree.parent[node])
    return node == task


def _order(
    tree: TreeTable, tasks: list[int], host_of: dict[int, int], inside: dict[int, list[tuple[int, int, int, int]]]
) -> Int32:
    """The nodes of ``tree`` in the order in which they stand below one another."""
    parts: list[Int32] = []
    stack = [(task, int(tree.end[task])) for task in reversed(tasks) if task not in host_of]
    while stack:
        begin, end = stack.pop()
        waiting = inside.get(begin)
        if tree.parent[begin] >= 0 or not waiting:
            parts.append(np.arange(begin, end, dtype=np.int32))
            continue
        # What stands behind a task that is put in goes on the stack first.
        pieces: list[tuple[int, int]] = []
        at = begin
        for before, _, _, task in sorted(waiting):
            pieces += [(at, before), (task, int(tree.end[task]))]
            at = before
        pieces.append((at, end))
        del inside[begin]
        stack += [piece for piece in reversed(pieces) if piece[0] < piece[1]]
    return np.concatenate(parts)


def _moved(tree: TreeTable, order: Int32, host_of: dict[int, int]) -> TreeTable:
    """The nodes in that ``order``, those of ``host_of`` below their host."""
    n = len(tree)
    now = np.empty(n, np.int32)
    now[order] = np.arange(n, dtype=np.int32)
    parent = tree.parent.copy()
    for task, host in host_of.items():
        parent[task] = host
    level, size = tree.level.astype(np.int32), (tree.end - np.arange(n)).astype(np.int64)
    # From the outside in: a maker stands before what it made.
    made = sorted(host_of, key=lambda task: int(now[task]))
    for task in made:
        level[task : tree.end[task]] += level[host_of[task]] + 1
    for task in reversed(made):
        node = host_of[task]
        while True:
            size[node] += size[task]
            if tree.parent[node] < 0:
                break
            node = int(tree.parent[node])
    parent = np.where(parent < 0, -1, now[parent])[order].astype(np.int32)
    end = (np.arange(n) + size[order]).astype(np.int32)
    kind = tree.kind.copy()
    kind[made] = NodeKind.MADE
    return tree.take(order, parent=parent, end=end, level=level[order].astype(np.int16), kind=kind[order])
