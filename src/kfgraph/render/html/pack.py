"""Columns of numbers as bytes that compress well and that a browser can read: byte planes and gzip.

A plane holds one byte of each value, the lowest first: the high bytes of most columns are nearly constant then. A
column has as many planes as its largest value needs. ``app/decode.mjs`` reads them.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

LEVEL = 6
"""Of gzip: 9 takes three times as long for a hundredth of the size."""


def zigzag(values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """0, -1, 1, -2, 2 as 0, 1, 2, 3, 4: small numbers of both signs have small codes."""
    return ((values << 1) ^ (values >> 63)).astype(np.uint64)


def planes_of(values: npt.NDArray[Any]) -> list[bytes]:
    """The byte planes of values that are not negative, the lowest first; none where all are 0."""
    whole = np.ascontiguousarray(values.astype("<u8", copy=False))
    n_planes = (int(whole.max(initial=0)).bit_length() + 7) // 8
    each = whole.view(np.uint8).reshape(-1, 8)
    return [np.ascontiguousarray(each[:, k]).tobytes() for k in range(n_planes)]


@dataclass
class Pack:
    """Columns on their way into a page, and ``head``, whatever else the page needs to know, as JSON has it.

    A column is (name, number of values, number of planes, whether its values are zigzag codes) in the head.
    """

    head: dict[str, Any]
    _columns: list[list[Any]] = field(default_factory=list)
    _planes: list[bytes] = field(default_factory=list)

    def column(self, name: str, values: npt.NDArray[Any], *, signed: bool = False) -> None:
        """A column; ``signed`` if values may be negative."""
        planes = planes_of(zigzag(values.astype(np.int64, copy=False)) if signed else values)
        self._columns.append([name, len(values), len(planes), int(signed)])
        self._planes += planes

    def sparse(self, name: str, at: npt.NDArray[Any], values: npt.NDArray[Any], *, signed: bool = False) -> None:
        """A column that few nodes have: where (ascending), as steps, and what."""
        self.column(f"{name}.at", np.diff(at, prepend=0))
        self.column(name, values, signed=signed)

    def compressed(self) -> bytes:
        """One gzip member: the length of the head, the head, the planes."""
        head = json.dumps({**self.head, "columns": self._columns}, separators=(",", ":")).encode()
        return gzip.compress(b"".join([struct.pack("<I", len(head)), head, *self._planes]), LEVEL, mtime=0)

    def base64(self) -> str:
        """The same in letters that can stand in a page."""
        return base64.b64encode(self.compressed()).decode("ascii")
