# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3
"""The second half of pairing: nodes put in pre-order, levels, subtree ends, self times.

A hot loop in Cython's pure-Python mode, as :mod:`kfgraph.parse.stacks`, whose nodes these are.
"""

from __future__ import annotations

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
_SELF_UNKNOWN = cython.declare(cython.int, 512)
_STRETCHED = cython.declare(cython.int, 1 << 30)
_NEAR = cython.declare(cython.longlong, 5_000)
"""The tracer's own delay between a time and its record, in ns."""


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


def settle(  # noqa: C901 (a hot loop: a call costs more than it does)
    n: cython.Py_ssize_t,
    parent: cython.int[::1],
    start: cython.longlong[::1],
    duration: cython.longlong[::1],
    call: cython.longlong[::1],
    flags: cython.uint[::1],
    new_row: cython.int[::1],
    level: cython.short[::1],
    end: cython.int[::1],
    self_ns: cython.longlong[::1],
    next_call: cython.longlong[::1],
    same_clock: cython.bint,
) -> None:
    """Parents' rows, levels, subtree ends, IN_TRACER and self times, for calls in pre-order.

    ``parent`` comes as node numbers, whose rows ``new_row`` tells.
    ``self_ns`` comes as zeros (it first gathers the children's sum), ``next_call`` as the largest
    int64: the earliest calltime among the later siblings seen so far, kept at the parent.
    """
    i: cython.Py_ssize_t
    p: cython.int
    outside: cython.bint
    for i in range(n):
        p = parent[i]
        if p >= 0:
            p = new_row[p]
            parent[i] = p
        level[i] = level[p] + 1 if p >= 0 else 0
        end[i] = i + 1
    for i in range(n - 1, -1, -1):
        # All of i's children have been visited: settle i, then tell its parent.
        p = parent[i]
        if duration[i] < 0 or flags[i] & _SELF_UNKNOWN:
            self_ns[i] = -1
        elif self_ns[i] > duration[i]:
            # Only where the text is too coarse to see which child ran in the tracer.
            self_ns[i] = -1
            flags[i] |= _SELF_UNKNOWN
        else:
            self_ns[i] = duration[i] - self_ns[i]
        flags[i] &= ~_STRETCHED
        if p < 0:
            continue
        if end[i] > end[p]:
            end[p] = end[i]
        if duration[i] < 0:
            flags[p] |= _SELF_UNKNOWN
            continue
        outside = False
        if call[i] >= 0:
            if duration[p] >= 0 and call[p] >= 0:
                outside = call[i] + duration[i] > call[p] + duration[p]
                if call[i] < call[p] and not outside:
                    # With nosleep-time a calltime is moved on by the time asleep: behind the entry's own record.
                    outside = not same_clock or flags[p] & _NO_ENTRY != 0 or call[p] <= start[p]
            if call[i] + duration[i] > next_call[p]:
                # A later sibling began before this one was over: this one hit the tracer at its entry.
                outside = True
            elif not outside:
                next_call[p] = call[i]
        elif duration[p] >= 0:
            outside = duration[i] > duration[p] or (
                start[i] >= 0
                and start[p] >= 0
                and start[i] > start[p] + duration[p] + 1000
                and not flags[p] & _STRETCHED
            )
            if flags[i] & _DEPTH_JUMP and not flags[p] & _CUT and not outside:
                # An interrupt. That a later callee began before it, by its duration, tells that it hit the tracer.
                outside = hit_tracer(i, n, parent, start, duration, end, flags)
                if not outside:
                    flags[p] |= _SELF_UNKNOWN
        if outside:
            flags[i] |= _IN_TRACER
        else:
            self_ns[p] += duration[i]


def hit_tracer(
    i: cython.Py_ssize_t,
    n: cython.Py_ssize_t,
    parent: cython.int[::1],
    start: cython.longlong[::1],
    duration: cython.longlong[::1],
    end: cython.int[::1],
    flags: cython.uint[::1],
) -> cython.bint:
    """Whether interrupt ``i`` of a text, whose later siblings are settled, came at the entry of the callee behind it.

    The tracer had taken that callee's time and not yet written its record: by its duration the callee began
    before the interrupt, since it had returned when the next record was made.
    """
    p: cython.int = parent[i]
    callee: cython.Py_ssize_t = end[i]
    after: cython.Py_ssize_t
    over: cython.longlong
    if callee >= n or parent[callee] != p or start[i] < 0 or start[callee] < 0 or duration[callee] < 0:
        return False
    if flags[callee] & _DEPTH_JUMP:
        # The next part of the same interrupt, if nothing is between them.
        return flags[callee] & _IN_TRACER != 0 and start[callee] <= start[i] + duration[i] + _NEAR
    after = end[callee]
    over = start[p] + duration[p]
    if after < n and parent[after] == p:
        over = start[after]
    if start[p] < 0 or over < 0 or start[callee] + duration[callee] < over + _NEAR:
        return False
    return over - duration[callee] <= start[i]
