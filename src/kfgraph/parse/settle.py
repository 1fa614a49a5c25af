# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""The second half of pairing: nodes put in pre-order, levels, subtree ends, self times.

A hot loop in Cython's pure-Python mode, as :mod:`kfgraph.parse.stacks`, whose nodes these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

COMPILED: bool = cython.compiled

# Literals, so that the compiled loop works on C integers; a test holds them to Flag.
_NO_ENTRY = cython.declare(cython.int, 1)
_CUT = cython.declare(cython.int, 4)
_IN_TRACER = cython.declare(cython.int, 8)
_DEPTH_JUMP = cython.declare(cython.int, 16)
_INTERRUPT = cython.declare(cython.int, 8192)
_SELF_UNKNOWN = cython.declare(cython.int, 512)
_STRETCHED = cython.declare(cython.int, 1 << 30)
_NEAR = cython.declare(cython.longlong, 5_000)
"""The tracer's own delay between a time and its record, in ns."""


def _view(column: Any) -> Any:
    # The plain loop reads memoryviews: their items are Python ints, which numpy's are not.
    return memoryview(column)


def arrange(
    n: cython.Py_ssize_t,
    lane: cython.int[::1],
    first: cython.int[::1],
    ahead: cython.int[::1],
    behind: cython.int[::1],
    begin: cython.longlong[::1],
    order: cython.longlong[::1],
    new_row: cython.int[::1],
) -> None:
    """Pre-order, lane after lane: ``order`` gets the nodes, ``new_row`` each node's place among them.

    Node numbers are in order of first record, so within a lane they are in pre-order but for those that
    adopted: these come before their first child (``first``), a later adopter before an earlier one.
    ``begin``, a row for each lane and one more, comes as zeros (first it counts, then it is where the lane's
    next node goes), ``ahead`` filled with -1, ``behind`` as anything.
    """
    i: cython.Py_ssize_t
    node: cython.int
    for i in range(n):
        begin[lane[i] + 1] += 1
    for i in range(1, begin.shape[0]):
        begin[i] += begin[i - 1]
    for i in range(n):
        node = first[i]
        if node != i:
            behind[i] = ahead[node]
            ahead[node] = i
    for i in range(n):
        if first[i] != i:
            continue
        node = ahead[i]
        while node >= 0:
            order[begin[lane[node]]] = node
            new_row[node] = begin[lane[node]]
            begin[lane[node]] += 1
            node = behind[node]
        order[begin[lane[i]]] = i
        new_row[i] = begin[lane[i]]
        begin[lane[i]] += 1


