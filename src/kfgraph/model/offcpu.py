"""Stretches of time in which a task was not on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class OffCpu:
    """One row per stretch between a switch out of a lane and the next switch in, in order of its end.

    ``row`` is the call whose own time it is, the innermost one that was open when the task ran again: -1 where no call
    was open, or where it is not known. The task did not run from ``begin_ns`` to ``end_ns``: ``asleep``, else it was
    preempted, or gave the CPU up and could have run.

    ``waker_lane``, ``waker_row`` and ``waker_context`` (a code of CONTEXTS) are those of the record that tells who
    ended a sleep: the task that ran there, its innermost open call, and whether an interrupt had hit it; -1, -1 and 255
    where nothing tells.
    """

    lane: Int32
    row: Int32
    begin_ns: Int64
    end_ns: Int64
    asleep: Bool
    waker_lane: Int32
    waker_row: Int32
    waker_context: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def knows_wakers(self) -> bool:
        """Whether the trace tells who ended any of them."""
        return bool((self.waker_lane >= 0).any())

    @property
    def ns(self) -> Int64:
        """How long each stretch is."""
        lengths: Int64 = self.end_ns - self.begin_ns
        return lengths
