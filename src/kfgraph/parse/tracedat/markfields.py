"""Fields of a trace.dat's other events as columns, decoded by the events' format blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.model.fields import Arrays, Column, Strings
from kfgraph.parse.tracedat.formats import EventFormat, Field, element_size, signed_width
from kfgraph.parse.tracedat.markrecords import Block, Int64, Records, cut_out, in_order

_DENSE_BYTES = 64 << 20
"""An array of k numbers a row takes no more than this, unless every record holds its k numbers."""


class MarkFields:
    """What makes columns of the marks of one buffer: see :class:`kfgraph.model.fields.FieldSource`."""

    def __init__(
        self, records: Records, events: Sequence[EventFormat | None], *, big_endian: bool, long_size: int
    ) -> None:
        """``events[code]`` is the format of the marks of that code, None where the file has none."""
        self._records = records
        self._events = events
        self._order = ">" if big_endian else "<"
        self._long = long_size

    def names(self, code: int) -> tuple[str, ...]:
        """The event's own fields, in the order of its format."""
        event = self._events[code]
        return () if event is None else tuple(event.fields)

    def columns(self, code: int, rows: npt.NDArray[np.int32], names: Sequence[str]) -> list[Column | None]:
        """The columns of these fields, the common ones too, in one pass over the records."""
        event = self._events[code]
        if event is None:
            return [None] * len(names)
        fields = [event.fields.get(name) or event.common.get(name) for name in names]
        makers = [None if field is None else self._maker(field, len(rows)) for field in fields]
        if any(makers):
            for block in self._records.blocks(rows):
                for maker in makers:
                    if maker is not None:
                        maker.take(block)
        return [None if maker is None else maker.column() for maker in makers]

    def _maker(self, field: Field, n: int) -> _Numbers | _Pieces:
        if field.size in (1, 2, 4, 8) and not field.is_array and not field.is_dynamic:
            return _Numbers(field, n, self._order)
        return _Pieces(field, n, self._order, self._long)


class _Numbers:
    """A field that is one number."""

    def __init__(self, field: Field, n: int, order: str) -> None:
        self._field = field
        is_signed = field.signed and "*" not in field.type
        self._stored = np.dtype(f"{order}{'i' if is_signed else 'u'}{field.size}")
        width = signed_width(field)
        self._values = np.zeros(n, f"i{width}" if width else self._stored.newbyteorder("="))
        self._known = np.zeros(n, np.bool_)

    def take(self, block: Block) -> None:
        """The values of some rows."""
        known = block.sizes >= self._field.offset + self._field.size
        starts = block.starts + self._field.offset
        at = block.at
        if not known.all():
            at, starts = at[known], starts[known]
        every = np.ndarray((len(block.data) - self._field.size + 1,), self._stored, block.data, strides=(1,))
        self._values[at] = every[starts].astype(self._values.dtype)
        self._known[at] = True

    def column(self) -> Column:
        """All of them."""
        return self._values, self._known


class _Pieces:
    """A field that is several bytes of each record: characters, an array, a structure."""

    def __init__(self, field: Field, n: int, order: str, long_size: int) -> None:
        self._field = field
        self._order = order
        self._size = element_size(field, long_size) if field.is_array or field.is_dynamic else 1
        self._parts: list[tuple[npt.NDArray[Any], npt.NDArray[np.uint8], Int64]] = []
        self._known = np.zeros(n, np.bool_)

    def take(self, block: Block) -> None:
        """The bytes of some rows."""
        starts, sizes, known = self._places(block)
        sizes[~known] = 0
        self._known[block.at] = known
        self._parts.append((block.at, cut_out(block.data, starts, sizes), sizes))

    def _places(self, block: Block) -> tuple[Int64, Int64, npt.NDArray[np.bool_]]:
        """(where it begins in the block's data, its bytes, whether the record holds it) of each row."""
        field = self._field
        n = len(block.at)
        if field.is_dynamic:
            has_place = block.sizes >= field.offset + 4
            every = np.ndarray((len(block.data) - 3,), f"{self._order}u4", block.data, strides=(1,))
            place = every[np.where(has_place, block.starts + field.offset, 0)].astype(np.int64)
            begin, size = place & 0xFFFF, place >> 16
            if field.type.startswith("__rel_loc"):
                begin += field.offset + 4
            known = has_place & (begin + size <= block.sizes)
        elif field.size:
            begin, size = np.full(n, field.offset, np.int64), np.full(n, field.size, np.int64)
            known = block.sizes >= field.offset + field.size
        else:
            # An array without a size goes on to the end of the record.
            begin = np.full(n, field.offset, np.int64)
            size = np.maximum(block.sizes - field.offset, 0)
            known = block.sizes >= field.offset
        return block.starts + begin, size, known

    def column(self) -> Column:
        """All of them: strings, rows of an array, or arrays."""
        n = len(self._known)
        data, ends = in_order(self._parts, n)
        if self._field.is_string:
            return Strings(data, ends), self._known
        number = np.dtype(f"{self._order}{'i' if self._field.signed and self._is_array else 'u'}{self._width}")
        size = self._field.size
        if self._field.is_dynamic or not size or size % self._width:
            return Arrays(data, ends, number), self._known
        if self._known.all():
            rows = data.reshape(n, size)
        elif n * size <= _DENSE_BYTES:
            rows = np.zeros((n, size), np.uint8)
            rows[self._known] = data.reshape(-1, size)
        else:
            return Arrays(data, ends, number), self._known
        return rows.view(number).astype(number.newbyteorder("=")), self._known

    @property
    def _is_array(self) -> bool:
        return self._field.is_array or self._field.is_dynamic

    @property
    def _width(self) -> int:
        """Bytes of one number."""
        return self._size if self._size in (1, 2, 4, 8) else 1
