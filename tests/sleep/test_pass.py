"""Time off the CPU: exact where the switches tell it, unknown where one is missing, never made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kfgraph
from builder.machine import PREEMPTED, RUNNING, SLEEPING, UNINTERRUPTIBLE, Machine
from builder.tables import call, trace_of
from kfgraph.model.calls import CallTable, Flag
from kfgraph.model.marks import Losses
from kfgraph.model.sparse import Sparse
from kfgraph.model.trace import Trace
from kfgraph.passes import Given, sleep

TASKS = (11, 12)


def loaded(machine: Machine, path: Path) -> Trace:
    path.write_bytes(machine.dat())
    trace = kfgraph.load(str(path))
    trace.check()
    return trace


def parts(calls: CallTable) -> list[tuple[int, int, int]]:
    """(self, asleep, preempted) of every call."""
    assert calls.asleep_ns is not None and calls.preempted_ns is not None
    columns = calls.self_ns, calls.asleep_ns.dense(len(calls)), calls.preempted_ns.dense(len(calls))
    return [(int(own), int(asleep), int(preempted)) for own, asleep, preempted in zip(*columns, strict=True)]


def codes(trace: Trace) -> dict[str, int]:
    return {notice.code: notice.n for notice in trace.notices}


def one_sleep(*, nosleep: bool = False, state: int = SLEEPING) -> Machine:
    """f calls g, g calls schedule; it is off the CPU from 1_000_330 to 1_001_000, the event is at 1_000_300."""
    m = Machine(nosleep=nosleep)
    m.now = 1_000_050
    m.switch(0, 11, RUNNING)
    for name in ("f", "g", "schedule"):
        m.now += 50
        m.enter(0, name)
    m.now = 1_000_300
    m.out(0, -1, state)
    m.now = 1_000_310
    m.passing(0, "switch_mm_irqs_off", 20)
    m.came(0)
    m.now = 1_001_000
    m.switch(0, 11, RUNNING)
    m.now += 10
    m.enter(0, "finish_task_switch")
    m.now += 15
    m.leave(0)
    for _ in range(3):
        m.now += 25
        m.leave(0)
    return m


@pytest.mark.parametrize(
    ("state", "asleep"), [(SLEEPING, True), (UNINTERRUPTIBLE, True), (128, True), (PREEMPTED, False), (RUNNING, False)]
)
def test_a_known_sleep_is_taken_off_the_innermost_call_that_was_open(state: int, asleep: bool, tmp_path: Path) -> None:
    trace = loaded(one_sleep(state=state), tmp_path / "a.dat")
    calls, off = trace.calls, trace.off_cpu
    assert [trace.symbols.label(code) for code in calls.func] == [
        "f", "g", "schedule", "switch_mm_irqs_off", "finish_task_switch"
    ]
    assert calls.duration_ns.tolist() == [1_000, 925, 850, 20, 15]
    # schedule: 850 less the callees' 35 and 670 off the CPU.
    slept = (670, 0) if asleep else (0, 670)
    assert parts(calls) == [(75, 0, 0), (75, 0, 0), (145, *slept), (20, 0, 0), (15, 0, 0)]
    assert off is not None
    mine = off.row >= 0
    assert (off.row[mine].tolist(), off.begin_ns[mine].tolist(), off.end_ns[mine].tolist()) == (
        [2], [1_000_330], [1_001_000]
    )
    assert off.asleep[mine].tolist() == [asleep]
    assert "off-cpu-unknown" not in codes(trace)


LINES = """cpus=1
     sh-11 [000] 1.000100: funcgraph_entry:                   |  f() {{
     sh-11 [000] 1.000150: funcgraph_entry:                   |    schedule() {{
     sh-11 [000] 1.000200: sched_switch: {}
  <idle>-0 [000] 1.000700: sched_switch: {}
     sh-11 [000] 1.000750: funcgraph_exit:    ! 600.000 us    |    }}
     sh-11 [000] 1.000800: funcgraph_exit:    ! 700.000 us    |  }}
