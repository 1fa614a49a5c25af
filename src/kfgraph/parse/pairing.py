"""Entries and exits -> CallTable. The loop itself is in :mod:`kfgraph.parse.stacks`.

A *node* is a call in the making, numbered in the order in which its first record came; ``finish``
puts the nodes in pre-order, lane after lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.errors import Notice, notice
from kfgraph.model.arrays import among
from kfgraph.model.calls import UNKNOWN_CONTEXT, CallTable, Flag
from kfgraph.model.marks import Losses, Marks
from kfgraph.model.sparse import Sparse
from kfgraph.parse import settle, stacks
from kfgraph.parse.delay import Delays
from kfgraph.parse.lanes import Lanes
from kfgraph.parse.records import LOSS, RecordBatch

_NODE_COLUMNS = (
    ("func", np.int32),
    ("lane", np.int32),
    ("cpu", np.int16),
    ("exit_cpu", np.int16),
    ("start", np.int64),
    ("duration", np.int64),
    ("call", np.int64),
    ("depth", np.int16),
    ("parent", np.int32),
    ("previous", np.int32),
    ("first", np.int32),
    ("context", np.uint8),
    ("flags", np.uint32),
    ("last_child", np.int32),
)
_OPTIONAL = {"retval": np.int64, "caller": np.int32, "arg": np.int32}
"""Columns that not every trace has."""


_NEAR = 5_000
"""The tracer's own delay between a time and its record, in ns."""
_HIT = np.uint32(Flag.INTERRUPT | Flag.IN_TRACER)


@dataclass(frozen=True, eq=False, repr=False)
class Paired:
    """What pairing makes of a stream; see ``Pairer.finish``."""

    calls: CallTable
    arg: npt.NDArray[np.int32] | None
    lanes: list[tuple[int, int]]
    marks: Marks
    losses: Losses
    notices: tuple[Notice, ...]
    n_records: int
    first_time: int
    last_time: int


