"""Flame graphs: every path of callers as a frame, as wide as what its calls took, whoever draws it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.filters import Filters
from kfgraph.analyze.forest import Int32, Int64, by_level, nearest_kept, preorder, same_paths
from kfgraph.analyze.waiting_functions import functions_off_cpu
from kfgraph.analyze.weights import OF_TIME, Weighted, weighted
from kfgraph.errors import NoMatchError, Notice, UsageError
from kfgraph.kernel.interrupts import level_of
from kfgraph.model.names import split_label
from kfgraph.model.trace import Trace
from kfgraph.model.tree import NodeKind, TreeTable

if TYPE_CHECKING:
    from typing_extensions import Unpack

By = Literal["time", "oncpu", "asleep", "preempted", "self", "calls", "errors"]
BY: tuple[By, ...] = get_args(By)
LEAST_SHARE = 1e-5
"""Callers that hold less than this share of all are not followed further up."""


class Hue(enum.IntEnum):
    """What a frame's colour says."""

    KERNEL = 0
    MODULE = 1
    TASK = 2
    INTERRUPT = 3
    WAITING = 4


@dataclass(frozen=True, eq=False, repr=False)
class Flame:
    """Frames in pre-order, as equal-length columns: the largest sibling first, equal ones in the order of first sight.

    ``label`` indexes ``labels``. ``value`` is how wide a frame is, in ns or in calls: what it has of its ``own``, and
    all in the frames that hang on it. ``n_calls`` counts the calls that a frame stands for, with ``upside_down`` those
    of the function at the root. ``hue`` is a :class:`Hue`. ``n_cut`` frames hold callers that were not followed.
    ``estimated``: times are less what tracing took, by an estimate.
    """

    labels: tuple[str, ...]
    label: Int32
    parent: Int32
    end: Int32
    level: Int32
    value: Int64
    own: Int64
    n_calls: Int64
    hue: npt.NDArray[np.uint8]
    by: By
    upside_down: bool
    n_cut: int
    about: str
    notices: tuple[Notice, ...]
    estimated: bool = False

    def __len__(self) -> int:
        return len(self.label)

    @property
    def in_ns(self) -> bool:
        """Whether values are times; else they count calls."""
        return self.by not in ("calls", "errors")

    @cached_property
    def whole(self) -> int:
        """The value of all frames together."""
        return int(self.own.sum())

    def at_least(self, least: float) -> Flame:
        """The frames that are no narrower than this; the others are part of what their callers have of their own."""
        keep = self.value >= least
        if keep.all():
            return self
        n_before = np.append(0, np.cumsum(keep)).astype(np.int32)
        parent, value = self.parent[keep], self.value[keep]
        parent = np.where(parent < 0, -1, n_before[parent]).astype(np.int32)
        own = value.copy()
        np.subtract.at(own, parent[parent >= 0], value[parent >= 0])
        return replace(
            self, parent=parent, value=value, own=own, end=n_before[self.end[keep]], label=self.label[keep],
            level=self.level[keep], n_calls=self.n_calls[keep], hue=self.hue[keep],
        )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class _Frames:
    """Frames, in any order."""

    parent: Int64
    level: Int64
    label: Int64
    own: Int64
    n_calls: Int64
    hue: npt.NDArray[np.uint8]
    first: Int64

    def merged(self, n_labels: int) -> _Frames:
        """Those of one path as one."""
        label = self.label.astype(np.int32)
        node, parent, level, first = same_paths(
            self.parent.astype(np.int32), self.level.astype(np.int16), label, n_labels
        )
        own, n_calls = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
        np.add.at(own, node, self.own)
        np.add.at(n_calls, node, self.n_calls)
        hue = self.hue[first]
        return _Frames(parent, level, self.label[first], own, n_calls, hue, self.first[first])


