"""Which functions of a trace wait: their own time is no work."""

from __future__ import annotations

import numpy as np

from kfgraph.analyze.forest import Bool
from kfgraph.kernel.waiting import CLASSES, SWITCHING
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace


def waiting_functions(trace: Trace) -> Bool:
    """For each code of the SymbolTable whether the function is one in which a task waits.

    A function that calls those waits only where the trace has no call of them: then the time is in its own. Where the
    trace tells how long each call was off the CPU, that is in no self time: only those wait in which the CPU halts.
    """
    symbols, found = trace.symbols, np.zeros(len(trace.symbols), np.bool_)
    names = ["" if module else plain_name(name) for name, module in zip(symbols.names, symbols.modules, strict=True)]
    for inner, around in CLASSES:
        if inner is SWITCHING and trace.calls.asleep_ns is not None:
            continue
        is_inner, is_around = (np.array([name in some for name in names], np.bool_) for some in (inner, around))
        found |= is_inner
        if is_around.any() and not (is_inner.any() and is_inner[trace.calls.func].any()):
            found |= is_around
    return found