"""
KERNEL = "prev_comm=sh prev_pid=11 prev_prio=120 prev_state={} ==> next_comm=swapper/0 next_pid=0 next_prio=120"
TRACE_CMD = "sh:11 [120] {} ==> swapper/0:0 [120]"
BACK = "swapper/0:0 [120] R ==> sh:11 [120]"


@pytest.mark.parametrize("line", [KERNEL, TRACE_CMD])
@pytest.mark.parametrize(
    ("state", "asleep"),
    [("S", 1), ("D", 1), ("D|K", 1), ("I", 1), ("X", 1), ("t", 1), ("R", 0), ("R+", 0), ("?", -1)],
)
def test_the_states_that_texts_print(state: str, asleep: int, line: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(LINES.format(line.format(state), BACK))
    trace = kfgraph.load(str(file))
    trace.check()
    told = {1: (100_000, 500_000, 0), 0: (100_000, 0, 500_000), -1: (-1, 0, 0)}[asleep]
    assert parts(trace.calls) == [(100_000, 0, 0), told]
    assert codes(trace).get("off-cpu-unknown", 0) == (asleep < 0)


def test_where_a_long_schedule_has_no_switch_its_events_were_not_on(tmp_path: Path) -> None:
    before = """cpus=1
     sh-11 [000] 0.900000: funcgraph_entry:      {} us |  schedule();
     sh-11 [000] 0.950000: funcgraph_entry:      {} us |  f();
