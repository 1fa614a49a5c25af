# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3
"""The hot loop of pairing, in Cython's pure-Python mode: one stack per lane.

The build compiles this file where a C compiler is; uncompiled it is the slow, obvious twin. Nodes
(calls in the making) are rows of the ``c_*`` columns, open calls a chain of parents from the lane's
top. A call that only its exit tells of is made when that exit comes; it then adopts what stands at
the end of its caller's children, ran deeper, and was not over before it began.
"""

from __future__ import annotations

from kfgraph.parse.delay import Delays
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
_DEPTH_JUMP = cython.declare(cython.int, 16)
_MIGRATED = cython.declare(cython.int, 64)
_HAS_RETVAL = cython.declare(cython.int, 128)
_SELF_UNKNOWN = cython.declare(cython.int, 512)
_STRETCHED = cython.declare(cython.int, 1 << 30)
"""Until the calls are settled: it lasted longer than its duration says, since time asleep is not in it."""
_NEAR = cython.declare(cython.longlong, 5_000)
"""An exit's time less its duration is that near to the time of its entry: the tracer's own delay, in ns."""
_ROUNDED = cython.declare(cython.longlong, 1_500)
"""Times of a text are rounded to 1 us."""
_LONG_AGO = cython.declare(cython.longlong, 10_000_000)
"""Records of a lane that go back by more are of another recording, in ns."""
_DEEPEST = cython.declare(cython.int, 32_000)
"""What is deeper is taken to be as deep."""
_DEEPEST_INTERRUPT = cython.declare(cython.int, 512)
"""An interrupt beside its call adds a level: with one at each depth up to here, levels fit into 16 bits."""


