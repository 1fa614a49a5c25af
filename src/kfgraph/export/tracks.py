"""Calls as slices of time on tracks, as viewers of timelines want them: the slices of a track nest or stand apart.

In a trace they nearly do. ``start_ns`` is when a call's entry was recorded, and the tracer takes a duration a little
before that and after, so a callee can seem to end some hundred nanoseconds after its caller. Durations are right and
stay as they are, to the nanosecond; a start is moved as far as is needed, and no further. An interrupt that hit the
tracer itself is no part of the call that it stands in: its slice is on another track.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kfgraph.analyze.forest import Bool, Int16, Int32, Int64, by_level, counted, covered, outermost
from kfgraph.analyze.select import Selection
from kfgraph.errors import Notice, notice
from kfgraph.kernel.interrupts import level_of
from kfgraph.model import steps
from kfgraph.model.calls import UNKNOWN_CONTEXT, Flag
from kfgraph.model.tasks import Task

_LONG_AGO = -(1 << 62)
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Track:
    """Where slices are drawn: a task's, or that of the interrupts of ``cpu``. ``place`` counts the tracks of one owner:
    what would overlap a slice of the first stands on the others."""

    lane: int
    task: Task | None
    cpu: int = -1
    place: int = 0

    @property
    def label(self) -> str:
        """``insmod-123``, ``interrupts on CPU 0``, with ``(2)`` and so on behind further ones."""
        more = f" ({self.place + 1})" if self.place else ""
        owner = self.task.label if self.task else f"interrupts on CPU {self.cpu}" if self.cpu >= 0 else "interrupts"
        return owner + more


@dataclass(frozen=True, eq=False, repr=False)
class Layout:
    """The selected calls as slices, in the order of their rows, as equal-length columns.

    ``rows`` are their rows (None: slice i is row i), ``parent`` the slice of the caller (-1: none), ``level`` the
    depth. ``above`` is the parent where it is on the same ``track`` (an index into ``tracks``), so that its slice
    holds this one, else -1. ``duration_ns`` is as recorded; of a call whose end is not known it is as long as what is
    known inside, which ``notices`` count.
    """

    selection: Selection
    rows: Int32 | None
    parent: Int32
    above: Int32
    level: Int16
    track: Int32
    tracks: tuple[Track, ...]
    start_ns: Int64
    duration_ns: Int64
    notices: tuple[Notice, ...]

    def __len__(self) -> int:
        return len(self.start_ns)

    def rows_of(self, some: slice | Int32) -> Int32:
        """The rows of some slices."""
        if self.rows is not None:
            return self.rows[some]
        return np.arange(some.start, some.stop, dtype=np.int32) if isinstance(some, slice) else some

    @property
    def base_ns(self) -> int:
        """The start of the trace, or the first start where that is not known."""
        first = self.selection.trace.meta.first_ns
        least = int(self.start_ns.min(initial=np.iinfo(np.int64).max)) if len(self) else 0
        return min(first, least) if first >= 0 else least

    def by_track(self) -> Iterator[tuple[Track, Int32]]:
        """Each track that has slices, with these in order."""
        order = np.argsort(self.track.astype(np.uint16) if len(self.tracks) < 1 << 16 else self.track, kind="stable")
        ends = np.cumsum(np.bincount(self.track, minlength=len(self.tracks)))
        for number, track in enumerate(self.tracks):
            some = order[ends[number - 1] if number else 0 : ends[number]]
            if len(some):
                yield track, some.astype(np.int32)


def chunks(n: int, size: int = _CHUNK) -> Iterator[slice]:
    """``range(n)`` in pieces."""
    steps.begin(total=n)
    for first in range(0, n, size):
        yield slice(first, min(first + size, n))
        steps.advance(size)


def structure(selection: Selection) -> tuple[Int32 | None, Int32, Int32, Int16]:
    """(rows, parent, end, level) of the forest of the selected calls, by position; rows None: all of the trace."""
    calls, keep = selection.trace.calls, selection.keep
    if keep.all() and selection.parent is calls.parent:
        return None, calls.parent, calls.end, calls.level
    rows = np.flatnonzero(keep).astype(np.int32)
    n_before = counted(keep)
    here = np.append(n_before[:-1], np.int32(-1))
    parent = here[selection.parent[rows]]
    end = n_before[calls.end[rows]]
    level = covered(np.arange(len(rows), dtype=np.int32), end, len(rows)) - 1
    return rows, parent, end, level.astype(np.int16)


def layout(selection: Selection, *, interrupts_apart: bool = True) -> Layout:
    """Lay out the selected calls; interrupts on tracks of their CPUs, or else within the calls that they hit."""
    calls = selection.trace.calls
    rows, parent, end, level = structure(selection)
    taken = slice(None) if rows is None else rows
    recorded = calls.duration_ns[taken]
    in_tracer = ((calls.flags[taken] & np.uint32(Flag.IN_TRACER)) != 0) & (parent >= 0)
    track, tracks = _tracks(selection, taken, parent, end, in_tracer, interrupts_apart=interrupts_apart)
    elsewhere = (parent >= 0) & (track != track[parent]) if len(parent) else np.zeros(0, np.bool_)
    above = np.where(elsewhere, np.int32(-1), parent) if elsewhere.any() else parent
    start = calls.start_ns[taken].copy()
    no_start = start < 0
    if no_start.any():
        _guess(start, no_start, above)
    duration = _durations(start, recorded, above, level)
    duration, n_shortened = _place(start, duration, above, level, track, recorded)
    found = {
        "export-unfinished": int((recorded < 0).sum()),
        "export-in-tracer": int(in_tracer.sum()),
        "export-no-start": int(no_start.sum()),
        "export-shortened": n_shortened,
    }
    notices = tuple(notice(kind, n) for kind, n in found.items() if n)
    return Layout(selection, rows, parent, above, level, track, tracks, start, duration, notices)


def _tracks(
    selection: Selection, taken: slice | Int32, parent: Int32, end: Int32, in_tracer: Bool, *, interrupts_apart: bool
) -> tuple[Int32, tuple[Track, ...]]:
    """(the track of each call, the tracks): those of the lanes first."""
    trace, n = selection.trace, len(parent)
    lane = trace.calls.lane[taken]
    tracks = [Track(number, task) for number, task in enumerate(trace.tasks.tasks)]
    top = in_tracer
    if interrupts_apart:
        context = trace.calls.context[taken]
        wrapper = np.fromiter((level_of(name) > 0 for name in trace.symbols.names), np.bool_, len(trace.symbols))
        top = top | ((context > 0) & (context != UNKNOWN_CONTEXT)) | wrapper[trace.calls.func[taken]]
    if not top.any():
        return lane, tuple(tracks)
    at = np.flatnonzero(top).astype(np.int32)
    apart = covered(at, end[at], n) > 0
    where = np.flatnonzero(apart).astype(np.int32)
    if interrupts_apart:
        tops = outermost(at, end)
        owner = trace.calls.cpu[taken][tops[np.searchsorted(tops, where, side="right") - 1]].astype(np.int64)
        further = np.flatnonzero(in_tracer & apart[parent]).astype(np.int32)
    else:
        owner = lane[where].astype(np.int64)
        further = np.flatnonzero(in_tracer).astype(np.int32)
    place = covered(further, end[further], n)[where]
    keys, which = np.unique((owner + 1) << 32 | place, return_inverse=True)
    track = lane.copy()
    track[where] = len(tracks) + which
    for key in keys.tolist():
        who, place_of = (key >> 32) - 1, key & 0xFFFFFFFF
        tracks.append(
            Track(-1, None, who, place_of) if interrupts_apart else Track(who, trace.tasks[who], place=place_of)
        )
    return track, tuple(tracks)


def _guess(start: Int64, no_start: Bool, above: Int32) -> None:
    """Starts that are not known: as early as may be; of an outermost call that of the one before it."""
    start[no_start] = _LONG_AGO
    roots = np.flatnonzero(above < 0)
    known = np.flatnonzero(~no_start[roots])
    if not len(known):
        start[roots] = 0
        return
    last = np.zeros(len(roots), np.int64)
    last[known] = known
    last = np.maximum.accumulate(last)
    last[: known[0]] = known[0]
    start[roots] = start[roots[last]]


def _durations(start: Int64, recorded: Int64, above: Int32, level: Int16) -> Int64:
    """Each duration; where it is not known the time from the start to the last that is known inside."""
    unknown = recorded < 0
    if not unknown.any():
        return recorded
    duration = np.maximum(recorded, 0)
    inside, reach = np.zeros(len(start), np.int64), start.copy()
    open_ = np.flatnonzero(unknown)
    below = np.flatnonzero((above >= 0) & unknown[above])
    for group in [*reversed(by_level(below, level)), open_]:
        some = group[unknown[group]]
        since = np.where(start[some] == _LONG_AGO, 0, reach[some] - start[some])
        duration[some] = np.maximum(since, inside[some])
        if group is not open_:
            np.maximum.at(reach, above[group], start[group] + duration[group])
            np.add.at(inside, above[group], duration[group])
    return duration


def _place(
    start: Int64, duration: Int64, above: Int32, level: Int16, track: Int32, recorded: Int64
) -> tuple[Int64, int]:
    """Move starts, in place; (the durations, shortened where there is no room, how many recorded ones that shortened).

    Siblings that take ``duration`` one after another fit where their starts, less the time of those before them, do
    not decrease and leave room for all: a running maximum and a clip.
    """
    roots = np.flatnonzero(above < 0)
    roots = roots[np.lexsort((start[roots], track[roots]))]
    if len(roots):
        head = np.append(True, track[roots[1:]] != track[roots[:-1]])
        before = _before(duration[roots], head)
        early = start[roots] - before
        first = np.flatnonzero(head)
        span = np.maximum.reduceat(early, first) - np.minimum.reduceat(early, first)
        least = np.minimum.reduceat(early, first)[np.cumsum(head) - 1]
        start[roots] = least + _rising(early - least, span, head) + before
    n_shortened = 0
    for group in by_level(np.flatnonzero(above >= 0).astype(np.int32), level):
        up = above[group]
        head = np.append(True, up[1:] != up[:-1])
        before = _before(duration[group], head)
        last = np.append(np.flatnonzero(head)[1:], len(group)) - 1
        room = np.maximum(duration[up[last]] - before[last] - duration[group[last]], 0)
        lowest = start[up]
        late = np.clip(start[group] - before - lowest, 0, room[np.cumsum(head) - 1])
        begin = lowest + _rising(late, room, head) + before
        limit = lowest + duration[up]
        begin = np.minimum(begin, limit)
        start[group] = begin
        too_long = np.flatnonzero(begin + duration[group] > limit)
        if len(too_long):
            some = group[too_long]
            duration = duration.copy() if duration is recorded else duration
            n_shortened += int((recorded[some] >= 0).sum())
            duration[some] = (limit - begin)[too_long]
    return duration, n_shortened


def _before(duration: Int64, head: Bool) -> Int64:
    """The sum of the durations before each, from the last ``head`` on."""
    before: Int64 = np.cumsum(duration) - duration
    of_family: Int64 = before - before[np.flatnonzero(head)][np.cumsum(head) - 1]
    return of_family


def _rising(late: Int64, room: Int64, head: Bool) -> Int64:
    """The running maximum of ``late``, which is 0 to ``room`` of its family, within each family."""
    offset = (np.cumsum(room + 1) - room - 1)[np.cumsum(head) - 1]
    risen: Int64 = np.maximum.accumulate(late + offset) - offset
    return risen


def events(parent: Int32, level: Int16, *, size: int = _CHUNK) -> Iterator[tuple[Int32, Bool]]:
    """(node, whether it begins) of every begin and end of a forest in pre-order, in the order of a walk, in pieces."""
    n = len(parent)
    for part in chunks(n, size):
        node = np.arange(part.start, part.stop, dtype=np.int32)
        n_ending = np.zeros(len(node), np.int64)
        first = 1 if part.start == 0 else 0
        n_ending[first:] = level[node[first:] - 1].astype(np.int64) - level[node[first:]] + 1
        yield _walk(parent, node, n_ending)
    if n:
        nodes, begins = _walk(parent, np.array([n], np.int32), np.array([int(level[-1]) + 1]))
        yield nodes[:-1], begins[:-1]


def _walk(parent: Int32, node: Int32, n_ending: Int64) -> tuple[Int32, Bool]:
    """What ends before each node, the innermost first, and its begin."""
    at = np.cumsum(n_ending + 1) - n_ending - 1
    nodes = np.empty(int(n_ending.sum()) + len(node), np.int32)
    begins = np.zeros(len(nodes), np.bool_)
    nodes[at + n_ending], begins[at + n_ending] = node, True
    ending = node - 1
    some = np.flatnonzero(n_ending)
    step = 0
    while len(some):
        nodes[at[some] + step] = ending[some]
        ending[some] = parent[ending[some]]
        step += 1
        some = some[n_ending[some] > step]
    return nodes, begins


def within(track_slices: Int32, above: Int32, level: Int16) -> tuple[Int32, Int16]:
    """(parent, level) among the slices of one track, by position in it."""
    up = above[track_slices]
    parent = np.where(up < 0, np.int32(-1), np.searchsorted(track_slices, up)).astype(np.int32)
    root = np.maximum.accumulate(np.where(up < 0, np.arange(len(up)), 0))
    own = level[track_slices]
    return parent, (own - own[root]).astype(np.int16)
