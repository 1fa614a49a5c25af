"""What is recorded of single calls beside their times: return values, errors, arguments, flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kfgraph.analyze.forest import Int32
from kfgraph.analyze.retval import returned_type, value_text, values_of
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.kernel.returns import error_name
from kfgraph.model.calls import Flag
from kfgraph.model.spelling import spelt_out
from kfgraph.model.trace import Trace

_EXACT = 1 << 53
Details = list[dict[str, Any]] | None


def details_of(trace: Trace) -> Callable[[Int32], Details]:
    """What tells, of some rows, what is recorded of each: None where there is nothing to tell of any.

    ``ret`` is the value by the function's type (a number, or a text where it is large), ``error`` its name (a ``?``
    behind it: not sure), ``args`` the arguments as the tracer prints them, ``flags`` what is not as usual.
    """
    calls, arch = trace.calls, trace.meta.arch
    errors = error_columns(trace, slice(None))

    def details(rows: Int32) -> Details:
        flags = calls.flags[rows] & ~np.uint32(Flag.HAS_RETVAL | Flag.MIGRATED)
        if calls.retval is None and calls.args is None and not errors and not flags.any():
            return None
        found: list[dict[str, Any]] = [{} for _ in range(len(rows))]
        if calls.retval is not None:
            values, has = values_of(calls, trace.symbols, rows)
            func = calls.func[rows[has]].tolist()
            for at, code, value in zip(np.flatnonzero(has).tolist(), func, values[has].tolist(), strict=True):
                # What a double does not hold exactly is a pointer, or junk: as text.
                exact = abs(value) < _EXACT
                found[at]["ret"] = value if exact else value_text(value, returned_type(trace.symbols, code))
        if errors:
            error, sure = errors["error"][rows], errors["error_sure"][rows]
            for at in np.flatnonzero(error).tolist():
                name = error_name(int(error[at]), sure=bool(sure[at]), arch=arch)
                if name:
                    found[at]["error"] = name if sure[at] else f"{name}?"
        if calls.args is not None:
            for at, row in enumerate(rows.tolist()):
                text = calls.args.text(row)
                if text is not None:
                    found[at]["args"] = spelt_out(text)
        for at in np.flatnonzero(flags).tolist():
            found[at]["flags"] = flag_names(int(flags[at]))
        return found

    return details


def flag_names(flags: int) -> list[str]:
    """The names of the flags that are set."""
    return [flag.name or "" for flag in Flag if flags & flag]
