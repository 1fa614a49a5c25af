"""What stands in the record stream beside calls: other events, and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int16 = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Marks:
    """Events other than function entry and exit, in time order.

    A mark stands before call ``row`` (global row; the row after the last call of its lane begun so
    far) and inside call ``parent`` (-1: outside any call). ``name`` indexes ``names``. ``text[i]`` is
    the event's text as the tracer formats it, made when asked for. ``time_ns`` is -1 where the clock
    has no unit.
    """

    time_ns: Int64
    lane: Int32
    cpu: Int16
    name: Int32
    row: Int32
    parent: Int32
    names: tuple[str, ...]
    text: Sequence[str]

    @classmethod
    def empty(cls) -> Marks:
        """No marks."""
        i32 = np.zeros(0, np.int32)
        return cls(np.zeros(0, np.int64), i32, np.zeros(0, np.int16), i32, i32, i32, (), ())

    def __len__(self) -> int:
        return len(self.time_ns)

    def named(self, name: str) -> Int32:
        """The indices of the marks with this event name, in time order."""
        if name not in self.names:
            return np.zeros(0, np.int32)
        return np.flatnonzero(self.name == self.names.index(name)).astype(np.int32)


@dataclass(frozen=True)
class Losses:
    """Places where the tracer lost records, in record order.

    ``n_lost[i]`` is the number that the kernel counted, -1 where it gave none. The position is that
    of the first record after the gap on ``cpu``: lane, ``row`` and ``parent`` as in :class:`Marks`
    (lane -1, row -1: nothing came after it).
    """

    time_ns: Int64
    cpu: Int16
    n_lost: Int64
    lane: Int32
    row: Int32
    parent: Int32

    @classmethod
    def empty(cls) -> Losses:
        """No losses."""
        i64, i32 = np.zeros(0, np.int64), np.zeros(0, np.int32)
        return cls(i64, np.zeros(0, np.int16), i64, i32, i32, i32)

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def n_lost_counted(self) -> int:
        """Sum of the counts that are known."""
        return int(self.n_lost[self.n_lost > 0].sum())
