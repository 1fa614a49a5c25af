"""BTF, the kernel's compact type information: the prototypes of its functions.

Source: Documentation/bpf/btf.rst of Linux.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD = 1, 2, 3, 4, 5, 6, 7
_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _FUNC, _FUNC_PROTO = 8, 9, 10, 11, 12, 13
_FLOAT, _TYPE_TAG, _ENUM64 = 16, 18, 19
_MODIFIERS = frozenset((_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG))
_KINDS = {
    0: "void", _INT: "int", _PTR: "pointer", _ARRAY: "array", _STRUCT: "struct", _UNION: "union", _ENUM: "enum",
    _FLOAT: "float", _ENUM64: "enum",
}  # fmt: skip
# Bytes behind a type's 12: fixed, and for each of its members.
_TAIL = {
    _INT: (4, 0), _ARRAY: (12, 0), _STRUCT: (0, 12), _UNION: (0, 12), _ENUM: (0, 8), _FUNC_PROTO: (0, 8), 14: (4, 0),
    15: (0, 12), 17: (4, 0), _ENUM64: (0, 12),
}  # fmt: skip
_LAST_KIND = 19
_SIGNED, _BOOL = 1, 4
_INT_SIZE = 4
_MAX_NAME = 1024
_DEEPEST = 32
"""Modifiers of modifiers and pointers to pointers, a few deep; a ring of them is damage."""
_MOST_VALUES = 1024
_FIRST_GFP_BIT = b"___GFP_DMA_BIT"
_UNSIGNED_LONG = ("unsigned long", "long unsigned int")
_MOST_FUNCTIONS = 1 << 18
"""Far more than any kernel has."""


class Type(NamedTuple):
    """A type with its modifiers taken off.

    ``kind`` is void, int, bool, pointer, enum, struct, union, float, array or unknown; ``size`` in bytes
    (0: a pointer's, void's). ``alias`` is the name that a typedef gave it first (``gfp_t``), ``names`` are those of an
    enumeration's values.
    """

    kind: str
    size: int = 0
    signed: bool = False
    alias: str = ""
    names: tuple[tuple[int, str], ...] = ()


class Prototype(NamedTuple):
    """(name, type) of every parameter, and what is returned: its type, and as C has it (``struct page *``)."""

    parameters: tuple[tuple[str, Type], ...]
    returns: Type
    c_type: str

    def can_fail(self, long_size: int) -> bool:
        """Whether the returned value can be a negative error number.

        Nothing, a bool, a structure, what is narrower than an int, and what is unsigned cannot: they leave junk, or
        a number, that looks like one. A plain unsigned long can (mmap: IS_ERR_VALUE), and so can a pointer (IS_ERR)
        and what is not known.
        """
        kind, size = self.returns.kind, self.returns.size
        if kind in ("int", "enum"):
            if self.returns.signed:
                return size >= _INT_SIZE
            return size == long_size and self.c_type in _UNSIGNED_LONG
        return kind in ("pointer", "unknown")


class Btf:
    """The types in ``data`` (little or big endian). Found and read when asked for."""

    def __init__(self, data: bytes) -> None:
        """Raises ValueError: no BTF."""
        if len(data) < 24 or data[:2] not in (b"\x9f\xeb", b"\xeb\x9f"):
            raise ValueError("no BTF: its magic number is missing")
        self._order = "<" if data[:2] == b"\x9f\xeb" else ">"
        _, _, _, header, types, types_size, strings, strings_size = struct.unpack_from(self._order + "HBBIIIII", data)
        if header + types + types_size > len(data) or header + strings + strings_size > len(data):
            raise ValueError("BTF that is longer than its section")
        self._types = data[header + types : header + types + types_size]
        self._function_places = array("I")
        self._strings = data[header + strings : header + strings + strings_size]

    @classmethod
    def split(cls, base: bytes, data: bytes) -> Btf:
        """The types of ``data``, which go on where those of ``base`` end: a module's, on the kernel's or on its own
        excerpt of that (.BTF.base).

        Raises:
            ValueError: one of them is no BTF, or they are of different byte orders.
        """
        return cls.extended(cls(base), data)

    @classmethod
    def extended(cls, first: Btf, data: bytes) -> Btf:
        """The same with a base that was read."""
        more = cls(data)
        if first._order != more._order:
            raise ValueError("BTF of two byte orders")
        more._types = first._types + more._types
        more._strings = first._strings + more._strings
        return more

    def prototype(self, function: str) -> Prototype | None:
        """The prototype of a function; ``f.constprop.0`` and its like have none of their own: None."""
        at = self._functions.get(function.encode())
        if at is None:
            return None
        _, _, proto = self._at(at)
        place = self._place(proto)
        if place is None:
            return None
        _, info, returns = self._at(place)
        if info >> 24 & 0x1F != _FUNC_PROTO:
            return None
        parameters = []
        for i in range(info & 0xFFFF):
            where = place + 12 + 8 * i
            if where + 8 > len(self._types):
                break
            name, kind = struct.unpack_from(self._order + "II", self._types, where)
            if name or kind:
                parameters.append((self._string(name).decode("utf-8", "replace"), self._type(kind)))
        return Prototype(tuple(parameters), self._type(returns), self._text(returns))

    def _text(self, number: int, depth: int = 0) -> str:
        """A type as C has it, without what functions and arrays are of."""
        place = self._place(number)
        if place is None or depth > _DEEPEST:
            return "" if number else "void"
        at, info, below = self._at(place)
        kind, name = info >> 24 & 0x1F, self._string(at).decode("utf-8", "replace")
        if kind == _PTR:
            inner = self._text(below, depth + 1) or "void"
            return inner + ("*" if inner.endswith("*") else " *")
        if kind in (_CONST, _VOLATILE):
            inner, word = self._text(below, depth + 1), "const" if kind == _CONST else "volatile"
            return f"{inner} {word}" if inner.endswith("*") else f"{word} {inner}"
        if kind in (_RESTRICT, _TYPE_TAG):
            return self._text(below, depth + 1)
        if kind == _FUNC_PROTO:
            return "function"
        word = {_STRUCT: "struct", _UNION: "union", _ENUM: "enum", _ENUM64: "enum"}.get(kind, "")
        if kind == _FWD:
            word = "union" if info >> 31 else "struct"
        return f"{word} {name or '{...}'}" if word else {"_Bool": "bool"}.get(name, name)

    def _type(self, number: int) -> Type:
        alias = ""
        for _ in range(_DEEPEST):
            if number == 0:
                return Type("void")
            place = self._place(number)
            if place is None:
                break
            at, info, size = self._at(place)
            kind = info >> 24 & 0x1F
            if kind in _MODIFIERS:
                if kind == _TYPEDEF:
                    alias = alias or self._string(at).decode("utf-8", "replace")
                number = size
                continue
            if kind == _INT and place + 16 <= len(self._types):
                (encoding,) = struct.unpack_from(self._order + "I", self._types, place + 12)
                is_bool = bool(encoding >> 24 & _BOOL)
                return Type("bool" if is_bool else "int", size, bool(encoding >> 24 & _SIGNED), alias)
            if kind in (_ENUM, _ENUM64):
                return Type("enum", size, True, alias, tuple(self._values(place)))
            return Type(_KINDS.get(kind, "unknown"), 0 if kind in (_PTR, _ARRAY) else size, alias=alias)
        return Type("unknown")

    def _values(self, place: int) -> Iterator[tuple[int, str]]:
        """The values of an enumeration, at most as many as a person would look through."""
        _, info, _ = self._at(place)
        wide = info >> 24 & 0x1F == _ENUM64
        layout = self._order + ("Iii" if wide else "Ii")
        step = struct.calcsize(layout)
        for at in range(place + 12, place + 12 + step * min(info & 0xFFFF, _MOST_VALUES), step):
            if at + step > len(self._types):
                return
            name, low, *high = struct.unpack_from(layout, self._types, at)
            value = (low & 0xFFFFFFFF) | high[0] << 32 if wide else low
            yield value, self._string(name).decode("utf-8", "replace")

    @cached_property
    def long_size(self) -> int:
        """Bytes of a long of the kernel; 0 where the types do not tell."""
        for place in self._places:
            at, info, size = self._at(place)
            if info >> 24 & 0x1F == _INT and self._string(at) in (b"long unsigned int", b"unsigned long", b"long int"):
                return size
        return 0

    @property
    def big_endian(self) -> bool:
        """The byte order of the kernel."""
        return self._order == ">"

    @cached_property
    def gfp_bits(self) -> dict[int, str]:
        """The bits of a gfp_t by name (``__GFP_IO``), where the types tell them: since Linux 6.10."""
        for place in self._places:
            _, info, _ = self._at(place)
            if info >> 24 & 0x1F == _ENUM and info & 0xFFFF and self._string(self._at(place + 12)[0]) == _FIRST_GFP_BIT:
                return {
                    1 << bit: name.removeprefix("_").removesuffix("_BIT")
                    for bit, name in self._values(place) if name.endswith("_BIT") and 0 <= bit < 32
                    and not name.endswith("_LAST_BIT")
                }  # fmt: skip
        return {}

    def _at(self, place: int) -> tuple[int, int, int]:
        name, info, size = struct.unpack_from(self._order + "III", self._types, place)
        return name, info, size

    def _place(self, number: int) -> int | None:
        return self._places[number - 1] if 0 < number <= len(self._places) else None

    def _string(self, at: int) -> bytes:
        end = self._strings.find(b"\0", at, at + _MAX_NAME)
        return self._strings[at:end] if end >= 0 else b""

    @cached_property
    def _places(self) -> Sequence[int]:
        """Where type 1, 2, ... begins."""
        places = array("I")
        # In words: every type is of whole ones.
        words = array("I")
        words.frombytes(self._types[: len(self._types) & ~3])
        if (sys.byteorder == "little") != (self._order == "<"):
            words.byteswap()
        tail = [(fixed // 4 + 3, each // 4) for fixed, each in (_TAIL.get(kind, (0, 0)) for kind in range(32))]
        at, end = 0, len(words) - 3
        while at <= end:
            word = words[at + 1]
            kind = word >> 24 & 0x1F
            if kind > _LAST_KIND:
                break
            places.append(4 * at)
            if kind == _FUNC:
                self._function_places.append(4 * at)
            fixed, each = tail[kind]
            at += fixed + each * (word & 0xFFFF)
        return places

    @cached_property
    def _functions(self) -> dict[bytes, int]:
        """Name -> where the function's type is; a name that two prototypes share is left out."""
        found: dict[bytes, int] = {}
        twice: set[bytes] = set()
        _ = self._places
        for place in self._function_places[:_MOST_FUNCTIONS]:
            name, _, proto = self._at(place)
            text = self._string(name)
            if text in found and self._at(found[text])[2] != proto:
                twice.add(text)
            found[text] = place
        for text in twice:
            del found[text]
        return found
