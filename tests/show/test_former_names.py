"""What a task was called before, as events tell: ``sh → cat``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from builder.machine import Machine
from builder.tables import call, trace_of
from kfgraph.analyze.info import info
from kfgraph.analyze.select import select
from kfgraph.model.calls import Flag
from kfgraph.model.marks import Marks
from kfgraph.model.tasks import Task
from kfgraph.parse import load
from kfgraph.passes import Given, comms
from running import kfgraph as run
from show.test_follow_tree import loaded, within


def pipeline() -> Machine:
    """sh (11) makes 12, which runs cat and then wc by exec; 13 stays what it is."""
    m = Machine(names={11: "sh", 12: "wc", 13: "other"})
    m.switch(0, 11)
    m.enter(0, "kernel_clone")
    m.fork(0, 12)
    m.leave(0)
    m.switch(1, 12)
    within(m, 1, "f")
    m.exec(1, "/usr/bin/cat")
    within(m, 1, "ksys_read")
    m.exec(1, "/usr/bin/wc")
    within(m, 1, "g")
    m.switch(1, 13)
    within(m, 1, "f")
    return m


def test_execs_give_other_names(tmp_path: Path) -> None:
    trace = loaded(pipeline(), tmp_path / "t.dat")
    told = {task.pid: (task.comm, task.formerly) for task in trace.tasks.tasks if task.pid > 0}
    assert told == {11: ("sh", ()), 12: ("wc", ("sh", "cat")), 13: ("other", ())}
    task = next(task for task in trace.tasks.tasks if task.pid == 12)
    assert (task.label, task.history) == ("wc-12", "sh → cat → ")
    # Each of its names finds it.
    lane = trace.tasks.lanes_of(pid=12)[0]
    for name in ("sh", "cat", "wc", "cat-12", "c*"):
        assert lane in select(trace, task=name).lanes.tolist(), name
    assert select(trace, task="cat").lanes.tolist() == [lane]


def test_the_idle_task_has_no_other_name(tmp_path: Path) -> None:
    switch = "sched_switch: prev_comm={} prev_pid={} prev_prio=1 prev_state={} ==> next_comm={} next_pid={} next_prio=1"
    file = tmp_path / "t.txt"
    file.write_text(
        "cpus=1\n"
        "     sh-11    [000] 1.000100: funcgraph_entry:                   |  f() {\n"
        f"     sh-11    [000] 1.000200: {switch.format('sh', 11, 'S', 'swapper/0', 0)}\n"
        "  <idle>-0     [000] 1.000300: funcgraph_entry:        1.000 us   |  g();\n"
        f"  <idle>-0     [000] 1.000700: {switch.format('swapper/0', 0, 'R', 'sh', 11)}\n"
        "     sh-11    [000] 1.000750: funcgraph_exit:    ! 650.000 us    |  }\n"
    )
    trace = load(file)
    assert {task.pid: (task.comm, task.formerly) for task in trace.tasks.tasks} == {11: ("sh", ()), 0: ("<idle>", ())}


def test_a_name_that_is_not_kept_comes_from_the_last_exec(tmp_path: Path) -> None:
    m = pipeline()
    m.names = {11: "sh"}
    trace = loaded(m, tmp_path / "t.dat")
    task = next(task for task in trace.tasks.tasks if task.pid == 12)
    assert (task.comm, task.formerly) == ("wc", ("sh", "cat"))


def test_long_names_are_cut_as_the_kernel_does(tmp_path: Path) -> None:
    m = Machine(names={11: "last"})
    m.switch(0, 11)
    m.exec(0, "/opt/a-program-with-a-long-name")
    within(m, 0, "f")
    (task,) = (task for task in loaded(m, tmp_path / "t.dat").tasks.tasks if task.pid == 11)
    assert task.formerly == ("a-program-with-",)


def test_the_recorder_is_no_name_of_the_command(tmp_path: Path) -> None:
    m = Machine(names={11: "trace-cmd", 12: "cat"})
    m.switch(0, 11)
    m.enter(0, "kernel_clone")
    m.fork(0, 12, "trace-cmd")
    m.leave(0)
    m.switch(0, 12)
    m.exec(0, "/bin/sh")
    within(m, 0, "f")
    told = {task.pid: task.formerly for task in loaded(m, tmp_path / "t.dat").tasks.tasks if task.pid > 0}
    assert told == {11: (), 12: ("sh",)}


def test_the_launcher_is_no_name_of_the_command() -> None:
    """What ran before the exec is the launcher's; its name is not the command's."""
    trace = trace_of(
        [call("f", 10, flags=Flag.PRE_EXEC), call("execve", 10), call("g", 10)], tasks=[Task(11, "cat")]
    )
    marks = loaded_marks()
    for row, expected in ((0, ()), (2, ("sh",))):
        # ``sched_process_exit`` tells a name at any place.
        found = comms.apply(replace(trace, marks=replace(marks, row=np.array([row], np.int32))), Given())
        assert found.tasks[0].formerly == expected, row


def loaded_marks() -> Marks:
    class Source:
        def names(self, code: int) -> tuple[str, ...]:
            return ("comm",)

        def columns(self, code: int, rows: np.ndarray, names: tuple[str, ...]) -> list[object]:
            return [(["sh"] * len(rows), np.ones(len(rows), np.bool_)) if name == "comm" else None for name in names]

    one = np.zeros(1, np.int32)
    when, cpu = np.zeros(1, np.int64), np.zeros(1, np.int16)
    return Marks(when, one, cpu, one, one, one - 1, ("sched_process_exit",), ("",), Source())  # type: ignore[arg-type]


def test_rows_and_headings_name_both(tmp_path: Path) -> None:
    path = tmp_path / "t.dat"
    trace = loaded(pipeline(), path)
    code, out, _ = run("show", path, "--task", "wc")
    assert code == 0 and "sh → cat → wc-12" in out
    code, out, _ = run("show", path, "--follow-tree")
    assert "task sh → cat → wc-12" in out
    code, out, _ = run("show", path, "--root", "ksys_read")
    assert out.startswith("sh → cat → wc-12, CPU 1")
    code, out, _ = run("info", path)
    assert "sh → cat → wc-12: 3 calls" in out
    told = {task["pid"]: task.get("formerly") for task in info(trace).to_dict()["tasks"]}
    assert told[12] == ["sh", "cat"] and told[11] is None
    # Machine-readable output has the last name.
    code, out, _ = run("show", path, "--json", "--pid", "12")
    assert {json.loads(line)["comm"] for line in out.splitlines()} == {"wc"}
