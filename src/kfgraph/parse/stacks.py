# cython: boundscheck=True, wraparound=False, initializedcheck=False, language_level=3, auto_pickle=False
"""The hot loop of pairing, in Cython's pure-Python mode (types: the .pxd): one stack per lane.

The build compiles this file where a C compiler is; uncompiled it is the slow, obvious twin. Open calls are a
chain of parents from the lane's top. A call that only its exit tells of is made when that exit comes; it then
adopts what stands at the end of its caller's children, ran deeper, and was not over before it began.
"""

from __future__ import annotations

from kfgraph.parse.delay import Delays
from kfgraph.parse.lanes import Lanes
from kfgraph.parse.placing import Placing

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
_CALLER_LOST = cython.declare(cython.int, 2048)
_NEVER = cython.declare(cython.int, 0x7FFFFFFF)
_STRETCHED = cython.declare(cython.int, 1 << 30)
"""Until the calls are settled: it lasted longer than its duration says, since time asleep is not in it."""
_NEAR = cython.declare(cython.longlong, 5_000)
"""An exit's time less its duration is that near to the time of its entry: the tracer's own delay, in ns."""
_ROUNDED = cython.declare(cython.longlong, 1_500)
"""Times of a text are rounded to 1 us."""
_ROUGH = cython.declare(cython.longlong, 2_000)
"""From here on they agree but roughly: one pair in a hundred."""
_LONG_AGO = cython.declare(cython.longlong, 10_000_000)
"""Records of a lane that go back by more are of another recording, in ns."""
_FEW = cython.declare(cython.int, 32)
_DEEPEST = cython.declare(cython.int, 32_000)
"""What is deeper is taken to be as deep."""
_DEEPEST_INTERRUPT = cython.declare(cython.int, 512)
"""An interrupt beside its call adds a level: with one at each depth up to here, levels fit into 16 bits."""


