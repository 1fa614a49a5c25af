"""What a recorded return value says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kfgraph.model.calls import CallTable, Flag

MAX_ERRNO = 4095


def error_codes(calls: CallTable) -> npt.NDArray[np.int16]:
    """The error that each call's return value would be: -1 to -4095, 0 for none or no value.

    The kernel's own rule (kernel/trace/trace_functions_graph.c): a value whose upper half is empty and
    whose bit 31 is set is a negative int. A function that returns nothing, or something narrow, leaves
    junk that may look like an error: a reason to show a call, not to call it failed.
    """
    errors = np.zeros(len(calls), np.int16)
    if calls.retval is None:
        return errors
    value = calls.retval
    is_int = (value >= 1 << 31) & (value < 1 << 32)
    value = np.where(is_int, value - (1 << 32), value)
    failed = calls.has(Flag.HAS_RETVAL) & (value < 0) & (value >= -MAX_ERRNO)
    errors[failed] = value[failed]
    return errors