def flame(
    trace: Trace,
    *,
    by: By | None = None,
    callers: bool = False,
    join_recursion: bool = False,
    compensate: bool = False,
    **filters: Unpack[Filters],
) -> Flame:
    """The flame graph of the selected calls.

    Args:
        by: ``time``: the time of calls; ``oncpu``, ``asleep``, ``preempted``: the part of it that was so;
            ``self``: only self times that are known; ``calls``: how many; ``errors``: how many returned an error for
            sure. None: ``oncpu`` where the trace has sched_switch, else ``time``.
        callers: upside down: the functions that have values of their own are roots, their callers hang on them.
        join_recursion: a function that calls itself directly is one frame.
        compensate: times less what tracing took, by an estimate.
        filters: which calls, as for :func:`kfgraph.analyze.select.select`.

    Raises:
        ValueError: ``by`` is none of the words above.
        NoMatchError: a filter leaves nothing, or no call returned an error.
        UsageError: the trace does not record what ``by``, a filter or an estimate needs.
    """
    if by is None:
        by = "time" if trace.off_cpu is None or trace.calls.asleep_ns is None else "oncpu"
    if by not in BY:
        raise ValueError(f"by is one of {', '.join(BY)}")
    found, left_out = weighted(trace, selves=by == "self", compensate=compensate, **filters)
    if by in OF_TIME and by not in found.events:
        raise UsageError(f"--by {by}: this trace has no sched_switch events", "record it with kfgraph trace --sched")
    tree = found.tree
    frames = _Frames(
        tree.parent.astype(np.int64), tree.level.astype(np.int64), tree.label.astype(np.int64), _own(found, by),
        tree.count.astype(np.int64), _hues(found, trace), np.arange(len(tree)),
    )  # fmt: skip
    if by == "errors" and not frames.own.any():
        raise NoMatchError(
            "no call returned an error, as far as return values were recorded", "--by time or --by calls"
        )
    n_labels, n_cut = len(tree.labels), 0
    if join_recursion:
        frames = _recursion_joined(frames)
    if callers:
        frames, n_cut = _upside_down(frames, n_labels)
    else:
        frames = frames.merged(n_labels)
    value = _with_below(frames)
    order, size = preorder(frames.parent, frames.level, value, frames.first) if len(value) else (frames.first,) * 2
    now = np.empty(len(order) + 1, np.int64)
    now[order], now[-1] = np.arange(len(order)), -1
    made = Flame(
        tree.labels, frames.label[order].astype(np.int32), now[frames.parent[order]].astype(np.int32),
        (np.arange(len(order)) + size[order]).astype(np.int32), frames.level[order].astype(np.int32), value[order],
        frames.own[order], frames.n_calls[order], frames.hue[order], by, callers, n_cut, found.about,
        (*left_out, *found.notices, *(found.doubts if by in OF_TIME else ())), compensate,
    )  # fmt: skip
    return made.at_least(1)


def _own(found: Weighted, by: By) -> Int64:
    """What each node has of its own."""
    tree = found.tree
    if by == "time":
        return found.own_ns
    if by in found.events:
        return found.events[by]
    if by == "self":
        own: Int64 = np.where(tree.count > 0, np.maximum(tree.self_ns, 0), 0)
    elif by == "calls":
        own = tree.count.astype(np.int64)
    else:
        own = np.where(tree.error_sure, tree.n_errors, 0)
    return own


def _hues(found: Weighted, trace: Trace) -> npt.NDArray[np.uint8]:
    """What each node's colour says; what an interrupt calls is part of it, but for what waits."""
    tree = found.tree
    module = np.array([bool(split_label(label)[1]) for label in tree.labels], np.bool_)
    waits = np.zeros(len(tree.labels), np.bool_)
    waiting = functions_off_cpu(trace)
    waits[: len(waiting)] = waiting  # behind the functions are tasks
    hue = np.where(module[tree.label], Hue.MODULE, Hue.KERNEL).astype(np.uint8)
    hue[_interrupts(tree, found)] = Hue.INTERRUPT
    hue[waits[tree.label]] = Hue.WAITING
    if tree.has("kind"):
        hue[tree.kind == NodeKind.TASK] = Hue.TASK
    return hue


