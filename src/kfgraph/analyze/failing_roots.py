"""Which outermost call failed, where no system call tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.outcomes import Outcomes, recorded_by_the_tracer
from kfgraph.analyze.sysexits import records_results
from kfgraph.kernel.loader import LOADER_FUNCTIONS
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.kernel.unwinding import decides_nothing, gives_back
from kfgraph.model.calls import Flag
from kfgraph.model.spelling import plain_name
from kfgraph.model.trace import Trace


def outermost_failing(trace: Trace, seen: Outcomes, lane: int, error: int) -> int:
    """The last outermost call of a task that returned this error; -1 for none."""
    calls = trace.calls
    begin, end = calls.bounds_of(lane)
    rows = np.flatnonzero((seen.errors[begin:end] == error) & (calls.parent[begin:end] < 0))
    return int(rows[-1]) + begin if len(rows) else -1


def last_failing_root(trace: Trace, seen: Outcomes, lanes: Sequence[int] | None) -> int:
    """The last outermost call of these tasks (None: of all) that returned an error; a trace of --root has such roots.
    -1 for none."""
    calls = trace.calls
    roots = np.flatnonzero((calls.parent < 0) & (seen.errors != 0))
    if lanes is not None:
        roots = roots[np.isin(calls.lane[roots], lanes)]
    fit = [
        int(r)
        for r in roots
        if not (calls.flags[r] & Flag.PRE_EXEC) and not system_call_of(seen.name(int(r))) and _fails(seen, int(r))
    ]
    return fit[-1] if fit else -1


def few_values(trace: Trace) -> bool:
    """Whether somebody's return probes are all that tells what was returned: a few functions, no system call."""
    few = trace.calls.retval is not None and not recorded_by_the_tracer(trace)
    return few and trace.companion is None and not records_results(trace)


def last_failing_of_few(trace: Trace, seen: Outcomes, lanes: Sequence[int] | None) -> int:
    """The last call of these tasks that returned an error, of those of whose callers none was probed; -1 for none.

    One that was tried again, or that later succeeded for somebody else, decided nothing.
    """
    calls = trace.calls
    rows = _outermost_known(trace)
    if lanes is not None:
        rows = rows[np.isin(calls.lane[rows], lanes)]
    succeeded = set[tuple[int, int]]()
    order = rows[np.argsort(calls.start_ns[rows], kind="stable")][::-1]
    for row in order.tolist():
        key = int(calls.lane[row]), int(calls.func[row])
        if not seen.errors[row]:
            succeeded.add(key)
        elif key not in succeeded and _fails(seen, row) and not gives_back(seen.name(row)):
            return int(row)
    return -1


def is_passed_on(trace: Trace, seen: Outcomes, row: int) -> bool:
    """Whether it is known of the caller that it returns what ``row`` returned: the loader, the init of a module."""
    up = int(trace.calls.parent[row])
    return plain_name(seen.name(row)) in LOADER_FUNCTIONS or (up >= 0 and plain_name(seen.name(up)) in LOADER_FUNCTIONS)


def _outermost_known(trace: Trace) -> npt.NDArray[np.intp]:
    """The calls whose value was recorded, and of none of whose callers it was."""
    calls = trace.calls
    rows = np.flatnonzero(calls.has(Flag.HAS_RETVAL))
    if not len(rows):
        return rows
    # In pre-order a call lies below one of those before it if the furthest of their ends lies behind it.
    reach = np.maximum.accumulate(calls.end[rows])
    outermost: npt.NDArray[np.bool_] = np.append(True, rows[1:] >= reach[:-1])
    return rows[outermost]


def _fails(seen: Outcomes, row: int) -> bool:
    return seen.returns(row)[0] and int(seen.errors[row]) != -1 and not decides_nothing(seen.name(row))