def pair(  # noqa: C901 (a hot loop: a call costs more than it does)
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
    c_flags: cython.uint[::1],
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
    delays: Delays,
    timed: cython.bint,
) -> tuple[int, int]:
    """Pair ``n`` records into the node columns; the new numbers of nodes and of places.

    The first arrays are those of ``RecordBatch``, ``c_*`` the nodes', ``p_*`` the places' (marks and
    losses); nodes and places must have room for ``n`` more. ``timed``: times and durations are both ns, so
    an exit without a name has to agree with its entry's time.
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
    leaf: cython.int
    earlier: cython.int
    flag: cython.int
    t: cython.longlong
    dur: cython.longlong
    began: cython.longlong
    called: cython.longlong
    matched: cython.bint
    resumed: cython.bint
    skipped: cython.bint
    lossy: cython.bint = bool(lanes.gaps)
    paired: cython.bint = lanes.any_pair
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
    lane_gaps: cython.int[::1] = lanes.view("n_gaps")
    cpu_gaps: cython.int[::1] = lanes.view("cpu_n_gaps")

    for i in range(n):
        what = kind[i]
        c = cpu[i]
        if what == _LOSS:
            lanes.lose(c, duration[i])
            any_loss = lossy = True
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
                lane_gaps = lanes.view("n_gaps")
        t = time[i]
        top = lane_top[lane]
        if lossy:
            if lane_cpu[lane] >= -1 and lane_gaps[lane] != cpu_gaps[lane_cpu[lane] + 1]:
                lanes.catch_up(lane, c_flags)
            lane_gaps[lane] = cpu_gaps[c + 1]
        if 0 <= t < lane_time[lane]:
            lanes.n_back += 1
            if timed and t + _LONG_AGO < lane_time[lane]:
                # Another recording begins: nothing that is open will return in it.
                while top >= 0:
                    top = abandon(top, lane, lanes, lane_root, c_depth, c_parent, c_previous, c_last, c_flags)
                lane_top[lane] = -1
        resumed = False
        if any_loss and c in lanes.pending:
            p_what[n_places] = lanes.resume(c, lane, t, c_flags)
            any_loss = bool(lanes.pending)
            resumed = True
        elif lane_cpu[lane] != c and lane_time[lane] < cpu_gap_end[c + 1]:
            lanes.arrive(c, lane, c_flags)
        lane_cpu[lane] = c
        if t >= 0:
            lane_time[lane] = t
        cpu_time[c + 1] = t

        d = depth[i] if what != _MARK else -1
        if d < 0 and what != _EXIT and what != _MARK:
            d = c_depth[top] + 1 if top >= 0 else 0
        if d > _DEEPEST:
            d = _DEEPEST
        skipped = False
        if what == _EXIT and top >= 0 and d != c_depth[top] and d >= 0:
            # Some write the depth of exits wrong: the function's name and the time tell the call.
            f = func[i]
            if f != 0:
                matched = c_func[top] == f and not is_open(f, d, top, c_func, c_depth, c_parent)
            else:
                matched = not paired and d == c_depth[top] + 1 and pid[i] != 0
            if matched and not c_flags[top] & _CUT:
                t = time[i]
                dur = duration[i]
                matched = t < 0 or dur < 0 or c_start[top] < 0
                if not matched:
                    began = t - dur - c_start[top]
                    matched = -_NEAR <= began <= _NEAR if f != 0 else -_ROUNDED <= began <= _ROUNDED
                    if f != 0 and same_clock and calltime[i] > c_start[top]:
                        matched = False
                if matched:
                    d = c_depth[top]
        # What runs deeper than this record, or beside this entry, has returned without our seeing it. But an
        # interrupt between the tracer's counting down and the exit record stands beside its call, and inside it.
        if d >= 0:
            k = d + 1 if what == _EXIT else d
            if top >= 0 and c_depth[top] == k == d < _DEEPEST_INTERRUPT and not c_flags[top] & _CUT:
                node = c_parent[top]
                if node < 0 or c_depth[node] < d:
                    k = d + 1
            while top >= 0 and c_depth[top] >= k:
                skipped = True
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
            called = calltime[i] if calltime[i] != 0 else -1
            matched = False
            donor = leaf = -1
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
                if matched and timed and f == 0 and t >= 0 and dur >= 0 and c_start[top] >= 0:
                    began = t - dur - c_start[top]
                    if began > _NEAR or began < -_NEAR:
                        k = delays.agree(top, t, dur, skipped, lane_last[lane])
                        if k == 0:
                            matched = False
                        elif k > 1:
                            c_flags[top] |= _STRETCHED if k == 2 else _SELF_UNKNOWN
                if not matched:
                    # Its own exit is lost, and so is the entry of the call that returns here.
                    if not c_flags[top] & _CUT:
                        lanes.n_strange += 1
                    donor = top
                    top = abandon(top, lane, lanes, lane_root, c_depth, c_parent, c_previous, c_last, c_flags)
                    if d < 0:
                        break
            if not matched and p == 0 and timed and f == 0 and donor < 0 and t >= 0 and dur >= 0:
                earlier = c_last[top] if top >= 0 else lane_root[lane]
                if earlier >= 0 and c_depth[earlier] == d and c_last[earlier] < 0 and c_duration[earlier] >= 0:
                    began = t - dur - c_start[earlier]
                    if -_NEAR <= began <= _NEAR and not c_flags[earlier] & _NO_ENTRY:
                        # Every idle task is pid 0: the text took another CPU's exit for the one of this leaf.
                        leaf = earlier
            if leaf >= 0:
                node = leaf
                c_exit_cpu[node] = c
            elif matched:
                node = top
                paired = True
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
                earlier = c_last[top] if top >= 0 else lane_root[lane]
                if donor >= 0:
                    # What was moved out of it stands behind it, and would have to be taken in first.
                    earlier = c_last[donor] if earlier == donor else -1
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
                        c_flags[earlier] &= ~_DEPTH_JUMP
                    if c_last[node] < 0:
                        c_last[node] = earlier
                    earlier = c_previous[earlier]
                if donor >= 0:
                    c_previous[node] = c_last[top] if top >= 0 else lane_root[lane]
                    if c_previous[node] == donor:
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
                    earlier = c_previous[node]
                    if timed and earlier >= 0 and c_start[earlier] + c_duration[earlier] > c_start[node] >= 0:
                        # One of the two did not last as long as its text says.
                        c_flags[top] |= _SELF_UNKNOWN
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
    lanes.any_pair = paired
    return n_nodes, n_places


def is_open(
    func: cython.int,
    depth: cython.int,
    node: cython.int,
    c_func: cython.int[::1],
    c_depth: cython.short[::1],
    c_parent: cython.int[::1],
) -> cython.bint:
    """Whether a call of ``func`` at ``depth`` is among ``node`` and its callers."""
    while node >= 0 and c_depth[node] >= depth:
        if c_depth[node] == depth and c_func[node] == func:
            return True
        node = c_parent[node]
    return False


def abandon(
    node: cython.int,
    lane: cython.int,
    lanes: Lanes,
    lane_root: cython.int[::1],
    c_depth: cython.short[::1],
    c_parent: cython.int[::1],
    c_previous: cython.int[::1],
    c_last: cython.int[::1],
    c_flags: cython.uint[::1],
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
