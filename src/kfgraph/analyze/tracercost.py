"""What it costs to trace a call, estimated from the trace itself.

A traced call takes longer than one that is not traced. ``inside``: a part of it lies between the two times that the
tracer stores, and so in the call's own duration (the entry record is written there). ``outside``: the rest lies before
and behind them, in the self time of its caller (the exit record is written there).

Nothing in a trace tells these times, but bounds of them. A call that calls nothing takes ``inside`` and what it does
itself: ``inside`` is at most its duration. The self time of a call with k callees is ``inside``, k times ``outside``
(the gaps around the callees), and what it does itself: ``outside`` is at most (self - inside) / k. Many functions of a
kernel do next to nothing, and the bounds that they give lie together, on a floor. The middle one of the lowest FLOOR
functions is taken. Where the lowest ones do not lie together, there is no floor: functions were left out of the
recording, or there are too few calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Int32, Int64
from kfgraph.analyze.waiting_functions import waiting_functions
from kfgraph.model.arrays import distinct
from kfgraph.model.calls import CONTEXTS, PARTS, CallTable, Flag
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_ns

FLOOR = 5
"""So many functions must have bounds that lie together."""
TOGETHER = 0.25
"""They do where the highest of them exceeds the lowest by this share at most."""
FEW = 3
"""So few functions may be lower: those that ran in a loop, with all that they need in the caches."""
LEAST_CALLS = 20
"""Of each of these functions."""
OF_CONTEXT = 20
"""So many functions called in a context, or caller and number of callees, for an estimate of its own."""
ELSEWHERE = 0.12
"""A call does not cost the same everywhere: caches, and how the processor predicts its way, are not alike. This share
of the estimate is part of its uncertainty, whatever its floor tells (see docs/truth.md for what was measured)."""
_BLOCKS, _BLOCK = 64, 2_048
"""A large trace is looked at in so many places, so many calls each."""
_ODD = np.uint32(
    Flag.NO_ENTRY | Flag.NO_EXIT | Flag.CUT_BY_LOSS | Flag.IN_TRACER | Flag.DEPTH_JUMP | Flag.MIGRATED
    | Flag.SELF_UNKNOWN | Flag.CALLER_LOST | Flag.OFF_CPU_UNKNOWN | Flag.INTERRUPT | Flag.PRE_EXEC
)  # fmt: skip


@dataclass(frozen=True)
class Rate:
    """An estimate in ns: the truth is within ``ns`` ± ``error_ns``."""

    ns: int
    error_ns: int


@dataclass(frozen=True)
class CallCost:
    """What a traced call costs in its own duration (``inside``) and in its caller's (``outside``), for each of
    :data:`kfgraph.model.calls.CONTEXTS`: from calls in that context where there are enough, else from all."""

    inside: tuple[Rate, ...]
    outside: tuple[Rate, ...]

    @classmethod
    def uniform(cls, inside: Rate, outside: Rate) -> CallCost:
        """The same in all contexts."""
        return cls((inside,) * len(CONTEXTS), (outside,) * len(CONTEXTS))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, by context."""
        return {
            f"{name}_call": {
                context: {"ns": rate.ns, "uncertain_ns": rate.error_ns}
                for context, rate in zip(CONTEXTS, rates, strict=True)
            }
            for name, rates in (("inside", self.inside), ("outside", self.outside))
        }

    def __str__(self) -> str:
        """``742 ns ± 120 ns inside each call, 721 ns ± 140 ns in its caller``: of calls of tasks."""
        of_tasks = (self.inside[0], self.outside[0])
        inside, outside = (f"{format_ns(rate.ns)} ± {format_ns(rate.error_ns)}" for rate in of_tasks)
        return f"{inside} inside each call, {outside} in its caller"


def of_contexts(rates: tuple[Rate, ...], context: npt.NDArray[np.uint8]) -> tuple[Int64, Int64]:
    """(estimates, uncertainties) for calls in these contexts; an unknown one counts as a task's."""
    code = np.where(context < len(rates), context, 0)
    ns, error_ns = (np.array([getattr(rate, name) for rate in rates], np.int64)[code] for name in ("ns", "error_ns"))
    return ns, error_ns


def call_cost(trace: Trace) -> CallCost | None:
    """What the trace tells about the cost of tracing a call; None where it has no floor."""
    found = _plain_calls(trace.calls)
    everywhere = _cost(found)
    if everywhere is None:
        return None
    own = [_cost(found.only(found.context == code), of=OF_CONTEXT) for code in range(len(CONTEXTS))]
    used = [everywhere if cost is None else cost for cost in own]
    return CallCost(tuple(inside for inside, _ in used), tuple(outside for _, outside in used))


@dataclass(frozen=True)
class TracerShare:
    """How much of the ``work_ns`` of all calls of a trace (their self times, but for functions that wait) tracing took:
    ``ns`` ± ``error_ns``, an estimate."""

    cost: CallCost
    ns: int
    error_ns: int
    work_ns: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"tracer_ns": self.ns, "uncertain_ns": self.error_ns, "work_ns": self.work_ns, **self.cost.to_dict()}


