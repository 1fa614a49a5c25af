# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""Interrupts that hit the tracer itself, placed by their times (types: the .pxd). Called from the loop in ``stacks``.

Between the time of a call and the write of its entry record, or between the time of its return and the write of its
exit record, an interrupt is recorded before the call, or in it, that ran in the call, or after it. The times of all
three are taken by one CPU with one clock, and an interrupt is over when what it hit goes on: so the times tell whose
time it took, to the nanosecond. What they do not tell is flagged IN_TRACER.
"""

from __future__ import annotations

from kfgraph.parse.columns import Columns
from kfgraph.parse.lanes import Lanes

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

COMPILED: bool = cython.compiled

_NO_ENTRY = cython.declare(cython.int, 1)
_IN_TRACER = cython.declare(cython.int, 8)
_DEPTH_JUMP = cython.declare(cython.int, 16)
_CALLER_LOST = cython.declare(cython.int, 2048)
_INTERRUPT = cython.declare(cython.int, 8192)
_ROUGH = cython.declare(cython.longlong, 2_000)
"""An exit's time less its duration is that near to the time of its entry, but for one pair in a hundred, in ns."""


class Placing(Columns):
    """The part of ``Stacks`` that moves such interrupts, when the call that they hit returns.

    ``parts`` (node -> ns): what of the time of interrupts that are children of none, or of another call, was in a call.
    """

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(lanes)
        self.parts: dict[int, int] = {}

    def take_in(self, node: cython.int, lane: cython.int) -> cython.int:
        """``node`` returns, and the call before it was over after it began: it hit the tracer at the entry.

        Or at the exit, where the entry record of ``node`` is missing: then it comes after it.
        """
        called: cython.longlong = self.c_call[node]
        over: cython.longlong = called + self.c_duration[node]
        parent: cython.int = self.c_parent[node]
        child: cython.int = self.c_previous[node]
        last: cython.int = child
        first: cython.int = -1
        elder: cython.int
        depth: cython.int = self.c_depth[node]
        told: cython.bint = not self.c_flags[node] & _NO_ENTRY
        while not told and self.c_last[node] < 0 and child >= 0 and self.c_call[child] >= over:
            if self.c_depth[child] < depth or self.c_exit_cpu[child] != self.c_exit_cpu[node]:
                break
            self.c_flags[child] |= _INTERRUPT
            first = child
            child = self.c_previous[child]
        if first >= 0:
            self.c_first[node] = self.c_first[first]
            self.c_previous[first] = node
            self.c_previous[node] = child
            if parent >= 0:
                self.c_last[parent] = last
            else:
                self.lane_root[lane] = last
        last, first = child, -1
        while child >= 0 and self.c_call[child] >= called and self.c_call[child] + self.c_duration[child] <= over:
            if self.c_depth[child] < depth or self.c_exit_cpu[child] != (
                self.c_cpu[node] if told else self.c_exit_cpu[node]
            ):
                break
            if self.c_flags[child] & _INTERRUPT:
                break  # It hit the exit of the call before: records contradict one another.
            self.c_parent[child] = node
            # Where the entry record is missing, what is deeper need not have come before it.
            if told or self.c_depth[child] == depth:
                self.c_flags[child] |= _INTERRUPT
            if self.c_depth[child] <= depth + 1:
                self.c_flags[child] &= ~(_DEPTH_JUMP | _CALLER_LOST)
            first = child
            child = self.c_previous[child]
        if first >= 0:
            self.c_first[node] = self.c_first[first]
            self.c_previous[first] = -1
            self.c_previous[node] = child
            elder = self.c_last[node]
            if elder < 0:
                self.c_last[node] = last
            else:
                while self.c_previous[elder] >= 0:
                    elder = self.c_previous[elder]
                self.c_previous[elder] = last
        if child < 0 or (told and self.c_start[child] > self.c_start[node]):
            return 0  # The clock went back since.
        if self.c_duration[child] >= 0 and self.c_call[child] + self.c_duration[child] > called:
            self.split(child, node, parent, called, over)
        return 0

    def put_out(self, node: cython.int, lane: cython.int) -> cython.int:
        """``node`` returns, and its last callee was over after it: that hit the tracer at the exit."""
        called: cython.longlong = self.c_call[node]
        over: cython.longlong = called + self.c_duration[node]
        parent: cython.int = self.c_parent[node]
        child: cython.int = self.c_last[node]
        first: cython.int = -1
        last: cython.int = child
        while child >= 0 and self.c_call[child] >= over:
            if self.c_exit_cpu[child] != self.c_exit_cpu[node]:
                break
            self.c_parent[child] = parent
            self.c_flags[child] |= _INTERRUPT
            first = child
            child = self.c_previous[child]
        if first >= 0:
            self.c_last[node] = child
            self.c_previous[first] = node
            if parent >= 0:
                self.c_last[parent] = last
            else:
                self.lane_root[lane] = last
        if child >= 0 and self.c_duration[child] >= 0 and self.c_call[child] + self.c_duration[child] > over:
            self.split(child, node, parent, called, over)
        return 0

    def split(
        self, child: cython.int, node: cython.int, parent: cython.int, called: cython.longlong, over: cython.longlong
    ) -> cython.int:
        """``child`` was in the time of ``node`` in part only: the rest was its caller's. It stays where it is."""
        begins: cython.longlong = self.c_call[child]
        ends: cython.longlong = begins + self.c_duration[child]
        inside: cython.longlong = min(ends, over) - max(begins, called)
        self.c_flags[child] |= _IN_TRACER
        if inside <= 0 or self.c_exit_cpu[child] != self.c_exit_cpu[node] or self.c_cpu[child] != self.c_cpu[node]:
            return 0
        self.parts[node] = self.parts.get(node, 0) + inside
        if parent >= 0:
            self.parts[parent] = self.parts.get(parent, 0) + ends - begins - inside
        return 0

    def leaf_of(self, i: cython.Py_ssize_t, lane: cython.int, top: cython.int, d: cython.int) -> cython.int:
        """The leaf whose exit record ``i`` is, -1 for none.

        Every idle task is pid 0: the text took another CPU's exit for the one of this leaf. What is deeper and
        stands behind it ran inside it.
        """
        leaf: cython.int
        elder: cython.int
        t: cython.longlong = self.time[i]
        dur: cython.longlong = self.duration[i]
        if self.pid[i] != 0 or self.func[i] != 0 or t < 0 or dur < 0:
            return -1
        last: cython.int = self.c_last[top] if top >= 0 else self.lane_root[lane]
        first: cython.int = -1
        leaf = last
        while leaf >= 0 and self.c_depth[leaf] > d:
            first = leaf
            leaf = self.c_previous[leaf]
        if leaf < 0 or self.c_depth[leaf] != d or self.c_last[leaf] >= 0 or self.c_duration[leaf] < 0:
            return -1
        if self.c_flags[leaf] & _NO_ENTRY or not -_ROUGH <= t - dur - self.c_start[leaf] <= _ROUGH:
            return -1
        elder = self.c_previous[leaf]
        if elder >= 0 and self.c_start[elder] > self.c_start[leaf]:
            return -1  # The text is in disorder.
        if first >= 0:
            self.c_last[leaf] = last
            self.c_previous[first] = -1
            if top >= 0:
                self.c_last[top] = leaf
            else:
                self.lane_root[lane] = leaf
            while last >= 0:
                self.c_parent[last] = leaf
                if self.c_depth[last] == d + 1:
                    self.c_flags[last] &= ~(_DEPTH_JUMP | _CALLER_LOST)
                last = self.c_previous[last]
        return leaf
