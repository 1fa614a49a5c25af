"""Calls summed up by key: what each function, or module, cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.select import Selection
from kfgraph.model.calls import Flag

UNKNOWN = -1
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Aggregate:
    """One row per key, in the order of the keys; a key without calls has zeros and -1.

    ``n_calls`` counts all calls, ``n_unfinished`` those without a known end, ``n_finished`` those with
    a known duration. ``self_ns`` sums the self times that are known; ``total_ns`` the durations of the
    outermost finished calls of a recursion, so that no nanosecond counts twice under one key.
    ``avg_ns`` (rounded), ``p50_ns``, ``p95_ns``, ``p99_ns`` and ``max_ns`` are over all finished calls; a
    percentile is a duration that occurred (nearest rank). -1 where no value is known. All int64.
    """

    n_calls: npt.NDArray[np.int64]
    n_unfinished: npt.NDArray[np.int64]
    n_finished: npt.NDArray[np.int64]
    self_ns: npt.NDArray[np.int64]
    total_ns: npt.NDArray[np.int64]
    avg_ns: npt.NDArray[np.int64]
    p50_ns: npt.NDArray[np.int64]
    p95_ns: npt.NDArray[np.int64]
    p99_ns: npt.NDArray[np.int64]
    max_ns: npt.NDArray[np.int64]


def aggregate(selection: Selection, key: npt.NDArray[np.int32], n_keys: int) -> Aggregate:
    """Sum up the selected calls by ``key``, a number 0..n_keys-1 for each row of the CallTable.

    O(n log n), no recursion. Durations are the selection's (less the interrupts that it left out).
    """
    calls, duration_ns = selection.trace.calls, selection.total_ns
    rows = np.flatnonzero(selection.keep)
    n_calls = np.bincount(key[rows], minlength=n_keys)
    n_unfinished = np.bincount(key[rows[calls.has(Flag.NO_EXIT)[rows]]], minlength=n_keys)

    # All of a key's rows together, still in table order; two-byte keys sort by radix.
    keys = key[rows]
    order = rows[np.argsort(keys.astype(np.uint16) if n_keys <= 1 << 16 else keys, kind="stable")]
    self_ns = _sums(order[calls.self_ns[order] >= 0], key, calls.self_ns, n_keys)
    finished = order[duration_ns[order] >= 0]
    total_ns = _sums(_outermost(finished, key, calls.end), key, duration_ns, n_keys)

    n_finished = np.bincount(key[finished], minlength=n_keys)
    known = np.flatnonzero(n_finished)
    avg_ns = _sums(finished, key, duration_ns, n_keys)
    avg_ns[known] = (avg_ns[known] + n_finished[known] // 2) // n_finished[known]
    durations = _sorted_within_key(duration_ns[finished], key[finished])
    last = np.cumsum(n_finished)[known] - 1
    of_rank = {p: np.full(n_keys, UNKNOWN, np.int64) for p in (*PERCENTILES, 100)}
    for p, column in of_rank.items():
        rank = (p * n_finished[known] + 99) // 100  # 1-based: the least that p % of the calls do not exceed
        column[known] = durations[last - n_finished[known] + rank]
    return Aggregate(
        n_calls=n_calls,
        n_unfinished=n_unfinished,
        n_finished=n_finished,
        self_ns=self_ns,
        total_ns=total_ns,
        avg_ns=avg_ns,
        p50_ns=of_rank[50],
        p95_ns=of_rank[95],
        p99_ns=of_rank[99],
        max_ns=of_rank[100],
    )


def _sums(
    rows: npt.NDArray[np.intp], key: npt.NDArray[np.int32], values: npt.NDArray[np.int64], n_keys: int
) -> npt.NDArray[np.int64]:
    """Sum of ``values`` over ``rows`` (grouped by key) per key, exact; -1 for a key without rows."""
    sums = np.full(n_keys, UNKNOWN, np.int64)
    if len(rows):
        keys = key[rows]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        sums[keys[first]] = np.add.reduceat(values[rows], first)
    return sums


def _outermost(
    rows: npt.NDArray[np.intp], key: npt.NDArray[np.int32], end: npt.NDArray[np.int32]
) -> npt.NDArray[np.intp]:
    """Those of ``rows`` (grouped by key, ascending within) that lie in no other of their key.

    Subtrees nest: a row lies in an earlier one of its key if the furthest end so far is beyond it.
    """
    # One axis for all keys, each on a stretch of its own, so that one running maximum serves all.
    base = key[rows].astype(np.int64) * (len(key) + 1)
    furthest = np.maximum.accumulate(base + end[rows])
    inside = np.zeros(len(rows), np.bool_)
    inside[1:] = furthest[:-1] > base[1:] + rows[1:]
    return rows[~inside]


def _sorted_within_key(values: npt.NDArray[np.int64], keys: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """``values`` (not negative, grouped by key) in ascending order within each key."""
    if not len(values):
        return values
    # Key and value in one integer sort several times faster than two columns.
    bits = int(values.max()).bit_length()
    if int(keys[-1]).bit_length() + bits < 64:
        return np.sort((keys.astype(np.int64) << bits) | values) & ((1 << bits) - 1)
    return values[np.lexsort((values, keys))]
