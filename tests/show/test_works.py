"""Work that a call gave to a worker: a link to where it ran."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import kfgraph
from builder.machine import Machine
from kfgraph.analyze.works import Work, Works, works_of
from running import kfgraph as run
from show.test_follow_tree import loaded, within

ITEM, OTHER = 0xFFFF888000001000, 0xFFFF888000002000


def queued(*, recorded: bool = True) -> Machine:
    """cat (11) queues an item twice and another one once; kworker (22) runs the first two, the other is not seen."""
    m = Machine(names={11: "cat", 22: "kworker/0:1"})
    m.switch(0, 11)
    m.switch(1, 22)
    for _ in range(2):
        m.enter(0, "ksys_read")
        m.enter(0, "queue_work_on")
        m.queue(0, ITEM, "drain_work_fn")
        m.now += 500
        m.leave(0)
        m.leave(0)
        m.enter(1, "process_one_work")
        m.now += 1_000
        m.work(1, ITEM, "drain_work_fn")
        within(m, 1, *(("drain_work_fn",) if recorded else ()), "f", ns=4_000)
        m.leave(1)
    m.enter(0, "queue_work_on")
    m.queue(0, OTHER, "g")
    m.leave(0)
    return m


def test_each_item_is_linked_to_its_own_run(tmp_path: Path) -> None:
    trace = loaded(queued(), tmp_path / "t.dat")
    names = [trace.symbols.names[code] for code in trace.calls.func.tolist()]
    works = works_of(trace)
    runs = [row for row, name in enumerate(names) if name == "drain_work_fn"]
    by = [row for row, name in enumerate(names) if name == "queue_work_on"]
    worker = trace.tasks.lanes_of(pid=22)[0]
    assert [(one.by, one.lane, one.row) for one in works] == [
        (by[0], worker, runs[0]), (by[1], worker, runs[1]), (by[2], -1, -1)
    ]  # fmt: skip
    assert [one.function for one in works[:2]] == ["drain_work_fn"] * 2
    assert all(one.start_ns - one.queued_ns == 1_500 for one in works[:2])
    told = Works.of(trace)
    assert told is not None and told.rows.tolist() == sorted(by)
    assert told.said(by[0]) == "  → work drain_work_fn in kworker/0:1-22 after 1.5 us, 16.0 us"
    assert told.said(0 if by[0] else 1) == ""
    assert told.to_dicts(by[1])[0]["row"] == runs[1]


def test_a_function_that_was_not_recorded_is_not_taken_for_another(tmp_path: Path) -> None:
    """The next call of the worker is one that the work made."""
    trace = loaded(queued(recorded=False), tmp_path / "t.dat")
    for one in works_of(trace)[:2]:
        assert one.row == -1 and one.function != "f", one


def test_a_run_that_nobody_queued_is_linked_to_nothing(tmp_path: Path) -> None:
    """Its event of queuing is not recorded: the item that was queued before ran already."""
    m = queued()
    m.now += 5_000
    m.work(1, ITEM, "drain_work_fn")
    within(m, 1, "drain_work_fn")
    assert works_of(loaded(m, tmp_path / "more.dat")) == works_of(loaded(queued(), tmp_path / "t.dat"))


def test_without_the_events_there_are_no_links(tmp_path: Path) -> None:
    m = Machine(names={11: "cat"})
    m.switch(0, 11)
    within(m, 0, "queue_work_on")
    assert Works.of(loaded(m, tmp_path / "t.dat")) is None


def test_it_is_said_behind_the_call_and_in_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    path = tmp_path / "t.dat"
    path.write_bytes(queued().dat())
    code, out, err = run("show", path, "--task", "cat", "--calls", "--all")
    lines = [line for line in out.splitlines() if "queue_work_on" in line]
    assert code == 0 and len(lines) == 3, err
    assert lines[0].endswith("queue_work_on  → work drain_work_fn in kworker/0:1-22 after 1.5 us, 16.0 us")
    code, out, _ = run("show", path, "--task", "cat", "--json")
    told = [json.loads(line) for line in out.splitlines()]
    works = [record["works"] for record in told if "works" in record]
    assert [len(one) for one in works] == [1, 1, 1]
    assert works[0][0]["comm"] == "kworker/0:1" and works[0][0]["pid"] == 22
    assert works[2][0]["pid"] is None and works[2][0]["start_ns"] is None
    assert isinstance(works_of(kfgraph.load(str(path)))[0], Work)
