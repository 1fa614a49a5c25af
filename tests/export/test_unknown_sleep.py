"""Time of calls that were off the CPU for an unknown time is neither on the CPU nor off it, in every output."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kfgraph
from builder.machine import RUNNING, SLEEPING, Machine
from export import decoders
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.flame import flame
from kfgraph.analyze.top import top
from kfgraph.analyze.weights import weighted
from kfgraph.model.trace import Trace
from kfgraph.render.html.nodes import add_nodes
from kfgraph.render.html.pack import Pack
from running import kfgraph as run
from show.test_follow_tree import loaded, within

SAID = "500.001 ms are neither on the CPU nor off it here: their calls were off the CPU for an unknown time"


def lost_sleep() -> Machine:
    """sh sleeps in pipe_read twice: 1 ms, and 500 ms, of which the switch out is lost."""
    m = Machine(names={11: "sh"})
    m.switch(0, 11, RUNNING)
    within(m, 0, "f", "g", ns=1_000)
    for lost in (False, True):
        m.enter(0, "pipe_read")
        m.now += 1_000
        m.enter(0, "schedule")
        m.now += 500
        m.out(0, Machine.idle(0), SLEEPING, recorded=not lost)
        if lost:
            m.cpus[0].lose()
        m.came(0)
        m.now += 500_000_000 if lost else 1_000_000
        within(m, 0, "complete")
        m.switch(0, 11, RUNNING)
        m.now += 300
        m.leave(0)
        m.now += 300
        m.leave(0)
    within(m, 0, "f", "g", ns=1_000)
    return m


def sleep_unseen(m: Machine) -> None:
    """3 ms of sleep in schedule; the switch out is lost."""
    m.out(0, Machine.idle(0), SLEEPING, recorded=False)
    m.cpus[0].lose()
    m.came(0)
    m.now += 3_000_000
    m.switch(0, 11, RUNNING)
    m.leave(0)


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    return loaded(lost_sleep(), tmp_path / "t.dat")


def test_what_is_not_known_is_in_no_event(trace: Trace) -> None:
    found, _ = weighted(trace)
    assert {name: int(ns.sum()) for name, ns in found.events.items()} == {
        "oncpu": 11_800, "asleep": 1_000_200, "preempted": 0
    }  # fmt: skip
    assert int(found.own_ns.sum()) == 11_800 + 1_000_200 + 500_001_000
    on_cpu = dict.fromkeys(found.tree.labels, 0)
    for label, ns in zip(found.tree.label.tolist(), found.events["oncpu"].tolist(), strict=True):
        on_cpu[found.tree.labels[label]] += ns
    assert {name: ns for name, ns in on_cpu.items() if ns} == {
        "pipe_read": 2_600, "schedule": 800, "f": 4_000, "g": 4_000, "complete": 400
    }  # fmt: skip
    assert [one.text for one in found.doubts] == [SAID]


def test_the_flame_graph_has_the_totals_of_top(trace: Trace) -> None:
    table = top(trace, by="oncpu", limit=None)
    rows = dict(zip(table.labels, table.parts["oncpu_ns"].tolist(), strict=True))
    assert rows == {"f": 8_000, "g": 4_000, "pipe_read": 3_400, "schedule": 800, "complete": 400}
    assert table.labels[0] == "f" and table.self_ns == 11_800
    graph = flame(trace)
    frames = {graph.labels[label]: value for label, value in zip(graph.label, graph.value.tolist(), strict=True)}
    assert graph.by == "oncpu" and frames == {**rows, "sh-11": 11_400, "<idle>/0": 400}
    assert [one.text for one in graph.notices] == [SAID]
    assert "on-cpu-unknown" not in [one.code for one in flame(trace, by="time").notices]
    assert int(flame(trace, by="time").own.sum()) == 501_013_000


def test_of_what_is_left_out_nothing_is_said(trace: Trace) -> None:
    found, _ = weighted(trace, root="f")
    assert found.doubts == () and int(found.events["oncpu"].sum()) == 8_000
    assert found.remarks == (
        "ns on the CPU, asleep and preempted, by sched_switch; together they are the time of the calls",
    )


def test_the_formats_with_parts_say_it(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "t.dat"
    _, out, err = run("export", path, "-f", "callgrind")
    assert "\nsummary: 11800 1000200 0\n" in out and "but for 500.001 ms of calls" in out
    assert "\n0 2600 0 0\ncfi=(1)\ncfn=(4) schedule\ncalls=2 0\n0 800 1000200 0\n" in out
    assert SAID in err
    _, _, err = run("export", path, "-f", "pprof", "-o", tmp_path / "t.pb")
    profile = decoders._profile().FromString(gzip.decompress((tmp_path / "t.pb").read_bytes()))
    sums = [sum(sample.value[i] for sample in profile.sample) for i in range(1, 5)]
    assert sums == [501_013_000, 11_800, 1_000_200, 0]
    assert SAID in err
    _, out, err = run("export", path, "-f", "folded")
    assert SAID not in err and sum(int(line.rpartition(" ")[2]) for line in out.splitlines()) == 501_013_000


def test_a_column_of_the_tree(trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hidden gives its time to its caller: that is then the one of which it is not known."""
    shown = call_tree(trace, merge=True).tree
    at = {shown.labels[label]: node for node, label in enumerate(shown.label.tolist())}
    assert shown.unknown_ns[[at["schedule"], at["pipe_read"]]].tolist() == [500_001_000, 0]
    assert shown.total_unknown_ns[[at["schedule"], at["pipe_read"], at["f"]]].tolist() == [500_001_000] * 2 + [0]
    hidden = call_tree(trace, merge=True, hide="schedule").tree
    (node,) = np.flatnonzero(hidden.label == hidden.labels.index("pipe_read")).tolist()
    assert (hidden.unknown_ns[node], hidden.total_unknown_ns[node]) == (500_001_000, 500_001_000)
    monkeypatch.setenv("COLUMNS", "160")
    _, out, _ = run("show", tmp_path / "t.dat", "--with", "oncpu", "--merge", "--all", "--pid", "11")
    (line,) = (line for line in out.splitlines() if "pipe_read" in line)
    assert "3.400 us" in line and "501.005 ms" in line


