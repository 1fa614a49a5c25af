"""Two tasks that had one pid one after another are two: in trees, times off the CPU, names, and for filters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kfgraph
from builder.machine import EXEC, EXIT, FREE, FUNCTIONS, NEW, RUNNING, SLEEPING, Machine
from kfgraph.analyze.info import info
from kfgraph.analyze.made import made_tasks
from kfgraph.analyze.select import select
from kfgraph.model.calls import Flag
from kfgraph.model.companion import Companion
from kfgraph.model.trace import Trace
from running import kfgraph as run
from show.test_follow_tree import loaded, within

PID = 124
SWITCHED = 1_900_000
"""When the first task is switched out for good."""


def two(
    *, fork: bool = True, exit: bool = True, wakeup: bool = False, free: bool = False, functions: bool = True,
    apart_ns: int = 2_000_000,
) -> Machine:
    """sh (11) makes 124, which ends in do_exit; 2 ms later its pid is that of another task, which 12 makes."""
    m = Machine(names={11: "sh", 12: "make", PID: "cat"})
    m.switch(0, 11, RUNNING)
    m.enter(0, "kernel_clone")
    if fork:
        m.fork(0, PID, "sh")
    m.leave(0)
    m.now = 1_400_000
    m.switch(1, PID, RUNNING)
    if functions:
        within(m, 1, "schedule_tail")
    within(m, 1, "ksys_read", "f", ns=50_000)
    m.enter(1, "g")
    m.now += 1_000
    if functions:
        m.enter(1, "do_exit")
    m.now += 100
    if exit:
        m.about(1, EXIT, PID, "sh")
    within(m, 1, "f")
    m.enter(1, "schedule")
    m.now = SWITCHED
    m.out(1, Machine.idle(1), 32)
    m.came(1)
    m.switch(0, 12)
    m.now += apart_ns - 200
    if free:
        m.about(0, FREE, PID, "sh")
    m.reuse(PID)
    m.enter(0, "kernel_clone")
    m.now += 100
    if fork:
        m.fork(0, PID, "make")
    m.now += 100
    if wakeup:
        m.about(0, NEW, PID, "make")
    m.leave(0)
    m.now += 2_000_000
    m.switch(1, PID, RUNNING)
    m.now += 100
    if functions:
        within(m, 1, "schedule_tail")
    within(m, 1, "pipe_write", "f")
    m.now += 100
    m.out(1, Machine.idle(1))
    m.came(1)
    return m


def of_pid(trace: Trace) -> list[list[str]]:
    """The calls of each task with the pid: level, name, and ``…`` if it has no end."""
    calls, found = trace.calls, []
    for lane in trace.tasks.lanes_of(pid=PID):
        begin, end = calls.bounds_of(lane)
        found.append([
            " " * calls.level[row] + trace.symbols.names[calls.func[row]] + "…" * bool(calls.duration_ns[row] < 0)
            for row in range(begin, end)
        ])  # fmt: skip
    return found


FIRST = ["schedule_tail", "ksys_read", " f", "g…", " do_exit…", "  f", "  schedule…"]
SECOND = ["schedule_tail", "pipe_write", " f"]


@pytest.mark.parametrize(
    "told",
    [
        {"fork": False, "exit": False},  # the functions alone
        {},
        {"wakeup": True},
        {"fork": False, "exit": False, "wakeup": True, "functions": False},
        {"functions": False},
        {"functions": False, "exit": False},
        {"functions": False, "fork": False, "exit": False, "free": True},
        {"functions": False, "apart_ns": 20_000},
        {"apart_ns": 20_000},
        {"fork": False, "exit": False, "apart_ns": 20_000},
    ],
)
def test_two_tasks_of_one_pid_are_two(told: dict[str, bool], tmp_path: Path) -> None:
    trace = loaded(two(**told), tmp_path / "t.dat")
    functions = told.get("functions", True)
    first = FIRST if functions else ["ksys_read", " f", "g…", " f", " schedule…"]
    assert of_pid(trace) == [first, SECOND if functions else SECOND[1:]]
    tasks = [task for task in trace.tasks.tasks if task.pid == PID]
    assert [task.nth for task in tasks] == [1, 2]
    assert [one.n for one in trace.notices if one.code == "pid-reused"] == [1]
    # What the first did between its last switch and the birth of the second is nobody's.
    off = trace.off_cpu
    assert off is not None
    lanes = trace.tasks.lanes_of(pid=PID)
    assert not np.isin(off.lane, lanes).any()
    first_rows, second_rows = (slice(*trace.calls.bounds_of(lane)) for lane in lanes)
    # Not one ns of the second is in doubt for the switches of the first.
    assert (trace.calls.self_ns[second_rows] >= 0).all()
    assert not trace.calls.has(Flag.OFF_CPU_UNKNOWN)[first_rows].any()
    # Events and switches stand in the lane of the task that they are of.
    marks = trace.marks
    for lane, before in zip(lanes, (True, False), strict=True):
        here = marks.lane == lane
        assert here.any() and ((marks.time_ns[here] <= SWITCHED) == before).all()
        inside = here & (marks.parent >= 0)
        assert (trace.calls.lane[marks.parent[inside]] == lane).all()


@pytest.mark.parametrize(
    "told",
    [
        {"functions": False, "fork": False},  # it ended; that its pid was used again is not told
        {"wakeup": True},  # neither an end nor an older call
    ],
)
def test_what_is_not_proven_is_not_claimed(told: dict[str, bool], tmp_path: Path) -> None:
    m = two(**told) if "fork" in told else Machine()
    if "fork" not in told:
        m = Machine(names={PID: "cat"})
        m.switch(1, PID, RUNNING)
        within(m, 1, "ksys_read", ns=100)
        m.about(0, NEW, PID)
        within(m, 1, "pipe_write", ns=100)
    trace = loaded(m, tmp_path / "t.dat")
    assert [task.nth for task in trace.tasks.tasks if task.pid == PID] == [0]
    assert "pid-reused" not in [one.code for one in trace.notices]


def test_an_exec_and_a_new_name_make_no_task(tmp_path: Path) -> None:
    m = Machine(names={11: "sh", 12: "cat"})
    m.switch(0, 11, RUNNING)
    m.fork(0, 12)
    m.now += 3_000_000
    m.about(0, NEW, 12)
    m.switch(1, 12, RUNNING)
    within(m, 1, "schedule_tail")
    m.now += 3_000_000
    m.exec(1, "/bin/cat")
    within(m, 1, "f")
    m.about(1, EXIT, 12, "cat")
    within(m, 1, "g", "f")
    m.now += 3_000_000
    m.about(0, FREE, 12, "cat")
    trace = loaded(m, tmp_path / "t.dat")
    assert [task.label for task in trace.tasks.tasks if task.pid == 12] == ["cat-12"]


def test_three_of_one_pid(tmp_path: Path) -> None:
    m = Machine(names={PID: "last"})
    for _ in range(3):
        m.switch(0, PID, RUNNING)
        within(m, 0, "schedule_tail", "f")
        m.enter(0, "do_exit")
        m.switch(0, Machine.idle(0), 32)
        m.now += 5_000
        m.reuse(PID)
    trace = loaded(m, tmp_path / "t.dat")
    assert of_pid(trace) == [["schedule_tail", " f", "do_exit…"]] * 3
    assert [task.label for task in trace.tasks.tasks if task.pid == PID] == ["<...>-124#1", "<...>-124#2", "last-124#3"]


def ended_in_calls() -> Machine:
    """A task of PID ended in g, which f had called, 3 ms ago."""
    m = Machine(names={PID: "cat"})
    m.switch(1, PID, RUNNING)
    for name in ("f", "g"):
        m.enter(1, name)
    m.about(1, EXIT, PID)
    m.now += 3_000_000
    return m


def test_the_border_is_in_no_call_that_was_open(tmp_path: Path) -> None:
    """The first calls of the second were not recorded: its depth would put it into the calls of the first."""
    m = two(functions=False)
    trace = loaded(m, tmp_path / "t.dat")
    assert of_pid(trace)[1] == ["pipe_write", " f"]
    deep = ended_in_calls()
    deep.switch(1, Machine.idle(1), 32)
    deep.fork(0, PID)
    deep.now += 100
    deep.switch(1, PID, RUNNING)
    within(deep, 1, "ksys_read", "f")
    trace = loaded(deep, tmp_path / "deep.dat")
    assert of_pid(trace) == [["f…", " g…"], ["ksys_read", " f"]]
    second = trace.calls.bounds_of(trace.tasks.lanes_of(pid=PID)[1])[0]
    assert trace.calls.has(Flag.DEPTH_JUMP)[second] and trace.calls.level[second] == 0


def test_an_interrupt_of_the_second_is_in_no_time_of_the_first(tmp_path: Path) -> None:
    """It hit the tracer when the call that it is recorded in had returned; the caller of that is not recorded."""
    m = ended_in_calls()
    m.fork(0, PID)
    cpu, at = m.cpus[1], m.now + 1_000
    read, irq = FUNCTIONS["ksys_read"], FUNCTIONS["complete"]
    cpu.entry(at, PID, read, 2)
    cpu.entry(at + 200, PID, irq, 3, flags=8)
    cpu.exit(at + 300, PID, irq, 3, at + 200, at + 300, flags=8)
    cpu.exit(at + 400, PID, read, 2, at, at + 100)
    trace = loaded(m, tmp_path / "t.dat")
    assert of_pid(trace) == [["f…", " g…"], ["ksys_read", "complete"]]
    assert trace.calls.irq_ns is None or not len(trace.calls.irq_ns)


def test_an_event_before_the_first_call_is_in_no_call_of_the_task_before(tmp_path: Path) -> None:
    m = Machine(names={PID: "cat"})
    m.switch(1, PID, RUNNING)
    m.enter(1, "f")
    m.now += 100
    m.about(1, EXIT, PID)
    m.switch(1, Machine.idle(1), 32)
    m.now += 3_000_000
    m.fork(0, PID)
    m.now += 100
    m.switch(1, PID, RUNNING)
    m.reuse(PID)
    m.about(1, NEW, 77)
    m.now += 100
    within(m, 1, "g")
    trace = loaded(m, tmp_path / "t.dat")
    assert of_pid(trace) == [["f…"], ["g"]]
    first, second = trace.tasks.lanes_of(pid=PID)
    marks = trace.marks
    (at,) = (int(i) for i in marks.named("sched_wakeup_new"))
    assert (marks.lane[at], marks.parent[at], marks.row[at]) == (second, -1, trace.calls.bounds_of(second)[0])
    (at,) = (int(i) for i in marks.named("sched_process_exit"))
    assert (marks.lane[at], marks.parent[at]) == (first, trace.calls.bounds_of(first)[0])


def test_a_clock_that_is_behind(tmp_path: Path) -> None:
    """By the clock of its CPU the second task calls a function before it is made on another one."""
    m = Machine(names={PID: "cat"})
    m.switch(1, PID, RUNNING)
    within(m, 1, "f")
    m.about(1, EXIT, PID)
    m.now += 500_000
    m.switch(1, PID, RUNNING)
    within(m, 1, "g", ns=10)
    m.now += 3_000
    m.fork(0, PID)
    m.now += 3_000
    within(m, 1, "ksys_read")
    assert of_pid(loaded(m, tmp_path / "t.dat")) == [["f"], ["g", "ksys_read"]]


def test_what_is_before_the_first_function(tmp_path: Path) -> None:
    """What the switch to a task calls is the task's; after a loss it may be the dying one's."""
    for lost in (False, True):
        m = Machine(names={PID: "cat"})
        m.switch(1, PID, RUNNING)
        for name in ("f", "g", "do_exit"):
            m.enter(1, name)
            m.now += 100
        if lost:
            m.cpus[1].lose()
            m.now += 1_000
            m.enter(1, "schedule")
            m.enter(1, "complete")
            m.now += 10
            m.leave(1)
        m.reuse(PID)
        m.now += 5_000
        within(m, 1, "switch_mm_irqs_off", "schedule_tail", ns=10) if not lost else within(m, 1, "schedule_tail", ns=10)
        first, second = of_pid(loaded(m, tmp_path / f"{lost}.dat"))
        assert [name.strip() for name in second] == ["switch_mm_irqs_off", "schedule_tail"][lost:]
        assert [name.strip() for name in first] == ["f…", "g…", "do_exit…", *["schedule…", "complete"] * lost]


def test_calls_right_after_the_task_is_freed_prove_nothing(tmp_path: Path) -> None:
    """Older kernels tell it while the task is on its last way to the scheduler."""
    for after_ns, n in ((500_000, 1), (2_000_000, 2)):
        m = Machine(names={PID: "cat"})
        m.switch(1, PID, RUNNING)
        within(m, 1, "f")
        m.about(1, EXIT, PID)
        m.about(0, FREE, PID)
        m.now += after_ns
        within(m, 1, "g")
        assert len(of_pid(loaded(m, tmp_path / "t.dat"))) == n


def taking_over(m: Machine, cpu: int, *, old: int = PID) -> None:
    """An exec in what runs there: ``old`` is the pid that it had before."""
    data = m.kernel.pack("Iii", 9 << 16 | 20, PID, old) + b"/bin/cat\0"
    m.cpus[cpu].event(m.now, PID, EXEC, data)


@pytest.mark.parametrize(
    ("ends", "between", "after", "n"),
    [
        # Another thread had the pid when the old leader was freed: calls, or an exec, are in between.
        (("do_exit", "exit", "died"), "gf", "", 1),
        (("do_exit", "exit"), "gf", "", 1),
        (("do_exit",), "g", "", 1),
        (("exit",), "gf", "", 1),
        (("died",), "gf", "", 1),
        (("exit", "died"), "exec", "", 1),
        (("do_exit",), "exec", "", 1),
        # The exec comes after it; its old pid is another one.
        (("do_exit", "exit", "died"), "", "taken", 1),
        (("exit",), "", "taken", 1),
        # An exec of the next task, with one pid before and after; and none.
        (("do_exit", "exit", "died"), "", "exec", 2),
        (("do_exit",), "", "", 2),
        (("exit",), "", "", 2),
        (("died",), "", "", 2),
        # Nothing ended.
        ((), "", "", 1),
        ((), "gf", "", 1),
    ],
)
def test_what_is_freed_ended_and_nothing_had_its_pid_since(
    ends: tuple[str, ...], between: str, after: str, n: int, tmp_path: Path
) -> None:
    m = Machine(names={PID: "app"})
    m.switch(0, PID, RUNNING)
    within(m, 0, "f")
    if "do_exit" in ends:
        m.enter(0, "do_exit")
    if "exit" in ends:
        m.about(0, EXIT, PID)
    m.enter(0, "schedule")
    m.switch(0, Machine.idle(0), 32 if "died" in ends else SLEEPING)
    m.now += 300_000
    m.reuse(PID)
    m.switch(1, PID, RUNNING)
    if between == "exec":
        taking_over(m, 1)
    for name in between if between != "exec" else "":
        within(m, 1, name)
        m.now += 3_000_000
    m.about(0, FREE, PID)
    m.now += 1_500_000
    if after:
        taking_over(m, 1, old=125 if after == "taken" else PID)
    within(m, 1, "g")
    m.now += 3_000_000
    within(m, 1, "ksys_read", "f")
    tasks = of_pid(loaded(m, tmp_path / "t.dat"))
    assert len(tasks) == n
    assert tasks[-1][-3:] == ["g", "ksys_read", " f"]
    assert n == 1 or tasks[0] == ["f", *["do_exit…"] * ("do_exit" in ends), " " * ("do_exit" in ends) + "schedule…"]


def test_calls_deep_in_an_exec_are_not_in_the_do_exit_of_the_leader(tmp_path: Path) -> None:
    """By their depth they are: but the leader had been switched out for good."""
    for between in (True, False):
        m = Machine(names={PID: "app"})
        m.switch(0, PID, RUNNING)
        m.enter(0, "do_exit")
        m.enter(0, "schedule")
        m.switch(0, Machine.idle(0), 32)
        cpu = m.cpus[1]
        if between:
            start = 5_000_000
            cpu.entry(start, PID, FUNCTIONS["g"], 4)
            cpu.exit(start + 100, PID, FUNCTIONS["g"], 4, start, start + 100)
        m.now = 7_000_000
        m.about(0, FREE, PID)
        start = 9_500_000
        cpu.entry(start, PID, FUNCTIONS["f"], 0)
        cpu.exit(start + 100, PID, FUNCTIONS["f"], 0, start, start + 100)
        trace = loaded(m, tmp_path / "t.dat")
        leader = ["do_exit…", " schedule…"]
        assert of_pid(trace) == ([[*leader, "  g", "f"]] if between else [leader, ["f"]])


def test_the_first_is_freed_when_the_second_is_made(tmp_path: Path) -> None:
    """It is no end of the second one, whose birth is told three times."""
    m = Machine(names={11: "sh", PID: "cat"})
    m.switch(0, 11, RUNNING)
    m.switch(1, PID, RUNNING)
    within(m, 1, "f")
    m.about(1, EXIT, PID)
    m.switch(1, Machine.idle(1), 32)
    m.now += 3_000_000
    m.reuse(PID)
    m.fork(0, PID)
    m.now += 100
    m.about(0, FREE, PID)
    m.now += 100
    m.about(0, NEW, PID)
    m.now += 2_000_000
    m.switch(1, PID, RUNNING)
    within(m, 1, "schedule_tail", "f")
    trace = loaded(m, tmp_path / "t.dat")
    assert of_pid(trace) == [["f"], ["schedule_tail", " f"]]
    assert [task.nth for task in trace.tasks.tasks if task.pid == PID] == [1, 2]


@pytest.mark.parametrize("recorded", [True, False])
def test_one_sleeps_in_its_first_function_while_records_are_lost(recorded: bool, tmp_path: Path) -> None:
    """With nosleep-time, what its exit tells of the entry is not the time of that."""
    m = Machine(names={PID: "sh"}, nosleep=True)
    m.switch(0, PID, RUNNING, recorded=recorded)
    m.enter(0, "schedule_tail")
    m.now += 100
    m.enter(0, "schedule")
    m.now += 100
    m.switch(0, Machine.idle(0), SLEEPING, recorded=recorded)
    m.now += 2_000_000
    within(m, 0, "f")
    m.cpus[0].lose()
    m.now += 1_000_000
    within(m, 0, "f")
    m.switch(0, PID, recorded=recorded)
    m.now += 100
    m.leave(0)
    m.now += 300
    m.leave(0)
    within(m, 0, "ksys_read", "f")
    trace = loaded(m, tmp_path / "t.dat")
    one = ["schedule_tail…", " schedule…", "schedule_tail", " schedule", "ksys_read", " f"]
    assert of_pid(trace) == [one]
    assert "pid-reused" not in [each.code for each in trace.notices]
    assert [task.label for task in trace.tasks.tasks if task.pid == PID] == ["sh-124"]


def test_a_second_exit_or_entry_of_the_first_function_is_another_task(tmp_path: Path) -> None:
    """What may be the rest of an unfinished one is that; what is beyond is not. An end before it is proof."""
    tail, start = FUNCTIONS["schedule_tail"], 2_000_000
    for then, n in (("x", 1), ("xx", 2), ("xe", 2), ("ex", 2), ("e", 2), ("dx", 2)):
        m = Machine(names={PID: "sh"})
        cpu = m.cpus[0]
        cpu.entry(start, PID, tail, 0)
        cpu.lose()
        for at, what in enumerate(then, 1):
            time = start + 1_000_000 * at
            if what == "x":
                cpu.exit(time, PID, tail, 0, time - 500, time)
            else:
                cpu.entry(time, PID, FUNCTIONS["do_exit"] if what == "d" else tail, 0)
        assert len(of_pid(loaded(m, tmp_path / "t.dat"))) == n, then


def test_an_event_that_is_no_switch_ends_no_task(tmp_path: Path) -> None:
    """The exit of the first function may be the rest of the unfinished one: without switches nothing says no."""
    tail, start = FUNCTIONS["schedule_tail"], 2_000_000
    m = Machine(names={PID: "sh"})
    cpu = m.cpus[0]
    m.running[0] = PID
    cpu.entry(start, PID, tail, 0)
    m.now = start + 1_000
    m.about(0, NEW, 77)
    cpu.lose()
    cpu.exit(start + 1_000_000, PID, tail, 0, start + 999_500, start + 1_000_000)
    trace = loaded(m, tmp_path / "t.dat")
    assert "sched_switch" not in trace.marks.names and len(trace.marks) == 1
    assert len(of_pid(trace)) == 1
    assert "pid-reused" not in [each.code for each in trace.notices]


def test_an_exit_without_an_entry_behind_a_whole_first_function(tmp_path: Path) -> None:
    m = Machine(names={PID: "sh"})
    m.switch(0, PID, RUNNING)
    within(m, 0, "schedule_tail")
    m.cpus[0].lose()
    m.now += 9_000
    m.cpus[0].exit(m.now, PID, FUNCTIONS["schedule_tail"], 0, m.now - 500, m.now)
    assert of_pid(loaded(m, tmp_path / "t.dat")) == [["schedule_tail"]] * 2


def test_an_exec_of_a_later_task_says_nothing_of_the_first_one(tmp_path: Path) -> None:
    m = Machine(names={PID: "sh"})
    for last in (False, True):
        m.reuse(PID)
        m.switch(0, PID, RUNNING)
        if last:
            taking_over(m, 0, old=125)
        within(m, 0, "f")
        if not last:
            m.about(0, EXIT, PID)
            m.switch(0, Machine.idle(0), 32)
            m.now += 100
            m.about(0, FREE, PID)
            m.now += 3_000_000
            m.switch(0, PID, RUNNING)
            within(m, 0, "g")
            m.now += 100
            m.about(0, EXIT, PID)
    assert of_pid(loaded(m, tmp_path / "t.dat")) == [["f"], ["g", "f"]]


def test_the_notice_tells_of_any_number(tmp_path: Path) -> None:
    m = Machine(names={PID: "last"})
    for _ in range(4):
        m.switch(0, PID, RUNNING)
        within(m, 0, "schedule_tail")
        m.enter(0, "do_exit")
        m.switch(0, Machine.idle(0), 32)
        m.now += 5_000
        m.reuse(PID)
    trace = loaded(m, tmp_path / "t.dat")
    assert [task.label.partition("#")[2] for task in trace.tasks.tasks if task.pid == PID] == ["1", "2", "3", "4"]
    (one,) = (each for each in trace.notices if each.code == "pid-reused")
    assert one.n == 1
    assert one.one == "pid that more than one task had, one after another: they are apart, numbered from #1 on"


def test_a_call_that_returned_is_one_task_s(tmp_path: Path) -> None:
    """As where another thread of the process has the pid after an exec."""
    m = Machine(names={PID: "cat"})
    m.switch(1, PID, RUNNING)
    m.enter(1, "f")
    m.about(1, EXIT, PID)
    m.now += 3_000_000
    m.fork(0, PID)
    m.now += 100
    within(m, 1, "g")
    m.leave(1)
    assert of_pid(loaded(m, tmp_path / "t.dat")) == [["f", " g"]]


def test_times_that_go_back_prove_nothing(tmp_path: Path) -> None:
    line = "     sh-124 [000] {}: funcgraph_entry:      ! 10.000 us |  f();\n"
    fork = "   make-12  [000] 3.000000: sched_process_fork: comm=make pid=12 child_comm=make child_pid=124\n"
    path = tmp_path / "t.txt"
    path.write_text("cpus=1\n" + "".join(line.format(time) for time in ("1.000000", "5.000000")) + fork
                    + line.format("2.000000"))  # fmt: skip
    assert [task.nth for task in kfgraph.load(str(path)).tasks.tasks if task.pid == PID] == [0]


def test_names_are_not_joined(tmp_path: Path) -> None:
    trace = loaded(two(), tmp_path / "t.dat")
    first, second = (task for task in trace.tasks.tasks if task.pid == PID)
    assert (first.label, first.formerly) == ("sh-124#1", ())
    assert (second.label, second.formerly) == ("cat-124#2", ("make",))


def test_each_hangs_below_its_own_maker(tmp_path: Path) -> None:
    path = tmp_path / "t.dat"
    for fork in (True, False):
        trace = loaded(two(fork=fork), path)
        made = {trace.tasks[one.lane].label: trace.tasks[one.parent].comm for one in made_tasks(trace)}
        assert made == ({"sh-124#1": "sh", "cat-124#2": "make"} if fork else {})
    loaded(two(), path)
    code, out, _ = run("show", path, "--follow-tree", "--all")
    assert code == 0
    lines = [line.strip("│├└─ ") for line in out.splitlines() if "task " in line or "kernel_clone" in line]
    places = [next(i for i, line in enumerate(lines) if label in line) for label in ("sh-124#1", "cat-124#2")]
    assert all("kernel_clone" in lines[place - 1] for place in places)


def test_filters_find_both_or_each(tmp_path: Path) -> None:
    trace = loaded(two(), tmp_path / "t.dat")
    first, second = trace.tasks.lanes_of(pid=PID)
    for given, lanes in (
        ({"pid": PID}, [first, second]),
        ({"task": "*-124#*"}, [first, second]),
        ({"task": "sh-124#1"}, [first]),
        ({"task": "sh-124"}, [first]),
        ({"task": "cat-124"}, [second]),
        ({"task": "cat-124#2"}, [second]),
    ):
        assert select(trace, **given).lanes.tolist() == lanes, given


def test_every_output_tells_them_apart(tmp_path: Path) -> None:
    path = tmp_path / "t.dat"
    trace = loaded(two(), path)
    _, out, _ = run("show", path, "--json", "--pid", "124")
    assert [json.loads(line).get("pid_nth") for line in out.splitlines()] == [1] * 7 + [2] * 3
    _, out, _ = run("export", path, "-f", "csv", "--pid", "124")
    assert [line.rpartition(",")[2] for line in out.splitlines()] == ["pid_nth", *"1111111222"]
    _, out, _ = run("export", path, "-f", "chrome", "--pid", "124")
    threads = {e["tid"] for e in json.loads(out)["traceEvents"] if e["ph"] == "X"}
    assert len(threads) == 2 and 124 in threads
    _, out, err = run("info", path)
    assert "sh-124#1: 7 calls" in out and "cat-124#2: 3 calls" in out and "numbered from #1 on" in out + err
    assert {task.get("pid_nth") for task in info(trace).to_dict()["tasks"] if task["pid"] == 124} == {1, 2}
    frame = trace.calls.where(pid=PID).to_pandas()
    assert frame["pid_nth"].tolist() == [1] * 7 + [2] * 3
    _, out, _ = run("export", path, "-f", "folded", "--pid", "124")
    assert {line.partition(";")[0] for line in out.splitlines()} == {"sh-124#1", "cat-124#2"}


REPORT = """cpus=1
     sh-124 [000] 1.000100: funcgraph_entry:                   |  f() {{
     sh-124 [000] 1.000150: funcgraph_entry:                   |    do_exit() {{
{exit}     sh-124 [000] 1.000200: funcgraph_entry:      + 10.000 us |      g();
     sh-124 [000] 1.000250: funcgraph_entry:                   |      schedule() {{
{fork}     sh-124 [000] 1.004000: funcgraph_entry:      ! 10.000 us |  {first}();
     sh-124 [000] 1.004100: funcgraph_entry:                   |  ksys_read() {{
     sh-124 [000] 1.004150: funcgraph_entry:      ! 10.000 us |    f();
     sh-124 [000] 1.004250: funcgraph_exit:       ! 150.000 us |  }}
"""
FTRACE = """# tracer: function_graph
#
#     TIME        CPU  TASK/PID         DURATION                  FUNCTION CALLS
#      |          |     |    |           |   |                     |   |   |   |
    1.000100 |   0)    sh-124    |               |  f() {{
    1.000150 |   0)    sh-124    |               |    do_exit() {{
{exit}    1.000200 |   0)    sh-124    | + 10.000 us   |      g();
    1.000250 |   0)    sh-124    |               |      schedule() {{
{fork}    1.004000 |   0)    sh-124    | + 10.000 us   |  {first}();
    1.004100 |   0)    sh-124    |               |  ksys_read() {{
    1.004150 |   0)    sh-124    | + 10.000 us   |    f();
    1.004250 |   0)    sh-124    | ! 150.000 us  |  }}
"""


@pytest.mark.parametrize("text", [REPORT, FTRACE])
@pytest.mark.parametrize("by", ["functions", "events", "nothing"])
def test_texts(text: str, by: str, tmp_path: Path) -> None:
    exit = fork = ""
    if by == "events" and text is REPORT:
        exit = "     sh-124 [000] 1.000160: sched_process_exit: comm=sh pid=124 prio=120\n"
        fork = "   make-12  [000] 1.002000: sched_process_fork: comm=make pid=12 child_comm=make child_pid=124\n"
    elif by == "events":
        exit = "    1.000160 |   0)    sh-124    |               |  /* sched_process_exit: comm=sh pid=124 */\n"
        fork = (
            "    1.002000 |   0)   make-12    |               |"
            "  /* sched_process_fork: comm=make pid=12 child_comm=make child_pid=124 */\n"
        )
    path = tmp_path / "t.txt"
    path.write_text(text.format(exit=exit, fork=fork, first="schedule_tail" if by == "functions" else "g"))
    trace = kfgraph.load(str(path))
    trace.check()
    head = "schedule_tail" if by == "functions" else "g"
    first, second = ["f…", " do_exit…", "  g", "  schedule…"], [head, "ksys_read", " f"]
    if by == "nothing":
        # Whatever the tree is, it is one task's.
        assert len(of_pid(trace)) == 1
        return
    assert of_pid(trace) == [first, second]
    tasks = [task for task in trace.tasks.tasks if task.pid == PID]
    expected = ["sh-124#1", "sh-124#2"] if by == "events" else ["<...>-124#1", "sh-124#2"]
    assert [task.label for task in tasks] == expected
    if by == "events":
        assert tasks[1].formerly == ("make",)


@pytest.mark.parametrize("text", [REPORT, FTRACE])
def test_texts_with_both_names(text: str, tmp_path: Path) -> None:
    """``trace_pipe`` writes the name that a task has then."""
    first, _, second = text.format(exit="", fork="", first="schedule_tail").partition("schedule_tail")
    at = first.rindex("sh-124")
    path = tmp_path / "t.txt"
    path.write_text(first[:at] + "cat-124" + first[at + 6 :] + "schedule_tail" + second.replace(" sh-124", "cat-124"))
    trace = kfgraph.load(str(path))
    assert [task.label for task in trace.tasks.tasks if task.pid == PID] == ["sh-124#1", "cat-124#2"]
    assert all(task.formerly == () for task in trace.tasks.tasks)
    # One task that was given another name has had both.
    path.write_text(path.read_text().replace("schedule_tail", "vfs_write"))
    (task,) = (task for task in kfgraph.load(str(path)).tasks.tasks if task.pid == PID)
    assert (task.history, task.label) == ("sh → ", "cat-124")


def test_a_clock_without_a_unit(tmp_path: Path) -> None:
    """The functions tell it, in the order of the records."""
    text = REPORT.format(exit="", fork="", first="schedule_tail")
    for time in ("1.000", "1.004"):
        text = text.replace(time, time.replace(".", ""))
    path = tmp_path / "t.txt"
    path.write_text(text)
    trace = kfgraph.load(str(path))
    trace.check()
    assert trace.meta.clock_unit == "ticks"
    assert [len(calls) for calls in of_pid(trace)] == [4, 3]


def test_the_function_tracer(tmp_path: Path) -> None:
    lines = ["# tracer: function", "#"]
    times = iter(range(100, 999, 10))
    for name, caller in (
        ("do_exit", "do_group_exit"), ("schedule", "do_exit"), ("schedule_tail", "ret_from_fork"),
        ("vfs_read", "ksys_read"), ("rw_verify_area", "vfs_read"),
    ):  # fmt: skip
        lines.append(f"              sh-124     [000] .....     1.000{next(times)}: {name} <-{caller}")
    path = tmp_path / "t.txt"
    path.write_text("\n".join(lines) + "\n")
    trace = kfgraph.load(str(path))
    trace.check()
    names = [[name.strip(" …") for name in calls] for calls in of_pid(trace)]
    assert names == [["do_exit", "schedule"], ["schedule_tail", "vfs_read", "rw_verify_area"]]


@pytest.mark.parametrize("maker", ["make", "sh"])
def test_the_second_is_the_command_s_only_if_it_made_it(maker: str, tmp_path: Path) -> None:
    """The command is ``sh``, or 124 itself: its pid was used again by a task that ``make`` made."""
    path = tmp_path / "t.dat"
    path.write_bytes(two().dat())
    pid = {"make": 12, "sh": 11}[maker]
    for pids, followed in (((PID,), False), ((pid,), True)):
        companion = Companion(argv=("sh",), pids=pids, follow=True, exit_status=0)
        Path(f"{path}.kfgraph.json").write_text(json.dumps(companion.to_dict()))
        trace = kfgraph.load(str(path))
        first, second = trace.tasks.lanes_of(pid=PID)
        assert trace.command_lanes is not None
        mine = trace.command_lanes & {first, second}
        assert mine == (({second} if maker == "make" else {first}) if followed else {first})
