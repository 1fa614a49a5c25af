"""What a recorded return value says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.symbols import SymbolTable

MAX_ERRNO = 4095


def error_codes(calls: CallTable, symbols: SymbolTable | None = None) -> npt.NDArray[np.int16]:
    """The error that each call's return value would be: -1 to -4095, 0 for none or no value.

    Where ``symbols`` tell what a function returns, its type decides: what cannot fail has no error, an int
    is the lower half of the register. Elsewhere the kernel's own rule does (trace_functions_graph.c): a
    value whose upper half is empty and whose bit 31 is set is a negative int. A function that returns
    nothing, or something narrow, then leaves junk that may look like an error: a reason to show a call,
    not to call it failed.
    """
    errors = np.zeros(len(calls), np.int16)
    if calls.retval is None:
        return errors
    value = calls.retval
    is_int = (value >= 1 << 31) & (value < 1 << 32)
    errors[:] = _errors(np.where(is_int, value - (1 << 32), value))
    if symbols is not None and symbols.prototypes is not None:
        # Whatever the type, an error shows in the lower half.
        rows = np.flatnonzero(_errors(_lower(value)) != 0)
        func = calls.func[rows]
        for code in np.unique(func).tolist():
            returned = symbols.returned(code)
            if returned is not None:
                those = rows[func == code]
                whole = value[those] if returned.n_bits > 32 else _lower(value[those])
                errors[those] = _errors(whole) if returned.can_fail else 0
    errors[~calls.has(Flag.HAS_RETVAL)] = 0
    return errors


def _lower(value: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return value.astype(np.int32).astype(np.int64)


def _errors(value: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
    return np.where((value < 0) & (value >= -MAX_ERRNO), value, 0).astype(np.int16)
