"""Calls summed up by key: what each function, or module, cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.analyze.parts import TRACER_COLUMNS, UNKNOWN_COLUMNS, told
from kfgraph.analyze.select import Selection
from kfgraph.analyze.tree_errors import error_columns
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace
from kfgraph.model.units import average_ns

UNKNOWN = -1
PERCENTILES = (50, 95, 99)
MANY = 1000
"""With more calls a key, calls are put in order by key and each key's durations looked at: that is less work than to
sort all durations, which small traces do."""


@dataclass(frozen=True)
class Aggregate:
    """One row per key, in the order of the keys; a key without calls has zeros and -1.

    ``n_calls`` counts all calls, ``n_unfinished`` those without a known end, ``n_finished`` those with
    a known duration, ``n_errors`` those that returned an error for sure (-1: of none it is known what it
    returned). ``self_ns`` sums the self times that are known; ``total_ns`` the durations of the outermost finished
    calls of a recursion, so that no nanosecond counts twice under one key.
    ``avg_ns`` (rounded), ``p50_ns``, ``p95_ns``, ``p99_ns`` and ``max_ns`` are over all finished calls; a
    percentile is a duration that occurred (nearest rank). -1 where no value is known. All int64.
    """

    n_calls: Int64
    n_unfinished: Int64
    n_finished: Int64
    n_errors: Int64
    self_ns: Int64
    total_ns: Int64
    avg_ns: Int64
    p50_ns: Int64
    p95_ns: Int64
    p99_ns: Int64
    max_ns: Int64


def aggregate(selection: Selection, key: Int32, n_keys: int) -> Aggregate:
    """Sum up the selected calls by ``key``, a number 0..n_keys-1 for each row of the CallTable.

    Returns columns of ``n_keys`` values: counts, and times in ns (-1: not known), which are the selection's (less
    what it took out). O(n log n), no recursion.
    """
    calls = selection.trace.calls
    rows = None
    self_ns, duration_ns, end, flags = selection.self_ns, selection.total_ns, calls.end, calls.flags
    if not selection.keep.all():
        rows = np.flatnonzero(selection.keep).astype(np.int32)
        key, end, flags = key[rows], end[rows], flags[rows]
        self_ns, duration_ns = self_ns[rows], duration_ns[rows]
    n_calls = np.bincount(key, minlength=n_keys)
    unfinished = np.flatnonzero(duration_ns < 0)
    n_finished = n_calls - np.bincount(key[unfinished], minlength=n_keys)
    known = np.flatnonzero(n_finished)

    # 1-based: the least that p % of the calls do not exceed.
    ranks = (np.array([[*PERCENTILES, 100]], np.int64).T * n_finished[known] + 99) // 100
    of_rank = np.full((len(ranks), n_keys), UNKNOWN, np.int64)
    if len(key) < MANY * n_keys:
        may_nest = _calling(rows, key, end, n_keys)
        finished = duration_ns >= 0 if len(unfinished) else slice(None)
        durations = _sorted_by_key(duration_ns[finished], key[finished])
        of_rank[:, known] = durations[np.cumsum(n_finished)[known] - n_finished[known] + ranks - 1]
    else:
        order = _by_key(key, n_keys)
        may_nest = _following_inside(rows, order, end, n_calls)
        # Of each key, the unknown ones (-1) come first.
        first = np.cumsum(n_calls)[known] - n_calls[known]
        ranks += (n_calls - n_finished)[known]
        of_rank[:, known] = _ranked(np.take(duration_ns, order), first, n_calls[known], ranks)
        del order
    inner = nested(rows, key, end, duration_ns, may_nest)
    in_finished = _sums(key, duration_ns, n_calls, n_finished)
    total_ns = in_finished.copy()
    np.subtract.at(total_ns, key[inner], duration_ns[inner])
    avg_ns = in_finished
    avg_ns[known] = average_ns(avg_ns[known], n_finished[known])
    self_unknown = np.flatnonzero(self_ns < 0)
    n_self_known = n_calls - np.bincount(key[self_unknown], minlength=n_keys)
    return Aggregate(
        n_calls=n_calls,
        n_unfinished=np.bincount(key[(flags & np.uint32(Flag.NO_EXIT)) != 0], minlength=n_keys),
        n_finished=n_finished,
        n_errors=_n_errors(selection.trace, slice(None) if rows is None else rows, key, n_keys),
        self_ns=_sums(key, self_ns, n_calls, n_self_known),
        total_ns=total_ns,
        avg_ns=avg_ns,
        p50_ns=of_rank[0],
        p95_ns=of_rank[1],
        p99_ns=of_rank[2],
        max_ns=of_rank[3],
    )


def aggregated_parts(selection: Selection, key: Int32, n_keys: int, total_ns: Int64) -> dict[str, Int64]:
    """Of each key, where the trace tells: the parts of its calls' own time that are no work (``asleep_ns``), those in
    ``total_ns`` (``total_asleep_ns``), and, where it tells of time off the CPU, what is left of that, ``oncpu_ns``,
    without the time of calls that were off the CPU for an unknown time; -1 where the total is not known. That time has
    columns of its own, where there is any."""
    calls, keep = selection.trace.calls, selection.keep
    found: dict[str, Int64] = {}
    left = total_ns.copy()
    unknown = {} if selection.unknown is None else {UNKNOWN_COLUMNS[0]: selection.unknown}
    for name, part in (*selection.parts.items(), *unknown.items()):
        own, total = part.own.where(keep), part.total.where(keep & (calls.duration_ns >= 0))
        inner = nested(total.rows, key[total.rows], calls.end[total.rows], total.values, np.ones(n_keys, np.bool_))
        sums, inclusive = np.zeros(n_keys, np.int64), np.zeros(n_keys, np.int64)
        np.add.at(sums, key[own.rows], own.values)
        np.add.at(inclusive, key[total.rows], total.values)
        np.subtract.at(inclusive, key[total.rows[inner]], total.values[inner])
        found |= {name: sums, f"total_{name}": inclusive}
        left -= np.where(total_ns >= 0, inclusive, 0)
    return {**told(found), "oncpu_ns": left} if "asleep_ns" in found else found


def aggregated_tracer(selection: Selection, key: Int32, n_keys: int) -> dict[str, Int64]:
    """Of each key the sums of TRACER_COLUMNS: of its calls, and in its total; none where times are as recorded."""
    if selection.tracer is None:
        return {}
    calls = selection.trace.calls
    rows = np.flatnonzero(selection.keep).astype(np.int32)
    finished = selection.total_ns[rows] >= 0
    finished[nested(rows, key[rows], calls.end[rows], selection.total_ns[rows], np.ones(n_keys, np.bool_))] = False
    outermost = rows[finished]
    found = {}
    for name in TRACER_COLUMNS:
        some = outermost if name.startswith("total_") else rows
        found[name] = np.zeros(n_keys, np.int64)
        np.add.at(found[name], key[some], selection.tracer.columns(some)[name])
    return found


def of_one_key(times_ns: Int64) -> Aggregate:
    """One row of calls that took these times and called nothing; -1: not known."""
    known = np.sort(times_ns[times_ns >= 0])
    n, total = len(known), int(known.sum())
    percentiles = [int(known[(p * n + 99) // 100 - 1]) if n else UNKNOWN for p in (*PERCENTILES, 100)]
    sums = (total, total, average_ns(total, n)) if n else (UNKNOWN, UNKNOWN, UNKNOWN)
    return Aggregate(*(np.array([value], np.int64) for value in (len(times_ns), 0, n, UNKNOWN, *sums, *percentiles)))


def _n_errors(trace: Trace, rows: Int32 | slice, key: Int32, n_keys: int) -> Int64:
    told = error_columns(trace, rows)
    if not told:
        return np.full(n_keys, UNKNOWN, np.int64)
    known = (trace.calls.flags[rows] & np.uint32(Flag.HAS_RETVAL)) != 0
    if "error_event" in told:
        known |= told["error_event"]
    failed = told["error_sure"] & (told["error"] != 0)
    n_errors = np.bincount(key[failed], minlength=n_keys)
    n_errors[np.bincount(key[known], minlength=n_keys) == 0] = UNKNOWN
    return n_errors


def _sums(keys: Int32, values: Int64, n_calls: Int64, n_known: Int64) -> Int64:
    """Sum of the known ``values`` per key, exact; -1 for a key that has none. Unknown ones are -1."""
    sums = n_calls - n_known  # what the unknown ones take away
    np.add.at(sums, keys, values)
    sums[n_known == 0] = UNKNOWN
    return sums


def _by_key(keys: Int32, n_keys: int) -> npt.NDArray[np.intp]:
    """The positions in ``keys`` ordered by key, ascending within each; two-byte keys sort by radix."""
    return np.argsort(keys.astype(np.uint16) if n_keys <= 1 << 16 else keys, kind="stable")


def _calling(rows: Int32 | None, keys: Int32, end: Int32, n_keys: int) -> Bool:
    """The keys that may nest: a function that never called anything was never called by itself."""
    found = np.zeros(n_keys, np.bool_)
    found[keys[end > (np.arange(1, len(end) + 1, dtype=np.int32) if rows is None else rows + 1)]] = True
    return found


def _following_inside(rows: Int32 | None, order: npt.NDArray[np.intp], end: Int32, n_calls: Int64) -> Bool:
    """The keys that nest: where calls of a key do at all, two that follow one another do."""
    inside = np.append(end[order[:-1]] > (order[1:] if rows is None else rows[order[1:]]), False)
    last = np.cumsum(n_calls)
    inside[last[n_calls > 0] - 1] = False
    found = np.zeros(len(n_calls), np.bool_)
    found[np.searchsorted(last, np.flatnonzero(inside), side="right")] = True
    return found


def nested(
    rows: Int32 | None, keys: Int32, end: Int32, duration_ns: Int64, may_nest: Bool
) -> npt.NDArray[np.intp]:
    """Which calls, by position in ``rows``, lie in an earlier finished call of their key, and are finished.

    ``rows`` (None: all) ascend. Subtrees nest: a row is inside if the furthest end so far is beyond it.
    """
    n_keys = len(may_nest)
    some = np.flatnonzero(may_nest[keys] & (duration_ns >= 0))
    rows, keys, end = some.astype(np.int32) if rows is None else rows[some], keys[some], end[some]
    order = _by_key(keys, n_keys)
    # One axis for all keys, each on a stretch of its own, so that one running maximum serves all.
    stretch = int(end.max(initial=0)) + 1
    base = np.repeat(np.arange(n_keys, dtype=np.int64) * stretch, np.bincount(keys, minlength=n_keys))
    furthest = np.maximum.accumulate(base + end[order])
    inside = np.flatnonzero(furthest[:-1] > base[1:] + rows[order[1:]])
    return some[order[inside + 1]]


def _ranked(values: Int64, first: Int64, size: Int64, ranks: Int64) -> Int64:
    """Of each slice ``values[first:first + size]`` the values with its (1-based) ``ranks``; moves what is in them."""
    out = np.empty_like(ranks)
    for i, (begin, n) in enumerate(zip(first.tolist(), size.tolist(), strict=True)):
        part, at = values[begin : begin + n], ranks[:, i] - 1
        part.partition(at)
        out[:, i] = part[at]
    return out


def _sorted_by_key(values: Int64, keys: Int32) -> Int64:
    """``values`` (none negative) by key, ascending within each."""
    if not len(values):
        return values
    # Key and value in one integer sort several times faster than two columns.
    bits = int(values.max()).bit_length()
    if int(keys.max()).bit_length() + bits < 64:
        return np.sort((keys.astype(np.int64) << bits) | values) & ((1 << bits) - 1)
    return values[np.lexsort((values, keys))]
