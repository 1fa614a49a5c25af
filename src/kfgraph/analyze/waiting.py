"""Which functions of a trace wait: their own time is no work."""

from __future__ import annotations

import numpy as np

from kfgraph.analyze.forest import Bool
from kfgraph.kernel.returns import plain_name
from kfgraph.kernel.waiting import WAITING
from kfgraph.model.trace import Trace


def waiting_functions(trace: Trace) -> Bool:
    """For each code of the SymbolTable whether the function is one in which a task waits."""
    symbols = trace.symbols
    found = np.zeros(len(symbols), np.bool_)
    for code, (name, module) in enumerate(zip(symbols.names, symbols.modules, strict=True)):
        found[code] = not module and plain_name(name) in WAITING
    return found
