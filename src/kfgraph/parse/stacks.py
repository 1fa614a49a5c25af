# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3
"""The hot loop of pairing, in Cython's pure-Python mode: one stack per lane.

The build compiles this file where a C compiler is; uncompiled it is the slow, obvious twin. Nodes
(calls in the making) are rows of the ``c_*`` columns, open calls a chain of parents from the lane's
top. A call that only its exit tells of is made when that exit comes; it then adopts what stands at
the end of its caller's children, ran deeper, and was not over before it began.
"""

from __future__ import annotations

from kfgraph.parse.lanes import Lanes

try:
    import cython
except ImportError:
    from kfgraph.parse import _cython_shim as cython

COMPILED: bool = cython.compiled

# Literals, so that the compiled loop works on C integers; a test holds them to records and Flag.
_ENTRY = cython.declare(cython.int, 0)
_EXIT = cython.declare(cython.int, 1)
_LEAF = cython.declare(cython.int, 2)
_MARK = cython.declare(cython.int, 3)
_LOSS = cython.declare(cython.int, 4)
_NO_ENTRY = cython.declare(cython.int, 1)
_NO_EXIT = cython.declare(cython.int, 2)
_CUT = cython.declare(cython.int, 4)
_IN_TRACER = cython.declare(cython.int, 8)
_DEPTH_JUMP = cython.declare(cython.int, 16)
_MIGRATED = cython.declare(cython.int, 64)
_HAS_RETVAL = cython.declare(cython.int, 128)
_SELF_UNKNOWN = cython.declare(cython.int, 512)
_START_UNKNOWN = cython.declare(cython.int, 1024)
_DEEPEST = cython.declare(cython.int, 32_000)
"""What is deeper is taken to be as deep."""
_DEEPEST_INTERRUPT = cython.declare(cython.int, 512)
"""An interrupt beside its call adds a level: with one at each depth up to here, levels fit into 16 bits."""


