"""Hot paths: the chains root → … → function whose last function spent the most time itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfgraph.analyze import paths
from kfgraph.analyze.forest import covered
from kfgraph.analyze.paths import parts
from kfgraph.analyze.select import Selection
from kfgraph.model.sparse import Sparse

_LEAST_BITS, _MOST_BITS = 16, 22
"""The logarithm of how many buckets there are."""


@dataclass(frozen=True)
class HotPath:
    """One chain of keys from a root down. ``self_ns`` sums the known self time of its ``n_calls`` calls."""

    keys: tuple[int, ...]
    n_calls: int
    self_ns: int


def hot_paths(
    selection: Selection,
    key: npt.NDArray[np.int32],
    *,
    apart: npt.NDArray[np.bool_],
    beside: Sparse | None = None,
    limit: int = 5,
) -> tuple[list[HotPath], list[HotPath], list[HotPath]]:
    """The ``limit`` chains with the most self time, the heaviest first, equal ones in table order; as many of those
    that end with a key which is ``apart`` (few calls); and of those with the most of ``beside``, not of self time.

    ``key`` gives each row of the CallTable its function, a number from 0. Calls with the same chain of
    keys from the selection's root down are one path. A path without known self time is none.
    """
    rows = _rows(selection)
    n = len(key) if rows is None else len(rows)
    if not n or limit < 1:
        return [], [], []
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
    for part in parts(n):
        own_ns = np.maximum(self_ns[part], 0)
        if some_apart:
            here = np.flatnonzero(apart[keys[part]])
            own_ns[here] = 0
            set_apart.append(part.start + here)
        np.add.at(bucket_ns, bucket(part), own_ns)
    others = np.concatenate(set_apart)
    of_others = _take_apart(others, path[others], np.maximum(self_ns[others], 0))
    ends_apart = made([one for one in of_others[:limit] if one[1] > 0])
    by_others: list[HotPath] = []
    if beside is not None:
        had = beside.where(selection.keep)
        at = had.rows.astype(np.intp) if rows is None else np.searchsorted(rows, had.rows)
        by_others = made(_take_apart(at, path[at], had.values)[:limit])
    heaviest = np.flatnonzero(bucket_ns)
    heaviest = heaviest[np.argsort(-bucket_ns[heaviest], kind="stable")]
    n_taken = 4 * limit
    while True:
        taken = np.zeros(n_buckets, np.bool_)
        taken[heaviest[:n_taken]] = True
        some = np.concatenate([part.start + np.flatnonzero(taken[bucket(part)]) for part in parts(n)])
        if some_apart:
            some = some[~apart[keys[some]]]
        found = _take_apart(some, path[some], np.maximum(self_ns[some], 0))
        best = [one for one in found[:limit] if one[1] > 0]
        all_taken = n_taken >= len(heaviest)
        if all_taken or (len(best) == limit and best[-1][1] > bucket_ns[heaviest[n_taken]]):
            return made(best), ends_apart, by_others
        n_taken *= 4


def path_hashes(selection: Selection, key: npt.NDArray[np.int32]) -> npt.NDArray[np.uint64]:
    """One number per selected call, equal for two if the keys from their roots down are equal; see
    :func:`kfgraph.analyze.paths.path_hashes`."""
    calls, rows = selection.trace.calls, _rows(selection)
    level = calls.level if rows is None else covered(rows, calls.end[rows], len(calls))[rows]
    return paths.path_hashes(key, level, calls.end, rows=rows)


def _rows(selection: Selection) -> npt.NDArray[np.int32] | None:
    """The selected calls; None: all."""
    return None if selection.keep.all() else np.flatnonzero(selection.keep).astype(np.int32)


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
