"""Repeated sequences in rows of symbols: ``a b a b a b``, nested ones too. Nothing here knows of trees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int64
from kfgraph.analyze.paths import mixed

UInt64 = npt.NDArray[np.uint64]

LONGEST = 32
"""A sequence of more symbols is not looked for."""
_ROUNDS = 64
_STEP = np.uint64(0xBF58476D1CE4E5B9)
_MIX = np.uint64(0x94D049BB133111EB)


class Members(NamedTuple):
    """The repetitions of one loop but for the first: symbols ``first:last`` repeat those from ``like`` on."""

    first: Int64
    last: Int64
    like: Int64


class Whole(NamedTuple):
    """Loops as they are, ``n_times`` times the symbols from ``first`` on, up to ``last``."""

    first: Int64
    last: Int64
    n_times: Int64


@dataclass(eq=False, repr=False)
class Loops:
    """What was found in a row of symbols.

    ``members`` are all repetitions, ``whole`` all loops. A symbol that repeats alone is a run: ``runs`` holds (symbol,
    how often). A sequence of several is a group: group g has ``times[g]`` repetitions, the first of which is
    ``first[g]:last[g]``, and its parts are the symbols with ``owner_of_symbol`` g and the groups with ``owner`` g.
    """

    members: list[Members] = field(default_factory=list)
    whole: list[Whole] = field(default_factory=list)
    runs: list[tuple[Int64, Int64]] = field(default_factory=list)
    times: list[Int64] = field(default_factory=list)
    first: list[Int64] = field(default_factory=list)
    last: list[Int64] = field(default_factory=list)
    parts: list[tuple[Int64, Int64]] = field(default_factory=list)
    """(what is part of a group: a symbol, or -1 - a group; the group)."""
    n_groups: int = 0


@dataclass(eq=False, repr=False)
class _Row:
    """The symbols as they are by now: ``hash`` is equal for equal ones of one sequence, ``first:last`` which they were,
    ``item`` the symbol, or -1 - the group."""

    hash: UInt64
    first: Int64
    last: Int64
    item: Int64
    name: Int64
    may: Bool


def find_loops(
    symbol: UInt64, sequence: npt.NDArray[np.integer], name: npt.NDArray[np.integer], may: Bool
) -> Loops:
    """The loops in ``symbol``: equal ones repeat. ``sequence`` says which row each is in (those of one stand together);
    what may not be in a sequence of several is not ``may``, and one of symbols of one ``name`` is none.

    Shorter sequences are found first, so that what repeats inside of what repeats is a loop in a loop.
    """
    n = len(symbol)
    at = np.arange(n)
    # Equal symbols of different sequences are different, so that no loop goes on into the next.
    alike = mixed(symbol ^ (sequence.astype(np.uint64) * _STEP))
    row = _Row(alike, at, at + 1, at.copy(), name.astype(np.int64), may)
    found = Loops()
    period = 1
    while period <= LONGEST and len(row.hash) >= least_alike(period) + period:
        if _folded(row, period, found) and period > 1:
            period = 2
        else:
            period += 1
    return found


def _folded(row: _Row, period: int, found: Loops) -> bool:
    """Put one symbol in the place of each loop of this period; whether there was any."""
    begins, times = _repeated(row, period)
    if not len(begins):
        return False
    stops = begins + times * period
    body = begins[:, None] + np.arange(period)
    # All repetitions but the first, of all loops.
    more = times - 1
    nth = np.arange(int(more.sum())) - np.repeat(np.cumsum(more) - more, more) + 1
    like = np.repeat(begins, more)
    at = like + nth * period
    found.members.append(Members(row.first[at], row.last[at + period - 1], row.first[like]))
    found.whole.append(Whole(row.first[begins], row.last[stops - 1], times))
    hashes = np.zeros(len(begins), np.uint64)
    for k in range(period):
        hashes = hashes * _STEP + row.hash[body[:, k]]
    hashes = mixed(hashes + times.astype(np.uint64) * _MIX)
    if period == 1:
        found.runs.append((row.item[begins], times))
    else:
        groups = found.n_groups + np.arange(len(begins))
        found.n_groups += len(begins)
        found.times.append(times)
        found.first.append(row.first[begins])
        found.last.append(row.last[begins + period - 1])
        found.parts.append((row.item[body].ravel(), np.repeat(groups, period)))
        row.item[begins] = row.name[begins] = -1 - groups
    row.hash[begins], row.last[begins] = hashes, row.last[stops - 1]
    steps = np.zeros(len(row.hash) + 1, np.int8)
    steps[begins + 1] += 1
    steps[stops] -= 1
    stays = np.cumsum(steps[:-1], dtype=np.int8) == 0
    row.hash, row.first, row.last = row.hash[stays], row.first[stays], row.last[stays]
    row.item, row.name, row.may = row.item[stays], row.name[stays], row.may[stays]
    return True


def _repeated(row: _Row, period: int) -> tuple[Int64, Int64]:
    """(where loops of this period begin, how often their bodies stand there); none overlaps another."""
    match = row.hash[:-period] == row.hash[period:]
    if period == 1:
        match &= row.item[:-1] >= 0
    else:
        match &= row.may[:-period] & row.may[period:]
    at = np.flatnonzero(match)
    none = np.zeros(0, np.int64)
    least = least_alike(period)
    if len(at) < least:
        return none, none
    head = np.flatnonzero(np.append(True, np.diff(at) != 1))
    begins, lengths = _apart(at[head], np.diff(np.append(head, len(at))), period)
    times = lengths // period + 1
    if period > 1 and len(begins):
        room = np.minimum(lengths % period, np.append(begins[1:], len(row.hash)) - begins - times * period)
        begins = _in_step(row, begins, room)
        names = row.name[begins[:, None] + np.arange(period)]
        several = (names != names[:, :1]).any(axis=1)
        begins, times = begins[several], times[several]
    return begins, times


def _apart(begins: Int64, lengths: Int64, period: int) -> tuple[Int64, Int64]:
    """Where symbols begin to be equal to those a period further on, and how many are, so that no loop overlaps another:
    what the one before has is not there for the next."""
    n_rounds = 0
    while True:
        enough = lengths >= least_alike(period)
        begins, lengths = begins[enough], lengths[enough]
        over = np.maximum((begins + (lengths // period + 1) * period)[:-1] - begins[1:], 0)
        if not over.any():
            return begins, lengths
        # The first ones first: one that gives some up takes less.
        n_rounds += 1
        if n_rounds <= _ROUNDS:
            over[1:] *= over[:-1] == 0
        begins[1:] += over
        lengths[1:] -= over


def _in_step(row: _Row, begins: Int64, room: Int64) -> Int64:
    """The beginnings, moved on by up to ``room`` symbols so that a loop begins as the one before it in its row does."""
    moved = begins
    most = int(room.max())
    for _ in range(_ROUNDS if most else 0):
        wanted = row.hash[np.append(0, moved[:-1])]
        wanted[0] = row.hash[begins[0]]
        new = begins.copy()
        for k in range(most, 0, -1):
            can = (room >= k) & (row.hash[np.minimum(begins + k, len(row.hash) - 1)] == wanted)
            new[can] = begins[can] + k
        new[row.hash[begins] == wanted] = begins[row.hash[begins] == wanted]
        if np.array_equal(new, moved):
            break
        moved = new
    return moved


def least_alike(period: int) -> int:
    """So many symbols after one another are equal to those a period further on where a loop is: a call that is there
    twice, a sequence that is there three times. What is there twice comes about by chance."""
    return 1 if period == 1 else 2 * period