def _interrupts(tree: TreeTable, found: Weighted) -> npt.NDArray[np.bool_]:
    """The nodes in an interrupt: those whose first call is in its context, the frames around, and what they call."""
    wrapper = np.array([level_of(label) > 0 for label in tree.labels], np.bool_)
    tops = np.flatnonzero(wrapper[tree.label] | found.in_interrupt)
    steps = np.zeros(len(tree) + 1, np.int64)
    np.add.at(steps, tops, 1)
    np.subtract.at(steps, tree.end[tops], 1)
    inside: npt.NDArray[np.bool_] = np.cumsum(steps[:-1]) > 0
    return inside


def _recursion_joined(frames: _Frames) -> _Frames:
    """A frame below one of the same function is part of it."""
    keep = (frames.parent < 0) | (frames.label != frames.label[frames.parent])
    if keep.all():
        return frames
    parent = frames.parent.astype(np.int32)
    above = nearest_kept(parent, keep)
    rows = np.arange(len(keep), dtype=np.int32)
    into = np.where(keep, rows, above)
    own, n_calls = np.zeros(len(keep), np.int64), np.zeros(len(keep), np.int64)
    np.add.at(own, into, frames.own)
    np.add.at(n_calls, into, frames.n_calls)
    level = np.zeros(len(keep), np.int64)
    for at in by_level(rows, frames.level):
        level[at] = np.where(parent[at] < 0, 0, level[parent[at]] + keep[at])
    n_before = np.append(0, np.cumsum(keep))
    up = np.where(above < 0, -1, n_before[above])[keep]
    return _Frames(up, level[keep], frames.label[keep], own[keep], n_calls[keep], frames.hue[keep], frames.first[keep])


def _upside_down(frames: _Frames, n_labels: int) -> tuple[_Frames, int]:
    """(what each frame has of its own, with its callers hanging on it; how many frames hold callers that are not
    followed: less than LEAST_SHARE of all came that way)."""
    at = np.flatnonzero(frames.own > 0)
    least = frames.own.sum() * LEAST_SHARE
    here = at
    above = np.full(len(at), -1, np.int64)
    columns: list[tuple[Int64, ...]] = []
    hues = [np.zeros(0, np.uint8)]
    n, n_cut, level = 0, 0, 0
    while len(at):
        keys, first, which = np.unique(
            (above + 1) * n_labels + frames.label[here], return_index=True, return_inverse=True
        )
        total, n_calls, own = (np.zeros(len(keys), np.int64) for _ in range(3))
        np.add.at(total, which, frames.own[at])
        np.add.at(n_calls, which, frames.n_calls[at])
        further = (frames.parent[here] >= 0) & (total[which] >= least)
        np.add.at(own, which[~further], frames.own[at[~further]])
        n_cut += len(np.unique(which[(frames.parent[here] >= 0) & ~further]))
        columns.append((
            keys // n_labels - 1, np.full(len(keys), level), keys % n_labels, own, n_calls, frames.first[at[first]]
        ))  # fmt: skip
        hues.append(frames.hue[here[first]])
        at, here, above = at[further], frames.parent[here[further]], n + which[further]
        n += len(keys)
        level += 1
    parent, levels, label, own, n_calls, first = (
        (np.concatenate(column) for column in zip(*columns, strict=True)) if columns else (frames.own[:0],) * 6
    )
    return _Frames(parent, levels, label, own, n_calls, np.concatenate(hues), first), n_cut


def _with_below(frames: _Frames) -> Int64:
    """What each frame has of its own and in all frames that hang on it."""
    value = frames.own.copy()
    for group in reversed(by_level(np.flatnonzero(frames.parent >= 0), frames.level)):
        np.add.at(value, frames.parent[group], value[group])
    return value