class Stacks(Placing):
    """Pairs records into nodes, and notes where marks and losses stand among them.

    ``same_clock``: timestamps and calltimes are of one clock.
    """

    def __init__(self, lanes: Lanes, delays: Delays, *, same_clock: bool) -> None:
        super().__init__(lanes)
        self.delays = delays
        self.same_clock = same_clock
        self.timed = False
        self.paired = False
        self.lossy = False
        self.pending = False

    def pair(self, n: cython.Py_ssize_t, timed: cython.bint) -> None:  # noqa: C901 (a hot loop: a call costs more than it does)
        """Pair the first ``n`` records of the source.

        Nodes must have room for ``n`` more, places for twice as many. ``timed``: times and durations are both ns,
        so an exit without a name has to agree with its entry's time.
        """
        kind: cython.uchar[::1] = self.kind
        pid: cython.int[::1] = self.pid
        cpu: cython.short[::1] = self.cpu
        time: cython.longlong[::1] = self.time
        depth: cython.short[::1] = self.depth
        duration: cython.longlong[::1] = self.duration
        calltime: cython.longlong[::1] = self.calltime
        i: cython.Py_ssize_t
        what: cython.int
        d: cython.int
        c: cython.int
        lane: cython.int
        top: cython.int
        above: cython.int
        node: cython.int
        at: cython.int
        t: cython.longlong
        called: cython.longlong
        n_lost: cython.longlong = 0
        resumed: cython.bint
        self.timed = timed
        self.see_lanes()
        for i in range(n):
            what = kind[i]
            c = cpu[i]
            if what == _LOSS:
                self.lanes.lose(c, duration[i])
                self.pending = self.lossy = True
                continue
            lane = self.cpu_lane[c + 1] if self.cpu_pid[c + 1] == pid[i] else self.switch(pid[i], c)
            t = time[i]
            if self.lossy and (self.lane_cpu[lane] != c or self.lane_gaps[lane] != self.cpu_gaps[c + 1]):
                self.catch_up(lane, c)
            if 0 <= t < self.lane_time[lane]:
                self.go_back(lane, t)
            resumed = False
            if self.pending and self.cpu_in_gap[c + 1]:
                n_lost = self.lanes.resume(c, lane, t, self.n_nodes, self.n_places)
                self.pending = bool(self.lanes.pending)
                resumed = True
            elif self.lane_cpu[lane] != c and self.lane_time[lane] < self.cpu_gap_end[c + 1]:
                self.lanes.arrive(c, lane, self.n_nodes, self.n_places)
            self.lane_cpu[lane] = c
            if t >= 0:
                self.lane_time[lane] = t
            self.cpu_time[c + 1] = t

            above = top = self.lane_top[lane]
            d = -1
            if what != _MARK:
                d = depth[i]
                if what != _EXIT:
                    if d < 0:
                        d = self.c_depth[top] + 1 if top >= 0 else 0
                    if d > _DEEPEST:
                        d = _DEEPEST
                    if top >= 0 and self.c_depth[top] >= d:
                        above = self.unwind(lane, top, d if self.is_beside(top, d) else d - 1)
                elif d >= 0:
                    if d > _DEEPEST:
                        d = _DEEPEST
                    if top >= 0 and self.c_depth[top] != d:
                        d = self.depth_of_exit(i, d, top)
                        above = self.unwind(lane, top, d)
            if resumed:
                self.place(i, lane, above, n_lost, True)
            if what == _MARK:
                self.place(i, lane, above, self.func[i], False)
                continue
            node = self.leave(i, lane, above, d, above != top) if what == _EXIT else self.enter(i, lane, above, d)
            if what != _ENTRY:
                self.c_exit_cpu[node] = c
                self.c_duration[node] = duration[i]
                called = self.c_call[node] = calltime[i] if calltime[i] != 0 else -1
                if duration[i] < 0:
                    self.c_flags[node] |= _NO_EXIT
                elif called >= 0:
                    at = self.c_last[node]
                    if at >= 0 and self.c_call[at] + self.c_duration[at] > called + duration[i]:
                        self.put_out(node, lane)
                    at = self.c_previous[node]
                    if at >= 0 and self.c_call[at] + self.c_duration[at] > called:
                        self.take_in(node, lane)
                if self.has_retval:
                    self.c_retval[node] = self.retval[i]
                    self.c_flags[node] |= _HAS_RETVAL
                if self.has_arg and self.c_arg[node] < 0:
                    self.c_arg[node] = self.arg[i]
                self.lane_top[lane] = self.c_parent[node]

    def switch(self, pid: cython.int, cpu: cython.int) -> cython.int:
        """``pid`` now runs on ``cpu``: its lane."""
        lane: cython.int = self.lanes.number(pid, cpu)
        self.cpu_pid[cpu + 1] = pid
        self.cpu_lane[cpu + 1] = lane
        if lane >= self.lane_top.shape[0]:
            self.see_lanes()
        return lane

    def catch_up(self, lane: cython.int, cpu: cython.int) -> cython.int:
        """Gaps on the CPU that the lane was last seen on cut its open call; those on ``cpu`` are known from here on."""
        if self.lane_cpu[lane] >= -1 and self.lane_gaps[lane] != self.cpu_gaps[self.lane_cpu[lane] + 1]:
            self.lanes.catch_up(lane, self.n_nodes, self.n_places)
        self.lane_gaps[lane] = self.cpu_gaps[cpu + 1]
        return 0

    def go_back(self, lane: cython.int, time: cython.longlong) -> cython.int:
        """A record of the lane is before the one before it; by much: of another recording."""
        self.lanes.n_back += 1
        if self.timed and time + _LONG_AGO < self.lane_time[lane]:
            # Nothing that is open will return in it.
            self.lane_top[lane] = self.unwind(lane, self.lane_top[lane], -2)
        return 0

    def is_beside(self, top: cython.int, depth: cython.int) -> cython.bint:
        """Whether an entry at the depth of the open call ``top`` may stand inside it.

        An interrupt between the tracer's counting down and the exit record stands beside its call, and inside it.
        """
        parent: cython.int
        if self.c_depth[top] != depth or depth >= _DEEPEST_INTERRUPT or self.c_flags[top] & _CUT:
            return False
        parent = self.c_parent[top]
        return parent < 0 or self.c_depth[parent] < depth

    def unwind(self, lane: cython.int, top: cython.int, depth: cython.int) -> cython.int:
        """What runs deeper has returned without our seeing it; the innermost call that is still open."""
        while top >= 0 and self.c_depth[top] > depth:
            top = self.abandon(top, lane)
        return top

    def abandon(self, node: cython.int, lane: cython.int) -> cython.int:
        """The innermost open call of ``lane`` did not return in our sight; its caller, -1 for none.

        What stands in it at its own depth was taken for an interrupt at its end; now it came after it. So did what
        stands behind a gap in which it may have returned: its caller is one that was lost, below the next one.
        """
        parent: cython.int = self.c_parent[node]
        last: cython.int = self.c_last[node]
        child: cython.int = last
        first: cython.int = -1
        behind_gap: cython.int = _NEVER
        self.c_flags[node] |= _NO_EXIT
        if self.c_flags[node] & _CUT:
            behind_gap = self.lanes.give_up(node, parent)
        while child >= 0 and (self.c_depth[child] <= self.c_depth[node] or child >= behind_gap):
            self.c_parent[child] = parent
            if self.c_depth[child] > (self.c_depth[parent] + 1 if parent >= 0 else 0):
                self.c_flags[child] |= _DEPTH_JUMP
                if child >= behind_gap:
                    self.c_flags[child] |= _CALLER_LOST
            first = child
            child = self.c_previous[child]
        if first >= 0:
            self.c_last[node] = child
            self.c_previous[first] = node
            if parent >= 0:
                self.c_last[parent] = last
            else:
                self.lane_root[lane] = last
        return parent

    def abandon_all(self) -> None:
        """Nothing that is open will return."""
        lane: cython.int
        self.see_lanes()
        self.lanes.catch_up_all(self.n_nodes, self.n_places)
        for lane in range(len(self.lanes.keys)):
            self.lane_top[lane] = self.unwind(lane, self.lane_top[lane], -2)

    def enter(self, i: cython.Py_ssize_t, lane: cython.int, top: cython.int, d: cython.int) -> cython.int:
        """A call begins in ``top``: its node."""
        node: cython.int = self.n_nodes
        self.n_nodes = node + 1
        self.c_func[node] = self.func[i]
        self.c_lane[node] = lane
        self.c_cpu[node] = self.cpu[i]
        self.c_exit_cpu[node] = -1
        self.c_start[node] = self.time[i]
        self.c_duration[node] = -1
        self.c_call[node] = -1
        self.c_depth[node] = d
        self.c_parent[node] = top
        self.c_first[node] = node
        self.c_context[node] = self.context[i]
        self.c_last[node] = -1
        self.c_flags[node] = 0
        if top >= 0:
            if d > self.c_depth[top] + 1:
                self.c_flags[node] = _DEPTH_JUMP | _CALLER_LOST if self.c_flags[top] & _CUT else _DEPTH_JUMP
            self.c_previous[node] = self.c_last[top]
            self.c_last[top] = node
        else:
            if d > 0:
                self.c_flags[node] = _DEPTH_JUMP | _CALLER_LOST if self.lane_gaps[lane] > 0 else _DEPTH_JUMP
            self.c_previous[node] = self.lane_root[lane]
            self.lane_root[lane] = node
        if self.has_retval:
            self.c_retval[node] = 0
        if self.has_caller:
            self.c_caller[node] = self.caller[i]
        if self.has_arg:
            self.c_arg[node] = self.arg[i]
        self.lane_last[lane] = node
        self.lane_top[lane] = node
        return node

    def leave(
        self, i: cython.Py_ssize_t, lane: cython.int, top: cython.int, d: cython.int, skipped: cython.bint
    ) -> cython.int:
        """An exit: the node that returns. ``skipped``: calls that were open inside it did not return."""
        f: cython.int = self.func[i]
        donor: cython.int = -1
        node: cython.int = -1
        if d < 0 and f != 0:
            top = self.innermost(f, lane, top)
        while top >= 0 and (d < 0 or self.c_depth[top] == d):
            if self.close(i, top, lane, skipped):
                return top
            # Its own exit is lost, and so is the entry of the call that returns here.
            if not self.c_flags[top] & _CUT:
                self.lanes.n_strange += 1
            donor = top
            top = self.abandon(top, lane)
            if d < 0:
                break
        if self.timed and donor < 0:
            node = self.leaf_of(i, lane, top, d)
        return node if node >= 0 else self.rebuild(i, lane, top, d, donor)

    def depth_of_exit(self, i: cython.Py_ssize_t, d: cython.int, top: cython.int) -> cython.int:
        """The depth of an exit that is not that of the call ``top``: some write the depth of exits wrong.

        The function's name and the time tell the call.
        """
        f: cython.int = self.func[i]
        began: cython.longlong
        if f != 0:
            if self.c_func[top] != f or self.is_open(f, d, top):
                return d
        elif self.paired or d != self.c_depth[top] + 1 or self.pid[i] == 0 or not self.timed:
            return d
        if self.c_flags[top] & _CUT:
            return d
        if self.time[i] >= 0 and self.duration[i] >= 0 and self.c_start[top] >= 0:
            began = self.time[i] - self.duration[i] - self.c_start[top]
            if f == 0:
                return self.c_depth[top] if -_ROUNDED <= began <= _ROUNDED and self.delays.too_deep() else d
            if not -_NEAR <= began <= _NEAR or (self.same_clock and self.calltime[i] > self.c_start[top]):
                return d
        elif f == 0:
            return d
        return self.c_depth[top]

    def innermost(self, func: cython.int, lane: cython.int, top: cython.int) -> cython.int:
        """No depth to go by: the innermost open call of this function, ``top`` if there is none."""
        node: cython.int = top
        while node >= 0 and self.c_func[node] != func:
            node = self.c_parent[node]
        if node >= 0:
            while top != node:
                top = self.abandon(top, lane)
        return top

    def close(self, i: cython.Py_ssize_t, node: cython.int, lane: cython.int, skipped: cython.bint) -> cython.bint:
        """Whether record ``i`` is the exit of the open call ``node``, at whose depth it is; then it has returned."""
        f: cython.int = self.func[i]
        cpu: cython.int = self.c_cpu[node]
        began: cython.longlong
        if f != 0 and self.c_func[node] != f and self.c_func[node] != 0:
            return False
        if self.lossy and cpu != self.cpu[i] and self.is_after_visit(i, node):
            self.lanes.visited(node, self.c_start[node], self.n_nodes, self.n_places)
        if self.c_flags[node] & _CUT and not self.outlasts(i, node):
            return False
        if f != 0:
            self.c_func[node] = f
        elif self.timed and self.time[i] >= 0 and self.duration[i] >= 0 and self.c_start[node] >= 0:
            began = self.time[i] - self.duration[i] - self.c_start[node]
            if self.time[i] < self.c_start[node] and cpu == self.cpu[i]:
                # It does not return before it is entered.
                return False
            if began > _NEAR or began < -_NEAR:
                if not self.is_late(i, node, lane, skipped):
                    return False
            elif ((began > _ROUGH or began < -_ROUGH) and self.delays.doubts(node, i, skipped)) or (
                began > -_ROUNDED and self.c_last[node] >= 0 and self.is_refuted(i, node)
            ):
                return False
        if self.c_flags[node] & _CUT and not self.lanes.survive(node, self.c_parent[node]):
            self.c_flags[node] |= _SELF_UNKNOWN
        if cpu != self.cpu[i] and cpu >= 0 and self.cpu[i] >= 0:
            self.c_flags[node] |= _MIGRATED
        if f != 0 or self.depth[i] == self.c_depth[node]:
            self.paired = True
        return True

    def is_after_visit(self, i: cython.Py_ssize_t, node: cython.int) -> cython.bint:
        """Whether record ``i``, of another CPU, is of a call that began after ``node``: what came between was lost."""
        if not self.same_clock or self.c_flags[node] & _CUT or self.c_start[node] < 0:
            return False
        return self.calltime[i] > self.c_start[node] + _NEAR

    def outlasts(self, i: cython.Py_ssize_t, node: cython.int) -> cython.bint:
        """Whether the call that returns with record ``i`` began before the loss that cut ``node``."""
        if self.same_clock and self.calltime[i] > 0:
            return self.lanes.began_before_gap(node, self.calltime[i])
        if self.time[i] < 0 or self.duration[i] < 0:
            return True
        return self.lanes.began_before_gap(node, self.time[i] - self.duration[i])

    def is_late(self, i: cython.Py_ssize_t, node: cython.int, lane: cython.int, skipped: cython.bint) -> cython.bint:
        """Whether record ``i`` is the exit of ``node`` though the times are apart: something delayed a record."""
        answer: cython.int
        answer = self.delays.agree(node, i, skipped, self.lane_last[lane])
        if answer > 1:
            self.c_flags[node] |= _STRETCHED if answer == 2 else _SELF_UNKNOWN
        return answer != 0

    def is_refuted(self, i: cython.Py_ssize_t, node: cython.int) -> cython.bint:
        """Whether record ``i`` is not the exit of ``node`` though the times agree: its callees lasted longer."""
        child: cython.int = self.c_last[node]
        took: cython.longlong = 0
        n: cython.int = 0
        while n < _FEW:
            n += 1
            if self.c_duration[child] > 0:
                took += self.c_duration[child]
            child = self.c_previous[child]
            if child < 0:
                return took > self.duration[i] and self.delays.refutes(node, self.time[i], self.duration[i])
        # The tracer's own time between so many is more than the times may disagree by.
        return False

    def rebuild(
        self, i: cython.Py_ssize_t, lane: cython.int, top: cython.int, d: cython.int, donor: cython.int
    ) -> cython.int:
        """A call in ``top`` that only its exit tells of, with what ran inside it. ``donor`` stood in its place."""
        node: cython.int = self.enter(i, lane, top, d)
        t: cython.longlong = self.time[i]
        dur: cython.longlong = self.duration[i]
        earlier: cython.int
        self.c_cpu[node] = -1
        self.c_start[node] = t - dur if t >= 0 and dur >= 0 and t >= dur else -1
        if self.same_clock and 0 < self.calltime[i] < self.c_start[node] - _NEAR:
            # An interrupt held up the exit's record.
            self.c_start[node] = self.calltime[i]
        self.c_flags[node] |= _NO_ENTRY | _SELF_UNKNOWN
        if self.lane_gap_end[lane] >= 0 and self.c_start[node] <= self.lane_gap_end[lane]:
            self.c_flags[node] |= _CUT
        if self.has_caller:
            self.c_caller[node] = 0
        self.adopt(node, donor, self.calltime[i] if self.calltime[i] != 0 else -1)
        earlier = self.c_previous[node] if top >= 0 and self.timed else -1
        if earlier >= 0 and self.c_start[earlier] + self.c_duration[earlier] > self.c_start[node] >= 0:
            # One of the two did not last as long as its text says.
            self.c_flags[top] |= _SELF_UNKNOWN
        return node

    def adopt(self, node: cython.int, donor: cython.int, called: cython.longlong) -> cython.int:
        """Take in what ran inside it: the last children of its caller, deeper and not over before it began.

        Or those of the call that stood in its place, if they began inside it.
        """
        d: cython.int = self.c_depth[node]
        earlier: cython.int = self.c_previous[node]
        child: cython.int = -1
        elder: cython.int
        joined: cython.bint
        if earlier != donor:
            # What was moved out of it stands behind it.
            donor = -1
        if donor >= 0:
            earlier = self.c_last[donor]
        while d >= 0 and earlier >= 0 and self.c_depth[earlier] > d:
            if not self.is_inside(earlier, node, donor, called):
                break
            elder = self.c_previous[earlier]
            # Where it hit the exit of the call before it, whose entry is missing too, it comes after that.
            joined = elder >= 0 and self.c_first[elder] == self.c_first[earlier]
            if joined and not (self.c_depth[elder] > d and self.is_inside(elder, node, donor, called)):
                break
            self.c_parent[earlier] = node
            self.c_first[node] = self.c_first[earlier]
            if self.c_depth[earlier] == d + 1:
                self.c_flags[earlier] &= ~(_DEPTH_JUMP | _CALLER_LOST)
            if self.c_last[node] < 0:
                self.c_last[node] = earlier
            child = earlier
            earlier = self.c_previous[earlier]
        if donor < 0:
            self.c_previous[node] = earlier
        else:
            self.c_last[donor] = earlier
        if child >= 0:
            # The first adopted child has no elder sibling any more; the caller's chain goes on behind it.
            self.c_previous[child] = -1
        return 0

    def is_inside(
        self, child: cython.int, node: cython.int, donor: cython.int, called: cython.longlong
    ) -> cython.bint:
        """Whether what stands before ``node`` ran in it."""
        return self.began_inside(child, node, called) if donor >= 0 else self.ran_inside(child, node, called)

    def began_inside(self, child: cython.int, node: cython.int, called: cython.longlong) -> cython.bint:
        """Whether a child of the call that stood in the place of ``node`` began in this one."""
        return self.c_start[child] >= (called if self.same_clock and called >= 0 else self.c_start[node])

    def ran_inside(self, child: cython.int, node: cython.int, called: cython.longlong) -> cython.bint:
        """Whether an elder sibling of ``node`` was not over before this one began."""
        if called >= 0 and self.c_call[child] >= 0 and self.c_duration[child] >= 0:
            return self.c_call[child] + self.c_duration[child] > called
        if self.c_start[node] < 0 or self.c_start[child] < 0:
            return True
        if self.c_duration[child] >= 0:
            return self.c_start[child] + self.c_duration[child] > self.c_start[node]
        return self.c_start[child] >= self.c_start[node]