def test_a_screen_tells_unknown_sleep_from_none(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    _, out, _ = run("show", tmp_path / "t.dat", "--with", "asleep,preempted", "--calls", "--all", "--pid", "11")
    known, lost = (line for line in out.splitlines() if "schedule" in line)
    assert known.split()[1:8] == ["1.001", "ms", "0.800", "us", "1.000", "ms", "0.2%"]
    assert lost.split()[1:7] == ["500.001", "ms", "?", "?", "?", "99.8%"]
    others = [line for line in out.splitlines() if line.rstrip().endswith(("▸f", " f", " g", " complete"))]
    assert len(others) >= 2 and "?" not in "".join(others)


def test_one_in_another(tmp_path: Path) -> None:
    """A call that slept for an unknown time calls itself, and that one sleeps so too."""
    m = Machine(names={11: "sh"})
    m.switch(0, 11, RUNNING)
    m.enter(0, "schedule")
    m.now += 100
    for _ in range(2):
        m.enter(0, "schedule")
        m.now += 200
        sleep_unseen(m)
    m.leave(0)
    within(m, 0, "f")
    trace = loaded(m, tmp_path / "t.dat")
    table = top(trace, by="oncpu", limit=None)
    rows = dict(zip(table.labels, table.parts["oncpu_ns"].tolist(), strict=True))
    assert rows == {"schedule": 100, "f": 200}
    found, _ = weighted(trace)
    assert int(found.events["oncpu"].sum()) == 300
    assert [one.text.partition(" are")[0] for one in found.doubts] == ["6.000 ms"]


def test_a_callee_is_known(tmp_path: Path) -> None:
    m = Machine(names={11: "sh"})
    m.switch(0, 11, RUNNING)
    m.enter(0, "schedule")
    within(m, 0, "f", ns=700)
    m.now += 100
    sleep_unseen(m)
    trace = loaded(m, tmp_path / "t.dat")
    took, f = trace.calls.duration_ns.tolist()
    table = top(trace, by="oncpu", limit=None)
    assert dict(zip(table.labels, table.parts["oncpu_ns"].tolist(), strict=True)) == {"schedule": f, "f": f}
    tree = call_tree(trace, merge=True).tree
    assert tree.unknown_ns.tolist() == [0, took - f, 0]
    found, _ = weighted(trace)
    assert found.events["oncpu"].tolist() == [0, 0, f]


def test_the_page_does_not_take_it_for_work(trace: Trace) -> None:
    columns = {}

    class Seen(Pack):
        def sparse(self, name: str, at: Any, values: Any, *, signed: bool = False) -> None:
            columns[name] = (at.tolist(), values.tolist())

    tree = call_tree(trace, pid=11)
    add_nodes(Seen({}), tree)
    names = [tree.tree.labels[tree.tree.label[node]] for node in columns["unknown"][0]]
    assert names == ["sh-11", "pipe_read", "schedule"]
    assert columns["unknown"][1] == [500_001_000] * 3


SLEEPS = ("self_ns", "asleep_ns", "preempted_ns", "unknown_ns", "total_asleep_ns", "total_preempted_ns",
          "total_unknown_ns")  # fmt: skip
"""The columns in which a call that slept for an unknown time differs from one that did not sleep."""
UNKNOWN = 500_001_000
OF_SLEEPS = [
    # It slept 1 ms. Its waker, recorded in an interrupt, is no part of it.
    ("pipe_read", (1_300, 0, 0, 0, 1_000_200, 0, 0)),
    ("schedule", (800, 1_000_200, 0, 0, 1_000_200, 0, 0)),
    # It slept for an unknown time of 500 ms, as schedule did, which it called; of itself all is known.
    ("pipe_read", (1_300, 0, 0, 0, None, None, UNKNOWN)),
    ("schedule", (None, None, None, UNKNOWN, None, None, UNKNOWN)),
    ("f", (2_000, 0, 0, 0, 0, 0, 0)),
]


def sleeping(rows: list[dict[str, Any]]) -> list[tuple[str, tuple[Any, ...]]]:
    found = [(row["function"], tuple(row[name] for name in SLEEPS)) for row in rows if row["function"] != "g"]
    return found[1:] if found[0][0] == "f" else found


def test_rows_of_calls_tell_unknown_sleep_from_none(trace: Trace, tmp_path: Path) -> None:
    """JSON, CSV, Parquet and pandas: null, an empty cell, <NA>; 0 where it is known that there was none."""
    path = tmp_path / "t.dat"
    sh = [json.loads(line) for line in run("export", path, "-f", "json", "--pid", "11")[1].splitlines()]
    assert sleeping(sh) == OF_SLEEPS
    assert sh == [json.loads(line) for line in run("show", path, "--json", "--pid", "11")[1].splitlines()]
    flags = {row["flags"][-1] if row["flags"] else "" for row in sh if row["unknown_ns"]}
    assert flags == {"OFF_CPU_UNKNOWN"}
    table = list(csv.DictReader(io.StringIO(run("export", path, "-f", "csv", "--pid", "11")[1])))
    cells = [{name: row[name] if name == "function" else int(row[name]) if row[name] else None
              for name in ("function", *SLEEPS)} for row in table]  # fmt: skip
    assert sleeping(cells) == OF_SLEEPS
    frame = kfgraph.to_pandas(trace, pid=11)
    assert {str(frame[name].dtype) for name in SLEEPS} == {"Int64"}
    records = [{name: None if value is pd.NA else value for name, value in row.items()}
               for row in frame[["function", *SLEEPS]].to_dict("records")]  # fmt: skip
    assert sleeping(records) == OF_SLEEPS
    parquet = pytest.importorskip("pyarrow.parquet", reason="extra: pyarrow is not installed")
    run("export", path, "-f", "parquet", "-o", tmp_path / "t.parquet", "--pid", "11")
    assert sleeping(parquet.read_table(tmp_path / "t.parquet").to_pylist()) == OF_SLEEPS


def test_a_trace_without_such_time_has_no_such_column(tmp_path: Path) -> None:
    path = Path(__file__).resolve().parents[1] / "fixtures" / "traces" / "cut" / "6.12-system.dat"
    for args in (("export", path, "-f", "json"), ("export", path, "-f", "csv"), ("top", path, "--json")):
        out = run(*args)[1]
        assert "asleep_ns" in out and "unknown_ns" not in out
    assert "unknown_ns" not in kfgraph.to_pandas(kfgraph.load(path))


def test_sums_tell_it(trace: Trace, tmp_path: Path) -> None:
    """Of several calls in one row the known part; null where nothing is known."""
    path = tmp_path / "t.dat"
    merged = json.loads(run("show", path, "--merge", "--json", "--root", "pipe_read")[1])
    nodes = {node["function"]: node for node in merged}
    of = {name: tuple(node[one] for one in SLEEPS) for name, node in nodes.items()}
    assert of["pipe_read"] == (2_600, 0, 0, 0, 1_000_200, None, UNKNOWN)
    assert of["schedule"] == (800, 1_000_200, None, UNKNOWN, 1_000_200, None, UNKNOWN)
    frame = call_tree(trace, merge=True, root="pipe_read").to_pandas().set_index("function")
    assert [None if frame.loc["schedule", name] is pd.NA else frame.loc["schedule", name] for name in SLEEPS] == list(
        of["schedule"]
    )
    table = {row["function"]: row for row in json.loads(run("top", path, "--json")[1])["functions"]}
    assert [table["schedule"][name] for name in SLEEPS] == list(of["schedule"])
    assert [table["f"][name] for name in SLEEPS[1:]] == [0] * 6
    first = run("top", path, "--csv")[1].splitlines()[0].split(",")
    assert set(SLEEPS) <= set(first)
    whole = json.loads(run("top", path, "--json")[1])
    assert (whole["asleep_ns"], whole["preempted_ns"]) == (1_000_200, 0)


def test_of_lost_records_the_switches_may_be_some(tmp_path: Path) -> None:
    """A call that may lack callees, lost with their switches, was neither on the CPU nor off it for all that time."""
    m = Machine(names={11: "sh"})
    m.switch(0, 11, RUNNING)
    m.enter(0, "pipe_read")
    within(m, 0, "f", ns=700)
    m.cpus[0].lose()
    m.now += 2_000_000
    within(m, 0, "f", ns=700)
    m.leave(0)
    trace = loaded(m, tmp_path / "t.dat")
    frame = kfgraph.to_pandas(trace, pid=11).set_index("function")
    row = frame[frame.level == 0].iloc[0]
    assert row.name == "pipe_read" and row["self_ns"] is pd.NA and row["asleep_ns"] is pd.NA
    took = int(row["duration_ns"]) - int(frame.loc["f", "duration_ns"].sum())
    assert row["unknown_ns"] == row["total_unknown_ns"] == took == 2_000_000
    table = top(trace, by="oncpu", limit=None, pid=11)
    on_cpu = dict(zip(table.labels, table.parts["oncpu_ns"].tolist(), strict=True))
    assert on_cpu["pipe_read"] == int(row["duration_ns"]) - took
