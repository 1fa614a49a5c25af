# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3
"""Entries and exits -> CallTable. One stack per lane; a hot loop in Cython's pure-Python mode.

A *node* is a call in the making, numbered in the order in which its first record came. A call that
only its exit tells of is made when that exit comes; it then adopts what already stands at the end of
its caller's children and ran deeper and later than it began. ``finish`` puts the nodes in pre-order.

The uncompiled module is the slow, obvious twin: same file, same results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.errors import Notice
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.marks import Losses, Marks
from kfgraph.parse.records import RecordBatch

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython  # type: ignore[no-redef]

COMPILED: bool = cython.compiled

# Literals, so that the compiled loop works on C integers; a test holds them to records and Flag.
_ENTRY: cython.int = 0
_EXIT: cython.int = 1
_LEAF: cython.int = 2
_MARK: cython.int = 3
_LOSS: cython.int = 4
_NO_ENTRY: cython.int = 1
_NO_EXIT: cython.int = 2
_CUT: cython.int = 4
_IN_TRACER: cython.int = 8
_DEPTH_JUMP: cython.int = 16
_MIGRATED: cython.int = 64
_HAS_RETVAL: cython.int = 128
_SELF_UNKNOWN: cython.int = 512
_START_UNKNOWN: cython.int = 1024

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
    ("flags", np.uint16),
)
_ABSENT = {
    "retval": np.empty(0, np.int64),
    "caller": np.empty(0, np.int32),
    "arg": np.empty(0, np.int32),
}
"""What stands for an optional column that the trace does not have."""


@dataclass(frozen=True)
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

    ``retval``, ``caller`` and ``args`` say which optional columns the batches carry.
    ``same_clock``: timestamps and calltimes are of one clock (the tracer's local one).
    """

    def __init__(
        self, *, retval: bool = False, caller: bool = False, args: bool = False, same_clock: bool = True
    ) -> None:
        columns = [*_NODE_COLUMNS, ("last_child", np.int32)]
        self._optional = {"retval": retval, "caller": caller, "arg": args}
        columns += [(name, _ABSENT[name].dtype.type) for name, on in self._optional.items() if on]
        self._nodes: dict[str, npt.NDArray[Any]] = {name: np.empty(0, dtype) for name, dtype in columns}
        self._n_nodes = 0
        self._places: dict[str, npt.NDArray[Any]] = {
            name: np.empty(0, dtype)
            for name, dtype in (
                ("time", np.int64),
                ("cpu", np.int16),
                ("lane", np.int32),
                ("what", np.int64),
                ("seq", np.int32),
                ("parent", np.int32),
                ("is_loss", np.uint8),
            )
        }
        self._n_places = 0
        self._same_clock = same_clock
        self._n_records = 0
        self._first_time = self._last_time = -1
        self.lanes = _Lanes()

    def feed(self, batch: RecordBatch, n: int) -> None:
        """Pair the first ``n`` rows of ``batch``, which may be reused afterwards."""
        if not n:
            return
        self._n_records += int(np.count_nonzero(batch.kind[:n] != _LOSS))
        times = batch.time[:n][batch.kind[:n] != _LOSS]
        if len(times):
            self._first_time = int(times[0]) if self._first_time < 0 else self._first_time
            self._last_time = int(times[-1])
        self.lanes.fit_cpus(int(batch.cpu[:n].max()))
        _grow(self._nodes, self._n_nodes, self._n_nodes + n)
        # A loss takes its place with the record after it: at most one place per record and CPU.
        _grow(self._places, self._n_places, self._n_places + n)
        nodes, places = self._nodes, self._places
        self._n_nodes, self._n_places = _pair(
            n,
            *(
                memoryview(column[:n])
                for column in (
                    batch.kind,
                    batch.func,
                    batch.pid,
                    batch.cpu,
                    batch.time,
                    batch.depth,
                    batch.context,
                    batch.duration,
                    batch.calltime,
                )
            ),
            *(_optional(name, batch if on else None, n) for name, on in self._optional.items()),
            self._n_nodes,
            *(memoryview(nodes[name]) for name, _ in _NODE_COLUMNS),
            memoryview(nodes["last_child"]),
            *(memoryview(nodes[name] if name in nodes else _ABSENT[name]) for name in self._optional),
            self._n_places,
            *(memoryview(column) for column in places.values()),
            self.lanes,
            self._same_clock,
        )

    def finish(self, *, clock_is_ns: bool = True) -> Paired:
        """The calls in pre-order, lane after lane, and where the other events stand among them.

        Calls that are still open become NO_EXIT. With a clock that is not in ns all start times become
        unknown; durations, which the tracer takes from its own clock, stay. The pairer is spent.
        """
        n = self._n_nodes
        nodes = {name: column[:n] for name, column in self._nodes.items()}
        self._nodes = {}
        for top in self.lanes.tops():
            while top >= 0:
                nodes["flags"][top] |= _NO_EXIT
                top = int(nodes["parent"][top])
        order = _preorder(nodes["lane"], nodes["first"])
        del nodes["previous"], nodes["last_child"], nodes["first"]
        if order is None:
            new_row = np.arange(n, dtype=np.int32)
        else:
            new_row = np.empty(n, np.int32)
            new_row[order] = np.arange(n, dtype=np.int32)
            for name in list(nodes):
                nodes[name] = nodes[name][order]
            has_parent = nodes["parent"] >= 0
            nodes["parent"][has_parent] = new_row[nodes["parent"][has_parent]]
        level, end = np.empty(n, np.int16), np.empty(n, np.int32)
        self_ns = np.zeros(n, np.int64)
        _settle(
            n,
            *(memoryview(nodes[c]) for c in ("parent", "start", "duration", "call", "flags")),
            memoryview(level),
            memoryview(end),
            memoryview(self_ns),
            memoryview(np.full(n, np.iinfo(np.int64).max)),
        )
        del nodes["call"]
        if not clock_is_ns:
            nodes["start"].fill(-1)
        nodes["flags"][nodes["start"] < 0] |= _START_UNKNOWN
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
        marks, losses = self._placed(calls, new_row, clock_is_ns)
        return Paired(
            calls,
            nodes.get("arg"),
            self.lanes.keys,
            marks,
            losses,
            _notices(calls, losses),
            self._n_records,
            self._first_time if clock_is_ns else -1,
            self._last_time if clock_is_ns else -1,
        )

    def _placed(self, calls: CallTable, new_row: npt.NDArray[np.int32], clock_is_ns: bool) -> tuple[Marks, Losses]:
        """Where marks and losses stand, as rows."""
        for cpu, (n_lost, _) in sorted(self.lanes.pending.items()):
            at = self._n_places
            _grow(self._places, at, at + 1)
            for name, value in (
                ("time", -1),
                ("cpu", cpu),
                ("lane", -1),
                ("what", n_lost),
                ("seq", -1),
                ("parent", -1),
                ("is_loss", 1),
            ):
                self._places[name][at] = value
            self._n_places += 1
        places = {name: column[: self._n_places] for name, column in self._places.items()}
        row, parent = _rows_of_places(calls, new_row, places)
        time = places["time"].copy() if clock_is_ns else np.full(self._n_places, -1, np.int64)
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
        )
        return marks, losses


