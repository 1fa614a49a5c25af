"""Recorded argument registers -> ``name=value``, by the BTF that trace-cmd 3.4 puts in the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kfgraph.model.symbols import SymbolTable
from kfgraph.parse.tracedat.source import Fields


def describer(btf: Fields | None, symbols: SymbolTable) -> Callable[[int, Sequence[int]], str]:
    """A function of (function code, register values) that makes the text."""

    def plain(_func: int, values: Sequence[int]) -> str:
        return ", ".join(f"0x{value:x}" for value in values)

    return plain