def tracer_share(trace: Trace, self_ns: Int64) -> TracerShare | None:
    """``self_ns`` are the calls' self times, less kfgraph's own cost. None where the trace does not tell what a call
    costs, or how long any worked."""
    calls, cost = trace.calls, call_cost(trace)
    if cost is None:
        return None
    at_work = ~waiting_functions(trace)[calls.func] & (self_ns >= 0)
    work_ns = int(self_ns[at_work].sum())
    if not work_ns:
        return None
    ns = error_ns = 0
    for rates, some in ((cost.inside, calls.context), (cost.outside, calls.context[calls.parent >= 0])):
        n_calls = np.bincount(np.where(some < len(rates), some, 0), minlength=len(rates)).tolist()
        ns += sum(n * rate.ns for n, rate in zip(n_calls, rates, strict=True))
        error_ns += sum(n * rate.error_ns for n, rate in zip(n_calls, rates, strict=True))
    return TracerShare(cost, min(ns, work_ns), error_ns, work_ns)


@dataclass(frozen=True, eq=False)
class _Calls:
    """Calls that nothing odd happened to: their function, context, number of direct callees, and self time."""

    func: Int32
    context: npt.NDArray[np.uint8]
    n_callees: Int64
    self_ns: Int64

    def only(self, some: npt.NDArray[np.bool_]) -> _Calls:
        return _Calls(self.func[some], self.context[some], self.n_callees[some], self.self_ns[some])


def _plain_calls(calls: CallTable) -> _Calls:
    """Those of the trace, or of some places in it that are spread evenly."""
    n = len(calls)
    starts = [0] if n <= _BLOCKS * _BLOCK else np.linspace(0, n - _BLOCK, _BLOCKS).astype(np.int64).tolist()
    size = n if len(starts) == 1 else _BLOCK
    parts = [np.zeros(0, np.int32)] + [part.rows for name in PARTS if (part := getattr(calls, name)) is not None]
    parted = distinct(np.concatenate(parts))
    found = []
    for start in starts:
        block = slice(start, start + size)
        parent = calls.parent[block].astype(np.int64) - start
        below = np.flatnonzero(parent >= 0)
        n_callees = np.bincount(parent[below], minlength=len(parent))
        flags = calls.flags[block]
        good = ((flags & _ODD) == 0) & (calls.self_ns[block] >= 0) & (calls.end[block] <= start + size)
        good[parent[below[(flags[below] & _ODD) != 0]]] = False
        good[parted[slice(*np.searchsorted(parted, (start, start + size)))] - start] = False
        rows = np.flatnonzero(good)
        at = rows + start
        found.append((calls.func[at], calls.context[at], n_callees[rows], calls.self_ns[at]))
    return _Calls(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _cost(calls: _Calls, *, of: int = FLOOR) -> tuple[Rate, Rate] | None:
    """``of``: so many functions there must be."""
    leaf = calls.n_callees == 0
    inside = _floor(calls.func[leaf].astype(np.int64), calls.self_ns[leaf], of=of)
    if inside is None:
        return None
    n = calls.n_callees[~leaf]
    # Calls of a function with as many callees do alike.
    keys = calls.func[~leaf] * (int(n.max(initial=0)) + 1) + n
    outside = _floor(keys, np.maximum((calls.self_ns[~leaf] - inside.ns) // n, 0), of=of, least=inside.ns)
    return None if outside is None else (inside, outside)


def _floor(keys: Int64, bounds: Int64, *, of: int, least: int = 0) -> Rate | None:
    """The estimate that these bounds give: those of one key are of one function. ``least``: bounds that are no further
    apart than its share TOGETHER lie together, however small they are."""
    order = np.lexsort((bounds, keys))
    keys, bounds = keys[order], bounds[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    size = np.diff(np.append(first, len(keys)))
    first, size = first[size >= LEAST_CALLS], size[size >= LEAST_CALLS]
    if len(first) < of:
        return None
    quarters = [bounds[first + (size - 1) * part // 4] for part in (1, 2, 3)]
    lowest = np.argsort(quarters[1], kind="stable")[: FLOOR + FEW]
    low, median, high = (quarter[lowest] for quarter in quarters)
    begins = np.flatnonzero(
        median[FLOOR - 1 :] - median[: 1 - FLOOR] <= TOGETHER * np.maximum(median[: 1 - FLOOR], least)
    )
    if not len(begins):
        return None
    floor = slice(int(begins[0]), int(begins[0]) + FLOOR)
    ns = int(median[floor][FLOOR // 2])
    # How far the functions lie apart, how far the calls of one do, and what no floor tells.
    apart = max(ns - int(median[0]), int(median[floor][-1]) - ns)
    scatter = int(np.median((high - low)[floor])) // 2
    return Rate(ns, apart + scatter + round(ELSEWHERE * max(ns, least)))
