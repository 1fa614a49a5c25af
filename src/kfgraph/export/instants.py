"""The other events and the losses of a selection, as instants on its tracks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kfgraph.analyze.forest import Bool, Int32
from kfgraph.analyze.select import Selection
from kfgraph.model.spelling import spelt_out
from kfgraph.model.units import plural


class Instant(NamedTuple):
    """One event: ``lane`` is -1 where it belongs to no task, ``text`` is what the tracer prints of it."""

    time_ns: int
    lane: int
    cpu: int
    name: str
    text: str


LOST = "records lost"


def instants(selection: Selection) -> Iterator[Instant]:
    """The events in the calls of the selection; without named roots also those of its tasks outside any call.

    Events first, then losses, each in the order of time. What has no time is left out.
    """
    trace = selection.trace
    marks, losses = trace.marks, trace.losses
    for i in np.flatnonzero(_inside(selection, marks.parent, marks.lane) & (marks.time_ns >= 0)).tolist():
        name = spelt_out(marks.names[marks.name[i]])
        yield Instant(int(marks.time_ns[i]), int(marks.lane[i]), int(marks.cpu[i]), name, spelt_out(marks.text[i]))
    for i in np.flatnonzero(_inside(selection, losses.parent, losses.lane) & (losses.time_ns >= 0)).tolist():
        n_lost = int(losses.n_lost[i])
        text = plural(n_lost, "record") if n_lost >= 0 else "not counted"
        yield Instant(int(losses.time_ns[i]), int(losses.lane[i]), int(losses.cpu[i]), LOST, text)


def _inside(selection: Selection, parent: Int32, lane: Int32) -> Bool:
    calls = selection.trace.calls
    if not len(parent):
        return np.zeros(0, np.bool_)
    shown = np.append(selection.keep, False)
    inside: Bool = shown[parent]
    if not selection.named:
        of_lane = np.zeros(len(selection.trace.tasks) + 1, np.bool_)
        of_lane[calls.lane[selection.keep]] = True
        # An event of no task concerns all.
        of_lane[-1] = bool(selection.keep.all())
        inside |= (parent < 0) & of_lane[lane]
    return inside
