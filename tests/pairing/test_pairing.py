"""Pairing against the truth: streams are made from known call trees, then broken.

Every call carries its own number through ``arg`` (told by its entry) and ``retval`` (by its exit), so
a row says which entry and which exit it was made of.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfgraph.model.calls import Flag
from kfgraph.parse import delay, pairing, stacks
from kfgraph.parse.records import ENTRY, EXIT, LEAF, LOSS, MARK, RecordBatch
from plain import plain, plain_stacks


@dataclass
class Call:
    """One true call of the plain stack machine."""

    number: int
    func: int
    pid: int
    depth: int
    parent: Call | None
    calltime: int
    entry_cpu: int
    duration: int = -1
    exit_cpu: int = -1
    children: list[Call] = field(default_factory=list)


@dataclass(frozen=True)
class Record:
    kind: int
    func: int = 0
    pid: int = -1
    cpu: int = 0
    time: int = -1
    depth: int = -1
    duration: int = -1
    calltime: int = -1
    retval: int = -1
    arg: int = -1


PLAIN = plain("parse.pairing")
PLAIN.stacks = LOOP = plain_stacks()
PLAIN.settle = SETTLE = plain("parse.settle")
PLACING = plain("parse.placing")


def pair(pairer_module, records, *, batch=7, **options):
    """Feed ``records`` in small batches, so that every state crosses a batch border somewhere."""
    options = {"retval": True, "args": True, **options}
    pairer = pairer_module.Pairer(**options)
    for at in range(0, len(records), batch):
        rows = records[at : at + batch]
        table = RecordBatch.empty(len(rows), retval=True, arg=True)
        for name in ("kind", "func", "pid", "cpu", "time", "depth", "duration", "calltime", "retval", "arg"):
            getattr(table, name)[:] = [getattr(r, name) for r in rows]
        table.context[:] = 0
        pairer.feed(table, len(rows))
    paired = pairer.finish()
    paired.calls.check()
    return paired


@st.composite
def streams(draw):
    """(calls, records): some tasks calling and returning on two CPUs, time going on with every record."""
    calls: list[Call] = []
    records: list[Record] = []
    open_: dict[int, list[Call]] = {pid: [] for pid in range(1, 1 + draw(st.integers(1, 3)))}
    cpu_of = dict.fromkeys(open_, 0)
    time = 1000
    steps = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), st.integers(1, 4)), max_size=120))
    for action, pid, func in steps:
        if pid not in open_:
            continue
        stack = open_[pid]
        if action == 9:
            cpu_of[pid] = 1 - cpu_of[pid]
            continue
        time += 10
        if action <= 4 and len(stack) < 6:
            parent = stack[-1] if stack else None
            call = Call(len(calls), func, pid, len(stack), parent, time - 3, cpu_of[pid])
            calls.append(call)
            if parent:
                parent.children.append(call)
            stack.append(call)
            records.append(Record(ENTRY, func, pid, cpu_of[pid], time, call.depth, arg=call.number))
        elif stack:
            call = stack.pop()
            call.duration = time - 2 - call.calltime
            call.exit_cpu = cpu_of[pid]
            records.append(
                Record(EXIT, call.func, pid, cpu_of[pid], time, call.depth, call.duration, call.calltime, call.number)
            )
    return calls, records


@settings(max_examples=300, deadline=None)
@given(streams())
def test_whole_streams_give_the_true_tree(pairer_module, stream):
    calls, records = stream
    table = pair(pairer_module, records)
    rows = table.calls
    assert sorted(table.arg) == list(range(len(calls)))
    row_of = {int(number): row for row, number in enumerate(table.arg)}
    for row, number in enumerate(table.arg):
        call = calls[number]
        assert rows.func[row] == call.func
        assert table.lanes[rows.lane[row]] == (call.pid, -1)
        assert rows.parent[row] == (row_of[call.parent.number] if call.parent else -1)
        assert rows.duration_ns[row] == call.duration
        assert rows.start_ns[row] == call.calltime + 3
        assert (rows.cpu[row], rows.exit_cpu[row]) == (call.entry_cpu, call.exit_cpu)
        expected = Flag(0)
        if call.duration < 0:
            expected |= Flag.NO_EXIT
            assert rows.self_ns[row] == -1
        else:
            expected |= Flag.HAS_RETVAL
            assert rows.retval[row] == number
            assert rows.self_ns[row] == call.duration - sum(child.duration for child in call.children)
            if call.entry_cpu != call.exit_cpu:
                expected |= Flag.MIGRATED
        if any(child.duration < 0 for child in call.children):
            expected |= Flag.SELF_UNKNOWN
        assert Flag(int(rows.flags[row])) == expected
    # Siblings stand in the order of their entries.
    assert all(np.diff(table.arg[rows.lane == lane]).min(initial=1) > 0 for lane in set(rows.lane))


@st.composite
def lossy_streams(draw):
    """(calls, records, how many were lost, hidden visitors); a LOSS stands before the first record after a gap."""
    calls, records = draw(streams())
    gaps = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 119), st.integers(1, 12)), max_size=3))
    dropped = set()
    for cpu, begin, length in gaps:
        mine = [i for i, r in enumerate(records) if r.cpu == cpu]
        dropped |= set(mine[begin : begin + length])
    kept: list[Record] = []
    lost = {0: 0, 1: 0}
    for i, record in enumerate(records):
        if i in dropped:
            lost[record.cpu] += 1
            continue
        if lost[record.cpu]:
            kept.append(Record(LOSS, cpu=record.cpu, duration=lost[record.cpu]))
            lost[record.cpu] = 0
        kept.append(record)
    for cpu, n in lost.items():
        if n:
            kept.append(Record(LOSS, cpu=cpu, duration=n))
    return calls, kept, len(dropped), hidden_visitors(records, dropped)


def hidden_visitors(records, dropped):
    """The tasks that lost records on a CPU and were next seen on the other: nobody can tell they were there."""
    found = set()
    for pid in {r.pid for r in records}:
        lost_on = None
        for i, record in enumerate(records):
            if record.pid != pid:
                continue
            if i in dropped:
                lost_on = record.cpu if lost_on in (None, record.cpu) else -1
            else:
                if lost_on is not None and lost_on != record.cpu:
                    found.add(pid)
                lost_on = None
    return found


@settings(max_examples=600, deadline=None)
@given(lossy_streams())
def test_losses_never_make_a_call_up(pairer_module, stream):
    calls, records, n_lost, hidden = stream
    paired = pair(pairer_module, records)
    rows = paired.calls
    kinds = [r.kind for r in records]
    # Every record is in exactly one row.
    entries = {r.arg for r in records if r.kind == ENTRY}
    exits = {r.retval for r in records if r.kind == EXIT}
    has_retval = rows.has(Flag.HAS_RETVAL)
    assert {int(a) for a in paired.arg if a >= 0} == entries
    assert sorted(int(v) for v in rows.retval[has_retval]) == sorted(exits)
    assert len(rows) == len(entries) + int(rows.has(Flag.NO_ENTRY).sum())
    assert paired.losses.n_lost_counted == n_lost
    assert len(paired.losses) <= kinds.count(LOSS)
    row_of = {}
    for row in range(len(rows)):
        number = int(rows.retval[row]) if has_retval[row] else int(paired.arg[row])
        row_of[number] = row
        call = calls[number]
        assert rows.func[row] == call.func
        if call.pid in hidden:
            continue
        if paired.arg[row] >= 0 and has_retval[row]:
            assert paired.arg[row] == rows.retval[row], "an entry was paired with another call's exit"
        if has_retval[row]:
            assert rows.duration_ns[row] == call.duration
        if rows.self_ns[row] >= 0:
            assert rows.self_ns[row] == call.duration - sum(child.duration for child in call.children)
    for number, row in row_of.items():
        if calls[number].pid in hidden:
            continue
        if not rows.flags[row] & ~np.uint32(Flag.HAS_RETVAL | Flag.MIGRATED | Flag.SELF_UNKNOWN | Flag.NO_EXIT):
            parent = int(rows.parent[row])
            true = calls[number].parent
            if true is not None and true.number in row_of:
                assert parent == row_of[true.number]
            elif parent >= 0:
                assert rows.flags[parent] & Flag.CUT_BY_LOSS
    number_of = {row: number for number, row in row_of.items()}
    for number, row in row_of.items():
        above, true = int(rows.parent[row]), calls[number].parent
        if calls[number].pid in hidden:
            continue
        assert above < 0 or number_of[above] in ancestors(calls[number]), "below a call that it was not made in"
        if true is not None and (above < 0 or number_of[above] != true.number):
            # Its caller is not above it, and the row says so; in whose entry alone is lost it is.
            assert Flag(int(rows.flags[row])) & Flag.CALLER_LOST
            assert not Flag(int(rows.flags[row])) & Flag.DEPTH_JUMP


def ancestors(call):
    """The numbers of the calls that it was made in."""
    found = set()
    while (call := call.parent) is not None:
        found.add(call.number)
    return found


@settings(max_examples=200, deadline=None)
@given(streams(), st.data())
def test_any_subset_of_records_gives_a_sound_table(pairer_module, stream, data):
    """Holes that nobody told of: sound, every exit's duration once, nothing else."""
    _, records = stream
    kept = [r for r in records if data.draw(st.booleans())]
    paired = pair(pairer_module, kept)
    rows = paired.calls
    exits = sorted(r.duration for r in kept if r.kind == EXIT)
    assert sorted(d for d in rows.duration_ns.tolist() if d >= 0) == exits
    assert len(rows) == sum(r.kind == ENTRY for r in kept) + int(rows.has(Flag.NO_ENTRY).sum())