def pair(
    n: cython.Py_ssize_t,
    kind: cython.uchar[::1],
    func: cython.int[::1],
    pid: cython.int[::1],
    cpu: cython.short[::1],
    time: cython.longlong[::1],
    depth: cython.short[::1],
    context: cython.uchar[::1],
    duration: cython.longlong[::1],
    calltime: cython.longlong[::1],
    retval: cython.longlong[::1],
    caller: cython.int[::1],
    arg: cython.int[::1],
    n_nodes: cython.int,
    c_func: cython.int[::1],
    c_lane: cython.int[::1],
    c_cpu: cython.short[::1],
    c_exit_cpu: cython.short[::1],
    c_start: cython.longlong[::1],
    c_duration: cython.longlong[::1],
    c_call: cython.longlong[::1],
    c_depth: cython.short[::1],
    c_parent: cython.int[::1],
    c_previous: cython.int[::1],
    c_first: cython.int[::1],
    c_context: cython.uchar[::1],
    c_flags: cython.ushort[::1],
    c_last: cython.int[::1],
    c_retval: cython.longlong[::1],
    c_caller: cython.int[::1],
    c_arg: cython.int[::1],
    n_places: cython.int,
    p_time: cython.longlong[::1],
    p_cpu: cython.short[::1],
    p_lane: cython.int[::1],
    p_what: cython.longlong[::1],
    p_last: cython.int[::1],
    p_parent: cython.int[::1],
    p_is_loss: cython.uchar[::1],
    lanes: Lanes,
    same_clock: cython.bint,
) -> tuple[int, int]:
    """Pair ``n`` records into the node columns; the new numbers of nodes and of places.

    The first arrays are those of ``RecordBatch``, ``c_*`` the nodes', ``p_*`` the places' (marks and
    losses); nodes and places must have room for ``n`` more.
    """
    i: cython.Py_ssize_t
    k: cython.int
    what: cython.int
    d: cython.int
    f: cython.int
    p: cython.int
    c: cython.int
    lane: cython.int
    top: cython.int
    node: cython.int
    child: cython.int
    donor: cython.int
    earlier: cython.int
    flag: cython.int
    t: cython.longlong
    dur: cython.longlong
    called: cython.longlong
    matched: cython.bint
    resumed: cython.bint
    has_retval: cython.bint = c_retval.shape[0] > 0
    has_caller: cython.bint = c_caller.shape[0] > 0
    has_arg: cython.bint = c_arg.shape[0] > 0
    any_loss: cython.bint = bool(lanes.pending)
    cpu_pid: cython.longlong[::1] = lanes.view("cpu_pid")
    cpu_lane: cython.int[::1] = lanes.view("cpu_lane")
    cpu_time: cython.longlong[::1] = lanes.view("cpu_time")
    lane_top: cython.int[::1] = lanes.view("top")
    lane_root: cython.int[::1] = lanes.view("last_root")
    lane_cpu: cython.int[::1] = lanes.view("last_cpu")
    lane_last: cython.int[::1] = lanes.view("last_node")
    lane_time: cython.longlong[::1] = lanes.view("last_time")
    gap_end: cython.longlong[::1] = lanes.view("gap_end")
    cpu_gap_end: cython.longlong[::1] = lanes.view("cpu_gap_end")

    for i in range(n):
        what = kind[i]
        c = cpu[i]
        if what == _LOSS:
            lanes.lose(c, duration[i], c_flags)
            any_loss = True
            continue
        p = pid[i]
        if cpu_pid[c + 1] == p:
            lane = cpu_lane[c + 1]
        else:
            lane = lanes.number(p, c)
            cpu_pid[c + 1] = p
            cpu_lane[c + 1] = lane
            if lane >= lane_top.shape[0]:
                lane_top = lanes.view("top")
                lane_root = lanes.view("last_root")
                lane_cpu = lanes.view("last_cpu")
                lane_last = lanes.view("last_node")
                lane_time = lanes.view("last_time")
                gap_end = lanes.view("gap_end")
        t = time[i]
        top = lane_top[lane]
        resumed = False
        if any_loss and c in lanes.pending:
            p_what[n_places] = lanes.resume(c, lane, t, c_flags)
            any_loss = bool(lanes.pending)
            resumed = True
        elif lane_cpu[lane] != c and lane_time[lane] < cpu_gap_end[c + 1]:
            lanes.arrive(c, lane, c_flags)
        lane_cpu[lane] = c
        lane_time[lane] = t
        cpu_time[c + 1] = t

        d = depth[i] if what != _MARK else -1
        if d < 0 and what != _EXIT and what != _MARK:
            d = c_depth[top] + 1 if top >= 0 else 0
        if d > _DEEPEST:
            d = _DEEPEST
        # What runs deeper than this record, or beside this entry, has returned without our seeing it. But an
        # interrupt between the tracer's counting down and the exit record stands beside its call, and inside it.
        if d >= 0:
            k = d + 1 if what == _EXIT else d
            if top >= 0 and c_depth[top] == k == d < _DEEPEST_INTERRUPT and not c_flags[top] & _CUT:
                node = c_parent[top]
                if node < 0 or c_depth[node] < d:
                    k = d + 1
            while top >= 0 and c_depth[top] >= k:
                top = abandon(top, lane, lanes, lane_root, c_depth, c_parent, c_previous, c_last, c_flags)

        if resumed:
            p_time[n_places] = t
            p_cpu[n_places] = c
            p_lane[n_places] = lane
            p_last[n_places] = lane_last[lane]
            p_parent[n_places] = top
            p_is_loss[n_places] = 1
            n_places += 1

        if what == _MARK:
            p_time[n_places] = t
            p_cpu[n_places] = c
            p_lane[n_places] = lane
            p_what[n_places] = func[i]
            p_last[n_places] = lane_last[lane]
            p_parent[n_places] = top
            p_is_loss[n_places] = 0
            n_places += 1
            continue

        f = func[i]
        if what == _EXIT:
            dur = duration[i]
            called = calltime[i]
            matched = False
            donor = -1
            if d < 0 and f != 0:
                # No depth to go by: the innermost open call of this function.
                node = top
                while node >= 0 and c_func[node] != f:
                    node = c_parent[node]
                if node >= 0:
                    while top != node:
                        top = abandon(top, lane, lanes, lane_root, c_depth, c_parent, c_previous, c_last, c_flags)
            while top >= 0 and not matched and (d < 0 or c_depth[top] == d):
                matched = f == 0 or c_func[top] == 0 or c_func[top] == f
                if matched and c_flags[top] & _CUT:
                    if same_clock and called >= 0:
                        matched = lanes.began_before_gap(top, called)
                    elif t >= 0 and dur >= 0:
                        matched = lanes.began_before_gap(top, t - dur)
                if not matched:
                    # Its own exit is lost, and so is the entry of the call that returns here.
                    donor = top
                    top = abandon(top, lane, lanes, lane_root, c_depth, c_parent, c_previous, c_last, c_flags)
                    if d < 0:
                        break
            if matched:
                node = top
                if c_func[node] == 0:
                    c_func[node] = f
                top = c_parent[node]
                if c_flags[node] & _CUT and not lanes.survive(node, top, c_flags):
                    c_flags[node] |= _SELF_UNKNOWN
                c_exit_cpu[node] = c
                if c_cpu[node] >= 0 and c >= 0 and c_cpu[node] != c:
                    c_flags[node] |= _MIGRATED
            else:
                node = n_nodes
                n_nodes += 1
                lane_last[lane] = node
                c_func[node] = f
                c_lane[node] = lane
                c_cpu[node] = -1
                c_exit_cpu[node] = c
                c_start[node] = t - dur if t >= 0 and dur >= 0 and t >= dur else -1
                c_depth[node] = d
                c_parent[node] = top
                c_first[node] = node
                c_context[node] = context[i]
                c_last[node] = -1
                flag = _NO_ENTRY | _SELF_UNKNOWN
                if d > (c_depth[top] + 1 if top >= 0 else 0):
                    flag |= _DEPTH_JUMP
                if gap_end[lane] >= 0 and c_start[node] <= gap_end[lane]:
                    flag |= _CUT
                c_flags[node] = flag
                if has_caller:
                    c_caller[node] = 0
                if has_arg:
                    c_arg[node] = -1
                # Adopt what ran inside it: the last children of its caller, deeper and not over before it began.
                # Or those of the call that stood in its place, if they began inside it.
                earlier = c_last[donor] if donor >= 0 else c_last[top] if top >= 0 else lane_root[lane]
                while earlier >= 0 and c_depth[earlier] > d and d >= 0:
                    if donor >= 0:
                        if c_start[earlier] < (called if same_clock and called >= 0 else c_start[node]):
                            break
                    elif called >= 0 and c_call[earlier] >= 0 and c_duration[earlier] >= 0:
                        if c_call[earlier] + c_duration[earlier] <= called:
                            break
                    elif c_start[node] >= 0 and c_start[earlier] >= 0:
                        if c_duration[earlier] >= 0:
                            if c_start[earlier] + c_duration[earlier] <= c_start[node]:
                                break
                        elif c_start[earlier] < c_start[node]:
                            break
                    c_parent[earlier] = node
                    c_first[node] = c_first[earlier]
                    if c_depth[earlier] == d + 1:
                        c_flags[earlier] &= ~_DEPTH_JUMP & 0xFFFF
                    if c_last[node] < 0:
                        c_last[node] = earlier
                    earlier = c_previous[earlier]
                if donor >= 0:
                    c_previous[node] = c_last[top] if top >= 0 else lane_root[lane]
                    c_last[donor] = earlier
                else:
                    c_previous[node] = earlier
                if c_last[node] >= 0:
                    # The first adopted child has no elder sibling any more; the caller's chain goes on behind it.
                    child = c_last[node]
                    while c_previous[child] != earlier:
                        child = c_previous[child]
                    c_previous[child] = -1
                if top >= 0:
                    c_last[top] = node
                else:
                    lane_root[lane] = node
            c_duration[node] = dur
            c_call[node] = called
            if dur < 0:
                c_flags[node] |= _NO_EXIT
            if has_retval:
                c_retval[node] = retval[i]
                c_flags[node] |= _HAS_RETVAL
            lane_top[lane] = top
            continue

        # An entry, or an entry with its exit.
        node = n_nodes
        n_nodes += 1
        lane_last[lane] = node
        c_func[node] = f
        c_lane[node] = lane
        c_cpu[node] = c
        c_start[node] = t
        c_depth[node] = d
        c_parent[node] = top
        c_first[node] = node
        c_context[node] = context[i]
        c_last[node] = -1
        flag = 0
        if d > (c_depth[top] + 1 if top >= 0 else 0):
            flag = _DEPTH_JUMP
        if top >= 0:
            c_previous[node] = c_last[top]
            c_last[top] = node
        else:
            c_previous[node] = lane_root[lane]
            lane_root[lane] = node
        if has_caller:
            c_caller[node] = caller[i]
        if has_arg:
            c_arg[node] = arg[i]
        if what == _LEAF:
            c_exit_cpu[node] = c
            c_duration[node] = duration[i]
            c_call[node] = calltime[i]
            if duration[i] < 0:
                flag |= _NO_EXIT
            if has_retval:
                c_retval[node] = retval[i]
                flag |= _HAS_RETVAL
            lane_top[lane] = top
        else:
            c_exit_cpu[node] = -1
            c_duration[node] = -1
            c_call[node] = -1
            if has_retval:
                c_retval[node] = 0
            lane_top[lane] = node
        c_flags[node] = flag
    return n_nodes, n_places


