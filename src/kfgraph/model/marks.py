"""What stands in the record stream beside calls: other events, and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfgraph.model.fields import Column, EventField, FieldSource, joined

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int16 = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False, repr=False)
class Marks:
    """Events other than function entry and exit, in time order.

    A mark stands before call ``row`` (global row; the row after the last call of its lane begun so
    far) and inside call ``parent`` (-1: outside any call). ``name`` indexes ``names``. ``text[i]`` is
    the event's text as the tracer formats it, made when asked for; :meth:`field` gives its fields as columns.
    ``time_ns`` is -1 where the clock has no unit.
    """

    time_ns: Int64
    lane: Int32
    cpu: Int16
    name: Int32
    row: Int32
    parent: Int32
    names: tuple[str, ...]
    text: Sequence[str]
    source: FieldSource | None = None

    @classmethod
    def empty(cls) -> Marks:
        """No marks."""
        i32 = np.zeros(0, np.int32)
        return cls(np.zeros(0, np.int64), i32, np.zeros(0, np.int16), i32, i32, i32, (), ())

    def __len__(self) -> int:
        return len(self.time_ns)

    def named(self, name: str) -> Int32:
        """The indices of the marks with this event name, in time order."""
        codes = self._codes(name)
        wanted = self.name == codes[0] if len(codes) == 1 else np.isin(self.name, codes)
        return np.flatnonzero(wanted).astype(np.int32)

    def field(self, event: str, name: str) -> EventField | None:
        """One field of all marks of this event, as a column. To read several, :meth:`fields` is faster.

        A trace.dat describes its events: a field is what the format block says, ``common_pid`` and the like included.
        Of a text there are the fields written ``name=value``, those of trace-cmd's own lines of sched_switch and the
        wakeups, and ``id`` and ``ret`` of system calls. There a column is numbers where every value is one, else str
        as written: ``prev_state`` is "S".

        None: the trace has no such event, the event no such field, or the reader cannot tell.

        Raises:
            InputError: the file that the trace was read from was written to since, or is gone.
        """
        return self.fields(event, name)[0]

    def fields(self, event: str, *names: str) -> tuple[EventField | None, ...]:
        """Several fields of one event, read in one pass: one column, or None, per name. See :meth:`field`."""
        found: list[list[tuple[Int32, Column]]] = [[] for _ in names]
        if self.source is None:
            return (None,) * len(names)
        for code in self._codes(event):
            rows = np.flatnonzero(self.name == code).astype(np.int32)
            for parts, column in zip(found, self.source.columns(code, rows, names), strict=True):
                if column is not None:
                    parts.append((rows, column))
        return tuple(joined(parts) if parts else None for parts in found)

    def field_names(self, event: str) -> tuple[str, ...]:
        """The fields of this event; () where there is none, or the reader cannot tell."""
        if self.source is None:
            return ()
        names = [self.source.names(code) for code in self._codes(event)]
        return tuple(dict.fromkeys(name for each in names for name in each))

    def _codes(self, name: str) -> list[int]:
        # Two systems may each have an event of one name.
        return [code for code, known in enumerate(self.names) if known == name]


@dataclass(frozen=True, eq=False, repr=False)
class Losses:
    """Places where the tracer lost records, in record order.

    ``n_lost[i]`` is the number that the kernel counted, -1 where it gave none. The position is that
    of the first record after the gap on ``cpu``: lane, ``row`` and ``parent`` as in :class:`Marks`
    (lane -1, row -1: nothing came after it). ``begin_ns`` is the time of the last record before it on that CPU, -1
    where there is none; None: no reader told of any.
    """

    time_ns: Int64
    cpu: Int16
    n_lost: Int64
    lane: Int32
    row: Int32
    parent: Int32
    begin_ns: Int64 | None = None

    @classmethod
    def empty(cls) -> Losses:
        """No losses."""
        i64, i32 = np.zeros(0, np.int64), np.zeros(0, np.int32)
        return cls(i64, np.zeros(0, np.int16), i64, i32, i32, i32, i64)

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def n_lost_counted(self) -> int:
        """Sum of the counts that are known."""
        return int(self.n_lost[self.n_lost > 0].sum())

    @property
    def lasted_ns(self) -> Int64:
        """How long each gap was, from record to record; -1 where one of the two is missing or has no time."""
        if self.begin_ns is None:
            return np.full(len(self), -1, np.int64)
        known = (self.begin_ns >= 0) & (self.time_ns >= self.begin_ns)
        return np.where(known, self.time_ns - self.begin_ns, -1)

    @property
    def covered_ns(self) -> int:
        """The time in which one CPU at least lost records: gaps of known length, what two have in common once."""
        known = np.flatnonzero(self.lasted_ns >= 0)
        if self.begin_ns is None or not len(known):
            return 0
        known = known[np.argsort(self.begin_ns[known], kind="stable")]
        begin, end = self.begin_ns[known], self.time_ns[known]
        reach = np.append(begin[0], np.maximum.accumulate(end)[:-1])
        return int(np.maximum(end - np.maximum(begin, reach), 0).sum())
