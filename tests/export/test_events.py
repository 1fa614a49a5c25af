"""Time on the CPU, asleep and preempted in formats of stacks; times less what tracing took."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

import kfgraph
from builder.machine import PREEMPTED, RUNNING
from export import decoders
from kfgraph.analyze.flame import flame
from kfgraph.analyze.top import top
from kfgraph.analyze.weights import weighted
from kfgraph.errors import UsageError
from kfgraph.export.exporters import AS_RECORDED, NAMES, export
from kfgraph.model.trace import Trace
from kfgraph.model.units import format_ns
from running import kfgraph as run
from sleep.test_pass import one_sleep

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ROOT = "do_sys_openat2"
PARTS = ("oncpu", "asleep", "preempted")


@pytest.fixture(scope="module")
def slept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """f (1000 ns) calls g (925) calls schedule (850), asleep for 670 of these; another f (500) is preempted for 400."""
    m = one_sleep()
    m.now += 1_000
    m.enter(0, "f")
    m.now += 50
    m.switch(0, 12, PREEMPTED)
    m.now += 400
    m.switch(0, 11, RUNNING)
    m.now += 50
    m.leave(0)
    path = tmp_path_factory.mktemp("slept") / "t.dat"
    path.write_bytes(m.dat())
    return path


def costs(lines: list[str]) -> dict[str, list[int]]:
    """The own cost of each function of a callgrind file."""
    found, names = {}, {}
    for i, line in enumerate(lines):
        if line.startswith("fn="):
            number, _, name = line[3:].partition(" ")
            found[names.setdefault(number, name)] = [int(n) for n in lines[i + 1].split()[1:]]
        elif line.startswith("cfn="):
            number, _, name = line[4:].partition(" ")
            names.setdefault(number, name)
    return found


def test_callgrind_has_an_event_for_each(slept: Path) -> None:
    code, out, _ = run("export", slept, "-f", "callgrind", "--pid", "11")
    assert code == 0
    lines = out.splitlines()
    assert "events: oncpu asleep preempted" in lines
    assert "summary: 430 670 400" in lines
    assert any(line.startswith("desc: Times: ns on the CPU, asleep and preempted") for line in lines)
    assert costs(lines) == {
        "?-11" if "?-11" in costs(lines) else "<...>-11": [0, 0, 0], "f": [175, 0, 400], "g": [75, 0, 0],
        "schedule": [145, 670, 0], "switch_mm_irqs_off": [20, 0, 0], "finish_task_switch": [15, 0, 0],
    }  # fmt: skip
    # What callees took is of each event too: f in its task, g in f, schedule in g.
    totals = [lines[i + 1] for i, line in enumerate(lines) if line.startswith("calls=")]
    assert {"0 430 670 400", "0 255 670 0", "0 180 670 0"} < set(totals)
    assert sum(decoders.callgrind(out.encode())[0].values()) == 1_500


def test_pprof_begins_with_the_time_on_the_cpu(slept: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.pb"
    assert run("export", slept, "-o", path, "--pid", "11")[0] == 0
    profile = decoders._profile().FromString(gzip.decompress(path.read_bytes()))
    strings = list(profile.string_table)
    assert [strings[one.type] for one in profile.sample_type] == ["calls", "time", *PARTS]
    assert strings[profile.default_sample_type] == "oncpu"
    assert [sum(sample.value[i] for sample in profile.sample) for i in range(5)] == [6, 1_500, 430, 670, 400]
    assert strings[profile.comment[0]].startswith("ns on the CPU, asleep and preempted")


def test_flame_is_of_the_time_on_the_cpu(slept: Path) -> None:
    trace = kfgraph.load(slept)
    assert flame(trace, pid=11).by == "oncpu"
    for by, whole in (("time", 1_500), ("oncpu", 430), ("asleep", 670), ("preempted", 400), ("self", 430)):
        graph = flame(trace, by=by, pid=11)  # type: ignore[arg-type]
        assert (graph.by, graph.whole) == (by, whole)
    _, out, _ = run("flame", slept, "--pid", "11")
    assert out.splitlines()[0].startswith("430 ns on the CPU, ")
    _, out, _ = run("flame", slept, "--pid", "11", "-o", "-")
    assert ": time on the CPU</text>" in out
    without = kfgraph.load(EXAMPLES / "insmod-fail19.dat")
    assert flame(without).by == "time"
    code, _, err = run("flame", EXAMPLES / "insmod-fail19.dat", "--by", "asleep")
    assert code == 2 and "no sched_switch" in err and "kfgraph trace --sched" in err


def test_the_parts_are_those_of_top(slept: Path) -> None:
    traces: list[Trace] = [kfgraph.load(slept)]
    traces += [kfgraph.load(EXAMPLES.parent / "tests" / "fixtures" / "traces" / "cut" / "7.2-syscalls.dat")]
    for trace in traces:
        assert trace.off_cpu is not None
        tree, _ = weighted(trace)
        summed = top(trace)
        assert list(tree.events) == list(PARTS)
        assert {name: int(tree.events[name].sum()) for name in ("asleep", "preempted")} == {
            name: summed.off_ns.get(f"{name}_ns", 0) for name in ("asleep", "preempted")
        }
        unknown = tree.tree.at("unknown_ns", slice(None))
        assert (sum(tree.events.values()) + unknown == tree.own_ns).all()
        assert bool(unknown.any()) == bool(tree.doubts) == (trace is not traces[0])
        assert all((values >= 0).all() for values in tree.events.values())
        if not summed.n_self_unknown:
            assert int(tree.events["oncpu"].sum()) == summed.self_ns + summed.waiting_ns


def test_what_tracing_took_is_taken_out() -> None:
    path = EXAMPLES / "cat-enoent.dat"
    trace = kfgraph.load(path)
    estimated = top(trace, compensate=True, root=ROOT)
    assert estimated.n_self_unknown == 0
    whole = estimated.self_ns + estimated.waiting_ns
    tree, _ = weighted(trace, compensate=True, root=ROOT)
    recorded, _ = weighted(trace, root=ROOT)
    taken = int(estimated.parts["tracer_ns"].sum())
    assert int(tree.own_ns.sum()) == whole == int(recorded.own_ns.sum()) - taken
    for name, decode in decoders.STACKS.items():
        data = run_bytes(path, name)
        assert sum(decode(data).values()) == whole, name
    assert sum(decoders.callgrind(run_bytes(path, "callgrind"))[0].values()) == whole
    said = f"less what tracing took, {format_ns(taken)}"
    for name in ("callgrind", "dot", "mermaid", "firefox"):
        assert said in run_bytes(path, name).decode(), name
    assert said.encode() in gzip.decompress(run_bytes(path, "pprof"))
    graph = flame(trace, compensate=True, root=ROOT)
    assert graph.estimated and graph.whole == whole
    _, out, _ = run("flame", path, "--compensate", "-o", "-")
    assert ": time, less what tracing took (estimated)</text>" in out
    _, out, _ = run("flame", path, "--compensate")
    assert ", less what tracing took (estimated), " in out.splitlines()[0]


def run_bytes(path: Path, name: str) -> bytes:
    out = io.BytesIO()
    export(kfgraph.load(path), name, out, compensate=True, root=ROOT)
    return out.getvalue()


def test_rows_have_both_times() -> None:
    path = EXAMPLES / "insmod-fail19.dat"
    _, out, _ = run("export", path, "-f", "csv", "--compensate")
    head, *rows = (line.split(",") for line in out.splitlines())
    assert head[-4:] == ["tracer_ns", "total_tracer_ns", "uncertain_ns", "total_uncertain_ns"]
    at = {name: head.index(name) for name in ("duration_ns", "total_ns", "total_tracer_ns")}
    whole = [row for row in rows if len(row) == len(head) and row[at["total_ns"]]]
    assert len(whole) > 5_000
    less = np.array([[int(row[at[name]]) for name in at] for row in whole])
    assert (less[:, 2] > 0).all() and (less[:, 1] <= less[:, 0]).all()
    _, out, _ = run("export", path, "-f", "json", "--compensate")
    assert "total_uncertain_ns" in json.loads(out.splitlines()[0])


@pytest.mark.parametrize("name", sorted(AS_RECORDED))
def test_formats_of_recorded_times_refuse(name: str) -> None:
    code, _, err = run("export", EXAMPLES / "insmod-fail19.dat", "-f", name, "--compensate")
    assert code == 2 and f"{name} places calls by their recorded times" in err
    assert set(NAMES) - AS_RECORDED == set(err.rpartition("take it: ")[2].strip().split(", "))


def test_the_compensation_needs_calls(slept: Path) -> None:
    with pytest.raises(UsageError, match="what it costs to trace"):
        weighted(kfgraph.load(slept), compensate=True)


@pytest.mark.parametrize("command", ["info", "errors", "why", "ui", "doctor", "trace"])
def test_other_commands_say_where_it_works(command: str) -> None:
    code, _, err = run(command, "--compensate")
    assert code in (2, 125) and "No such option '--compensate'" in err
    assert "it is one of kfgraph show, top, flame, syscalls, export, html" in err
    _, _, err = run(command, "--no-such-thing")
    assert "it is one of" not in err
