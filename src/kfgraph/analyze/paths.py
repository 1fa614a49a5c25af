"""Which nodes of a forest have the same path from a root: one running sum, not a walk level by level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Int16, Int32, Int64

UInt64 = npt.NDArray[np.uint64]
_PART = 1 << 18
_LEAST_BITS, _MOST_BITS = 10, 22
"""The logarithm of how many places the table of paths has."""


def parts(n: int) -> Iterator[slice]:
    """``range(n)`` in pieces whose columns fit into a cache, or nearly so."""
    return (slice(first, min(first + _PART, n)) for first in range(0, n, _PART))


def path_hashes(
    key: npt.NDArray[Any], level: npt.NDArray[Any], end: Int32, *, rows: Int32 | None = None
) -> UInt64:
    """One number for each of ``rows`` (None: all) of a forest in pre-order, equal for two if the keys from their roots
    down are equal.

    Different otherwise, but for one chance in 2**64 or so. It is the sum over a node and its ancestors of a number made
    of key and level: each node adds its own where its subtree begins and takes it back where it ends, so that one
    running sum makes them all. ``key`` and ``end`` are columns of the forest, ``level`` has a value for each of
    ``rows``, and counts from a root of them.
    """
    n = len(end)
    of_key = mixed(np.arange(int(key.max(initial=0)) + 1, dtype=np.uint64))
    of_level = mixed(~np.arange(int(level.max(initial=0)) + 1, dtype=np.uint64)) | np.uint64(1)
    steps = np.zeros(n + 1, np.uint64)
    for part in parts(n if rows is None else len(rows)):
        at = part if rows is None else rows[part]
        own = of_key[key[at]] * of_level[level[part]]  # modulo 2**64, as every sum of these
        steps[at] += own
        np.subtract.at(steps, end[at], own)
    np.cumsum(steps, out=steps)
    return steps[:n] if rows is None else steps[rows]


def same_paths(end: Int32, level: Int16, label: Int32, parent: Int32) -> tuple[Int32, Int64, Int64, Int64]:
    """Nodes with the same labels from a root down as one.

    Returns (the number of each node among the new ones, their parents, their levels, the first node of each): the new
    ones stand level by level, those of a level in the order of first sight.
    """
    like = _first_alike(path_hashes(label, level, end))
    n = len(like)
    first = np.concatenate(
        [part.start + np.flatnonzero(like[part] == np.arange(part.start, part.stop)) for part in parts(n)]
        or [np.zeros(0, np.int64)]
    )
    first = first[np.argsort(level[first], kind="stable")]
    number = np.empty(n, np.int32)
    number[first] = np.arange(len(first), dtype=np.int32)
    node = like
    for part in parts(n):
        node[part] = number[like[part]]
    above = parent[first]
    return node, np.where(above < 0, -1, node[above]).astype(np.int64), level[first].astype(np.int64), first


def _first_alike(path: UInt64) -> Int32:
    """For each element the first one that is equal."""
    n = len(path)
    # A table whose places hold the first element that falls there; the few others are sorted.
    bits = max(_LEAST_BITS, min(n.bit_length(), _MOST_BITS))
    mask = np.uint64((1 << bits) - 1)
    holds = np.full(1 << bits, n, np.int32)
    for part in reversed(list(parts(n))):
        # The last assignment counts.
        holds[(path[part] & mask).astype(np.intp)[::-1]] = np.arange(part.stop - 1, part.start - 1, -1, dtype=np.int32)
    like = np.empty(n, np.int32)
    others = [np.zeros(0, np.int64)]
    for part in parts(n):
        like[part] = holds[(path[part] & mask).astype(np.intp)]
        others.append(part.start + np.flatnonzero(path[like[part]] != path[part]))
    some = np.concatenate(others)
    if len(some):
        _, first, which = np.unique(path[some], return_index=True, return_inverse=True)
        like[some] = some[first][which]
    return like


def mixed(x: UInt64) -> UInt64:
    """A number for each that looks like chance: the finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    # Arithmetic modulo 2**64 is meant.
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