def _optional(name: str, batch: RecordBatch | None, n: int) -> memoryview:
    column = getattr(batch, name, None)
    return memoryview(_ABSENT[name] if column is None else column[:n])


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


def _preorder(lane: npt.NDArray[np.int32], first: npt.NDArray[np.int32]) -> npt.NDArray[np.int64] | None:
    """Node numbers in pre-order, lane after lane; None if they are so already.

    Node numbers are in order of first record, so within a lane they are in pre-order but for those
    that adopted: these come before their first child, a later adopter before an earlier one.
    """
    adopted = first != np.arange(len(first), dtype=np.int32)
    if adopted.any():
        return np.lexsort((-np.arange(len(first)), first, lane))
    if (np.diff(lane) >= 0).all():
        return None
    return np.argsort(lane, kind="stable")


def _rows_of_places(
    calls: CallTable, new_row: npt.NDArray[np.int32], places: dict[str, npt.NDArray[Any]]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(row, parent) of every place, from the number of nodes that stood before it."""
    n_places = len(places["lane"])
    row = np.full(n_places, -1, np.int32)
    parent = np.full(n_places, -1, np.int32)
    if not n_places:
        return row, parent
    node_lane = np.empty(len(calls), np.int32)
    node_lane[:] = calls.lane[new_row] if len(calls) else 0
    begins = np.searchsorted(calls.lane, np.arange(places["lane"].max() + 2))
    for lane in np.unique(places["lane"]):
        if lane < 0:
            continue
        mine = np.flatnonzero(places["lane"] == lane)
        nodes = np.flatnonzero(node_lane == lane)
        n_before = np.searchsorted(nodes, places["seq"][mine])
        some = n_before > 0
        row[mine[~some]] = begins[lane]
        if not some.any():
            continue
        last = nodes[n_before[some] - 1]
        last_row = new_row[last]
        rebuilt = (calls.flags[last_row] & _NO_ENTRY) != 0
        row[mine[some]] = np.where(rebuilt, calls.end[last_row], last_row + 1)
    told = places["parent"] >= 0
    parent[told] = new_row[places["parent"][told]]
    # A call rebuilt later may have taken both neighbours of a place in: then it stands inside as well.
    inside = np.flatnonzero((row >= 0) & (row < len(calls)))
    inside = inside[calls.lane[row[inside]] == places["lane"][inside]]
    around = calls.parent[row[inside]]
    level = np.append(calls.level, np.int16(-1))
    deeper = level[around] > level[parent[inside]]
    parent[inside[deeper]] = around[deeper]
    return row, parent


def _notices(calls: CallTable, losses: Losses) -> tuple[Notice, ...]:
    """What pairing has to say, each kind counted."""
    no_entry, no_exit = calls.has(Flag.NO_ENTRY), calls.has(Flag.NO_EXIT)
    cut = calls.has(Flag.CUT_BY_LOSS)
    kinds = (
        ("entry-missing", "calls known from their exit record alone", no_entry),
        ("exit-missing", "calls without an exit record: they had not returned, or the record was lost", no_exit),
        ("cut-by-loss", "calls with lost records inside them", cut),
        ("depth-jump", "calls whose true caller was not recorded", calls.has(Flag.DEPTH_JUMP)),
        (
            "in-tracer",
            "interrupts that hit the tracer itself: not subtracted from the call they stand in",
            calls.has(Flag.IN_TRACER),
        ),
    )
    notices = [Notice(code, text, int(which.sum())) for code, text, which in kinds if which.any()]
    if len(losses):
        counted = losses.n_lost_counted
        notices.insert(
            0,
            Notice(
                "lost-records",
                "places where the tracer lost records",
                len(losses),
                "record again with a larger --buffer, or less: --root, --exclude",
                {"n_lost_counted": counted, "n_uncounted": int((losses.n_lost < 0).sum())},
            ),
        )
    return tuple(notices)


class _Lanes:
    """Who owns which stack, and the open end of each stack."""

    def __init__(self) -> None:
        self.keys: list[tuple[int, int]] = []
        self._numbers: dict[tuple[int, int], int] = {}
        self.top = np.empty(0, np.int32)
        self.last_root = np.empty(0, np.int32)
        self.last_cpu = np.empty(0, np.int32)
        self.gap_end = np.empty(0, np.int64)
        self.cpu_pid = np.empty(0, np.int64)
        self.cpu_lane = np.empty(0, np.int32)
        self.cpu_time = np.empty(0, np.int64)
        self.pending: dict[int, tuple[int, int]] = {}
        """CPU -> (how many were lost or -1, time of the last record before the gap)."""
        self.cuts: dict[int, list[int]] = {}
        """Open node -> [losses while it was open, those that an open child spans too, first gap's begin]."""

    def fit_cpus(self, highest: int) -> None:
        """Room for CPUs -1..highest in the per-CPU arrays (index cpu + 1)."""
        missing = highest + 2 - len(self.cpu_pid)
        if missing > 0:
            self.cpu_pid = np.append(self.cpu_pid, np.full(missing, -2, np.int64))
            self.cpu_lane = np.append(self.cpu_lane, np.full(missing, -1, np.int32))
            self.cpu_time = np.append(self.cpu_time, np.full(missing, -1, np.int64))

    def number(self, pid: int, cpu: int) -> int:
        """The lane of this pid (of this CPU if the pid is 0 or not told), made when new."""
        key = (pid, cpu if pid <= 0 else -1)
        lane = self._numbers.get(key)
        if lane is None:
            lane = self._numbers[key] = len(self.keys)
            self.keys.append(key)
            if lane >= len(self.top):
                more = max(64, lane)
                self.top = np.append(self.top, np.full(more, -1, np.int32))
                self.last_root = np.append(self.last_root, np.full(more, -1, np.int32))
                self.last_cpu = np.append(self.last_cpu, np.full(more, -1, np.int32))
                self.gap_end = np.append(self.gap_end, np.full(more, -1, np.int64))
        return lane

    def tops(self) -> list[int]:
        """The innermost open call of every lane, -1 where none is open."""
        return [int(top) for top in self.top[: len(self.keys)]]

    def lose(self, cpu: int, n_lost: int, parent: Any, flags: Any) -> None:
        """Records of ``cpu`` were lost: every call open on it is cut."""
        gap_begin = int(self.cpu_time[cpu + 1])
        if cpu in self.pending:
            # Two gaps with nothing between them are one place.
            before, gap_begin = self.pending[cpu]
            n_lost = before + n_lost if before >= 0 and n_lost >= 0 else -1
            self.pending[cpu] = (n_lost, gap_begin)
            return
        self.pending[cpu] = (n_lost, gap_begin)
        for lane in np.flatnonzero(self.last_cpu[: len(self.keys)] == cpu):
            self._cut(int(self.top[lane]), gap_begin, parent, flags)

    def resume(self, cpu: int, lane: int, time: int, parent: Any, flags: Any) -> int:
        """The first record after a gap on ``cpu`` is ``lane``'s: how many were lost before it."""
        n_lost, gap_begin = self.pending.pop(cpu)
        self.gap_end[lane] = time
        if self.last_cpu[lane] != cpu:
            # It came to this CPU during the gap: what it did here is lost all the same.
            self._cut(int(self.top[lane]), gap_begin, parent, flags)
        return n_lost

    def _cut(self, node: int, gap_begin: int, parent: Any, flags: Any) -> None:
        while node >= 0:
            flags[node] |= _CUT
            self.cuts.setdefault(node, [0, 0, gap_begin])[0] += 1
            node = int(parent[node])

    def began_before_gap(self, node: int, began: int) -> bool:
        """Whether a call that began at ``began`` can be ``node``, which a loss cut."""
        return self.cuts[node][2] < 0 or began <= self.cuts[node][2]

    def survive(self, node: int, parent: int) -> bool:
        """``node`` returned: did all the losses it was open at spare its direct children?

        A loss that fell into one open child of it cost no direct child of its own.
        """
        n_losses, n_spanned, _ = self.cuts.pop(node)
        if parent >= 0 and parent in self.cuts:
            self.cuts[parent][1] += n_losses
        return n_spanned >= n_losses


def _pair(
    n: cython.Py_ssize_t,
    kind: cython.uchar[:],
    func: cython.int[:],
    pid: cython.int[:],
    cpu: cython.short[:],
    time: cython.longlong[:],
    depth: cython.short[:],
    context: cython.uchar[:],
    duration: cython.longlong[:],
    calltime: cython.longlong[:],
    retval: cython.longlong[:],
    caller: cython.int[:],
    arg: cython.int[:],
    n_nodes: cython.int,
    c_func: cython.int[:],
    c_lane: cython.int[:],
    c_cpu: cython.short[:],
    c_exit_cpu: cython.short[:],
    c_start: cython.longlong[:],
    c_duration: cython.longlong[:],
    c_call: cython.longlong[:],
    c_depth: cython.short[:],
    c_parent: cython.int[:],
    c_previous: cython.int[:],
    c_first: cython.int[:],
    c_context: cython.uchar[:],
    c_flags: cython.ushort[:],
    c_last: cython.int[:],
    c_retval: cython.longlong[:],
    c_caller: cython.int[:],
    c_arg: cython.int[:],
    n_places: cython.int,
    p_time: cython.longlong[:],
    p_cpu: cython.short[:],
    p_lane: cython.int[:],
    p_what: cython.longlong[:],
    p_seq: cython.int[:],
    p_parent: cython.int[:],
    p_is_loss: cython.uchar[:],
    lanes: object,
    same_clock: cython.bint,
):  # type: ignore[no-untyped-def]
    i: cython.Py_ssize_t
    k: cython.int
    what: cython.int
    d: cython.int
    f: cython.int
    p: cython.int
    c: cython.int
    lane: cython.int
    top: cython.int
    node: cython.int
    child: cython.int
    earlier: cython.int
    flag: cython.int
    t: cython.longlong
    dur: cython.longlong
    called: cython.longlong
    matched: cython.bint
    resumed: cython.bint
    has_retval: cython.bint = c_retval.shape[0] > 0
    has_caller: cython.bint = c_caller.shape[0] > 0
    has_arg: cython.bint = c_arg.shape[0] > 0
    any_loss: cython.bint = bool(lanes.pending)
    cpu_pid: cython.longlong[:] = memoryview(lanes.cpu_pid)
    cpu_lane: cython.int[:] = memoryview(lanes.cpu_lane)
    cpu_time: cython.longlong[:] = memoryview(lanes.cpu_time)
    lane_top: cython.int[:] = memoryview(lanes.top)
    lane_root: cython.int[:] = memoryview(lanes.last_root)
    lane_cpu: cython.int[:] = memoryview(lanes.last_cpu)
    gap_end: cython.longlong[:] = memoryview(lanes.gap_end)

    for i in range(n):
        what = kind[i]
        c = cpu[i]
        if what == _LOSS:
            lanes.lose(c, duration[i], c_parent, c_flags)
            any_loss = True
            continue
        p = pid[i]
        if cpu_pid[c + 1] == p:
            lane = cpu_lane[c + 1]
        else:
            lane = lanes.number(p, c)
            cpu_pid[c + 1] = p
            cpu_lane[c + 1] = lane
            lane_top = memoryview(lanes.top)
            lane_root = memoryview(lanes.last_root)
            lane_cpu = memoryview(lanes.last_cpu)
            gap_end = memoryview(lanes.gap_end)
        t = time[i]
        top = lane_top[lane]
        resumed = False
        if any_loss and c in lanes.pending:
            p_what[n_places] = lanes.resume(c, lane, t, c_parent, c_flags)
            any_loss = bool(lanes.pending)
            resumed = True
        lane_cpu[lane] = c
        cpu_time[c + 1] = t

        d = depth[i] if what != _MARK else -1
        # What runs deeper than this record, or beside this entry, has returned without our seeing it.
        if d >= 0:
            k = d + 1 if what == _EXIT else d
            while top >= 0 and c_depth[top] >= k:
                c_flags[top] |= _NO_EXIT
                if c_flags[top] & _CUT:
                    lanes.cuts.pop(top, None)
                top = c_parent[top]
        elif what == _ENTRY or what == _LEAF:
            d = c_depth[top] + 1 if top >= 0 else 0

        if resumed:
            p_time[n_places] = t
            p_cpu[n_places] = c
            p_lane[n_places] = lane
            p_seq[n_places] = n_nodes
            p_parent[n_places] = top
            p_is_loss[n_places] = 1
            n_places += 1

        if what == _MARK:
            p_time[n_places] = t
            p_cpu[n_places] = c
            p_lane[n_places] = lane
            p_what[n_places] = func[i]
            p_seq[n_places] = n_nodes
            p_parent[n_places] = top
            p_is_loss[n_places] = 0
            n_places += 1
            continue

        f = func[i]
        if what == _EXIT:
            dur = duration[i]
            called = calltime[i]
            matched = False
            if d < 0 and f != 0:
                # No depth to go by: the innermost open call of this function.
                node = top
                while node >= 0 and c_func[node] != f:
                    node = c_parent[node]
                if node >= 0:
                    while top != node:
                        c_flags[top] |= _NO_EXIT
                        top = c_parent[top]
            if top >= 0 and (d < 0 or c_depth[top] == d):
                matched = f == 0 or c_func[top] == 0 or c_func[top] == f
                if matched and c_flags[top] & _CUT:
                    if same_clock and called >= 0:
                        matched = lanes.began_before_gap(top, called)
                    elif t >= 0 and dur >= 0:
                        matched = lanes.began_before_gap(top, t - dur)
                if not matched:
                    # Its own exit is lost, and so is the entry of the call that returns here.
                    c_flags[top] |= _NO_EXIT
                    if c_flags[top] & _CUT:
                        lanes.cuts.pop(top, None)
                    top = c_parent[top]
            if matched:
                node = top
                if c_func[node] == 0:
                    c_func[node] = f
                top = c_parent[node]
                if c_flags[node] & _CUT and not lanes.survive(node, top):
                    c_flags[node] |= _SELF_UNKNOWN
                c_exit_cpu[node] = c
                if c_cpu[node] >= 0 and c >= 0 and c_cpu[node] != c:
                    c_flags[node] |= _MIGRATED
            else:
                node = n_nodes
                n_nodes += 1
                c_func[node] = f
                c_lane[node] = lane
                c_cpu[node] = -1
                c_exit_cpu[node] = c
                c_start[node] = t - dur if t >= 0 and dur >= 0 and t >= dur else -1
                c_depth[node] = d
                c_parent[node] = top
                c_first[node] = node
                c_context[node] = context[i]
                c_last[node] = -1
                flag = _NO_ENTRY | _SELF_UNKNOWN
                if d > (c_depth[top] + 1 if top >= 0 else 0):
                    flag |= _DEPTH_JUMP
                if gap_end[lane] >= 0 and c_start[node] <= gap_end[lane]:
                    flag |= _CUT
                c_flags[node] = flag
                if has_caller:
                    c_caller[node] = 0
                if has_arg:
                    c_arg[node] = -1
                # Adopt what ran inside it: the last children of its caller, deeper and not over before it began.
                child = c_last[top] if top >= 0 else lane_root[lane]
                earlier = child
                while earlier >= 0 and c_depth[earlier] > d and d >= 0:
                    if called >= 0 and c_call[earlier] >= 0 and c_duration[earlier] >= 0:
                        if c_call[earlier] + c_duration[earlier] <= called:
                            break
                    elif c_start[node] >= 0 and c_start[earlier] >= 0:
                        if c_duration[earlier] >= 0:
                            if c_start[earlier] + c_duration[earlier] <= c_start[node]:
                                break
                        elif c_start[earlier] < c_start[node]:
                            break
                    c_parent[earlier] = node
                    c_first[node] = c_first[earlier]
                    if c_depth[earlier] == d + 1:
                        c_flags[earlier] &= ~_DEPTH_JUMP & 0xFFFF
                    if c_last[node] < 0:
                        c_last[node] = earlier
                    earlier = c_previous[earlier]
                c_previous[node] = earlier
                if c_last[node] >= 0:
                    # The first adopted child has no elder sibling any more; the caller's chain goes on behind it.
                    child = c_last[node]
                    while c_previous[child] != earlier:
                        child = c_previous[child]
                    c_previous[child] = -1
                if top >= 0:
                    c_last[top] = node
                else:
                    lane_root[lane] = node
            c_duration[node] = dur
            c_call[node] = called
            if dur < 0:
                c_flags[node] |= _NO_EXIT
            if has_retval:
                c_retval[node] = retval[i]
                c_flags[node] |= _HAS_RETVAL
            lane_top[lane] = top
            continue

        # An entry, or an entry with its exit.
        node = n_nodes
        n_nodes += 1
        c_func[node] = f
        c_lane[node] = lane
        c_cpu[node] = c
        c_start[node] = t
        c_depth[node] = d
        c_parent[node] = top
        c_first[node] = node
        c_context[node] = context[i]
        c_last[node] = -1
        flag = 0
        if d > (c_depth[top] + 1 if top >= 0 else 0):
            flag = _DEPTH_JUMP
        if top >= 0:
            c_previous[node] = c_last[top]
            c_last[top] = node
        else:
            c_previous[node] = lane_root[lane]
            lane_root[lane] = node
        if has_caller:
            c_caller[node] = caller[i]
        if has_arg:
            c_arg[node] = arg[i]
        if what == _LEAF:
            c_exit_cpu[node] = c
            c_duration[node] = duration[i]
            c_call[node] = calltime[i]
            if duration[i] < 0:
                flag |= _NO_EXIT
            if has_retval:
                c_retval[node] = retval[i]
                flag |= _HAS_RETVAL
            lane_top[lane] = top
        else:
            c_exit_cpu[node] = -1
            c_duration[node] = -1
            c_call[node] = -1
            if has_retval:
                c_retval[node] = 0
            lane_top[lane] = node
        c_flags[node] = flag
    return n_nodes, n_places


def _settle(
    n: cython.Py_ssize_t,
    parent: cython.int[:],
    start: cython.longlong[:],
    duration: cython.longlong[:],
    call: cython.longlong[:],
    flags: cython.ushort[:],
    level: cython.short[:],
    end: cython.int[:],
    self_ns: cython.longlong[:],
    next_call: cython.longlong[:],
):  # type: ignore[no-untyped-def]
    """Levels, subtree ends, IN_TRACER and self times, for calls in pre-order.

    ``self_ns`` comes as zeros (it first gathers the children's sum), ``next_call`` as the largest
    int64: the earliest calltime among the later siblings seen so far, kept at the parent.
    """
    i: cython.Py_ssize_t
    p: cython.int
    outside: cython.bint
    for i in range(n):
        p = parent[i]
        level[i] = level[p] + 1 if p >= 0 else 0
        end[i] = i + 1
    for i in range(n - 1, -1, -1):
        # All of i's children have been visited: settle i, then tell its parent.
        p = parent[i]
        if duration[i] < 0:
            self_ns[i] = -1
        elif flags[i] & _SELF_UNKNOWN:
            self_ns[i] = -1
        elif self_ns[i] > duration[i]:
            # Only where the text is too coarse to see which child ran in the tracer.
            self_ns[i] = -1
            flags[i] |= _SELF_UNKNOWN
        else:
            self_ns[i] = duration[i] - self_ns[i]
        if p < 0:
            continue
        if end[i] > end[p]:
            end[p] = end[i]
        if duration[i] < 0:
            flags[p] |= _SELF_UNKNOWN
            continue
        outside = False
        if call[i] >= 0:
            if duration[p] >= 0 and call[p] >= 0:
                outside = call[i] < call[p] or call[i] + duration[i] > call[p] + duration[p]
            if call[i] + duration[i] > next_call[p]:
                # A later sibling began before this one was over: this one hit the tracer at its entry.
                outside = True
            elif not outside:
                next_call[p] = call[i]
        elif duration[p] >= 0:
            outside = duration[i] > duration[p] or (
                start[i] >= 0 and start[p] >= 0 and start[i] > start[p] + duration[p] + 1000
            )
            if flags[i] & _DEPTH_JUMP and not flags[p] & _CUT:
                outside = True
        if outside:
            flags[i] |= _IN_TRACER
        else:
            self_ns[p] += duration[i]
