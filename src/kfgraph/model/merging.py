"""How the values that several nodes of a tree have in a column become one value. Unknown is -1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Rule:
    """``into(values, more, at)`` puts each of ``more`` into ``values[at]``, in place, and returns ``values``.

    ``over(column, begin, end)`` makes one value of each slice ``column[begin[k]:end[k]]``; a rule without it makes
    none of many.
    """

    into: Callable[[Array, Array, Array], Array]
    over: Callable[[Array, Array, Array], Array] | None = None


def known_part(cost_ns: Array) -> Array:
    """What is known of each sum that BOUND made."""
    return np.where(cost_ns < 0, -1 - cost_ns, cost_ns)


def _sum_into(values: Array, more: Array, at: Array) -> Array:
    np.add.at(values, at, more)
    return values


def _sum_over(column: Array, begin: Array, end: Array) -> Array:
    if not len(begin) or not column.any():
        return np.zeros(len(begin), np.int64)
    before = np.zeros(len(column) + 1, np.int64)
    np.cumsum(column, out=before[1:])
    sums: Array = before[end] - before[begin]
    return sums


def _known_into(values: Array, more: Array, at: Array) -> Array:
    unknown, unknown_more = np.flatnonzero(values < 0), np.flatnonzero(more < 0)
    np.add.at(values, at, more)
    if len(unknown) or len(unknown_more):
        n_unknown = np.bincount(at[unknown_more], minlength=len(values))
        n_unknown[unknown] += 1
        n_all = np.bincount(at, minlength=len(values)) + 1
        # Each of them took 1 away.
        values += n_unknown
        values[n_unknown == n_all] = -1
    return values


def _known_over(column: Array, begin: Array, end: Array) -> Array:
    sums, unknown = _sum_over(column, begin, end), column < 0
    if unknown.any():
        n_unknown = _sum_over(unknown, begin, end)
        sums = np.where(n_unknown == end - begin, -1, sums + n_unknown)
    return sums


def _least_into(values: Array, more: Array, at: Array) -> Array:
    values[values < 0] = _NEVER
    known = more >= 0
    np.minimum.at(values, at[known], more[known])
    values[values == _NEVER] = -1
    return values


def _most_into(values: Array, more: Array, at: Array) -> Array:
    np.maximum.at(values, at, more)
    return values


def _or_into(values: Array, more: Array, at: Array) -> Array:
    some = np.flatnonzero(more)
    np.bitwise_or.at(values, at[some], more[some])
    return values


def _first_into(values: Array, more: Array, at: Array) -> Array:
    return values


def _bound_into(values: Array, more: Array, at: Array) -> Array:
    some = np.flatnonzero(more)
    if len(some):
        unknown = values < 0
        unknown[at[some[more[some] < 0]]] = True
        known = known_part(values)
        np.add.at(known, at[some], known_part(more[some]))
        values[:] = np.where(unknown, -1 - known, known)
    return values


def _bound_over(column: Array, begin: Array, end: Array) -> Array:
    known = _sum_over(known_part(column), begin, end)
    return np.where(_sum_over(column < 0, begin, end) > 0, -1 - known, known)


SUM = Rule(_sum_into, _sum_over)
KNOWN_SUM = Rule(_known_into, _known_over)
"""The sum of what is known; -1 where nothing is."""
LEAST = Rule(_least_into)
MOST = Rule(_most_into)
OR = Rule(_or_into)
FIRST = Rule(_first_into)
BOUND = Rule(_bound_into, _bound_over)
"""The sum of upper bounds; -1 - what is known where something is not, so that no sum of sums loses either."""
