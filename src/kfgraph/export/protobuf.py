"""The wire format of protocol buffers: as much as is written here."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

VARINT, BYTES = 0, 2


def varint(value: int) -> bytes:
    """A number of 64 bits; a negative one is its two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A field that is a number."""
    return varint(field << 3 | VARINT) + varint(value)


def message(field: int, data: bytes) -> bytes:
    """A field that is a message, or bytes."""
    return varint(field << 3 | BYTES) + varint(len(data)) + data


def text(field: int, value: str) -> bytes:
    """A field that is a string."""
    return message(field, value.encode("utf-8", "backslashreplace"))


def packed(field: int, values: Iterable[int]) -> bytes:
    """A repeated field of numbers."""
    return message(field, b"".join(map(varint, values)))


def padded(values: npt.NDArray[np.int64], n_bytes: int) -> npt.NDArray[np.uint8]:
    """Varints of ``n_bytes`` each, one a row: their leading zeros are written, which every reader accepts."""
    shifts = np.arange(n_bytes, dtype=np.int64) * 7
    out = ((values[:, None] >> shifts) & 0x7F).astype(np.uint8)
    out[:, :-1] |= 0x80
    return out
