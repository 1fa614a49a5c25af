"""A column that few rows of a table have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Sparse:
    """``values[k]`` is the value of row ``rows[k]`` (ascending, int32); every other row has ``blank``."""

    rows: npt.NDArray[np.int32]
    values: Array
    blank: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, rows: Array) -> Array:
        """The values of these rows, in any order."""
        out = np.full(len(rows), self.blank, self.values.dtype)
        here, place = self._found(rows)
        out[here] = self.values[place]
        return out

    def take(self, rows: Array) -> Sparse:
        """The column of a table that has these rows, in this order."""
        here, place = self._found(rows)
        return Sparse(here.astype(np.int32), self.values[place], self.blank)

    def select(self, mask: npt.NDArray[np.bool_]) -> Sparse:
        """The column of a table that has the rows of the mask."""
        kept = mask[self.rows]
        rows = np.cumsum(mask, dtype=np.int32)[self.rows[kept]] - np.int32(1)
        return Sparse(rows, self.values[kept], self.blank)

    def where(self, mask: npt.NDArray[np.bool_]) -> Sparse:
        """The column of the same table, blank outside the mask."""
        kept = mask[self.rows]
        return Sparse(self.rows[kept], self.values[kept], self.blank)

    def dense(self, n: int) -> Array:
        """The values of all ``n`` rows."""
        out = np.full(n, self.blank, self.values.dtype)
        out[self.rows] = self.values
        return out

    @classmethod
    def concat(cls, parts: Sequence[tuple[int, Sparse]]) -> Sparse:
        """The column of tables one after another; each part is (number of rows, column), of one type and blank."""
        first = np.cumsum([0, *(n for n, _ in parts)])
        columns = [column for _, column in parts]
        rows = [(column.rows + start).astype(np.int32) for start, column in zip(first.tolist(), columns, strict=False)]
        return cls(np.concatenate(rows), np.concatenate([column.values for column in columns]), columns[0].blank)

    @classmethod
    def sums(cls, rows: Array, values: Array) -> Sparse:
        """The column that has in each of these rows, given in any order, the sum of its values."""
        distinct, which = np.unique(rows, return_inverse=True)
        sums = np.zeros(len(distinct), np.int64)
        np.add.at(sums, which, values)
        kept = sums != 0
        return cls(distinct[kept].astype(np.int32), sums[kept])

    def check(self, n: int) -> None:
        """Assert that this is a column of ``n`` rows.

        Raises:
            AssertionError: naming the rule that is broken.
        """
        assert self.rows.dtype == np.int32, "rows are not int32"
        assert len(self.rows) == len(self.values), "not one value a row"
        assert (np.diff(self.rows) > 0).all(), "rows do not ascend"
        assert not len(self) or (self.rows[0] >= 0 and self.rows[-1] < n), "row outside the table"

    def _found(self, rows: Array) -> tuple[Array, Array]:
        """(which of ``rows`` have a value here, the place of each)."""
        place = np.searchsorted(self.rows, rows)
        inside = np.flatnonzero(place < len(self))
        here = inside[self.rows[place[inside]] == rows[inside]]
        return here, place[here]
