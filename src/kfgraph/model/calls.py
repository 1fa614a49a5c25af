"""CallTable: one row per kernel function call."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from kfgraph.errors import UsageError
from kfgraph.model.args import Args
from kfgraph.model.sparse import Sparse

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Unpack

    from kfgraph import CallRows, Filters

UNKNOWN_CONTEXT = 255
CONTEXTS = ("task", "softirq", "hardirq", "nmi")
"""Names of the context codes 0..3."""


def contexts_of(common_flags: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The context codes of the ``common_flags`` of events: TRACE_FLAG_NMI, _HARDIRQ, _SOFTIRQ.

    Source: include/linux/trace_events.h.
    """
    bits = common_flags.astype(np.int64)
    return np.select([bits & 0x40 != 0, bits & 0x08 != 0, bits & 0x10 != 0], [3, 2, 1], 0).astype(np.uint8)


class Flag(enum.IntFlag):
    """What is not as usual about a call."""

    NO_ENTRY = 1
    """Its entry record is missing: start is exit time - duration, children before it may be too."""
    NO_EXIT = 2
    """Its exit record is missing: no duration."""
    CUT_BY_LOSS = 4
    """A loss of records fell into it, so records inside it, or its own, may be missing."""
    IN_TRACER = 8
    """Its interval reaches outside its parent's, or into a later sibling's: an interrupt hit the tracer itself, and the
    times do not tell in whose time all of it was. Not a part of its parent's duration but for what ``irq_ns`` has."""
    DEPTH_JUMP = 16
    """The kernel's depth is not the parent's + 1: the true parent was not recorded."""
    PRE_EXEC = 32
    """The launcher's work in the traced task, before the exec or in it, not the command's."""
    MIGRATED = 64
    """Entered on one CPU, left on another."""
    HAS_RETVAL = 128
    """``retval`` holds its recorded return value."""
    NAME_UNRESOLVED = 256
    """No symbol is known for its address."""
    SELF_UNKNOWN = 512
    """Its duration is known and its self time is not: a child's duration, or what it slept, is not."""
    START_UNKNOWN = 1024
    """No time of entry is known (a clock without unit, a text without time)."""
    CALLER_LOST = 2048
    """Its caller is unknown: records were lost. As with DEPTH_JUMP, the parent is the next known one. Of an interrupt:
    it hit the parent or, when that had returned, the tracer."""
    OFF_CPU_UNKNOWN = 4096
    """It was off the CPU for a time that is not known: a switch is missing, or times contradict one another."""
    INTERRUPT = 8192
    """It is no callee of its parent: an interrupt that hit it, or a part of one. Its time is in the parent's irq_ns."""


@dataclass(frozen=True)
class ColumnKind:
    """What a column of a CallTable is.

    One that is ``optional`` is None unless the trace tells any; one that is ``sparse``, which few calls have, is a
    :class:`kfgraph.model.sparse.Sparse`, and optional too.
    """

    dtype: type[np.generic]
    optional: bool = False
    sparse: bool = False


def column(dtype: type[np.generic], *, optional: bool = False, sparse: bool = False) -> dict[str, ColumnKind]:
    """The metadata of the field of CallTable that is a column."""
    return {"column": ColumnKind(dtype, optional or sparse, sparse)}


_UINT8, _UINT32 = column(np.uint8), column(np.uint32)
_INT16, _INT32, _INT64 = column(np.int16), column(np.int32), column(np.int64)
_INT32_IF_TOLD, _INT64_IF_TOLD = column(np.int32, optional=True), column(np.int64, optional=True)
_INT64_OF_FEW = column(np.int64, sparse=True)
PARTS = ("irq_ns", "asleep_ns", "preempted_ns")
"""Columns with the parts of a call's duration that are neither its own time nor that of a callee. Each is exclusive, 0
for most calls, and None where nothing tells of any."""


