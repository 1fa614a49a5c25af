"""Small BTF sections, type by type. Source: Documentation/bpf/btf.rst of Linux."""

from __future__ import annotations

import struct
from collections.abc import Sequence

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO = range(1, 14)
SIGNED, BOOL = 1, 4


class BtfWriter:
    """Types are numbered from 1 in the order in which they are added; 0 is void."""

    def __init__(self, *, big_endian: bool = False) -> None:
        self._order = ">" if big_endian else "<"
        self._types = bytearray()
        self._strings = bytearray(b"\0")
        self._n = 0

    def name(self, text: str) -> int:
        if not text:
            return 0
        self._strings += text.encode() + b"\0"
        return len(self._strings) - len(text) - 1

    def add(self, kind: int, name: str = "", size: int = 0, tail: Sequence[int] = (), *, n: int = 0) -> int:
        """A type: ``size`` or the type that it is of, ``n`` members, words behind it."""
        self._types += struct.pack(self._order + "III", self.name(name), kind << 24 | n, size)
        self._types += struct.pack(f"{self._order}{len(tail)}I", *tail)
        self._n += 1
        return self._n

    def int(self, name: str, size: int, encoding: int = 0) -> int:
        return self.add(INT, name, size, [encoding << 24 | 8 * size])

    def function(self, name: str, returns: int, *parameters: tuple[str, int]) -> int:
        words = [word for text, number in parameters for word in (self.name(text), number)]
        return self.add(FUNC, name, self.add(FUNC_PROTO, "", returns, words, n=len(parameters)))

    def section(self) -> bytes:
        head = struct.pack(
            self._order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self._types), len(self._types), len(self._strings)
        )
        return head + bytes(self._types) + bytes(self._strings)
