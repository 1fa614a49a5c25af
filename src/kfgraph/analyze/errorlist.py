"""Every call that returned an error: where each began, how far it came up, and who handled it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kfgraph.analyze.filters import OF_ERRORS, Filters, completed
from kfgraph.analyze.forest import Bool, Int32
from kfgraph.analyze.select import select
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.errors import NoMatchError
from kfgraph.kernel.errnos import error_number
from kfgraph.kernel.returns import error_name
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.names import listed
from kfgraph.model.trace import Trace

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MOST_ABOVE = 4


@dataclass(frozen=True)
class ErrorRow:
    """The calls of one function that returned one error first, and whose error ended at one function.

    ``n_calls`` of them; ``row`` is the first, ``path`` its callers, outermost first, the last few. ``top`` is the
    outermost function that returned the error; ``handler`` its caller, which did not ("" : it went to user space, or
    the caller was not recorded, or ``interrupt``: nothing called it). ``sure``: by what is known of the function's type
    it is an error.
    """

    function: str
    error: int
    n_calls: int
    row: int
    start_ns: int
    path: tuple[str, ...]
    top: str
    handler: str
    sure: bool
    interrupt: bool = False

    def to_dict(self, arch: str = "") -> dict[str, Any]:
        """What ``kfgraph errors --json`` prints."""
        return {
            "function": self.function, "value": self.error,
            "error": error_name(self.error, sure=self.sure, arch=arch) or None,
            "n_calls": self.n_calls, "row": self.row, "start_ns": self.start_ns if self.start_ns >= 0 else None,
            "path": list(self.path), "top": self.top, "handler": self.handler or None, "sure": self.sure,
        }  # fmt: skip


def errors(
    trace: Trace,
    *,
    ret: int | str | Sequence[int | str] = (),
    module: str | Sequence[str] = (),
    unsure: bool = False,
    **filters: Unpack[Filters],
) -> list[ErrorRow]:
    """The errors that began in the selected calls, in the order of their first sight.

    A call that only handed its callee's error up is no row of its own. Without ``unsure`` values that may be numbers
    or junk (the function's type is not known) are left out where nobody handed them on.

    Args:
        ret: only this error, or these: numbers or names (``ENOENT``, 2, -2).
        module: only functions of this module, or of these.
        filters: OF_ERRORS, as for :func:`kfgraph.analyze.select.select`.

    Raises:
        NoMatchError: the trace holds no return values and no results of system calls, or a filter leaves nothing.
    """
    numbers = [error_number(one) for one in ((ret,) if isinstance(ret, int | str) else ret)]
    module = [name.replace("-", "_") for name in listed(module)]
    calls = trace.calls
    told = error_columns(trace, slice(None))
    if not told:
        raise NoMatchError(
            f"{trace.meta.path}: no return value was recorded, and no system call with its result failed",
            "kfgraph trace records them where the kernel can, and --returns FUNC sets return probes",
        )
    selection = select(trace, **completed(filters, OF_ERRORS))
    codes, sure = told["error"].astype(np.int32), told["error_sure"]
    rows = np.flatnonzero((codes != 0) & selection.keep).astype(np.int32)
    parent = selection.parent.copy()
    parent[rows] = _callers(calls, parent, rows)
    handed = np.zeros(len(calls), np.bool_)
    above = parent[rows]
    inside = above >= 0
    same = np.zeros(len(rows), np.bool_)
    same[inside] = codes[above[inside]] == codes[rows[inside]]
    handed[above[same]] = True
    began = rows[~handed[rows]]
    top = _top(began, parent, codes)
    if not unsure:
        began_ok = sure[began] | (top != began)
        began, top = began[began_ok], top[began_ok]
    if numbers:
        chosen = np.isin(-codes[began], numbers)
        began, top = began[chosen], top[chosen]
    if module:
        owners = trace.symbols.modules
        chosen = np.array([owners[code] in module for code in calls.func[began].tolist()], np.bool_)
        began, top = began[chosen], top[chosen]
    flags = np.uint32(Flag.INTERRUPT | Flag.IN_TRACER)
    hit = ((calls.flags[top] & flags) != 0) | ((parent[top] < 0) & (selection.parent[top] >= 0))
    return _rows(trace, began, top, hit, parent, codes, sure)


def _callers(calls: CallTable, parent: Int32, rows: Int32) -> Int32:
    """What called ``rows``, of what is in ``parent``; -1 also for what an interrupt hit, which did not call it."""
    found, at = parent[rows], rows.copy()
    climbing = np.flatnonzero(found >= 0)
    while len(climbing):
        hit = (calls.flags[at[climbing]] & np.uint32(Flag.INTERRUPT | Flag.IN_TRACER)) != 0
        found[climbing[hit]] = -1
        climbing = climbing[~hit]
        at[climbing] = calls.parent[at[climbing]]
        climbing = climbing[at[climbing] > found[climbing]]
    return found


def _top(rows: Int32, parent: Int32, codes: Any) -> Int32:
    """The outermost caller that returned the same error, without a gap, for each row."""
    top = rows.copy()
    moving = np.ones(len(rows), np.bool_)
    while moving.any():
        above = parent[top]
        moving = (above >= 0) & (codes[np.maximum(above, 0)] == codes[rows])
        top[moving] = above[moving]
    return top


def _rows(trace: Trace, began: Int32, top: Int32, hit: Bool, parent: Int32, codes: Any, sure: Bool) -> list[ErrorRow]:
    if not len(began):
        return []
    calls, labels = trace.calls, trace.symbols.labels
    # What calls the handler of a system call (x64_sys_call) hands its result to the program.
    ends = np.array([bool(system_call_of(name)) for name in trace.symbols.names], np.bool_)
    handler = np.where(ends[calls.func[top]], -1, parent[top])
    handler_func = np.where(handler >= 0, calls.func[np.maximum(handler, 0)], np.where(hit, -2, -1))
    key = np.stack([calls.func[began], codes[began], calls.func[top], handler_func], axis=1)
    _, first, count = np.unique(key, axis=0, return_index=True, return_counts=True)
    found = []
    for at, n in zip(first.tolist(), count.tolist(), strict=True):
        row, above = int(began[at]), int(handler[at])
        found.append(
            ErrorRow(
                function=labels[calls.func[row]],
                error=int(codes[row]),
                n_calls=int(n),
                row=row,
                start_ns=int(calls.start_ns[row]),
                path=_path(trace, parent, row),
                top=labels[calls.func[top[at]]],
                handler=labels[calls.func[above]] if above >= 0 else "",
                sure=bool(sure[row]),
                interrupt=bool(hit[at]),
            )
        )
    return sorted(found, key=lambda one: (one.start_ns, one.row))


def _path(trace: Trace, parent: Int32, row: int) -> tuple[str, ...]:
    path: list[str] = []
    while len(path) < _MOST_ABOVE and (row := int(_callers(trace.calls, parent, np.array([row], np.int32))[0])) >= 0:
        path.append(trace.symbols.labels[trace.calls.func[row]])
    return tuple(reversed(path))
