"""What functions return, where the trace does not tell: as the kernel told who recorded, or as a module's file does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kfgraph.model.companion import ModuleImage
from kfgraph.model.symbols import Returned, SymbolTable
from kfgraph.model.trace import Trace
from kfgraph.passes.given import Given

Types = Mapping[tuple[str, str], Returned]
"""By function and module ("" of the core kernel)."""


def apply(trace: Trace, given: Given) -> Trace:
    """The trace with the types of its companion: of functions that had a return probe, of what modules call, and of
    modules' functions."""
    companion = trace.companion
    if companion is None:
        return trace
    types = {(probe.function, probe.module): probe.returns for probe in companion.probes if probe.returns is not None}
    called = {(name, ""): returns for name, returns in companion.types.items()}
    symbols = with_types(trace.symbols, {**types_of(companion.modules), **called, **types})
    return trace if symbols is trace.symbols else replace(trace, symbols=symbols)


def types_of(modules: tuple[ModuleImage, ...]) -> dict[tuple[str, str], Returned]:
    """What the modules' functions return, as far as their files tell."""
    return {
        (function.name, module.name): function.returns
        for module in modules
        for function in module.functions
        if function.returns is not None
    }


def with_types(symbols: SymbolTable, types: Types) -> SymbolTable:
    """The same table, which knows these too; what the trace itself tells comes first."""
    of_code = {
        code: types[pair]
        for code, pair in enumerate(zip(symbols.names, symbols.modules, strict=True))
        if pair in types
    }
    return replace(symbols, prototypes=_More(symbols, of_code)) if of_code else symbols


class _More:
    def __init__(self, symbols: SymbolTable, of_code: dict[int, Returned]) -> None:
        self._of_code, self._first = of_code, symbols.prototypes

    def returned(self, code: int) -> Returned | None:
        told = self._first.returned(code) if self._first is not None else None
        return told if told is not None else self._of_code.get(code)
