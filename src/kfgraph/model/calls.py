"""CallTable: one row per kernel function call."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from kfgraph.model.args import Args

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN_CONTEXT = 255
CONTEXTS = ("task", "softirq", "hardirq", "nmi")
"""Names of the context codes 0..3."""


class Flag(enum.IntFlag):
    """What is not as usual about a call."""

    NO_ENTRY = 1
    """Its entry record is missing: start is exit time - duration, children before it may be too."""
    NO_EXIT = 2
    """Its exit record is missing: no duration."""
    CUT_BY_LOSS = 4
    """A loss of records fell into it, so records inside it, or its own, may be missing."""
    IN_TRACER = 8
    """Its interval reaches outside its parent's: an interrupt hit the tracer itself. Not subtracted
    from the parent's self time."""
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
    """Its duration is known and its self time is not: a child's duration is missing."""
    START_UNKNOWN = 1024
    """No time of entry is known (a clock without unit, a text without time)."""


@dataclass(frozen=True)
class CallTable:
    """Equal-length columns, rows in pre-order within a lane, lanes one after another.

    Times are int64 ns of the trace clock, -1 with a flag where unknown. ``parent`` is a row or -1,
    ``end`` the first row after the subtree: the subtree of row i is the slice ``i:end[i]``.
    ``retval`` and ``args`` are None unless the trace recorded any. ``caller`` (a function code, 0
    unknown) is the function that the return address points into, where recorded.
    """

    func: npt.NDArray[np.int32]
    lane: npt.NDArray[np.int32]
    cpu: npt.NDArray[np.int16]
    exit_cpu: npt.NDArray[np.int16]
    start_ns: npt.NDArray[np.int64]
    duration_ns: npt.NDArray[np.int64]
    self_ns: npt.NDArray[np.int64]
    level: npt.NDArray[np.int16]
    depth: npt.NDArray[np.int16]
    parent: npt.NDArray[np.int32]
    end: npt.NDArray[np.int32]
    context: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint32]
    retval: npt.NDArray[np.int64] | None = None
    caller: npt.NDArray[np.int32] | None = None
    args: Args | None = field(default=None, repr=False)

    DTYPES: ClassVar[dict[str, Any]] = {
        "func": np.int32,
        "lane": np.int32,
        "cpu": np.int16,
        "exit_cpu": np.int16,
        "start_ns": np.int64,
        "duration_ns": np.int64,
        "self_ns": np.int64,
        "level": np.int16,
        "depth": np.int16,
        "parent": np.int32,
        "end": np.int32,
        "context": np.uint8,
        "flags": np.uint32,
    }

    @classmethod
    def empty(cls) -> CallTable:
        """No calls."""
        columns: dict[str, Any] = {name: np.zeros(0, dtype) for name, dtype in cls.DTYPES.items()}
        return cls(**columns)

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]]) -> CallTable:
        """A table of dictionaries, one per row, for tests and small hand-made traces."""
        columns: dict[str, Any] = {
            name: np.array([row[name] for row in rows], dtype) for name, dtype in cls.DTYPES.items()
        }
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.func)

    def columns(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """(name, array) of every numpy column present."""
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                yield f.name, value

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
        for name, column in self.columns():
            _all(np.array([len(column) == n]), f"column {name} has {len(column)} rows, not {n}")
            _all(np.array([column.dtype == self.DTYPES.get(name, column.dtype)]), f"dtype of {name}")
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
        no_self = self.self_ns < 0
        _all(~no_self | unknown_duration | ((flags & Flag.SELF_UNKNOWN) != 0), "unknown self without its flag")
        _all((self.start_ns >= 0) | ((flags & Flag.START_UNKNOWN) != 0), "unknown start without its flag")

        counted = child[(flags[child] & Flag.IN_TRACER) == 0]
        children_ns = np.zeros(n, np.int64)
        np.add.at(children_ns, self.parent[counted], np.maximum(self.duration_ns[counted], 0))
        open_child = np.zeros(n, np.bool_)
        open_child[self.parent[counted[unknown_duration[counted]]]] = True
        known = ~no_self
        _all(
            self.duration_ns[known] == self.self_ns[known] + children_ns[known],
            "duration is not self + children",
            rows[known],
        )
        _all(~(known & open_child), "self known though a child's duration is not")

        both = child[
            (self.start_ns[child] >= 0)
            & (self.start_ns[parent] >= 0)
            & ((flags[child] & (Flag.IN_TRACER | Flag.NO_ENTRY)) == 0)
            & ((flags[parent] & Flag.NO_ENTRY) == 0)
        ]
        _all(self.start_ns[both] >= self.start_ns[self.parent[both]], "child starts before its parent", both)


def _all(holds: npt.NDArray[np.bool_], rule: str, rows: npt.NDArray[Any] | None = None) -> None:
    if not holds.all():
        first = int(np.flatnonzero(~holds)[0])
        raise AssertionError(f"row {first if rows is None else int(rows[first])}: {rule}")
