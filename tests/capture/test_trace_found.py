"""What a recording finds: settings of the tracer that somebody made, what a killed run left, odd files and places."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from kfgraph.capture import child, output, tracefs
from kfgraph.capture.processes import living
from kfgraph.capture.recorder import Recorder
from kfgraph.cli import tracing
from kfgraph.errors import CaptureError, InputError
from kfgraph.kernel.module import read_module
from kfgraph.model.companion import Companion

from .conftest import Lab, make_tracefs

SET_BEFORE = {
    "set_ftrace_filter": "vfs_open",
    "set_ftrace_notrace": "vfs_read",
    "set_graph_function": "vfs_open",
    "set_graph_notrace": "load_module",
    "tracing_thresh": "3000",
    "max_graph_depth": "1",
    "tracing_cpumask": "1",
    "options/funcgraph-irqs": "0",
    "options/sleep-time": "0",
    "events/sched/sched_process_exec/filter": "pid == 1",
    "events/sched/sched_switch/filter": "prev_pid == 1",
}


@pytest.mark.parametrize("name", [*SET_BEFORE, ""])
def test_what_was_set_before_restricts_no_recording(lab: Lab, name: str) -> None:
    for file in SET_BEFORE:
        if file.startswith(("options", "events")):
            (lab.fs.root / file).write_text("1\n" if file.startswith("options") else "none\n")
    if name:
        lab.fs.write(name, SET_BEFORE[name])
    before = lab.snapshot()
    # The command sees what is set while it is recorded.
    done = lab.run("trace", "-q", "cp", "-r", str(lab.fs.root), "during")
    assert done.returncode == 0
    during = tracefs.take_snapshot(tracefs.Tracefs(lab.work / "during"))
    # A filter of an event that is not recorded restricts nothing.
    aside = name if name != "events/sched/sched_switch/filter" else ""
    assert (name in before.differences(during)) == bool(aside)
    sentence = "kfgraph: set aside while this was recorded, for it would have restricted it: "
    assert done.stderr == (f"{sentence}{aside}\n" if aside else "")
    assert before.differences(lab.snapshot()) == []
    line = lab.run("trace", "--dry-run", "true").stdout
    assert (f" > {lab.fs.root}/{aside}" in line) == bool(aside)


def test_a_trigger_of_a_function_is_no_filter(lab: Lab) -> None:
    lab.fs.write("set_ftrace_filter", "vfs_read:traceoff:count=4\nvfs_open:stacktrace:unlimited")
    done = lab.run("trace", "-q", "true")
    said = "kfgraph: set_ftrace_filter has vfs_read:traceoff:count=4: that may end the recording early\n"
    assert (done.returncode, done.stderr) == (0, said)
    lab.fs.write("set_ftrace_filter", "vfs_read:mod:foo")
    assert "set aside" in lab.run("trace", "-q", "true").stderr


def test_what_is_asked_for_is_set_after_what_was_found_is_set_aside(lab: Lab) -> None:
    lab.fs.write("tracing_thresh", "3000")
    done = lab.run("trace", "-q", "--min-duration", "5us", "cat", str(lab.fs.root / "tracing_thresh"))
    assert (done.stdout, lab.fs.read("tracing_thresh")) == ("5\n", "3000")


ALL = "ffffffff,ffffffff"


@pytest.mark.parametrize(("mask", "expected"), [(ALL, None), ("f", ALL), ("", ALL)])
def test_a_mask_of_many_cpus(tmp_path: Path, mask: str, expected: str | None) -> None:
    fs = make_tracefs(tmp_path / "t", n_cpus=64)
    fs.write("tracing_cpumask", mask)
    writes = tracefs.neutral(fs, tracefs.take_snapshot(fs), events=())
    assert writes.get("tracing_cpumask") == expected
    assert tracefs._as_mask((1 << 36) - 1) == "f,ffffffff"


def test_what_a_killed_run_left_is_told_also_if_this_run_fails(lab: Lab) -> None:
    process = lab.start("trace", "-q", "sleep", "60")
    lab.until_recording()
    lab.until(lambda: json.loads((lab.state / "session.json").read_text())["recorder"] is not None)
    process.kill()
    process.wait()
    # A place that cannot be written to is found before anything is put back; what comes later is not.
    assert "put back" not in lab.run("trace", "-o", "/no/such/t.dat", "true").stderr
    lab.env["FAKE_MODE"] = "refuses"
    done = lab.run("trace", "true")
    assert done.returncode == 125
    assert "kfgraph: put back what a killed run" in done.stderr and "could not start recording" in done.stderr


def test_what_cannot_be_put_back_is_told_also_after_a_failure(lab: Lab) -> None:
    lab.env["FAKE_MODE"] = "full"
    done = lab.run("trace", "--min-duration", "5us", "rm", str(lab.fs.root / "tracing_thresh"))
    assert done.returncode == 125
    assert "kfgraph: could not be put back in the tracer: tracing_thresh" in done.stderr.splitlines()
    assert "could be made of the recording" in done.stderr


def test_a_pipe_is_not_read_as_a_module(lab: Lab) -> None:
    os.mkfifo(lab.work / "pipe.ko")
    with pytest.raises(InputError, match="not a regular file"):
        read_module(lab.work / "pipe.ko")
    done = lab.run("trace", "-q", "sh", "-c", "cat; exit 0; insmod /dev/stdin", input="whole\n")
    assert (done.returncode, done.stdout) == (0, "whole\n")
    assert "insmod /dev/stdin: not looked into" in done.stderr


@pytest.mark.parametrize("option", [[], ["-f"]])
def test_a_process_that_ends_while_the_tracer_is_switched_on_is_not_waited_for(lab: Lab, option: list[str]) -> None:
    lab.env["FAKE_MODE"] = "slow"
    ends = subprocess.Popen(["sleep", "60"])
    stays = subprocess.Popen(["sleep", "60"])
    try:
        process = lab.start("trace", "--duration", "0.5", *option, "-p", str(ends.pid), "-p", str(stays.pid))
        lab.until(lambda: bool(lab.recorder_lines()))
        ends.kill()  # and is not waited for
        lab.until(lambda: not any(living([ends.pid])))
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
    finally:
        for each in (ends, stays):
            each.kill()
            each.wait()


def test_where_all_have_ended_nothing_is_recorded(tmp_path: Path) -> None:
    zombie = subprocess.Popen(["true"])
    stat_file = Path(f"/proc/{zombie.pid}/stat")
    while ") Z " not in stat_file.read_text():
        pass
    recorder = Recorder(["sleep", "60"], output=tmp_path / "trace.dat", signal_mask=set())
    try:
        with pytest.raises(CaptureError, match=f"pid {zombie.pid} ended before anything was recorded"):
            recorder.wait_ready(make_tracefs(tmp_path / "t"), pids=[zombie.pid], look_up=lambda: None)
    finally:
        recorder.kill()
        zombie.wait()


def test_a_file_system_without_owners_is_no_reason_to_lose_a_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setenv("SUDO_GID", "1000")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", refuse)
    target = output.OutputFile(str(tmp_path / "trace.dat"))
    target.temporary.write_bytes(b"whole")
    target.commit(Companion())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trace.dat", "trace.dat.kfgraph.json"]


def test_a_name_with_room_for_no_companion(lab: Lab) -> None:
    name = "x" * 245
    assert lab.run("trace", "-q", "-o", name, "true").returncode == 0
    assert [path.name for path in lab.work.iterdir()] == [name]


def test_a_name_that_looks_like_an_option(lab: Lab) -> None:
    done = lab.run("trace", "-o", "-x.dat", "true")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("    kfgraph show")]
    assert lab.run(*shlex.split(line)[1:]).returncode == 0


def test_the_search_begins_where_the_command_is_started(tmp_path: Path) -> None:
    for folder in ("bin", "sub/bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "zz").write_text("#!/bin/sh\n")
        (tmp_path / folder / "zz").chmod(0o755)
    found = child.find_command(["zz"], env={"PATH": "bin:/bin"}, cwd=str(tmp_path / "sub"))
    assert found == str(tmp_path / "sub/bin/zz")


def test_the_commands_own_debug_is_none_of_kfgraphs(lab: Lab) -> None:
    done = lab.run("trace", "-o", "x" * 300, "echo", "--debug")
    assert (done.returncode, "Traceback" in done.stderr) == (125, False)


def test_a_folder_that_is_gone_is_kfgraphs_own_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(CaptureError, match="the current directory: No such file"), tracing.own_failures():
        child.find_command(["./x"], env={})
