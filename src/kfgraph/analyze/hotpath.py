"""Hot paths: the chains root → … → function whose last function spent the most time itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import covered
from kfgraph.analyze.select import Selection

_BUCKETS = 1 << 16


@dataclass(frozen=True)
class HotPath:
    """One chain of keys from a root down. ``self_ns`` sums the known self time of its ``n_calls`` calls."""

    keys: tuple[int, ...]
    n_calls: int
    self_ns: int


def hot_paths(selection: Selection, key: npt.NDArray[np.int32], *, limit: int = 5) -> list[HotPath]:
    """The ``limit`` chains with the most self time, the heaviest first; equal ones in table order.

    ``key`` gives each row of the CallTable its function, a number from 0. Calls with the same chain of
    keys from the selection's root down are one path. A path without known self time is none.
    """
    rows = np.flatnonzero(selection.keep)
    if not len(rows) or limit < 1:
        return []
    path = path_hashes(selection, key)
    known_ns = np.maximum(selection.self_ns[rows], 0)
    # Millions of calls, a handful of paths: a bucket's sum bounds each path in it, so that only the
    # heaviest buckets have to be taken apart.
    bucket = path.astype(np.uint16)
    bucket_ns = np.bincount(bucket, weights=known_ns, minlength=_BUCKETS)
    heaviest = np.flatnonzero(bucket_ns)
    heaviest = heaviest[np.argsort(-bucket_ns[heaviest], kind="stable")]
    n_taken = 4 * limit
    while True:
        taken = np.zeros(_BUCKETS, np.bool_)
        taken[heaviest[:n_taken]] = True
        some = np.flatnonzero(taken[bucket])
        best = [found for found in _take_apart(some, path[some], known_ns[some])[:limit] if found[1] > 0]
        all_taken = n_taken >= len(heaviest)
        if all_taken or (len(best) == limit and best[-1][1] > bucket_ns[heaviest[n_taken]]):
            return [HotPath(_chain(selection, key, int(rows[i])), n_calls, self_ns) for i, self_ns, n_calls in best]
        n_taken *= 4


def path_hashes(selection: Selection, key: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """One number per selected call, equal for two if the keys from their roots down are equal.

    Different otherwise, but for one chance in 2**64 or so. It is the sum over a call and its ancestors
    of a number made of key and level: each call adds its own where its subtree begins and takes it back
    where it ends, so that one running sum makes them all.
    """
    calls = selection.trace.calls
    n = len(calls)
    rows = np.flatnonzero(selection.keep).astype(np.int32)
    end = calls.end[rows]
    level = calls.level if len(rows) == n else covered(rows, end, n)[rows]
    of_key = _mix(np.arange(int(key.max(initial=0)) + 1, dtype=np.uint64))
    of_level = _mix(~np.arange(int(level.max(initial=0)) + 1, dtype=np.uint64)) | np.uint64(1)
    own = of_key[key[rows]] * of_level[level]  # modulo 2**64, as every sum of these
    steps = np.zeros(n + 1, np.uint64)
    steps[rows] = own
    np.subtract.at(steps, end, own)
    return np.cumsum(steps, dtype=np.uint64)[rows]


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The finaliser of splitmix64 (Steele, Lea, Flood 2014); arithmetic modulo 2**64 is meant.
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _take_apart(
    at: npt.NDArray[np.intp], path: npt.NDArray[np.uint64], self_ns: npt.NDArray[np.int64]
) -> list[tuple[int, int, int]]:
    """(first position of ``at``, self ns, calls) per path, the heaviest first."""
    _, first, inverse, n_calls = np.unique(path, return_index=True, return_inverse=True, return_counts=True)
    sums = np.zeros(len(first), np.int64)
    np.add.at(sums, inverse, self_ns)
    order = np.lexsort((first, -sums))
    return [(int(at[first[i]]), int(sums[i]), int(n_calls[i])) for i in order]


def _chain(selection: Selection, key: npt.NDArray[np.int32], row: int) -> tuple[int, ...]:
    chain = []
    while row >= 0:
        chain.append(int(key[row]))
        row = int(selection.parent[row])
    return tuple(reversed(chain))