@dataclass(frozen=True, eq=False, repr=False)
class CallTable:
    """Equal-length columns, rows in pre-order within a lane, lanes one after another.

    Times are int64 ns of the trace clock, -1 with a flag where unknown. ``parent`` is a row or -1,
    ``end`` the first row after the subtree: the subtree of row i is the slice ``i:end[i]``.
    ``asleep_ns`` and ``preempted_ns`` are how long the call itself was off the CPU, asleep or able to run; None where
    the trace does not tell: then it is part of ``self_ns``.
    ``retval`` and ``args`` are None unless the trace recorded any. ``caller`` (a function code, 0
    unknown) is the function that the return address points into, where recorded; ``caller_offset`` how many bytes
    behind that function's beginning it points (-1 unknown).

    A known duration is the sum of ``self_ns``, the durations of the callees, and what the columns PARTS have.
    ``irq_ns`` is the time of the interrupts that hit the call itself, not one of its callees.
    """

    func: npt.NDArray[np.int32] = field(metadata=_INT32)
    lane: npt.NDArray[np.int32] = field(metadata=_INT32)
    cpu: npt.NDArray[np.int16] = field(metadata=_INT16)
    exit_cpu: npt.NDArray[np.int16] = field(metadata=_INT16)
    start_ns: npt.NDArray[np.int64] = field(metadata=_INT64)
    duration_ns: npt.NDArray[np.int64] = field(metadata=_INT64)
    self_ns: npt.NDArray[np.int64] = field(metadata=_INT64)
    level: npt.NDArray[np.int16] = field(metadata=_INT16)
    depth: npt.NDArray[np.int16] = field(metadata=_INT16)
    parent: npt.NDArray[np.int32] = field(metadata=_INT32)
    end: npt.NDArray[np.int32] = field(metadata=_INT32)
    context: npt.NDArray[np.uint8] = field(metadata=_UINT8)
    flags: npt.NDArray[np.uint32] = field(metadata=_UINT32)
    retval: npt.NDArray[np.int64] | None = field(default=None, metadata=_INT64_IF_TOLD)
    caller: npt.NDArray[np.int32] | None = field(default=None, metadata=_INT32_IF_TOLD)
    caller_offset: npt.NDArray[np.int32] | None = field(default=None, metadata=_INT32_IF_TOLD)
    irq_ns: Sparse | None = field(default=None, metadata=_INT64_OF_FEW)
    asleep_ns: Sparse | None = field(default=None, metadata=_INT64_OF_FEW)
    preempted_ns: Sparse | None = field(default=None, metadata=_INT64_OF_FEW)
    args: Args | None = field(default=None, repr=False)
    _trace: ClassVar[Any] = None
    """Of the table of a trace: the trace, around an equal table."""

    @property
    def has_trace(self) -> bool:
        """Whether it is the table of a trace."""
        return self._trace is not None

    def where(
        self, *, failed: bool = False, ret: int | str | Sequence[int | str] = (), **filters: Unpack[Filters]
    ) -> CallRows:
        """The calls that pass every filter, those of ``kfgraph show``: ``trace.calls.where(root="vfs_open", cpu=0)``.

        Args:
            failed: only calls that returned an error.
            ret: only calls that returned one of these: ``-2``, ``"ENOENT"``, ``"<0"``.
            filters: see :func:`kfgraph.analyze.select.select`.

        Raises:
            NoMatchError: a filter leaves nothing.
            UsageError: the trace does not record what a filter needs, or this is the table of no trace.
        """
        from kfgraph import CallRows

        if self._trace is None:
            raise UsageError("these calls are the table of no trace: names and tasks are not known", "Trace(calls=...)")
        if failed:
            filters["failing"] = True
        if values := (ret,) if isinstance(ret, int | str) else tuple(ret):
            filters["returning"] = [str(value) for value in values]
        return CallRows.of(replace(self._trace), **filters)

    @classmethod
    def declared(cls) -> dict[str, ColumnKind]:
        """The columns, by name, in order; ``args`` is none."""
        return {f.name: f.metadata["column"] for f in fields(cls) if "column" in f.metadata}

    @classmethod
    def empty(cls) -> CallTable:
        """No calls."""
        return cls.from_rows([])

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]]) -> CallTable:
        """A table of dictionaries, one per row, for tests and small hand-made traces; without optional columns."""
        columns: dict[str, Any] = {
            name: np.array([row[name] for row in rows], kind.dtype)
            for name, kind in cls.declared().items()
            if not kind.optional
        }
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.func)

    def columns(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """(name, array) of every column present; of one that few calls have all values."""
        for name in self.declared():
            value = getattr(self, name)
            if value is not None:
                yield name, value.dense(len(self)) if isinstance(value, Sparse) else value

    def with_columns(self, **columns: Any) -> CallTable:
        """The same table with some columns replaced."""
        return replace(self, **columns)

    def has(self, flag: Flag) -> npt.NDArray[np.bool_]:
        """Which rows carry ``flag``."""
        found: npt.NDArray[np.bool_] = (self.flags & np.uint32(flag)) != 0
        return found

    @property
    def roots(self) -> npt.NDArray[np.int32]:
        """The rows without parent, ascending."""
        return np.flatnonzero(self.parent < 0).astype(np.int32)

    def bounds_of(self, lane: int) -> tuple[int, int]:
        """(first row, row behind the last) of a lane."""
        begin, end = np.searchsorted(self.lane, [lane, lane + 1]).tolist()
        return begin, end

    def elder_siblings(self, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
        """The call before each of these with the same parent, or root of its lane; -1 for none."""
        before = rows.astype(np.int64) - 1
        # The last call before it, or what that stands in.
        while len(deeper := np.flatnonzero((before >= 0) & (self.level[before] > self.level[rows]))):
            before[deeper] = self.parent[before[deeper]]
        same = (before >= 0) & (self.parent[before] == self.parent[rows]) & (self.lane[before] == self.lane[rows])
        return np.where(same, before, -1)

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame with one row per call, in table order, the index being the row number.

        Unknown times stay -1: the flags say why.
        """
        import pandas as pd

        return pd.DataFrame(dict(self.columns()))

    def check(self) -> None:
        """Assert what every table must hold, see docs/design.md.

        Raises:
            AssertionError: naming the first row that breaks a rule.
        """
        n = len(self)
        self._check_columns(n)
        if not n:
            return
        rows = np.arange(n)
        child = np.flatnonzero(self.parent >= 0)
        parent = self.parent[child]
        root = self.parent < 0
        _all(self.parent >= -1, "parent below -1")
        _all(parent < child, "parent not before child", child)
        _all(self.lane[parent] == self.lane[child], "parent in another lane", child)
        _all(self.level[child] == self.level[parent] + 1, "level is not the parent's + 1", child)
        _all(self.level[root] == 0, "a root's level is not 0", rows[root])
        _all((self.end > rows) & (self.end <= n), "end outside the table")
        _all(self.end[child] <= self.end[parent], "subtree reaches past its parent's", child)
        # Pre-order: a row whose subtree goes on is followed by its child.
        _all(
            self.parent[1:][self.end[:-1] > rows[1:]] == rows[:-1][self.end[:-1] > rows[1:]], "end and parent disagree"
        )
        after = np.flatnonzero(self.end < n)
        next_row = self.end[after]
        _all(self.level[next_row] <= self.level[after], "the row after a subtree lies deeper", after)
        _all(np.diff(self.lane) >= 0, "lanes are not one after another")

        flags = self.flags
        unknown_duration = self.duration_ns < 0
        _all(self.duration_ns >= -1, "duration below -1")
        _all(self.self_ns >= -1, "self below -1")
        _all(self.start_ns >= -1, "start below -1")
        _all(~unknown_duration | ((flags & Flag.NO_EXIT) != 0), "unknown duration without NO_EXIT")
        if self.caller_offset is not None:
            told = self.caller_offset >= 0
            _all(self.caller_offset >= -1, "caller_offset below -1")
            _all(~told if self.caller is None else ~told | (self.caller > 0), "caller_offset without caller")
        no_self = self.self_ns < 0
        _all(~no_self | unknown_duration | ((flags & Flag.SELF_UNKNOWN) != 0), "unknown self without its flag")
        _all((self.start_ns >= 0) | ((flags & Flag.START_UNKNOWN) != 0), "unknown start without its flag")

        counted = child[(flags[child] & (Flag.IN_TRACER | Flag.INTERRUPT)) == 0]
        children_ns = np.zeros(n, np.int64)
        np.add.at(children_ns, self.parent[counted], np.maximum(self.duration_ns[counted], 0))
        hit = child[(flags[child] & (Flag.IN_TRACER | Flag.INTERRUPT)) == Flag.INTERRUPT]
        irq_ns = np.zeros(n, np.int64)
        np.subtract.at(irq_ns, self.parent[hit], np.maximum(self.duration_ns[hit], 0))
        if self.irq_ns is not None:
            irq_ns[self.irq_ns.rows] += self.irq_ns.values
        _all(irq_ns >= 0, "less irq than the interrupts below it took")
        open_child = np.zeros(n, np.bool_)
        of_time = child[(flags[child] & Flag.IN_TRACER) == 0]
        open_child[self.parent[of_time[unknown_duration[of_time]]]] = True
        known = ~no_self
        parts = children_ns
        for name in PARTS:
            part = getattr(self, name)
            if part is not None:
                _all(part.values >= 0, f"{name} below 0", part.rows)
                parts[part.rows] += part.values
        _all(
            self.duration_ns[known] == self.self_ns[known] + parts[known],
            "duration is not self + callees + " + " + ".join(PARTS),
            rows[known],
        )
        _all(~(known & open_child), "self known though a child's duration is not")

        both = child[
            (self.start_ns[child] >= 0)
            & (self.start_ns[parent] >= 0)
            & ((flags[child] & (Flag.IN_TRACER | Flag.INTERRUPT | Flag.NO_ENTRY)) == 0)
            & ((flags[parent] & Flag.NO_ENTRY) == 0)
        ]
        _all(self.start_ns[both] >= self.start_ns[self.parent[both]], "child starts before its parent", both)

    def _check_columns(self, n: int) -> None:
        for name, kind in self.declared().items():
            column = getattr(self, name)
            if column is None:
                assert kind.optional, f"column {name} is missing"
            elif kind.sparse:
                column.check(n)
                assert column.values.dtype == kind.dtype, f"dtype of {name} is {column.values.dtype}"
            else:
                assert len(column) == n, f"column {name} has {len(column)} rows, not {n}"
                assert column.dtype == kind.dtype, f"dtype of {name} is {column.dtype}"


def _all(holds: npt.NDArray[np.bool_], rule: str, rows: npt.NDArray[Any] | None = None) -> None:
    if not holds.all():
        first = int(np.flatnonzero(~holds)[0])
        raise AssertionError(f"row {first if rows is None else int(rows[first])}: {rule}")