@settings(max_examples=200, deadline=None)
@given(streams())
def test_exits_alone_give_the_tree_of_the_finished_calls(pairer_module, stream):
    calls, records = stream
    paired = pair(pairer_module, [r for r in records if r.kind == EXIT])
    rows = paired.calls
    row_of = {int(number): row for row, number in enumerate(rows.retval)}
    assert set(row_of) == {call.number for call in calls if call.duration >= 0}
    assert rows.has(Flag.NO_ENTRY).all()
    assert (rows.self_ns == -1).all()
    for number, row in row_of.items():
        parent = calls[number].parent
        finished = parent is not None and parent.duration >= 0
        assert rows.parent[row] == (row_of[parent.number] if finished else -1)
        # Exit timestamp - duration: the tracer's delay at the exit (2 here) stays in it.
        assert rows.start_ns[row] == calls[number].calltime + 2


@settings(max_examples=100, deadline=None)
@given(lossy_streams(), st.integers(1, 50))
def test_batches_do_not_matter(pairer_module, stream, size):
    _, records, *_ = stream
    one, many = pair(pairer_module, records, batch=1 << 20), pair(pairer_module, records, batch=size)
    for (name, a), (_, b) in zip(one.calls.columns(), many.calls.columns(), strict=True):
        assert a.tolist() == b.tolist(), name
    for name in ("time_ns", "cpu", "n_lost", "lane", "row", "parent"):
        assert getattr(one.losses, name).tolist() == getattr(many.losses, name).tolist(), name


