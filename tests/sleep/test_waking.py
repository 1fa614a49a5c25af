"""Who was waited for: the task, or the interrupt, that ended a sleep, and its function."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

import kfgraph
from builder.machine import RUNNING, SLEEPING, Machine
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.export.jsonl import write_calls
from kfgraph.model.trace import Trace
from kfgraph.render.info import InfoView
from kfgraph.render.tree import tree_view
from sleep.test_pass import loaded

NAMES = {11: "cat", 12: "kworker/0:1"}
HARDIRQ = 0x08


def pipeline(path: Path, *, waking: str = "sched_waking") -> Trace:
    """cat sleeps 1,000 ns until kworker writes into its pipe, 500 ns until a timer, 200 ns until nobody knows whom."""
    m = Machine(names=NAMES)
    m.switch(0, 11, RUNNING)
    m.switch(1, 12, RUNNING)

    def sleep(ns: int) -> None:
        m.now += 10
        m.enter(0, "pipe_read")
        m.now += 10
        m.enter(0, "schedule")
        m.now += 10
        m.switch(0, -1, SLEEPING)
        m.now += ns - 100

    def runs_again() -> None:
        m.now += 100
        m.switch(0, 11, RUNNING)
        for _ in range(2):
            m.now += 10
            m.leave(0)

    sleep(1_000)
    for name in ("pipe_write", "complete", "try_to_wake_up"):
        m.enter(1, name)
    m.wake(1, 11)
    runs_again()
    for _ in range(3):
        m.leave(1)
    sleep(500)
    # It hit what ran on the other CPU.
    m.enter(1, "f")
    m.enter(1, "hrtimer_wakeup")
    m.wake(1, 11, flags=HARDIRQ)
    m.leave(1)
    m.leave(1)
    runs_again()
    sleep(200)
    runs_again()
    path.write_bytes(m.dat(waking=waking))
    trace = kfgraph.load(str(path))
    trace.check()
    return trace


def test_a_wakeup_in_an_interrupt_may_be_another_cpus(tmp_path: Path) -> None:
    trace = pipeline(tmp_path / "a.dat", waking="sched_wakeup")
    off = trace.off_cpu
    assert off is not None
    slept = off.asleep & (np.array([task.pid for task in trace.tasks.tasks])[off.lane] == 11)
    assert (off.waker_lane[slept] >= 0).tolist() == [True, False, False]


def test_a_row_says_who_woke_it(tmp_path: Path) -> None:
    trace = pipeline(tmp_path / "a.dat")
    lines = "".join(tree_view(call_tree(trace, root=["schedule"]), FoldOptions(max_rows=None)).plain()).splitlines()
    said = [line.partition("schedule")[2] for line in lines if "schedule" in line]
    assert said == [
        ", asleep 1.0 us, woken by kworker/0:1 in complete()",
        ", asleep 500 ns, woken by an interrupt in hrtimer_wakeup()",
        ", asleep 200 ns",
    ]


def test_what_does_not_fit_is_left_out_from_the_end(tmp_path: Path) -> None:
    tree = call_tree(pipeline(tmp_path / "a.dat"), root=["pipe_read"], nth=1)
    for width in (60, 70, 80, 120):
        lines = "".join(tree_view(tree, FoldOptions(max_rows=None), width=width).plain()).splitlines()
        assert all(len(line) <= width for line in lines)
        assert ("woken by kworker/0:1 in complete()" in "".join(lines)) == (width > 80)
        assert any("asleep 1.0 us" in line for line in lines)


def test_json_has_every_sleep_of_a_call(tmp_path: Path) -> None:
    trace = pipeline(tmp_path / "a.dat")
    out = io.StringIO()
    write_calls(call_tree(trace), out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    told = [line["sleeps"] for line in lines if "sleeps" in line]
    assert [line["function"] for line in lines if "sleeps" in line] == ["schedule"] * 3
    assert [one["end_ns"] - one["begin_ns"] for one, in told] == [1_000, 500, 200]
    assert [one["woken_by"] for one, in told] == [
        {"pid": 12, "comm": "kworker/0:1", "context": "task", "function": "complete"},
        {"pid": None, "comm": None, "context": "hardirq", "function": "hrtimer_wakeup"},
        None,
    ]


def test_info_says_who_waits_for_whom(tmp_path: Path) -> None:
    result = kfgraph.info(pipeline(tmp_path / "a.dat"))
    assert result.to_dict()["waits"] == [
        {"pid": 11, "comm": "cat", "asleep_ns": 1_000, "n": 1,
         "woken_by": {"pid": 12, "comm": "kworker/0:1", "context": "task"}},
        {"pid": 11, "comm": "cat", "asleep_ns": 500, "n": 1,
         "woken_by": {"pid": None, "comm": None, "context": "hardirq"}},
        {"pid": 11, "comm": "cat", "asleep_ns": 200, "n": 1, "woken_by": None},
    ]  # fmt: skip
    assert [text for label, text, _ in InfoView(result).facts() if "asleep" in text] == [
        "cat-11: asleep 1.000 us in 1 time, until kworker/0:1-12 woke it",
        "cat-11: asleep 500 ns in 1 time, until an interrupt woke it",
        "cat-11: asleep 200 ns in 1 time",
    ]


def test_a_waking_before_the_task_last_ran_is_not_this_sleeps(tmp_path: Path) -> None:
    off = pipeline(tmp_path / "a.dat").off_cpu
    assert off is not None
    mine = np.flatnonzero(off.asleep)
    assert off.waker_lane[mine].tolist()[2] == -1 and (off.waker_lane[mine] >= 0).sum() == 2
    assert off.waker_row[off.waker_lane < 0].tolist() == [-1] * int((off.waker_lane < 0).sum())


WOKEN = """cpus=2
     cat-11 [000] 1.000100: funcgraph_entry:                   |  schedule() {{
     cat-11 [000] 1.000200: sched_switch: cat:11 [120] S ==> swapper/0:0 [120]
     {} [001] 1.000600: {}: cat:11 [120] CPU:000
  <idle>-0 [000] 1.000700: sched_switch: swapper/0:0 [120] R ==> cat:11 [120]
     cat-11 [000] 1.000750: funcgraph_exit:    ! 650.000 us    |  }}
"""


def test_texts_tell_it_too(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for event in ("sched_waking", "sched_wakeup"):
        file.write_text(WOKEN.format("wc-12", event))
        view = "".join(tree_view(call_tree(kfgraph.load(str(file))), FoldOptions()).plain())
        assert "schedule, asleep 500.0 us, woken by wc\n" in view


def test_a_row_says_that_the_task_moved(tmp_path: Path) -> None:
    """The call was off the CPU, and ran again on another one; its callers only ended there."""
    m = Machine()
    m.switch(0, 11, RUNNING)
    for name in ("f", "schedule"):
        m.enter(0, name)
        m.now += 10
    m.switch(0, -1, SLEEPING)
    m.now += 1_000
    m.switch(1, 11, RUNNING)
    m.now += 10
    for _ in range(2):
        m.leave(1)
    tree = call_tree(loaded(m, tmp_path / "a.dat"), root=["f"])
    lines = "".join(tree_view(tree, FoldOptions()).plain()).splitlines()
    assert [line.rstrip() for line in lines if "moved" in line] == [
        line for line in lines if line.endswith("schedule, asleep 1.0 us, moved to CPU 1")
    ]
    assert sum("moved to CPU 1" in line for line in lines) == 1
