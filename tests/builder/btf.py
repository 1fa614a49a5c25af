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

    def add_word(self, *, name: str, info: int, size: int, tail: Sequence[int]) -> int:
        """The same with the word that tells kind and number of members."""
        return self.add(info >> 24, name, size, tail, n=info & 0xFFFFFF)

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


_TAILS = {INT: (1, 0), ARRAY: (3, 0), STRUCT: (0, 3), UNION: (0, 3), ENUM: (0, 2), FUNC_PROTO: (0, 2), 14: (1, 0),
          15: (0, 3), 17: (1, 0), 19: (0, 3)}  # fmt: skip
"""Words behind a type's three: fixed, and for each of its members."""
_REFERS = (PTR, TYPEDEF, VOLATILE, CONST, RESTRICT, 18)


def excerpt(data: bytes, functions: set[str]) -> bytes:
    """The prototypes of ``functions`` out of a little-endian BTF section, with what they need; structures have no
    members."""
    _, _, _, head, types, types_size, strings, strings_size = struct.unpack_from("<HBBIIIII", data)
    words = struct.unpack_from(f"<{types_size // 4}I", data, head + types)
    names = data[head + strings : head + strings + strings_size]
    places, at = [0], 0
    while at < len(words):
        places.append(at)
        kind, n = words[at + 1] >> 24 & 31, words[at + 1] & 0xFFFF
        fixed, each = _TAILS.get(kind, (0, 0))
        at += 3 + fixed + each * n

    def text(offset: int) -> str:
        return names[offset : names.index(b"\0", offset)].decode()

    writer, known = BtfWriter(), {0: 0}

    def take(number: int, depth: int = 0) -> int:
        if number in known:
            return known[number]
        at = places[number]
        name, info, size = words[at : at + 3]
        kind, n = info >> 24 & 31, info & 0xFFFF
        tail: list[int] = []
        if kind in _REFERS:
            size = take(size, depth + 1) if depth < 16 else 0
        elif kind == FUNC_PROTO:
            # What a pointer points to is no function of the trace.
            size, n = (take(size, depth + 1), n) if depth < 2 else (0, 0)
            for i in range(n):
                parameter, of = words[at + 3 + 2 * i : at + 5 + 2 * i]
                tail += [writer.name(text(parameter)), take(of, depth + 1)]
        elif kind in (INT, 17):
            tail = [words[at + 3]]
        elif kind == ARRAY:
            tail = [take(words[at + 3], depth + 1), take(words[at + 4], depth + 1), words[at + 5]]
        else:
            n = 0
        known[number] = writer.add_word(name=text(name), info=info & ~0xFFFF | n, size=size, tail=tail)
        return known[number]

    for number in range(1, len(places)):
        at = places[number]
        if words[at + 1] >> 24 & 31 == FUNC and text(words[at]) in functions:
            writer.add_word(name=text(words[at]), info=words[at + 1], size=take(words[at + 2], 1), tail=[])
    return writer.section()