class Pairer:
    """Pairs a stream of records, batch by batch.

    ``retval``, ``caller`` and ``args`` say which optional columns the batches carry. ``untold`` (column -> value) has
    those that may say nothing: such a column is kept from the first batch on that has another value.
    ``same_clock``: timestamps and calltimes are of one clock (the tracer's local one). ``n_expected``
    calls get room at once (what is not used costs nothing).
    """

    def __init__(
        self,
        *,
        retval: bool = False,
        caller: bool = False,
        args: bool = False,
        same_clock: bool = True,
        n_expected: int = 0,
        untold: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        columns: list[tuple[str, Any]] = list(_NODE_COLUMNS)
        carried = {"retval": retval, "caller": caller, "arg": args}
        columns += [(name, _OPTIONAL[name]) for name, on in carried.items() if on and name not in untold]
        self._untold = dict(untold)
        self._nodes: dict[str, npt.NDArray[Any]] = {name: np.empty(0, dtype) for name, dtype in columns}
        self._n_expected = n_expected
        self._places: dict[str, npt.NDArray[Any]] = {
            name: np.empty(0, dtype)
            for name, dtype in (
                ("time", np.int64),
                ("cpu", np.int16),
                ("lane", np.int32),
                ("what", np.int64),
                ("last", np.int32),
                ("parent", np.int32),
                ("is_loss", np.uint8),
            )
        }
        self._same_clock = same_clock
        self._n_records = self._n_restarts = 0
        self._first_time = self._last_time = -1
        self.lanes = Lanes()
        self.delays = Delays()
        """Judges exits without a name; a reader of texts gives it ``Scanner.facts``."""
        self._stacks = stacks.Stacks(self.lanes, self.delays, same_clock=same_clock)
        self._stacks.target(self._nodes, self._places)

    def feed(self, batch: RecordBatch, n: int) -> None:
        """Pair the first ``n`` rows of ``batch``, which may be reused afterwards. -1: another recording begins."""
        if n < 0:
            self._restart()
        if n <= 0:
            return
        is_record = batch.kind[:n] != LOSS
        times = batch.time[:n] if is_record.all() else batch.time[:n][is_record]
        self._n_records += len(times)
        if len(times):
            self._first_time = int(times[0]) if self._first_time < 0 else self._first_time
            self._last_time = int(times[-1])
        self.lanes.fit_cpus(int(batch.cpu[:n].max()))
        n_nodes, n_places = self._stacks.n_nodes, self._stacks.n_places
        _grow(self._nodes, n_nodes, max(n_nodes + n, self._n_expected))
        for name, nothing in list(self._untold.items()):
            if (getattr(batch, name)[:n] != nothing).any():
                del self._untold[name]
                self._nodes[name] = np.empty(len(self._nodes["lane"]), _OPTIONAL[name])
                self._nodes[name][:n_nodes] = nothing
        # A mark is one place, and the gap before it another.
        _grow(self._places, n_places, n_places + 2 * n)
        self._stacks.target(self._nodes, self._places)
        self._stacks.source(batch)
        self._stacks.pair(n, self.delays.begin(batch, n, self._nodes))

    def _restart(self) -> None:
        """What comes is of another recording, and in no call of this one."""
        self._stacks.abandon_all()
        self.lanes.last_root.fill(-1)
        self._n_restarts += 1

    def finish(self, *, clock_is_ns: bool = True) -> Paired:
        """The calls in pre-order, lane after lane, and where the other events stand among them.

        Calls that are still open become NO_EXIT. With a clock that is not in ns all start times become
        unknown; durations, which the tracer takes from its own clock, stay. The pairer is spent.
        """
        self._stacks.abandon_all()
        n, n_places, parts = self._stacks.n_nodes, self._stacks.n_places, self._stacks.parts
        nodes = {name: column[:n] for name, column in self._nodes.items()}
        # Memory that is held by views is not given back.
        self._nodes = {}
        self._stacks = stacks.Stacks(self.lanes, self.delays, same_clock=self._same_clock)
        self.lanes.flags = None
        self.delays.end()
        spares = _Spares(n)
        ahead, behind, first = (nodes.pop(name) for name in ("previous", "last_child", "first"))
        order, new_row = np.empty(n, np.int64), np.empty(n, np.int32)
        ahead.fill(-1)
        begin = np.zeros(len(self.lanes.keys) + 1, np.int64)
        settle.arrange(n, *map(_view, (nodes["lane"], first, ahead, behind, begin, order, new_row)))
        for column in (ahead, behind, first):
            spares.add(column)
        for name, column in nodes.items():
            nodes[name] = np.take(column, order, mode="clip", out=spares.one(column.dtype))
            spares.add(column)
        spares.add(order)
        level, end, self_ns, next_call = (spares.one(np.dtype(kind)) for kind in ("i2", "i4", "i8", "i8"))
        self_ns.fill(0)
        part_row = new_row[np.array(list(parts), np.int64)]
        part_ns = np.array(list(parts.values()), np.int64)
        self_ns[part_row] = part_ns
        next_call.fill(np.iinfo(np.int64).max)
        settler = settle.Settler(nodes, new_row, same_clock=self._same_clock)
        settler.target(level, end, self_ns, next_call)
        settler.settle()
        n_too_long = 0
        if self.delays.facts is not None:
            n_too_long = _not_in_tracer(nodes, self_ns, end, self.delays)
        del settler, spares, next_call, nodes["call"]
        if not clock_is_ns:
            nodes["start"].fill(-1)
        nodes["flags"][nodes["start"] < 0] |= np.uint32(Flag.START_UNKNOWN)
        if self.lanes.gaps:
            # Which says more: not a caller that was never recorded, but one of which the records were lost.
            nodes["flags"][(nodes["flags"] & np.uint32(Flag.CALLER_LOST)) != 0] &= ~np.uint32(Flag.DEPTH_JUMP)
        calls = CallTable(
            func=nodes["func"],
            lane=nodes["lane"],
            cpu=nodes["cpu"],
            exit_cpu=nodes["exit_cpu"],
            start_ns=nodes["start"],
            duration_ns=nodes["duration"],
            self_ns=self_ns,
            level=level,
            depth=nodes["depth"],
            parent=nodes["parent"],
            end=end,
            context=nodes["context"],
            flags=nodes["flags"],
            retval=nodes.get("retval"),
            caller=nodes.get("caller"),
        )
        hit = np.flatnonzero((calls.flags & _HIT) == Flag.INTERRUPT)
        hit = hit[(calls.parent[hit] >= 0) & (calls.duration_ns[hit] > 0)]
        irq_row, irq_ns = np.append(part_row, calls.parent[hit]), np.append(part_ns, calls.duration_ns[hit])
        calls = calls.with_columns(irq_ns=Sparse.sums(irq_row, irq_ns) or None)
        n_contradictions = _forget_contradictions(calls) if self.lanes.n_back else 0
        marks, losses = self._placed(calls, new_row, n_places, clock_is_ns)
        return Paired(
            calls,
            nodes.get("arg"),
            self.lanes.keys,
            marks,
            losses,
            (
                *_notices(calls, losses),
                *_contradictions(n_contradictions, n_too_long, self.lanes.n_strange, self._n_restarts),
            ),
            self._n_records,
            self._first_time if clock_is_ns else -1,
            self._last_time if clock_is_ns else -1,
        )

    def _placed(
        self, calls: CallTable, new_row: npt.NDArray[np.int32], n: int, clock_is_ns: bool
    ) -> tuple[Marks, Losses]:
        """Where marks and losses stand, as rows."""
        last = sorted(self.lanes.pending.items())
        _grow(self._places, n, n + len(last))
        begins = np.array([*self.lanes.begins, *(begin for _, (_, begin) in last)], np.int64)
        for cpu, (n_lost, _) in last:
            # What was lost at the very end has no record behind it.
            nowhere = {"time": -1, "cpu": cpu, "lane": -1, "what": n_lost, "last": -1, "parent": -1, "is_loss": 1}
            for name, value in nowhere.items():
                self._places[name][n] = value
            n += 1
        places = {name: column[:n] for name, column in self._places.items()}
        row, parent = _rows_of_places(calls, new_row, places, self.lanes.over_in_gap)
        time = places["time"].copy() if clock_is_ns else np.full(n, -1, np.int64)
        lost = places["is_loss"] != 0
        kept = ~lost
        marks = Marks(
            time_ns=time[kept],
            lane=places["lane"][kept],
            cpu=places["cpu"][kept],
            name=places["what"][kept].astype(np.int32),
            row=row[kept],
            parent=parent[kept],
            names=(),
            text=(),
        )
        losses = Losses(
            time_ns=time[lost],
            cpu=places["cpu"][lost],
            n_lost=places["what"][lost],
            lane=places["lane"][lost],
            row=row[lost],
            parent=parent[lost],
            begin_ns=begins if clock_is_ns else np.full(len(begins), -1, np.int64),
        )
        return marks, losses


class _Spares:
    """Columns whose values are no longer needed: memory that the kernel need not find and clear once more."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._columns: dict[np.dtype[Any], list[npt.NDArray[Any]]] = {}

    def add(self, column: npt.NDArray[Any]) -> None:
        """``column`` may be written over."""
        self._columns.setdefault(column.dtype, []).append(column)

    def one(self, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """A column of this type with anything in it."""
        spare = self._columns.get(dtype)
        return spare.pop() if spare else np.empty(self._n, dtype)


def _view(column: Any) -> Any:
    # The plain loop reads memoryviews: their items are Python ints, which numpy's are not.
    return memoryview(column)


def _grow(columns: dict[str, npt.NDArray[Any]], used: int, needed: int) -> None:
    """Room for ``needed`` rows. Column by column, so that only one is held twice."""
    size = len(columns["lane"])
    if needed <= size:
        return
    # Pages that are not touched cost nothing: grow by a lot and seldom.
    larger = max(needed, 2 * size, 1 << 16)
    for name in list(columns):
        column = np.empty(larger, columns[name].dtype)
        column[:used] = columns[name][:used]
        columns[name] = column


def _rows_of_places(
    calls: CallTable,
    new_row: npt.NDArray[np.int32],
    places: dict[str, npt.NDArray[Any]],
    over_in_gap: Mapping[int, int],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(row, parent) of every place, from the last node of its lane that stood before it.

    ``over_in_gap``: nodes that may have returned in a gap, and the first place behind it, which is the gap's own.
    """
    n_places = len(places["lane"])
    row = np.full(n_places, -1, np.int32)
    parent = np.full(n_places, -1, np.int32)
    if not n_places:
        return row, parent
    placed = places["lane"] >= 0
    row[placed] = np.searchsorted(calls.lane, places["lane"][placed])
    after = np.flatnonzero(places["last"] >= 0)
    last_row = new_row[places["last"][after]]
    rebuilt = (calls.flags[last_row] & np.uint32(Flag.NO_ENTRY)) != 0
    row[after] = np.where(rebuilt, calls.end[last_row], last_row + 1)
    told = places["parent"] >= 0
    parent[told] = new_row[places["parent"][told]]
    if over_in_gap:
        # What follows a gap is in no call that may have returned in it; the gap itself is.
        first = np.full(len(calls) + 1, n_places, np.int64)
        first[new_row[list(over_in_gap)]] = list(over_in_gap.values())
        mark = np.where(places["is_loss"] != 0, -1, np.arange(n_places))
        while len(behind := np.flatnonzero(mark >= first[parent])):
            parent[behind] = calls.parent[parent[behind]]
    # A call that ended before it, as was found later, does not hold it.
    while len(late := np.flatnonzero((parent >= 0) & (row > np.append(calls.end, 0)[parent]))):
        parent[late] = calls.parent[parent[late]]
    # A call rebuilt later may have taken both neighbours of a place in: then it stands inside as well.
    inside = np.flatnonzero((row >= 0) & (row < len(calls)))
    inside = inside[calls.lane[row[inside]] == places["lane"][inside]]
    around = calls.parent[row[inside]]
    level = np.append(calls.level, np.int16(-1))
    deeper = level[around] > level[parent[inside]]
    parent[inside[deeper]] = around[deeper]
    return row, parent


_FLAGGED = (
    (Flag.NO_ENTRY, "entry-missing"),
    (Flag.NO_EXIT, "exit-missing"),
    (Flag.CUT_BY_LOSS, "cut-by-loss"),
    (Flag.CALLER_LOST, "caller-lost"),
    (Flag.DEPTH_JUMP, "depth-jump"),
    (Flag.IN_TRACER, "in-tracer"),
)
"""The notice that counts the calls with a flag."""


def _forget_contradictions(calls: CallTable) -> int:
    """Where times went back, a call can begin before its caller does: one of the two times is wrong. How many."""
    child = np.flatnonzero((calls.parent >= 0) & ~calls.has(Flag.NO_ENTRY))
    parent = calls.parent[child]
    rebuilt = calls.has(Flag.NO_ENTRY)[parent]
    wrong = child[(calls.start_ns[child] < calls.start_ns[parent]) & (calls.start_ns[child] >= 0) & ~rebuilt]
    calls.start_ns[wrong] = -1
    calls.flags[wrong] |= np.uint32(Flag.START_UNKNOWN)
    return len(wrong)


def _not_in_tracer(
    nodes: dict[str, npt.NDArray[Any]], self_ns: npt.NDArray[np.int64], end: npt.NDArray[np.int32], delays: Delays
) -> int:
    """A text's callees that last longer than their callers are no interrupts for that: one of the two durations is
    wrong, unless context, name or time tell of an interrupt. How many."""
    flags, duration, start, context = (nodes[name] for name in ("flags", "duration", "start", "context"))
    row = np.flatnonzero((flags & np.uint32(Flag.IN_TRACER)) != 0)
    row = row[(nodes["call"][row] < 0) & (duration[row] > duration[nodes["parent"][row]])]
    if not len(row):
        return 0
    parent = nodes["parent"][row]
    told = (context[row] > 0) & (context[row] != UNKNOWN_CONTEXT)
    told &= (context[row] > context[parent]) | (context[parent] == UNKNOWN_CONTEXT)
    told |= delays.interrupts()[nodes["func"][row]]
    # By the next record of its lane it had returned, and it began inside its caller.
    following = np.minimum(end[row], len(end) - 1)
    timed = (start[row] >= 0) & (start[parent] >= 0) & (end[row] < len(end))
    timed &= nodes["lane"][following] == nodes["lane"][row]
    told |= timed & (start[following] >= start[row] + duration[row] - _NEAR)
    if not told.all():
        # Parts of an interrupt stand side by side: the name of one tells of all.
        named = np.flatnonzero(delays.interrupts()[nodes["func"]])
        told |= among(parent, nodes["parent"][named])
    wrong = row[~told]
    caller = nodes["parent"][wrong]
    flags[wrong] &= ~np.uint32(Flag.IN_TRACER)
    flags[caller] |= np.uint32(Flag.SELF_UNKNOWN)
    self_ns[caller] = -1
    return len(wrong)


def _contradictions(n_starts: int, n_too_long: int, n_strange: int, n_restarts: int) -> list[Notice]:
    kinds = (
        ("contradiction:start", n_starts),
        ("contradiction", n_too_long),
        ("exit-elsewhere", n_strange),
        ("another-recording", n_restarts),
    )
    return [notice(kind, n) for kind, n in kinds if n]


def _notices(calls: CallTable, losses: Losses) -> tuple[Notice, ...]:
    """What pairing has to say, each kind counted."""
    there = int(np.bitwise_or.reduce(calls.flags, initial=0))
    counted = ((kind, flag, int(calls.has(flag).sum())) for flag, kind in _FLAGGED if flag & there)
    notices = [notice(kind, n, flag=int(flag)) for kind, flag, n in counted if n]
    if len(losses):
        details = {"n_lost_counted": losses.n_lost_counted, "n_uncounted": int((losses.n_lost < 0).sum())}
        notices.insert(0, notice("lost-records", len(losses), details=details))
    return tuple(notices)