"""
    file = tmp_path / "a.txt"
    text = LINES.format(KERNEL.format("S"), BACK).removeprefix("cpus=1\n")
    for ms, known in ((0.9, True), (5, False)):
        file.write_text(before.format(f"{ms * 1000:.3f}", f"{ms * 1000:.3f}") + text)
        trace = kfgraph.load(str(file))
        trace.check()
        took = round(ms * 1_000_000)
        assert [own for own, _, _ in parts(trace.calls)] == [took if known else -1, took, 100_000, 100_000]
        assert codes(trace).get("off-cpu-unknown", 0) == int(not known)


def test_what_writes_the_event_of_a_switch_does_not_sleep(tmp_path: Path) -> None:
    m = Machine()
    m.switch(0, 11, RUNNING)
    for name in ("schedule", "__traceiter_sched_switch"):
        m.now += 500
        m.enter(0, name)
    m.now += 10
    m.out(0, -1)
    m.now += 5
    # Its end, by the times, is behind the switch in: its record was held up.
    late = m.owner(11).open[-1]
    late.start_ns -= 400
    m.owner(11).colour = "self"
    m.leave(0)
    m.came(0)
    m.now += 300
    m.switch(0, 11, RUNNING)
    m.now += 500
    m.leave(0)
    trace = loaded(m, tmp_path / "a.dat")
    assert trace.calls.duration_ns.tolist() == [1_315, 415]
    # Off from the event on, 305 ns: when the event's function was over is not known.
    assert parts(trace.calls) == [(595, 305, 0), (415, 0, 0)]


def test_the_first_call_of_a_trace_does_not_sleep_where_it_writes_the_event_of_a_switch(tmp_path: Path) -> None:
    m = Machine()
    m.switch(0, 11, RUNNING)
    for _ in range(2):
        m.now += 500
        m.enter(0, "__traceiter_sched_switch")
    m.now += 10
    m.out(0, -1)
    m.now += 5
    for late in m.owner(11).open:
        late.start_ns -= 400
    m.owner(11).colour = "self"
    m.leave(0)
    m.leave(0)
    m.came(0)
    m.now += 300
    m.switch(0, 11, RUNNING)
    m.now += 500
    m.enter(0, "g")
    m.now += 50
    m.leave(0)
    trace = loaded(m, tmp_path / "a.dat")
    assert trace.calls.duration_ns.tolist() == [915, 415, 50]
    assert parts(trace.calls) == [(500, 0, 0), (415, 0, 0), (50, 0, 0)]
    assert trace.off_cpu is not None and trace.off_cpu.row.tolist() == [-1, -1]


def test_durations_without_the_time_off_the_cpu_are_left_as_they_are(tmp_path: Path) -> None:
    trace = loaded(one_sleep(nosleep=True), tmp_path / "a.dat")
    assert trace.calls.duration_ns.tolist()[:3] == [300, 225, 150]
    assert (trace.calls.asleep_ns, trace.calls.preempted_ns) == (None, None)
    assert trace.calls.self_ns.tolist() == [75, 75, 115, 20, 15]
    assert "nosleep-time" in codes(trace)
    assert trace.off_cpu is not None and (trace.off_cpu.row == -1).all()


def test_a_trace_without_switches_has_no_columns_of_them(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("".join(line for line in LINES.splitlines(keepends=True) if "sched_switch" not in line).format())
    trace = kfgraph.load(str(file))
    assert (trace.calls.asleep_ns, trace.calls.preempted_ns, trace.off_cpu) == (None, None, None)
    assert trace.calls.self_ns.tolist() == [100_000, 600_000]


def test_a_stretch_over_lost_records_is_known_only_of_what_gives_the_cpu_away(tmp_path: Path) -> None:
    """A gap of CPU 1 in it: the task may have run there unseen, but not while one call of schedule lasted."""
    def stretch(name: str) -> Trace:
        m = Machine()
        m.switch(0, 11, RUNNING)
        m.enter(0, "f")
        m.now += 10
        m.enter(0, name)
        m.now += 10
        m.switch(0, -1, PREEMPTED)
        m.now += 500
        m.switch(0, 11, RUNNING)
        m.now += 10
        m.leave(0)
        m.leave(0)
        return loaded(m, tmp_path / "a.dat")

    for name, told in (("schedule", (20, 0, 500)), ("g", (-1, 0, 0))):
        assert parts(stretch(name).calls)[1] == (20, 0, 500)
        trace = stretch(name)
        calls = trace.calls.with_columns(self_ns=trace.calls.duration_ns - np.array([520, 0]))
        at = np.array([1_000_200], np.int64)
        one = np.array([1], np.int32)
        lost = Losses(at, np.array([1], np.int16), np.array([3], np.int64), one * 0, one, one * 0)
        after = sleep.apply(replace(trace, calls=calls, losses=lost), Given())
        after.check()
        assert parts(after.calls)[1] == told
        assert bool(after.calls.has(Flag.OFF_CPU_UNKNOWN)[1]) == (told[0] < 0)


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Machine], Trace]:
    """Traces as they are before the pass."""
    monkeypatch.setattr(kfgraph.passes, "PASSES", ())
    return lambda machine: loaded(machine, tmp_path / "undone.dat")


def after(trace: Trace) -> Trace:
    trace.check()
    trace = sleep.apply(trace, Given())
    trace.check()
    return trace


def changed(trace: Trace, **columns: dict[int, int]) -> Trace:
    """The trace with other values in some rows of its columns."""
    made = {name: getattr(trace.calls, name).copy() for name in columns}
    for name, values in columns.items():
        for row, value in values.items():
            made[name][row] = value
    return replace(trace, calls=trace.calls.with_columns(**made))


def test_a_call_that_slept_longer_than_it_took_is_unknown(undone: Callable[[Machine], Trace]) -> None:
    trace = undone(one_sleep())
    # The clock of the durations ran slower than that of the records.
    trace = after(changed(trace, duration_ns={2: 600}, self_ns={2: 565, 1: 325}))
    assert parts(trace.calls) == [(75, 0, 0), (325, 0, 0), (-1, 0, 0), (20, 0, 0), (15, 0, 0)]
    assert trace.calls.has(Flag.OFF_CPU_UNKNOWN).tolist() == [False, False, True, False, False]
    assert codes(trace)["off-cpu-unknown"] == 1
    assert trace.off_cpu is not None and (trace.off_cpu.row == -1).all()


def two_callees() -> Machine:
    """schedule from 0, g from 10 to 310 and from 315 to 415, off the CPU from 416 to 1,000, its end at 1,100."""
    m = Machine()
    m.switch(0, 11, RUNNING)
    began = m.now
    m.enter(0, "schedule")
    for enters, leaves in ((10, 310), (315, 415)):
        m.now = began + enters
        m.enter(0, "g")
        m.now = began + leaves
        m.leave(0)
    m.now = began + 416
    m.switch(0, -1)
    m.now = began + 1_000
    m.switch(0, 11, RUNNING)
    m.now = began + 1_100
    m.leave(0)
    return m


def test_where_the_clock_stood_the_durations_of_callees_tell_when_the_task_left(
    undone: Callable[[Machine], Trace]
) -> None:
    trace = undone(two_callees())
    assert parts(after(trace).calls)[0] == (116, 584, 0)
    began = int(trace.calls.start_ns[0])
    # The first g took 350, so the second one, whose time is too early, was over at 460.
    stood = changed(trace, duration_ns={1: 350}, self_ns={0: 650, 1: 350}, start_ns={2: began + 100})
    assert parts(after(stood).calls)[0] == (110, 540, 0)
    # One that hit the tracer is not in the duration of its caller.
    hit = changed(stood, flags={2: Flag.IN_TRACER}, self_ns={0: 750})
    assert parts(after(hit).calls)[0] == (166, 584, 0)


@pytest.mark.parametrize("is_over", [True, False])
def test_of_a_task_that_never_ran_again_nothing_is_said(is_over: bool, tmp_path: Path) -> None:
    m = Machine()
    m.switch(0, 11, RUNNING)
    for name in ("schedule", "g"):
        m.enter(0, name)
        m.now += 10
    if is_over:
        m.leave(0)
    m.out(0, -1)
    m.owner(11).colour = "self"
    m.now += 10
    if not is_over:
        # As it would where the task ran again behind a switch that was not recorded.
        m.leave(0)
    m.came(0)
    trace = loaded(m, tmp_path / "a.dat")
    assert parts(trace.calls) == [(-1, 0, 0), (10 if is_over else -1, 0, 0)]
    assert codes(trace).get("off-cpu-unknown", 0) == (not is_over)


@pytest.mark.parametrize(("cpu", "n"), [(0, 70), (1, 1)])
def test_a_task_that_ran_between_two_switches_slept_for_an_unknown_time(cpu: int, n: int, tmp_path: Path) -> None:
    m = Machine()
    m.switch(0, 11, RUNNING)
    m.enter(0, "f")
    m.now += 10
    m.switch(0, -1)
    m.now += 100
    m.switch(cpu, 11, RUNNING, recorded=False)
    for _ in range(n):
        m.now += 1
        m.enter(cpu, "g")
        m.now += 1
        m.leave(cpu)
    m.switch(cpu, -1 - cpu, recorded=False)
    m.now += 100
    m.switch(0, 11, RUNNING)
    m.now += 10
    m.leave(0)
    trace = loaded(m, tmp_path / "a.dat")
    assert parts(trace.calls) == [(-1, 0, 0), *[(1, 0, 0)] * n]


def test_a_clock_of_milliseconds_tells_nothing(undone: Callable[[Machine], Trace]) -> None:
    trace = undone(one_sleep())
    coarse = replace(trace, meta=replace(trace.meta, clock="uptime"))
    assert after(coarse).calls.asleep_ns is None and after(trace).calls.asleep_ns is not None


def test_the_law_is_checked() -> None:
    calls = trace_of([call("f", 10, call("g", 5))]).calls
    rows = np.array([0], np.int32)
    slept = calls.with_columns(self_ns=calls.self_ns - np.array([4, 0]), asleep_ns=Sparse(rows, np.array([4])))
    slept.check()
    with pytest.raises(AssertionError, match="row 0: duration is not self"):
        slept.with_columns(preempted_ns=Sparse(rows, np.array([1]))).check()
    with pytest.raises(AssertionError, match="row 0: asleep_ns below 0"):
        slept.with_columns(asleep_ns=Sparse(rows, np.array([-4]))).check()


def test_the_idle_task_is_never_preempted_and_waits_for_nobody(tmp_path: Path) -> None:
    """It is ready at all times (R): 355 of 359 ms preempted were of idle tasks in a recording of all tasks."""
    m = Machine()
    m.switch(0, Machine.idle(0), SLEEPING)
    m.enter(0, "f")
    m.enter(0, "schedule")
    m.now += 30
    m.switch(0, 11, RUNNING)
    m.now += 700
    m.switch(0, Machine.idle(0), SLEEPING)
    m.now += 20
    m.leave(0)
    m.leave(0)
    trace = loaded(m, tmp_path / "idle.dat")
    asleep, preempted = trace.calls.asleep_ns, trace.calls.preempted_ns
    assert asleep is not None and asleep.values.tolist() == [700]
    assert preempted is None or not preempted.values.any()
    assert kfgraph.top(trace).off_ns == {"asleep_ns": 700, "preempted_ns": 0}
    assert all(trace.tasks[wait.lane].pid for wait in kfgraph.info(trace).waits)


ACTIONS = st.tuples(
    st.integers(0, 1), st.integers(1, 40), st.sampled_from(["enter", "enter", "leave", "switch", "switch"]),
    st.sampled_from([SLEEPING, UNINTERRUPTIBLE, RUNNING, PREEMPTED]), st.integers(0, 2),
    st.sampled_from(["f", "g", "schedule"]),
)  # fmt: skip


def run(actions: list[tuple[int, int, str, int, int, str]], *, drop: int = -1) -> tuple[Machine, int]:
    """The machine after these actions, as far as they are possible, and how many switches it made."""
    m, n_switches = Machine(), 0
    for cpu, after, what, state, n_passing, name in actions:
        m.now += after
        task = m.running[cpu]
        if what == "enter":
            m.enter(cpu, name)
        elif what == "leave" and m.owner(task).open:
            m.leave(cpu)
        elif what == "switch":
            others = [each for each in (*TASKS, Machine.idle(cpu)) if each not in m.running]
            m.out(cpu, others[(after + n_passing) % len(others)], state, recorded=n_switches != drop)
            for _ in range(n_passing):
                m.now += after
                m.passing(cpu, "switch_mm_irqs_off", after)
            m.came(cpu)
            n_switches += 1
    return m, n_switches


def of_every_task(m: Machine, trace: Trace) -> list[tuple[int, dict[str, int], bool]]:
    """(row, what is painted on the call, whether it ended) of every call."""
    found, calls = [], trace.calls
    for lane, task in enumerate(trace.tasks.tasks):
        owner = m.owner(task.pid if task.pid else Machine.idle(task.cpu))
        rows = np.flatnonzero(calls.lane == lane).tolist()
        assert [trace.symbols.label(int(calls.func[row])) for row in rows] == [each.name for each in owner.calls]
        found += [(row, dict(each.painted), each.end_ns >= 0) for row, each in zip(rows, owner.calls, strict=True)]
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, max_size=60))
def test_every_nanosecond_is_where_it_was_painted(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, int, str, int, int, str]]
) -> None:
    m, n_switches = run(actions)
    trace = loaded(m, tmp_path_factory.getbasetemp() / "painted.dat")
    if not n_switches or not len(trace.calls):
        return
    told = parts(trace.calls)
    for row, painted, ended in of_every_task(m, trace):
        own, asleep, preempted = told[row]
        if ended:
            assert (own, asleep, preempted) == tuple(painted.get(kind, 0) for kind in ("self", "asleep", "preempted"))
        else:
            assert own == -1 and asleep <= painted.get("asleep", 0) and preempted <= painted.get("preempted", 0)
    assert "off-cpu-unknown" not in codes(trace) and "nosleep-time" not in codes(trace)


def test_a_call_that_ended_behind_the_last_switch_out_was_off_the_cpu_where_its_callers_did_not_end(
    tmp_path: Path,
) -> None:
    """The switch back is missing: of its 3 ns one was no work."""
    m = Machine()
    for _ in range(2):
        m.now += 1
        m.enter(0, "f")
    m.now += 1
    m.switch(0, 11)
    m.now += 1
    m.switch(0, Machine.idle(0), recorded=False)
    m.now += 1
    m.leave(0)
    trace = loaded(m, tmp_path / "open.dat")
    outer, inner = parts(trace.calls)
    assert (outer, inner) == ((-1, 0, 0), (-1, 0, 0)) and trace.calls.duration_ns[1] == 3
    assert trace.calls.has(Flag.OFF_CPU_UNKNOWN).tolist() == [False, True]


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTIONS, min_size=8, max_size=60), st.integers(0, 9))
def test_without_one_of_the_switches_nothing_false_is_told(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, int, str, int, int, str]], drop: int
) -> None:
    m, n_switches = run(actions, drop=drop)
    trace = loaded(m, tmp_path_factory.getbasetemp() / "dropped.dat")
    if n_switches < 2 or not len(trace.calls) or trace.calls.asleep_ns is None:
        return
    told = parts(trace.calls)
    flagged = trace.calls.has(Flag.OFF_CPU_UNKNOWN)
    for row, painted, ended in of_every_task(m, trace):
        if ended and not flagged[row]:
            assert told[row] == tuple(painted.get(kind, 0) for kind in ("self", "asleep", "preempted"))
    assert codes(trace).get("off-cpu-unknown", 0) == int(flagged.sum())