class Settler:
    """Parents' rows, levels, subtree ends, IN_TRACER and self times, for calls in pre-order.

    ``nodes["parent"]`` comes as node numbers, whose rows ``new_row`` tells. ``same_clock``: as of ``Stacks``.
    """

    def __init__(self, nodes: Mapping[str, Any], new_row: Any, *, same_clock: bool) -> None:
        self.parent = _view(nodes["parent"])
        self.start = _view(nodes["start"])
        self.duration = _view(nodes["duration"])
        self.call = _view(nodes["call"])
        self.flags = _view(nodes["flags"])
        self.new_row = _view(new_row)
        self.same_clock = same_clock

    def target(self, level: Any, end: Any, self_ns: Any, next_call: Any) -> None:
        """Where to. ``self_ns`` comes as zeros (it first gathers the children's sum), ``next_call`` as the largest
        int64: the earliest calltime among the later siblings seen so far, kept at the parent.
        """
        self.level = _view(level)
        self.end = _view(end)
        self.self_ns = _view(self_ns)
        self.next_call = _view(next_call)

    def settle(self) -> None:
        """Settle all calls: from the first to the last, where they are; from the last to the first, the times."""
        parent: cython.int[::1] = self.parent
        level: cython.short[::1] = self.level
        end: cython.int[::1] = self.end
        new_row: cython.int[::1] = self.new_row
        duration: cython.longlong[::1] = self.duration
        self_ns: cython.longlong[::1] = self.self_ns
        flags: cython.uint[::1] = self.flags
        i: cython.Py_ssize_t
        p: cython.int
        for i in range(parent.shape[0]):
            p = parent[i]
            if p >= 0:
                p = new_row[p]
                parent[i] = p
            level[i] = level[p] + 1 if p >= 0 else 0
            end[i] = i + 1
        for i in range(parent.shape[0] - 1, -1, -1):
            # All of i's children have been visited: settle i, then tell its parent.
            if duration[i] < 0 or flags[i] & _SELF_UNKNOWN:
                self_ns[i] = -1
            elif self_ns[i] > duration[i]:
                # Only where the text is too coarse to see which child ran in the tracer.
                self_ns[i] = -1
                flags[i] |= _SELF_UNKNOWN
            else:
                self_ns[i] = duration[i] - self_ns[i]
            flags[i] &= ~_STRETCHED
            p = parent[i]
            if p < 0:
                continue
            if end[i] > end[p]:
                end[p] = end[i]
            if duration[i] < 0:
                flags[p] |= _SELF_UNKNOWN
            elif flags[i] & _IN_TRACER:
                # Placing has split it.
                continue
            elif self.calltime_outside(i, p) if self.call[i] >= 0 else self.text_outside(i, p):
                flags[i] |= _IN_TRACER
            else:
                self_ns[p] += duration[i]

    def calltime_outside(self, i: cython.Py_ssize_t, p: cython.int) -> cython.bint:
        """Whether ``i`` hit the tracer, by the time of its call."""
        called: cython.longlong = self.call[i]
        over: cython.longlong = called + self.duration[i]
        parents: cython.longlong = self.call[p]
        outside: cython.bint = False
        if parents >= 0 and self.duration[p] >= 0:
            outside = over > parents + self.duration[p]
            if called < parents and not outside:
                # With nosleep-time a calltime is moved on by the time asleep: behind the entry's own record.
                outside = not self.same_clock or self.flags[p] & _NO_ENTRY != 0 or parents <= self.start[p]
        if over > self.next_call[p] and not self.flags[i] & _INTERRUPT:
            # A later sibling began before this one was over, which was not placed: nothing tells whose time it took.
            return True
        if not outside:
            self.next_call[p] = called
        return outside

    def text_outside(self, i: cython.Py_ssize_t, p: cython.int) -> cython.bint:
        """The same for a text, which has no such time."""
        known: cython.bint
        if self.duration[p] < 0:
            return False
        if self.duration[i] > self.duration[p]:
            return True
        known = self.start[i] >= 0 and self.start[p] >= 0 and not self.flags[p] & _STRETCHED
        if known and self.start[i] > self.start[p] + self.duration[p] + 1000:
            return True
        if self.flags[i] & _DEPTH_JUMP and not self.flags[p] & _CUT:
            # An interrupt. That a later callee began before it, by its duration, tells that it hit the tracer.
            if self.hit_tracer(i, p):
                return True
            self.flags[p] |= _SELF_UNKNOWN
        return False

    def hit_tracer(self, i: cython.Py_ssize_t, p: cython.int) -> cython.bint:
        """Whether interrupt ``i`` of a text came at the entry of the callee behind it. Later siblings are settled.

        The tracer had taken that callee's time and not yet written its record: by its duration the callee began
        before the interrupt, since it had returned when the next record was made.
        """
        n: cython.Py_ssize_t = self.parent.shape[0]
        callee: cython.Py_ssize_t = self.end[i]
        after: cython.Py_ssize_t
        over: cython.longlong
        if callee >= n or self.parent[callee] != p or self.start[i] < 0:
            return False
        if self.start[callee] < 0 or self.duration[callee] < 0:
            return False
        if self.flags[callee] & _DEPTH_JUMP:
            # The next part of the same interrupt, if nothing is between them.
            if not self.flags[callee] & _IN_TRACER:
                return False
            return self.start[callee] <= self.start[i] + self.duration[i] + _NEAR
        after = self.end[callee]
        over = self.start[p] + self.duration[p]
        if after < n and self.parent[after] == p:
            over = self.start[after]
        if self.start[p] < 0 or over < 0 or self.start[callee] + self.duration[callee] < over + _NEAR:
            return False
        return over - self.duration[callee] <= self.start[i]
