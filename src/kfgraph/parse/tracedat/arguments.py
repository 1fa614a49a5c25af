"""Prototypes of the kernel's functions, by the BTF that trace-cmd 3.4 puts in the file."""

from __future__ import annotations

from typing import Any

from kfgraph.kernel.btf import Btf, Prototype
from kfgraph.kernel.types import returned_of
from kfgraph.model.symbols import Returned, SymbolTable
from kfgraph.tracefile.contents import Contents
from kfgraph.tracefile.layout import Option
from kfgraph.tracefile.source import Damage


class Prototypes:
    """Function code -> prototype, of the core kernel's functions that BTF tells for sure.

    The BTF is read from the file when it is first asked for, unless it is given as ``data``; what cannot
    be read then is not known.
    """

    def __init__(
        self, contents: Contents, symbols: SymbolTable, *, long_size: int, data: bytes | None = None
    ) -> None:
        self._file = contents.sections_alone()
        self._symbols = symbols
        self.long_size = long_size
        self._data = data
        self._btf: Btf | None = None
        self._known: dict[int, Prototype | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        if not self._file.source.has_name:
            # The copy will not find the file.
            self._read()
        return {**self.__dict__, "_btf": None}

    def prototype(self, func: int) -> Prototype | None:
        """The prototype of a function code, None where BTF does not tell it for sure."""
        if func not in self._known:
            self._known[func] = self._look_up(func)
        return self._known[func]

    def returned(self, code: int) -> Returned | None:
        """What a function returns, by its code; None where that is not known."""
        prototype = self.prototype(code)
        return None if prototype is None else returned_of(prototype, long_size=self.long_size)

    def gfp_bits(self) -> dict[int, str]:
        """The bits of a gfp_t by name, as far as the types tell."""
        return self._btf.gfp_bits if self._btf is not None else {}

    def _look_up(self, func: int) -> Prototype | None:
        if not self._symbols.resolved[func] or self._symbols.modules[func]:
            # The BTF is the kernel image's; modules have their own, which is not in the file.
            return None
        if self._btf is None:
            data = self._read()
            try:
                self._btf = Btf(data) if data else None
            except ValueError:
                self._data = b""
        return None if self._btf is None else self._btf.prototype(self._symbols.names[func])

    def _read(self) -> bytes:
        if self._data is None:
            self._data = b""
            try:
                section = self._file.section(Option.BTF) if self._file.source.still() else None
            except Damage:
                section = None
            if section is not None:
                self._data = section.data
        return self._data