def abandon(
    node: cython.int,
    lane: cython.int,
    lanes: Lanes,
    lane_root: cython.int[::1],
    c_depth: cython.short[::1],
    c_parent: cython.int[::1],
    c_previous: cython.int[::1],
    c_last: cython.int[::1],
    c_flags: cython.ushort[::1],
) -> cython.int:
    """The innermost open call of ``lane`` did not return in our sight; its caller, -1 for none.

    What stands in it at its own depth was taken for an interrupt at its end; now it came after it.
    """
    parent: cython.int = c_parent[node]
    last: cython.int = c_last[node]
    child: cython.int = last
    first: cython.int = -1
    c_flags[node] |= _NO_EXIT
    if c_flags[node] & _CUT:
        lanes.pass_on(node, parent, c_flags)
    while child >= 0 and c_depth[child] <= c_depth[node]:
        c_parent[child] = parent
        if c_depth[child] > (c_depth[parent] + 1 if parent >= 0 else 0):
            c_flags[child] |= _DEPTH_JUMP
        first = child
        child = c_previous[child]
    if first >= 0:
        c_last[node] = child
        c_previous[first] = node
        if parent >= 0:
            c_last[parent] = last
        else:
            lane_root[lane] = last
    return parent


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


def settle(
    n: cython.Py_ssize_t,
    parent: cython.int[::1],
    start: cython.longlong[::1],
    duration: cython.longlong[::1],
    call: cython.longlong[::1],
    flags: cython.ushort[::1],
    new_row: cython.int[::1],
    level: cython.short[::1],
    end: cython.int[::1],
    self_ns: cython.longlong[::1],
    next_call: cython.longlong[::1],
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
                outside = call[i] < call[p] or call[i] + duration[i] > call[p] + duration[p]
            if call[i] + duration[i] > next_call[p]:
                # A later sibling began before this one was over: this one hit the tracer at its entry.
                outside = True
            elif not outside:
                next_call[p] = call[i]
        elif duration[p] >= 0:
            outside = duration[i] > duration[p] or (
                start[i] >= 0 and start[p] >= 0 and start[i] > start[p] + duration[p] + 1000
            )
            if flags[i] & _DEPTH_JUMP and not flags[p] & _CUT:
                outside = True
        if outside:
            flags[i] |= _IN_TRACER
        else:
            self_ns[p] += duration[i]
