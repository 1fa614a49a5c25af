"""Recorded argument registers -> ``name=value``, by the BTF that trace-cmd 3.4 puts in the file."""

from __future__ import annotations

from collections.abc import Sequence

from kfgraph.kernel.btf import Btf, Prototype, Type
from kfgraph.model.symbols import SymbolTable


class Describer:
    """(function code, register values) -> text. ``data`` is BTF, or b"": then values have no names.

    Values print as the kernel prints them: pointers and unsigned numbers in hex, signed ones and
    enumerations in decimal, cut to the width of their type (the rest of a register is junk).
    """

    def __init__(self, data: bytes, symbols: SymbolTable, *, long_size: int) -> None:
        self._data = data
        self._symbols = symbols
        self._long = long_size
        self._btf: Btf | None = None
        self._known: dict[int, Prototype | None] = {}

    def __call__(self, func: int, values: Sequence[int]) -> str:
        """``name=value, ...``."""
        prototype = self.prototype(func)
        if prototype is None:
            return ", ".join(f"0x{value:x}" for value in values)
        left = list(values)
        parts = []
        for name, ctype in prototype.parameters:
            if not left:
                parts.append("...")
                break
            parts.append(f"{name or '?'}={self._value(ctype, left)}")
        return ", ".join(parts)

    def prototype(self, func: int) -> Prototype | None:
        """The prototype of a function code, None where BTF does not tell it for sure."""
        if func not in self._known:
            self._known[func] = self._look_up(func)
        return self._known[func]

    def _look_up(self, func: int) -> Prototype | None:
        if not self._data or not self._symbols.resolved[func] or self._symbols.modules[func]:
            # The BTF is the kernel image's; modules have their own, which is not in the file.
            return None
        if self._btf is None:
            try:
                self._btf = Btf(self._data)
            except ValueError:
                self._data = b""
                return None
        return self._btf.prototype(self._symbols.names[func])

    def _value(self, ctype: Type, left: list[int]) -> str:
        value = left.pop(0)
        if ctype.kind in ("struct", "union", "array", "unknown"):
            words = [value]
            while len(words) * self._long < ctype.size and left:
                words.append(left.pop(0))
            short = ":..." if len(words) * self._long < ctype.size else ""
            return "{" + ":".join(f"0x{word:x}" for word in words) + short + "}"
        bits = 8 * ctype.size if 0 < ctype.size < self._long else 8 * self._long
        value &= (1 << bits) - 1
        if ctype.signed:
            return str(value - (value >> bits - 1 << bits))
        return f"0x{value:x}"
