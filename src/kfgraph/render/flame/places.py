"""Where the frames of a flame graph stand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.flame import Flame
from kfgraph.analyze.forest import by_level

Float64 = npt.NDArray[np.float64]


def places(flame: Flame, room: float) -> tuple[Float64, Float64]:
    """(where each frame begins, how wide it is), in the unit of ``room``, the width of the whole graph.

    Siblings stand one after another in their caller; what a frame has of its own is at its right.
    """
    unit = np.float64(room / max(flame.whole, 1))
    # Before a frame stands what all frames before it have of their own, but for those that it hangs on.
    before = np.append(0, np.cumsum(flame.own))[:-1]
    above = np.zeros(len(flame), np.int64)
    for group in by_level(np.flatnonzero(flame.parent >= 0), flame.level):
        up = flame.parent[group]
        above[group] = above[up] + flame.own[up]
    return (before - above) * unit, flame.value * unit
