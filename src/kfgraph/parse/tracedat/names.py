"""Function and caller codes -> SymbolTable, from kallsyms and the list of loaded modules."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kfgraph.errors import Notice
from kfgraph.model.symbols import SymbolTable
from kfgraph.parse.tracedat.container import Container
from kfgraph.parse.tracedat.feed import Later
from kfgraph.parse.tracedat.kallsyms import Kallsyms, loaded_modules, module_at
from kfgraph.parse.tracedat.layout import Option
from kfgraph.parse.tracedat.source import Damage, Fields


class Names:
    """The names of one buffer's addresses. kallsyms is read in a thread, while the pages are decoded."""

    def __init__(self, container: Container, buffer: str = "") -> None:
        self._container = container
        self._buffer = buffer
        self.notices: list[Notice] = []
        self._later = Later(self._read)

    def _read(self) -> Kallsyms:
        if self._of_an_earlier_boot():
            self.notices.append(
                Notice(
                    "earlier-boot",
                    "the records are from before a reboot and the symbols from after it: functions are addresses",
                )
            )
            return Kallsyms(b"")
        try:
            return Kallsyms(_sized(self._container.section(Option.KALLSYMS), 4))
        except Damage as damage:
            self.notices.append(Notice("damaged-section", f"kallsyms: {damage.what} (at byte {damage.offset})"))
            return Kallsyms(b"")

    def _of_an_earlier_boot(self) -> bool:
        """Whether the buffer outlived a reboot: its last_boot_info tells where the kernel was then."""
        infos = (fields.data.partition(b":") for fields in self._container.all_options(Option.LAST_BOOT))
        return any(name == self._buffer.encode() and b"[kernel]" in text for name, _, text in infos)

    def table(
        self, functions: npt.NDArray[np.uint64], callers: npt.NDArray[np.uint64]
    ) -> tuple[SymbolTable, npt.NDArray[np.int32]]:
        """(symbols, code of each caller number): code i + 1 is the function at ``functions[i]``.

        A caller is the function that its return address lies in: the code of that function if it is
        one that was called, else one of its own.
        """
        kallsyms: Kallsyms = self._later.result()
        self._say(kallsyms, len(functions))
        modules = self._modules()
        names, owners, resolved, starts = [""], [""], [False], [0]
        by_symbol: dict[int, int] = {}

        def enter(address: int, symbol: object) -> int:
            if symbol is None:
                names.append(f"0x{address:x}")
                owners.append(module_at(modules, address))
            else:
                names.append(symbol.name)  # type: ignore[attr-defined]
                owners.append(symbol.module)  # type: ignore[attr-defined]
            resolved.append(symbol is not None)
            starts.append(address)
            return len(names) - 1

        for address, symbol in zip(functions.tolist(), kallsyms.resolve(functions), strict=True):
            code = enter(address, symbol)
            by_symbol.setdefault(address if symbol is None else symbol.start, code)
        codes = np.zeros(len(callers) + 1, np.int32)
        for i, (address, symbol) in enumerate(zip(callers.tolist(), kallsyms.resolve(callers), strict=True)):
            start = address if symbol is None else symbol.start
            if address and start not in by_symbol:
                by_symbol[start] = enter(start, symbol)
            codes[i + 1] = by_symbol.get(start, 0)
        table = SymbolTable.build(
            names, modules=owners, resolved=resolved, addresses=np.array(starts, np.uint64)
        )
        return table, codes

    def _say(self, kallsyms: Kallsyms, n_functions: int) -> None:
        if kallsyms.n_damaged:
            self.notices.append(
                Notice("damaged-kallsyms", "lines of kallsyms are not symbols", kallsyms.n_damaged)
            )
        said = any(notice.code == "earlier-boot" for notice in self.notices)
        if n_functions and not said and (kallsyms.hidden or not len(kallsyms)):
            self.notices.append(
                Notice(
                    "no-kallsyms",
                    "the file holds no addresses of symbols: functions are shown as addresses",
                    hint="record as root, with kernel.kptr_restrict below 2",
                )
            )

    def _modules(self) -> list[tuple[int, int, str]]:
        try:
            section = self._container.section(Option.MODULES)
        except Damage as damage:
            self.notices.append(Notice("damaged-section", f"modules: {damage.what} (at byte {damage.offset})"))
            return []
        return [] if section is None else loaded_modules(section.data.decode("utf-8", "replace"))


def _sized(section: Fields | None, width: int) -> bytes:
    """A text with its size in front; what there is of it where it breaks off."""
    if section is None:
        return b""
    size = section.number(width, "kallsyms")
    return section.take(min(size, section.left()), "kallsyms")