@settings(max_examples=200, deadline=None)
@given(lossy_streams())
def test_compiled_and_plain_agree(stream):
    _, records, *_ = stream
    if not stacks.COMPILED:
        pytest.skip("the compiled pairing is not built here")
    compiled, plain = pair(pairing, records), pair(PLAIN, records)
    for (name, a), (_, b) in zip(compiled.calls.columns(), plain.calls.columns(), strict=True):
        assert a.tolist() == b.tolist(), name
    assert compiled.notices == plain.notices


def entry(func, depth, time, pid=1, cpu=0, arg=-1):
    return Record(ENTRY, func, pid, cpu, time, depth, arg=arg)


def leave(func, depth, time, duration, pid=1, cpu=0, calltime=None):
    began = time - duration if calltime is None else calltime
    return Record(EXIT, func, pid, cpu, time, depth, duration, began, 0)


def test_an_interrupt_after_the_tracer_counted_down_stands_inside(pairer_module):
    # As on 6.1: the interrupts 3 and 4 run at the depth of 2, which has not returned (its rettime is 400).
    rows = pair(
        pairer_module,
        [
            entry(1, 0, 100),
            entry(2, 1, 110),
            entry(3, 1, 200),
            leave(3, 1, 230, 20, calltime=199),
            entry(4, 1, 250),
            leave(4, 1, 290, 30, calltime=249),
            leave(2, 1, 410, 290, calltime=109),
            leave(1, 0, 500, 395, calltime=99),
        ],
    ).calls
    assert rows.func.tolist() == [1, 2, 3, 4]
    assert rows.parent.tolist() == [-1, 0, 1, 1]
    assert rows.self_ns.tolist() == [105, 240, 20, 30]
    assert (rows.flags & ~np.uint32(Flag.HAS_RETVAL)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("end", [True, False])
def test_what_came_after_a_call_that_was_not_seen_to_return_stands_beside_it(pairer_module, end):
    stream = [
        entry(1, 0, 100),
        entry(2, 1, 110),
        entry(5, 2, 120),
        leave(5, 2, 140, 15, calltime=122),
        entry(3, 1, 200),
        Record(MARK, 9, 1, 0, 220),
        leave(3, 1, 230, 20, calltime=199),
        *([leave(1, 0, 500, 395, calltime=99)] if end else []),
    ]
    paired = pair(pairer_module, stream)
    assert paired.calls.func.tolist() == [1, 2, 5, 3]
    assert paired.calls.parent.tolist() == [-1, 0, 1, 0]
    assert paired.calls.has(Flag.NO_EXIT).tolist() == [not end, True, False, False]
    assert (paired.marks.row.tolist(), paired.marks.parent.tolist()) == ([4], [3])


def test_many_calls_that_were_not_seen_to_return_stand_side_by_side(pairer_module):
    rows = pair(pairer_module, [entry(1, 0, t) for t in range(3000)], batch=4096).calls
    assert (rows.parent == -1).all()
    assert rows.start_ns.tolist() == list(range(3000))


def test_idle_tasks_have_a_lane_per_cpu_and_a_task_keeps_its_own_across_cpus(pairer_module):
    paired = pair(
        pairer_module,
        [
            entry(1, 0, 10, pid=0, cpu=0),
            entry(1, 0, 11, pid=0, cpu=1),
            entry(2, 0, 12, pid=7, cpu=0),
            leave(2, 0, 20, 5, pid=7, cpu=1),
            leave(1, 0, 30, 15, pid=0, cpu=1),
            leave(1, 0, 31, 20, pid=0, cpu=0),
        ],
    )
    assert paired.lanes == [(0, 0), (0, 1), (7, -1)]
    assert paired.calls.duration_ns.tolist() == [20, 15, 5]
    assert (paired.calls.flags & np.uint32(Flag.MIGRATED)).tolist() == [0, 0, Flag.MIGRATED]


def test_marks_and_losses_stand_where_they_happened(pairer_module):
    paired = pair(
        pairer_module,
        [
            Record(MARK, 5, 1, 0, 90),
            entry(1, 0, 100),
            Record(MARK, 6, 1, 0, 105),
            entry(2, 1, 110),
            leave(2, 1, 130, 15),
            Record(LOSS, cpu=0, duration=40),
            Record(MARK, 7, 1, 0, 500),
            leave(1, 0, 600, 495, calltime=99),
            Record(LOSS, cpu=1, duration=-1),
        ],
    )
    marks, losses = paired.marks, paired.losses
    assert marks.name.tolist() == [5, 6, 7]
    assert marks.row.tolist() == [0, 1, 2]
    assert marks.parent.tolist() == [-1, 0, 0]
    assert marks.time_ns.tolist() == [90, 105, 500]
    assert losses.n_lost.tolist() == [40, -1]
    assert losses.row.tolist() == [2, -1]
    assert losses.parent.tolist() == [0, -1]
    assert losses.time_ns.tolist() == [500, -1]
    assert paired.calls.has(Flag.CUT_BY_LOSS).tolist() == [True, False]
    # A direct child of 1 may be among what was lost.
    assert paired.calls.self_ns.tolist() == [-1, 15]
    assert {n.code: n.n for n in paired.notices} == {"lost-records": 2, "cut-by-loss": 1}


def test_a_loss_inside_a_child_leaves_the_callers_self_time_known(pairer_module):
    rows = pair(
        pairer_module,
        [
            entry(1, 0, 100),
            entry(2, 1, 110),
            Record(LOSS, cpu=0, duration=3),
            leave(2, 1, 500, 385, calltime=109),
            leave(1, 0, 600, 495, calltime=99),
        ],
    ).calls
    assert rows.self_ns.tolist() == [110, -1]
    assert rows.has(Flag.CUT_BY_LOSS).all()


def test_the_same_function_again_after_a_gap_is_another_call(pairer_module):
    rows = pair(
        pairer_module,
        [entry(1, 0, 100), Record(LOSS, cpu=0, duration=2), leave(1, 0, 600, 50, calltime=545)],
    ).calls
    assert rows.duration_ns.tolist() == [-1, 50]
    assert [Flag(int(f)) & (Flag.NO_EXIT | Flag.NO_ENTRY) for f in rows.flags] == [Flag.NO_EXIT, Flag.NO_ENTRY]


def test_what_follows_a_gap_hangs_below_no_call_that_may_have_returned_in_it(pairer_module):
    # 1 > 2 > 3 were open. What came at depth 3 was called by the 3 that we know, or by one that we do not.
    before = [entry(1, 0, 100), entry(2, 1, 110), entry(3, 2, 120)]
    gap = Record(LOSS, cpu=0, duration=-1)
    after = [gap, Record(MARK, 8, pid=1, time=160), entry(4, 3, 200), leave(4, 3, 250, 45, calltime=199)]
    inside = leave(3, 2, 300, 175, calltime=119)
    rows = pair(pairer_module, [*before, *after, inside]).calls
    assert rows.parent.tolist() == [-1, 0, 1, 2]
    assert not rows.has(Flag.CALLER_LOST).any()
    # Another one of the same name returned: the caller of 4 is that one, whose own caller is not known.
    other = leave(3, 2, 300, 120, calltime=179)
    paired = pair(pairer_module, [*before, *after, other])
    rows = paired.calls
    assert rows.func.tolist() == [1, 2, 3, 3, 4]
    assert rows.parent.tolist() == [-1, 0, 1, -1, 3]
    assert rows.has(Flag.CALLER_LOST).tolist() == [False, False, False, True, False]
    assert rows.duration_ns.tolist() == [-1, -1, -1, 120, 45]
    assert paired.losses.parent.tolist() == [2]
    assert (paired.marks.row.tolist(), paired.marks.parent.tolist()) == ([3], [-1])
    # Unless 1 was seen to outlast the gap: then it is below 1.
    outer = leave(1, 0, 400, 305, calltime=94)
    rows = pair(pairer_module, [*before, *after, other, outer]).calls
    assert rows.parent.tolist() == [-1, 0, 1, 0, 3]
    assert rows.has(Flag.CALLER_LOST).tolist() == [False, False, False, True, False]
    assert {n.code for n in pair(pairer_module, [*before, *after, other, outer]).notices} >= {"caller-lost"}


def test_of_two_gaps_a_call_may_have_returned_in_the_first(pairer_module):
    gap = Record(LOSS, cpu=0, duration=-1)
    first = [entry(1, 0, 100), entry(2, 1, 110), gap, entry(3, 2, 200), leave(3, 2, 250, 45, calltime=199)]
    rows = pair(pairer_module, [*first, gap, entry(4, 0, 400)]).calls
    assert (rows.func.tolist(), rows.parent.tolist()) == ([1, 2, 3, 4], [-1, 0, -1, -1])
    assert rows.has(Flag.CALLER_LOST).tolist() == [False, False, True, False]
    # That 5 outlasted the first gap says that its callers did; of the second nothing is known.
    first[2:2] = [entry(5, 2, 120)]
    between = [leave(5, 2, 210, 95, calltime=115), entry(3, 2, 220), leave(3, 2, 250, 25, calltime=219)]
    late = [gap, entry(6, 2, 300), leave(6, 2, 310, 5, calltime=299), entry(4, 0, 400)]
    rows = pair(pairer_module, [*first[:4], *between, *late]).calls
    assert (rows.func.tolist(), rows.parent.tolist()) == ([1, 2, 5, 3, 6, 4], [-1, 0, 1, 1, -1, -1])
    assert rows.has(Flag.CALLER_LOST).tolist() == [False, False, False, False, True, False]


def test_a_rebuilt_call_adopts_what_ran_inside_it_and_nothing_that_was_over_before(pairer_module):
    # Both ran at depth 1; only the second inside the call of 1 that began at 300.
    rows = pair(
        pairer_module,
        [
            leave(2, 1, 200, 90, calltime=109),
            leave(3, 1, 400, 90, calltime=309),
            leave(1, 0, 500, 199, calltime=300),
        ],
    ).calls
    assert rows.func.tolist() == [2, 1, 3]
    assert rows.parent.tolist() == [-1, -1, 1]
    assert rows.has(Flag.DEPTH_JUMP).tolist() == [True, False, False]


def test_a_gap_on_the_cpu_that_a_task_came_to_cuts_its_calls_too(pairer_module):
    rows = pair(
        pairer_module,
        [
            entry(1, 0, 100, cpu=0),
            Record(LOSS, cpu=1, duration=9),
            leave(1, 0, 600, 495, cpu=1, calltime=99),
        ],
    ).calls
    assert Flag(int(rows.flags[0])) == Flag.CUT_BY_LOSS | Flag.MIGRATED | Flag.HAS_RETVAL | Flag.SELF_UNKNOWN


def test_a_task_that_comes_after_anothers_first_record_may_have_come_in_the_gap(pairer_module):
    stream = [
        entry(1, 0, 100, cpu=0),
        Record(LOSS, cpu=1, duration=9),
        entry(1, 0, 300, pid=2, cpu=1),
        leave(1, 0, 600, 250, cpu=1, calltime=345),
    ]
    rows = pair(pairer_module, stream).calls
    # The call of 100 was lost sight of; what returns at 600 began after it was last seen.
    assert rows.duration_ns[rows.lane == 0].tolist() == [-1, 250]
    seen_since = [*stream[:3], entry(2, 1, 310, cpu=0), leave(2, 1, 320, 5, cpu=0), leave(1, 0, 600, 500, cpu=1)]
    rows = pair(pairer_module, seen_since).calls
    assert rows.duration_ns[rows.lane == 0].tolist() == [500, 5]
    assert not rows.has(Flag.CUT_BY_LOSS).any()


def test_a_task_that_came_back_from_a_gap_that_is_not_over_yet_has_returned_there(pairer_module):
    # It called the same function again on CPU 1, where records are lost from then on, and returned on CPU 0.
    stream = [
        Record(LOSS, cpu=1, duration=9),
        entry(9, 0, 50, pid=2, cpu=1),
        entry(1, 0, 100_000, cpu=1),
        entry(2, 1, 110_000, cpu=1),
        leave(2, 1, 900_000, 50_000, cpu=0, calltime=849_000),
        leave(1, 0, 950_000, 851_000, cpu=0, calltime=99_000),
    ]
    rows = pair(pairer_module, stream).calls
    mine = rows.lane == rows.lane[rows.func == 1][0]
    assert rows.func[mine].tolist() == [1, 2, 2]
    assert rows.duration_ns[mine].tolist() == [851_000, -1, 50_000]
    assert rows.level[mine].tolist() == [0, 1, 1] and rows.self_ns[mine][0] == -1
    # In a recording without a loss, a call goes on on another CPU, however late its time of call (nosleep-time).
    rows = pair(pairer_module, stream[1:]).calls
    assert rows.duration_ns[rows.func == 2].tolist() == [50_000]


def test_a_gap_on_another_cpu_leaves_a_task_alone(pairer_module):
    rows = pair(
        pairer_module,
        [
            entry(1, 0, 100, cpu=0),
            Record(LOSS, cpu=1, duration=9),
            entry(1, 0, 150, pid=2, cpu=1),
            leave(1, 0, 600, 495, cpu=0, calltime=99),
        ],
    ).calls
    assert Flag(int(rows.flags[0])) == Flag.HAS_RETVAL
    assert rows.self_ns[0] == 495


def test_text_leaves_have_no_calltime_and_pair_all_the_same(pairer_module):
    leaf = Record(LEAF, 2, 1, 0, 110, 1, 15, -1, 3)
    rows = pair(pairer_module, [entry(1, 0, 100), leaf, dataclasses.replace(leave(1, 0, 200, 95), calltime=-1)]).calls
    assert rows.self_ns.tolist() == [80, 15]
    assert rows.retval.tolist() == [0, 3]


def test_a_clock_without_unit_keeps_durations_and_forgets_times(pairer_module):
    pairer = pairer_module.Pairer(same_clock=False)
    table = RecordBatch.empty(2)
    for name, values in {
        "kind": [ENTRY, EXIT],
        "func": [1, 1],
        "pid": [1, 1],
        "cpu": [0, 0],
        "time": [10**12, 2 * 10**12],
        "depth": [0, 0],
        "context": [0, 2],
        "duration": [-1, 70],
        "calltime": [-1, 5],
    }.items():
        getattr(table, name)[:] = values
    pairer.feed(table, 2)
    paired = pairer.finish(clock_is_ns=False)
    paired.calls.check()
    assert paired.calls.start_ns.tolist() == [-1]
    assert paired.calls.duration_ns.tolist() == [70]
    assert paired.calls.self_ns.tolist() == [70]
    assert paired.calls.flags.tolist() == [Flag.START_UNKNOWN]
    assert (paired.first_time, paired.last_time) == (-1, -1)


@pytest.mark.parametrize("depth", [5000, 32000])
def test_deep_stacks(pairer_module, depth):
    records = [entry(1, d, d) for d in range(depth)]
    records += [leave(1, d, 3 * depth - d, 1 + 2 * (depth - d), calltime=d) for d in range(depth - 1, -1, -1)]
    rows = pair(pairer_module, records, batch=4096).calls
    assert rows.level.tolist() == list(range(depth))
    assert (rows.end == depth).all()
    assert rows.self_ns.tolist() == [2] * (depth - 1) + [3]


def test_no_records_give_an_empty_table(pairer_module):
    paired = pair(pairer_module, [])
    assert len(paired.calls) == 0
    assert paired.lanes == []
    assert paired.notices == ()


def test_the_literals_of_the_hot_loop_are_those_of_the_model():
    assert [LOOP._ENTRY, LOOP._EXIT, LOOP._LEAF, LOOP._MARK, LOOP._LOSS] == [ENTRY, EXIT, LEAF, MARK, LOSS]
    for name in (
        "NO_ENTRY",
        "NO_EXIT",
        "IN_TRACER",
        "DEPTH_JUMP",
        "MIGRATED",
        "HAS_RETVAL",
        "SELF_UNKNOWN",
        "START_UNKNOWN",
        "INTERRUPT",
    ):
        for loop in (LOOP, SETTLE, PLACING):
            assert getattr(loop, f"_{name}", Flag[name]) == Flag[name]
    assert LOOP._CUT == SETTLE._CUT == Flag.CUT_BY_LOSS
    assert LOOP._STRETCHED == SETTLE._STRETCHED
    assert not any(flag & LOOP._STRETCHED for flag in Flag), "a mark of pairing's own, in no table"
    assert (LOOP._NEAR, LOOP._ROUNDED, LOOP._ROUGH) == (delay._NEAR, delay._ROUNDED, PLACING._ROUGH)


def test_how_long_a_gap_was_and_what_gaps_have_in_common_once(pairer_module):
    def gap(cpu):
        return Record(LOSS, cpu=cpu, duration=-1)

    stream = [entry(1, 0, 100), entry(2, 0, 150, pid=2, cpu=1), gap(0), entry(3, 1, 300), gap(1)]
    stream += [entry(4, 1, 400, pid=2, cpu=1), gap(1), entry(4, 2, 900, pid=2, cpu=1), gap(0)]
    losses = pair(pairer_module, stream).losses
    assert losses.begin_ns.tolist() == [100, 150, 400, 300]
    assert losses.lasted_ns.tolist() == [200, 250, 500, -1]
    # From 100 to 400, and from there on to 900.
    assert losses.covered_ns == 800
    assert losses.empty().covered_ns == 0
    first = pair(pairer_module, [gap(0), entry(1, 0, 100)]).losses
    assert (first.begin_ns.tolist(), first.lasted_ns.tolist(), first.covered_ns) == ([-1], [-1], 0)
