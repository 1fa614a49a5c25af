"""Function and caller codes -> SymbolTable, from kallsyms and the list of loaded modules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kfgraph.errors import notice
from kfgraph.model.background import beside
from kfgraph.model.symbols import SymbolTable
from kfgraph.parse.tracedat.kallsyms import MOST_LINES, Kallsyms, Symbol, loaded_modules, module_at
from kfgraph.tracefile.contents import Contents
from kfgraph.tracefile.damage import Notes
from kfgraph.tracefile.layout import Option
from kfgraph.tracefile.source import Damage, Fields

_LARGEST = 1 << 24
"""No function has so many bytes: what lies so far behind a symbol is in none."""


class Names:
    """The names of one buffer's addresses. kallsyms is read in a thread, while its ``n_bytes`` are made calls."""

    def __init__(self, contents: Contents, buffer: str = "", *, n_bytes: int = 0) -> None:
        self._contents = contents
        self._buffer = buffer
        self.notes = Notes()
        self._worker = beside(self._read, n_bytes=n_bytes)

    def _read(self) -> Kallsyms:
        if self._of_an_earlier_boot():
            self.notes.say(notice("earlier-boot"))
            return Kallsyms(b"")
        try:
            section = self._contents.section(Option.KALLSYMS)
            text = _sized(section, 4)
            if section is not None and np.count_nonzero(np.frombuffer(text, np.uint8) == ord("\n")) > MOST_LINES:
                raise Damage(section.offset, f"more than {MOST_LINES} lines")
            return Kallsyms(text)
        except Damage as damage:
            self.notes.damage("damaged-section", damage, part="kallsyms")
            return Kallsyms(b"")

    def _of_an_earlier_boot(self) -> bool:
        """Whether the buffer outlived a reboot: its last_boot_info tells where the kernel was then."""
        infos = (fields.data.partition(b":") for fields in self._contents.options.all(Option.LAST_BOOT))
        return any(name == self._buffer.encode() and b"[kernel]" in text for name, _, text in infos)

    def table(
        self, functions: npt.NDArray[np.uint64], callers: npt.NDArray[np.uint64]
    ) -> tuple[SymbolTable, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """(symbols, code of each caller number, offset of each): code i + 1 is the function at ``functions[i]``.

        A caller is the function that its return address lies in: the code of that function if it is
        one that was called, else one of its own. The offset is how far behind its beginning; -1: that is not known.
        """
        kallsyms: Kallsyms = self._read() if self._worker is None else self._worker.result()
        self._say(kallsyms, len(functions))
        modules = self._modules()
        names, owners, resolved, starts = [""], [""], [False], [0]
        by_symbol: dict[int, int] = {}

        def enter(address: int, symbol: object) -> int:
            if symbol is None:
                names.append(f"0x{address:x}")
                owners.append(module_at(modules, address)[2])
            else:
                names.append(symbol.name)  # type: ignore[attr-defined]
                owners.append(symbol.module)  # type: ignore[attr-defined]
            resolved.append(symbol is not None)
            starts.append(address)
            return len(names) - 1

        for address, symbol in _bounded(functions, kallsyms, modules):
            code = enter(address, symbol)
            by_symbol.setdefault(address if symbol is None else symbol.start, code)
        codes, offsets = np.zeros(len(callers) + 1, np.int32), np.full(len(callers) + 1, -1, np.int32)
        for i, (address, symbol) in enumerate(_bounded(callers, kallsyms, modules)):
            start = address if symbol is None else symbol.start
            if address and start not in by_symbol:
                by_symbol[start] = enter(start, symbol)
            codes[i + 1] = by_symbol.get(start, 0)
            if symbol is not None and codes[i + 1] and address - start < _LARGEST:
                offsets[i + 1] = address - start
        table = SymbolTable.build(
            names, modules=owners, resolved=resolved, addresses=np.array(starts, np.uint64)
        )
        return table, codes, offsets

    def _say(self, kallsyms: Kallsyms, n_functions: int) -> None:
        if kallsyms.n_damaged:
            self.notes.say(notice("damaged-kallsyms", kallsyms.n_damaged))
        said = any(one.code == "earlier-boot" for one in self.notes.all())
        if n_functions and not said and (kallsyms.hidden or not len(kallsyms)):
            self.notes.say(notice("no-kallsyms"))

    def _modules(self) -> list[tuple[int, int, str]]:
        try:
            section = self._contents.section(Option.MODULES)
        except Damage as damage:
            self.notes.damage("damaged-section", damage, part="modules")
            return []
        return [] if section is None else loaded_modules(section.data.decode("utf-8", "replace"))


def _bounded(
    addresses: npt.NDArray[np.uint64], kallsyms: Kallsyms, modules: list[tuple[int, int, str]]
) -> Iterator[tuple[int, Symbol | None]]:
    """Each address with its symbol; none of a module's reaches past the end of the module."""
    for address, symbol in zip(addresses.tolist(), kallsyms.resolve(addresses), strict=True):
        if symbol is not None and symbol.module:
            _, end, name = module_at(modules, symbol.start)
            if name == symbol.module and address >= end:
                symbol = None
        yield address, symbol


def _sized(section: Fields | None, width: int) -> bytes:
    """A text with its size in front; what there is of it where it breaks off."""
    if section is None:
        return b""
    size = section.number(width, "kallsyms")
    return section.take(min(size, section.left()), "kallsyms")
