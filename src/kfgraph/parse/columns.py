# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""The columns that pairing reads and fills, as C sees them (types: the .pxd). What fills them is in ``stacks``.

Records are rows of a ``RecordBatch``; nodes (calls in the making) rows of the ``c_*`` columns; places, where marks
and losses stand among them, rows of ``p_*``; then a row for each lane (``lane_*``) and for each CPU (``cpu_*``, at
CPU + 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kfgraph.parse.lanes import Lanes
from kfgraph.parse.records import RecordBatch

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

COMPILED: bool = cython.compiled


def _view(column: Any) -> Any:
    # The plain loop reads memoryviews: their items are Python ints, which numpy's are not.
    return memoryview(column)


class Columns:
    """Where the calls go. ``n_nodes`` and ``n_places`` are filled so far."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.n_nodes = 0
        self.n_places = 0

    def target(self, nodes: Mapping[str, Any], places: Mapping[str, Any]) -> None:
        """Fill these columns from now on, which begin with what was filled so far."""
        flags = _view(nodes["flags"])
        self.lanes.flags = flags
        self.c_flags = flags
        self.c_func = _view(nodes["func"])
        self.c_lane = _view(nodes["lane"])
        self.c_cpu = _view(nodes["cpu"])
        self.c_exit_cpu = _view(nodes["exit_cpu"])
        self.c_start = _view(nodes["start"])
        self.c_duration = _view(nodes["duration"])
        self.c_call = _view(nodes["call"])
        self.c_depth = _view(nodes["depth"])
        self.c_parent = _view(nodes["parent"])
        self.c_previous = _view(nodes["previous"])
        self.c_first = _view(nodes["first"])
        self.c_context = _view(nodes["context"])
        self.c_last = _view(nodes["last_child"])
        self.has_retval = "retval" in nodes
        self.has_caller = "caller" in nodes
        self.has_arg = "arg" in nodes
        self.c_retval = _view(nodes["retval"] if self.has_retval else np.empty(0, np.int64))
        self.c_caller = _view(nodes["caller"] if self.has_caller else np.empty(0, np.int32))
        self.c_arg = _view(nodes["arg"] if self.has_arg else np.empty(0, np.int32))
        self.p_time = _view(places["time"])
        self.p_cpu = _view(places["cpu"])
        self.p_lane = _view(places["lane"])
        self.p_what = _view(places["what"])
        self.p_last = _view(places["last"])
        self.p_parent = _view(places["parent"])
        self.p_is_loss = _view(places["is_loss"])

    def source(self, batch: RecordBatch) -> None:
        """Pair the records of ``batch`` next."""
        self.kind = _view(batch.kind)
        self.func = _view(batch.func)
        self.pid = _view(batch.pid)
        self.cpu = _view(batch.cpu)
        self.time = _view(batch.time)
        self.depth = _view(batch.depth)
        self.context = _view(batch.context)
        self.duration = _view(batch.duration)
        self.calltime = _view(batch.calltime)
        if self.has_retval:
            self.retval = _view(batch.retval)
        if self.has_caller:
            self.caller = _view(batch.caller)
        if self.has_arg:
            self.arg = _view(batch.arg)

    def see_lanes(self) -> cython.int:
        """The columns of the lanes and CPUs, which are new ones when there are more of them."""
        self.cpu_pid = self.lanes.view("cpu_pid")
        self.cpu_lane = self.lanes.view("cpu_lane")
        self.cpu_time = self.lanes.view("cpu_time")
        self.cpu_gap_end = self.lanes.view("cpu_gap_end")
        self.cpu_gaps = self.lanes.view("cpu_n_gaps")
        self.cpu_in_gap = self.lanes.view("cpu_in_gap")
        self.lane_top = self.lanes.view("top")
        self.lane_root = self.lanes.view("last_root")
        self.lane_cpu = self.lanes.view("last_cpu")
        self.lane_last = self.lanes.view("last_node")
        self.lane_time = self.lanes.view("last_time")
        self.lane_gap_end = self.lanes.view("gap_end")
        self.lane_gaps = self.lanes.view("n_gaps")
        return 0

    def place(
        self, i: cython.Py_ssize_t, lane: cython.int, top: cython.int, what: cython.longlong, is_loss: cython.bint
    ) -> cython.int:
        """Record ``i`` is a mark, or the first after a loss: it stands here."""
        at: cython.Py_ssize_t = self.n_places
        self.p_time[at] = self.time[i]
        self.p_cpu[at] = self.cpu[i]
        self.p_lane[at] = lane
        self.p_what[at] = what
        self.p_last[at] = self.lane_last[lane]
        self.p_parent[at] = top
        self.p_is_loss[at] = is_loss
        self.n_places = at + 1
        return 0

    def is_open(self, func: cython.int, depth: cython.int, node: cython.int) -> cython.bint:
        """Whether a call of ``func`` at ``depth`` is among ``node`` and its callers."""
        while node >= 0 and self.c_depth[node] >= depth:
            if self.c_depth[node] == depth and self.c_func[node] == func:
                return True
            node = self.c_parent[node]
        return False
