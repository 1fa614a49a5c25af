"""The text of other events, decoded when asked for: ``field=value``, field by field."""

from __future__ import annotations

from typing import Any

from kfgraph.model.lazily import MadeWhenAsked
from kfgraph.parse.tracedat.formats import EventFormat, Field, element_size, signed_width
from kfgraph.parse.tracedat.markrecords import Records

_MAX_TEXT = 1 << 16
_ADDRESS = 1 << 40
"""Unsigned longs from here on are shown in hex: they are addresses or bit masks."""


class MarkTexts(MadeWhenAsked[str]):
    """``texts[i]``: the fields of mark i.

    Raises:
        InputError: where a text is asked for and its record cannot be read.
    """

    def __init__(
        self, records: Records, formats: dict[int, EventFormat], *, big_endian: bool, long_size: int
    ) -> None:
        self._records = records
        self._formats = formats
        self._long = long_size
        self._order: Any = "big" if big_endian else "little"

    def __len__(self) -> int:
        return len(self._records)

    def _made(self, at: int) -> str:
        record = self._records.one(at)
        event = self._formats.get(self._number(record, 0, 2))
        if event is None:
            return f"type={self._number(record, 0, 2)}"
        text = ""
        for field in event.fields.values():
            text += f"{' ' if text else ''}{field.name}={self._value(record, field)}"
            if len(text) > _MAX_TEXT:
                return text[:_MAX_TEXT] + "..."
        return text

    def _number(self, data: bytes, at: int, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(data[at : at + size], self._order, signed=signed)

    def _value(self, record: bytes, field: Field) -> str:
        if field.is_dynamic:
            place = self._number(record, field.offset, 4)
            start, size = place & 0xFFFF, place >> 16
            if field.type.startswith("__rel_loc"):
                start += field.offset + 4
            data = record[start : start + size]
        elif field.is_array:
            # An array without a size goes on to the end of the record.
            data = record[field.offset : field.offset + field.size if field.size else None]
        else:
            return self._scalar(record, field)
        if field.is_string:
            return data.split(b"\0")[0].decode("utf-8", "replace")
        return "".join(f"{byte:02x}" for byte in data) if _byte_array(field) else self._longs(data, field)

    def _scalar(self, record: bytes, field: Field) -> str:
        if field.offset + field.size > len(record):
            return "?"
        if field.size not in (1, 2, 4, 8):
            return record[field.offset : field.offset + field.size].hex()
        value = self._number(record, field.offset, field.size, signed=field.signed)
        if "*" in field.type or field.name in ("ip", "parent_ip", "__probe_ip", "__probe_func", "__probe_ret_ip"):
            return f"0x{value & (1 << 8 * field.size) - 1:x}"
        if width := signed_width(field):
            value &= (1 << 8 * width) - 1
            value -= (value >> 8 * width - 1) << 8 * width
        return f"0x{value:x}" if value >= _ADDRESS else str(value)

    def _longs(self, data: bytes, field: Field) -> str:
        size = element_size(field, self._long)
        return "{" + ",".join(
            f"0x{self._number(data, at, size):x}" for at in range(0, len(data) - size + 1, size)
        ) + "}"


def _byte_array(field: Field) -> bool:
    return any(word in field.type.split() for word in ("u8", "__u8", "uint8_t", "s8"))

