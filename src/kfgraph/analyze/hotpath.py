"""Hot paths: the chains root → … → function whose last function spent the most time itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import covered
from kfgraph.analyze.select import Selection

_LEAST_BITS, _MOST_BITS = 16, 22
"""The logarithm of how many buckets there are."""
_PART = 1 << 18


@dataclass(frozen=True)
class HotPath:
    """One chain of keys from a root down. ``self_ns`` sums the known self time of its ``n_calls`` calls."""

    keys: tuple[int, ...]
    n_calls: int
    self_ns: int


def hot_paths(
    selection: Selection, key: npt.NDArray[np.int32], *, apart: npt.NDArray[np.bool_], limit: int = 5
) -> tuple[list[HotPath], list[HotPath]]:
    """The ``limit`` chains with the most self time, the heaviest first, equal ones in table order; and those that end
    with a key which is ``apart`` (few calls), as many of them.

    ``key`` gives each row of the CallTable its function, a number from 0. Calls with the same chain of
    keys from the selection's root down are one path. A path without known self time is none.
    """
    rows = _rows(selection)
    n = len(key) if rows is None else len(rows)
    if not n or limit < 1:
        return [], []
    path = path_hashes(selection, key)
    self_ns = selection.self_ns if rows is None else selection.self_ns[rows]
    some_apart = bool(apart.any())
    keys = key if rows is None or not some_apart else key[rows]
    # Millions of calls, a handful of paths: a bucket's sum bounds each path in it, so that only the
    # heaviest buckets have to be taken apart.
    n_buckets = 1 << max(_LEAST_BITS, min(n.bit_length() - 2, _MOST_BITS))

    def bucket(part: slice) -> npt.NDArray[np.int32]:
        return (path[part] & np.uint64(n_buckets - 1)).astype(np.int32)

    def made(found: list[tuple[int, int, int]]) -> list[HotPath]:
        at = [i if rows is None else int(rows[i]) for i, _, _ in found]
        return [
            HotPath(_chain(selection, key, row), n_calls, path_ns)
            for row, (_, path_ns, n_calls) in zip(at, found, strict=True)
        ]

    bucket_ns = np.zeros(n_buckets, np.int64)
    set_apart = [np.zeros(0, np.intp)]
    for part in _parts(n):
        own_ns = np.maximum(self_ns[part], 0)
        if some_apart:
            here = np.flatnonzero(apart[keys[part]])
            own_ns[here] = 0
            set_apart.append(part.start + here)
        np.add.at(bucket_ns, bucket(part), own_ns)
    others = np.concatenate(set_apart)
    of_others = _take_apart(others, path[others], np.maximum(self_ns[others], 0))
    beside = made([one for one in of_others[:limit] if one[1] > 0])
    heaviest = np.flatnonzero(bucket_ns)
    heaviest = heaviest[np.argsort(-bucket_ns[heaviest], kind="stable")]
    n_taken = 4 * limit
    while True:
        taken = np.zeros(n_buckets, np.bool_)
        taken[heaviest[:n_taken]] = True
        some = np.concatenate([part.start + np.flatnonzero(taken[bucket(part)]) for part in _parts(n)])
        if some_apart:
            some = some[~apart[keys[some]]]
        found = _take_apart(some, path[some], np.maximum(self_ns[some], 0))
        best = [one for one in found[:limit] if one[1] > 0]
        all_taken = n_taken >= len(heaviest)
        if all_taken or (len(best) == limit and best[-1][1] > bucket_ns[heaviest[n_taken]]):
            return made(best), beside
        n_taken *= 4


def path_hashes(selection: Selection, key: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """One number per selected call, equal for two if the keys from their roots down are equal.

    Different otherwise, but for one chance in 2**64 or so. It is the sum over a call and its ancestors
    of a number made of key and level: each call adds its own where its subtree begins and takes it back
    where it ends, so that one running sum makes them all.
    """
    calls, rows = selection.trace.calls, _rows(selection)
    n = len(calls)
    level = calls.level if rows is None else covered(rows, calls.end[rows], n)[rows]
    of_key = _mix(np.arange(int(key.max(initial=0)) + 1, dtype=np.uint64))
    of_level = _mix(~np.arange(int(level.max(initial=0)) + 1, dtype=np.uint64)) | np.uint64(1)
    steps = np.zeros(n + 1, np.uint64)
    for part in _parts(n if rows is None else len(rows)):
        at = part if rows is None else rows[part]
        own = of_key[key[at]] * of_level[level[part]]  # modulo 2**64, as every sum of these
        steps[at] += own
        np.subtract.at(steps, calls.end[at], own)
    np.cumsum(steps, out=steps)
    return steps[:n] if rows is None else steps[rows]


def _rows(selection: Selection) -> npt.NDArray[np.int32] | None:
    """The selected calls; None: all."""
    return None if selection.keep.all() else np.flatnonzero(selection.keep).astype(np.int32)


def _parts(n: int) -> Iterator[slice]:
    """``range(n)`` in pieces whose columns fit into a cache, or nearly so."""
    return (slice(first, min(first + _PART, n)) for first in range(0, n, _PART))


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
