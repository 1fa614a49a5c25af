"""The text of other events, decoded when asked for: ``field=value``, field by field.

Only where each record stands is kept; its chunk is read (and decompressed) again. So the file must be
there as it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from kfgraph.errors import InputError
from kfgraph.parse.tracedat.container import Container
from kfgraph.parse.tracedat.formats import EventFormat, Field
from kfgraph.parse.tracedat.layout import Buffer
from kfgraph.parse.tracedat.source import Damage

_KEPT_CHUNKS = 8
_PLACE_BITS = 48
_MAX_TEXT = 1 << 16
_ADDRESS = 1 << 40
"""Unsigned longs from here on are shown in hex: they are addresses or bit masks."""


class MarkTexts(Sequence[str]):
    """``texts[i]``: the fields of mark i. Holds the file open; one that was pickled finds it by its path, or
    holds the texts where the file has no name (it was unpacked into a temporary one).

    Raises:
        InputError: where a text is asked for and the file was written to since, or is gone.
    """

    def __init__(
        self,
        container: Container,
        buffer: Buffer,
        places: npt.NDArray[np.int64],
        formats: dict[int, EventFormat],
        *,
        long_size: int,
    ) -> None:
        self._name = container.name
        self._codec = container.codec
        self._cpus = buffer.cpus
        self._begins = [
            [0, *accumulate(chunk.size for chunk in data.chunks)] for data in buffer.cpus
        ]
        self._places = places
        self._formats = formats
        self._long = long_size
        self._order: Any = "big" if container.big_endian else "little"
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        if all(data.source.has_name for data in self._cpus):
            return object.__new__, (MarkTexts,), {**self.__dict__, "_kept": OrderedDict()}
        return tuple, (list(self),)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = int(self._places[index])
        record = self._record(place >> _PLACE_BITS, place & (1 << _PLACE_BITS) - 1)
        event = self._formats.get(self._number(record, 0, 2))
        if event is None:
            return f"type={self._number(record, 0, 2)}"
        text = ""
        for field in event.fields.values():
            text += f"{' ' if text else ''}{field.name}={self._value(record, field)}"
            if len(text) > _MAX_TEXT:
                return text[:_MAX_TEXT] + "..."
        return text

    def _record(self, stream: int, at: int) -> bytes:
        """The data of the record whose header is at byte ``at`` of a CPU's data."""
        begins = self._begins[stream]
        which = bisect_right(begins, at) - 1
        chunk = self._chunk(stream, which)
        at -= begins[which]
        head = self._number(chunk, at, 4)
        words = head >> 27 if self._order == "big" else head & 31
        if words:
            return chunk[at + 4 : at + 4 + 4 * words]
        return chunk[at + 8 : at + 4 + self._number(chunk, at + 4, 4)]

    def _chunk(self, stream: int, which: int) -> bytes:
        key = (stream, which)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        data = self._cpus[stream]
        try:
            if not data.source.still():
                raise Damage(data.chunks[which].offset, "the file is not what it was when it was loaded")
            content = self._codec.chunk(data.source, data.chunks[which])
        except Damage as damage:
            raise InputError(
                f"{self._name}: the text of an event cannot be read: {damage.what} (at byte {damage.offset})",
                "load the trace again",
            ) from None
        self._kept[key] = content
        if len(self._kept) > _KEPT_CHUNKS:
            self._kept.popitem(last=False)
        return content

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
        if field.type in ("int", "pid_t", "long") and not field.signed:
            # Arguments of system calls: the format block calls every register unsigned.
            width = 4 if field.type != "long" else field.size
            value &= (1 << 8 * width) - 1
            value -= (value >> 8 * width - 1) << 8 * width
        return f"0x{value:x}" if value >= _ADDRESS else str(value)

    def _longs(self, data: bytes, field: Field) -> str:
        size = _element_size(field.type, self._long)
        return "{" + ",".join(
            f"0x{self._number(data, at, size):x}" for at in range(0, len(data) - size + 1, size)
        ) + "}"


def _byte_array(field: Field) -> bool:
    return any(word in field.type.split() for word in ("u8", "__u8", "uint8_t", "s8"))


def _element_size(ctype: str, long_size: int) -> int:
    words = ctype.replace("[]", "").split()
    if "long" in words or "*" in ctype:
        return 8 if words.count("long") == 2 else long_size
    for size, names in ((8, ("u64", "__u64", "s64")), (2, ("short", "u16", "__u16", "s16"))):
        if any(name in words for name in names):
            return size
    return 4
