"""Reading the tracing directory, and putting it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kfgraph.capture import probes, session, tracefs
from kfgraph.capture.processes import Process
from kfgraph.capture.stats import CpuStats, read_stats
from kfgraph.capture.tracefs import Snapshot
from kfgraph.errors import MachineError
from kfgraph.model.returned import PROBE_GROUP

from .conftest import make_tracefs


def test_what_it_offers(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    assert fs.tracers == ("blk", "function_graph", "function", "nop")
    assert (fs.current_tracer, fs.tracing_on, fs.clock) == ("nop", True, "local")
    assert fs.clocks == ("local", "global", "mono", "x86-tsc")
    assert fs.buffer_kb() == {"cpu0": 1408, "cpu1": 1408}
    assert {"vfs_open", "ext4_open"} <= fs.functions()
    assert [fs.has_event(e) for e in ("sched:sched_switch", "sched", "sched_switch", "sched:x", "x")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_tracing_directory_that_this_user_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fs = make_tracefs(tmp_path / "t")
    assert tracefs.find(mount_points=[tmp_path / "none", fs.root]).root == fs.root

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(MachineError, match="not readable for this user") as caught:
        tracefs.find(mount_points=[fs.root])
    assert caught.value.hint == "run as root"


def test_stats(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    (fs.root / "per_cpu/cpu1/stats").write_text(
        "entries: 3\noverrun: 10\ncommit overrun: 200\nbytes: 9\n"
        "oldest event ts: 1.5\ndropped events: 4000\nread events: 2\n"
    )
    assert read_stats(fs) == (CpuStats(0, 15, 0), CpuStats(1, 5, 4210))


def test_everything_changed_comes_back(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    (fs.root / "set_ftrace_filter").write_text("vfs_open\nvfs_read\n")
    fs.write("trace_clock", "[mono]")
    before = tracefs.take_snapshot(fs)
    for name, text in {
        "current_tracer": "function_graph",
        "tracing_on": "0",
        "trace_clock": "[global]",
        "tracing_thresh": "100",
        "set_ftrace_pid": "1\n2",
        "set_ftrace_filter": "kmalloc_trace",
        "per_cpu/cpu1/buffer_size_kb": "9999",
        "options/overwrite": "1",
        "buffer_size_kb": "X",
    }.items():
        fs.write(name, text)
    changed = before.differences(tracefs.take_snapshot(fs))
    assert len(changed) == 9  # the total is told by the CPUs: cpu0 is 7 now, where 1408 would have come
    assert tracefs.restore(fs, before) == []
    # A plain file keeps only the last entry of a list, and no brackets: the kernel's part of it.
    assert fs.read("trace_clock") == "mono"
    assert fs.read("set_ftrace_filter").endswith("vfs_read")
    assert fs.read("set_ftrace_pid") == ""
    fs.write("trace_clock", "[mono]")
    assert before.differences(tracefs.take_snapshot(fs)) == []


def test_filters_of_events_come_back(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    names = [f"events/sched/{event}/filter" for event in ("sched_switch", "sched_process_exec")]
    (fs.root / names[0]).write_text("prev_pid > 5\n")
    (fs.root / names[1]).write_text("none\n")
    before = tracefs.take_snapshot(fs)
    assert before.filters == {names[0]: "prev_pid > 5"}
    (fs.root / names[0]).write_text("none\n")
    (fs.root / names[1]).write_text("pid == 4\n")
    assert before.differences(tracefs.take_snapshot(fs)) == sorted(names)
    assert tracefs.restore(fs, before) == []
    # The kernel reads "0" as none.
    assert [fs.read(name) for name in names] == ["prev_pid > 5", "0"]


def test_triggers_of_functions_come_back_in_the_words_that_the_kernel_takes(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    filters = fs.root / "set_ftrace_filter"
    filters.write_text("vfs_open\nvfs_fsync:traceoff:unlimited\nvfs_read:stacktrace:count=3\n")
    before = tracefs.take_snapshot(fs)
    filters.write_text("#### all functions enabled ####\n")
    assert tracefs.restore(fs, before) == []
    assert filters.read_text().split() == ["vfs_open", "vfs_fsync:traceoff", "vfs_read:stacktrace:3"]


def test_only_the_recorders_own_instances_are_removed(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    instances = fs.root / "instances"
    (instances / "mine").mkdir()
    before = tracefs.take_snapshot(fs)
    for name in ("extra", "anothers", "stuck"):
        (instances / name).mkdir()
    (instances / "stuck" / "busy").touch()
    named = ("mine", "extra", "stuck", "../instances", "gone")
    assert tracefs.remove_instances(fs, named, before) == ["instances/stuck"]
    assert sorted(entry.name for entry in instances.iterdir()) == ["anothers", "mine", "stuck"]


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    before = tracefs.take_snapshot(fs)
    times = {p: p.stat().st_mtime_ns for p in fs.root.rglob("*") if p.is_file()}
    assert tracefs.restore(fs, before) == []
    assert {p: p.stat().st_mtime_ns for p in times} == times


def test_what_cannot_be_put_back_is_named(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    before = tracefs.take_snapshot(fs)
    (fs.root / "max_graph_depth").unlink()
    assert tracefs.restore(fs, before) == ["max_graph_depth"]


def test_snapshot_survives_json(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    (fs.root / "set_ftrace_pid").write_bytes(b"12\n13\n")
    before = tracefs.take_snapshot(fs)
    assert before.lists["set_ftrace_pid"] == ("12", "13")
    assert Snapshot.from_dict(json.loads(json.dumps(before.to_dict()))) == before


def test_only_own_probes_are_removed(tmp_path: Path) -> None:
    fs = make_tracefs(tmp_path / "t")
    text = f"r32:{PROBE_GROUP}/read_id widget:widget_read_id ret=$retval:x64\np:mine/open vfs_open\n"
    (fs.root / "kprobe_events").write_text(text)
    assert probes.remove(fs) == []
    assert (fs.root / "kprobe_events").read_text() == f"{text}-:{PROBE_GROUP}/read_id\n"


def test_a_reused_pid_is_not_the_same_process() -> None:
    me = Process.of(1)
    assert me.alive
    assert not Process(1, me.start + 1).alive
    assert not Process(4_194_999, -1).alive


def test_no_notes_no_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "state_folder", lambda: tmp_path)
    for text in ("", "{", "[]", '{"boot": "another"}'):
        (tmp_path / "session.json").write_text(text)
        assert session.find_leftovers() is None
        assert session.restore_leftovers() == []
