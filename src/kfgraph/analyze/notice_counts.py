"""The notices of a trace, counted for the calls that are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32
from kfgraph.analyze.select import Selection
from kfgraph.errors import Notice
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace

LOST = "lost-records"


def problems_in(selection: Selection, rows: npt.NDArray[np.integer] | None = None) -> tuple[Notice, ...]:
    """The trace's notices as far as they concern the selected calls, or just those in ``rows`` of them.

    What counts calls by a flag counts theirs, losses count where they lie inside or beside them. What cannot be
    placed (a damaged file, a line that was not understood) concerns every part.
    """
    shown = selection.keep
    if rows is not None:
        shown = np.zeros(len(shown), np.bool_)
        shown[rows[rows >= 0]] = True
    return tuple(_concerning(selection.trace, shown, named=selection.named))


def _concerning(trace: Trace, shown: Bool, *, named: bool) -> Iterator[Notice]:
    calls = trace.calls
    for notice in trace.notices:
        n = notice.n
        if notice.flag:
            n = int((shown & calls.has(Flag(notice.flag))).sum())
        elif notice.code == LOST:
            n = int(_losses_in(trace, shown, named=named).sum())
        if n:
            yield notice if n == notice.n else replace(notice, n=n)


def _losses_in(trace: Trace, shown: Bool, *, named: bool) -> Bool:
    losses, calls = trace.losses, trace.calls
    # One more, which is never shown: the "row" of what has none.
    shown = np.append(shown, False)
    inside: Bool = shown[losses.parent]
    if named:
        return inside
    lane = np.append(calls.lane, np.int32(-2))

    def beside(row: Int32) -> Bool:
        row = np.where((row < 0) | (row > len(calls)), len(calls), row).astype(np.int32)
        found: Bool = shown[row] & (lane[row] == losses.lane)
        return found

    outside = losses.parent < 0
    return inside | (outside & (beside(losses.row) | beside(losses.row - 1) | (losses.row < 0)))
