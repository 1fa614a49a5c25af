"""What `kfgraph trace` does to its command, to its file and to the tracer."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from builder.tracedat import TEXT, Cpu, Kernel, trace_dat
from cli.terminal import Screen
from kfgraph.capture import output
from kfgraph.errors import CaptureError
from kfgraph.model.companion import Companion

from .conftest import Lab


def companion(lab: Lab, name: str = "trace.dat") -> Companion:
    return Companion.from_dict(json.loads((lab.work / f"{name}.kfgraph.json").read_text()))


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("exit 255", 255, "sh exited with 255"),
        ("exit 200", 200, "sh exited with 200"),
        ("exit 139", 139, "sh exited with 139"),
        ("kill -SEGV $$", 139, "sh was killed by SIGSEGV"),
        ("kill -40 $$", 168, "sh was killed by signal 40"),
    ],
)
def test_an_exit_is_told_from_a_signal(lab: Lab, script: str, status: int, said: str) -> None:
    done = lab.run("trace", "sh", "-c", script)
    assert done.returncode == status
    assert f"  {said}" in done.stderr.splitlines()


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("kill -SEGV $$", 139)],
)
def test_status_is_passed_on_and_the_tracer_is_as_before(lab: Lab, script: str, status: int) -> None:
    before = lab.snapshot()
    done = lab.run("trace", "-q", "sh", "-c", script)
    assert done.returncode == status, done.stderr
    assert before.differences(lab.snapshot()) == []
    assert (lab.work / "trace.dat").read_bytes() == lab.trace.read_bytes()
    assert companion(lab).exit_status == status
    assert sorted(p.name for p in lab.work.iterdir()) == ["trace.dat", "trace.dat.kfgraph.json"]
    assert not (lab.state / "session.json").exists()


def test_command_keeps_its_streams_and_its_signals(lab: Lab) -> None:
    # SIGPIPE (13) must not be ignored, as Python has it; nothing may be blocked.
    script = "cat; echo words >&2; exec grep -E '^Sig(Ign|Blk)' /proc/self/status"
    done = lab.run("trace", "-q", "sh", "-c", script, input="from stdin\n")
    lines = done.stdout.splitlines()
    assert lines[0] == "from stdin"
    assert done.stderr == "words\n"
    masks = {line.split(":")[0]: int(line.split()[1], 16) for line in lines[1:]}
    assert masks["SigBlk"] == 0
    assert not masks["SigIgn"] & (1 << (signal.SIGPIPE - 1))


def test_nothing_of_the_command_runs_before_the_tracer_is_on(lab: Lab) -> None:
    root = lab.fs.root
    done = lab.run(
        "trace",
        "-q",
        "sh",
        "-c",
        f"cat {root}/tracing_on {root}/current_tracer; "
        f"grep -c . {root}/set_ftrace_pid; cat {root}/set_ftrace_pid; echo $$",
    )
    on, tracer, count, listed, pid = done.stdout.split()
    assert (on, tracer, count) == ("1", "function_graph", "1")
    assert listed == pid
    assert companion(lab).pids == (int(pid),)


def test_environment_directory_and_name(lab: Lab) -> None:
    (lab.work / "sub").mkdir()
    done = lab.run("trace", "-q", "--env", "COLOR=red", "--cwd", "sub", "sh", "-c", 'echo "$COLOR $PWD $0"', "name")
    assert done.stdout.split() == ["red", str(lab.work / "sub"), "name"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_variable_that_is_set_wins_over_the_users(lab: Lab) -> None:
    lab.folder.chmod(0o755)
    options = ("--env", "HOME=/mine", "--env", "USER=me", "--user", "nobody")
    done = lab.run("trace", "-q", *options, "sh", "-c", "echo $HOME $USER $LOGNAME")
    assert done.stdout.split() == ["/mine", "me", "nobody"]


def test_option_words_after_the_command_are_its_own(lab: Lab) -> None:
    assert lab.run("trace", "-q", "echo", "-f", "--root", "x", "--help").stdout == "-f --root x --help\n"
    assert lab.run("trace", "-q", "--", "echo", "--", "-o").stdout == "-- -o\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_user_and_ownership(lab: Lab) -> None:
    lab.folder.chmod(0o755)
    lab.env |= {"SUDO_UID": "65534", "SUDO_GID": "65534", "SUDO_USER": "nobody"}
    done = lab.run("trace", "-q", "--user", "auto", "sh", "-c", "id -u; id -g; echo $USER")
    assert done.stdout.split() == ["65534", "65534", "nobody"]
    for name in ("trace.dat", "trace.dat.kfgraph.json"):
        assert (lab.work / name).stat().st_uid == 65534


def test_interrupt_goes_to_the_command_first(lab: Lab) -> None:
    script = "trap 'echo got it; exit 7' INT; touch ready; while :; do sleep 0.05; done"
    process = lab.start("trace", "-q", "sh", "-c", script)
    lab.until((lab.work / "ready").exists)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (7, "got it\n"), err
    assert companion(lab).exit_status == 7


def test_ctrl_backslash_is_the_commands_too(lab: Lab) -> None:
    # Sent to kfgraph alone, and handed on; from the keyboard both get it.
    before = lab.snapshot()
    script = "trap 'echo got it; exit 7' QUIT; touch ready; while :; do sleep 0.05; done"
    process = lab.start("trace", "-q", "sh", "-c", script)
    lab.until((lab.work / "ready").exists)
    process.send_signal(signal.SIGQUIT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (7, "got it\n"), err
    assert before.differences(lab.snapshot()) == []
    process = lab.start("trace", "-q", "-p", str(os.getpid()))
    lab.until_recording()
    process.send_signal(signal.SIGQUIT)
    assert process.wait(20) == 0
    assert before.differences(lab.snapshot()) == []


def test_second_interrupt_keeps_what_was_recorded(lab: Lab) -> None:
    before = lab.snapshot()
    process = lab.start("trace", "sh", "-c", "trap '' INT; echo $$; touch ready; exec sleep 30", stderr=subprocess.PIPE)
    lab.until((lab.work / "ready").exists)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # two that wait at the same time are one
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None and process.stderr is not None
    pid = int(process.stdout.readline())
    try:
        assert process.wait(20) == 130
        assert (lab.work / "trace.dat").read_bytes() == lab.trace.read_bytes()
        assert companion(lab).exit_status is None
        assert before.differences(lab.snapshot()) == []
        os.kill(pid, 0)  # it goes on
        assert any(f"sh (pid {pid}) still runs" in line for line in process.stderr)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_terminate_ends_the_command_and_keeps_the_file(lab: Lab) -> None:
    process = lab.start("trace", "-q", "sh", "-c", "touch ready; exec sleep 30")
    lab.until((lab.work / "ready").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert (lab.work / "trace.dat").exists()


def test_interrupt_while_the_tracer_is_switched_on(lab: Lab) -> None:
    before = lab.snapshot()
    lab.env["FAKE_TRACEFS"] = str(lab.folder)  # it never comes to record
    (lab.folder / "options").mkdir()
    (lab.folder / "per_cpu").mkdir()
    process = lab.start("trace", "-q", "touch", "ran")
    lab.until(lab.log.exists)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert list(lab.work.iterdir()) == []
    assert before.differences(lab.snapshot()) == []


def test_attached_process_until_its_end(lab: Lab) -> None:
    other = subprocess.Popen(["sleep", "60"])
    process = lab.start("trace", "-q", "-p", str(other.pid))
    lab.until_recording()
    assert lab.fs.read("set_ftrace_pid") == str(other.pid)
    other.kill()
    other.wait()
    assert process.wait(20) == 0
    assert companion(lab).pids == (other.pid,)


def test_attached_process_until_interrupt(lab: Lab) -> None:
    process = lab.start("trace", "-q", "-p", str(os.getpid()))
    lab.until_recording()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert os.getpid() in companion(lab).pids


def test_duration_stops_the_recording_and_not_the_command(lab: Lab) -> None:
    process = lab.start(
        "trace", "-q", "--duration", "0.2", "sh", "-c", "while ! [ -e go ]; do sleep 0.05; done; exit 4"
    )
    lab.until((lab.work / "trace.dat").exists)
    assert lab.fs.current_tracer == "nop"
    assert process.poll() is None
    (lab.work / "go").touch()
    assert process.wait(20) == 4


def test_trace_cmd_finds_the_graph_tracer_until_its_file_is_finished(lab: Lab) -> None:
    """Else it leaves the kernel's types out, and arguments have no names. Off most functions, for that is quicker."""
    lab.env["FAKE_MODE"] = "types"
    before = lab.snapshot()
    assert lab.run("trace", "-q", "true").returncode == 0
    _, found = lab.recorder_lines()
    assert found["current_tracer"] == ["function_graph"]
    assert found["set_ftrace_filter"][-1:] == ["kernel_restart"]
    assert before.differences(lab.snapshot()) == []


def test_killed_recorder_leaves_a_partial_file(lab: Lab) -> None:
    lab.env["FAKE_MODE"] = "dies"
    before = lab.snapshot()
    done = lab.run("trace", "sh", "-c", "sleep 0.5; exit 3")
    assert done.returncode == 3
    assert "the recording is partial: trace-cmd was killed by SIGKILL" in done.stderr
    assert lab.recorder_lines()[-1][0] == "restore"
    assert (lab.work / "trace.dat").read_bytes() == lab.trace.read_bytes()
    assert companion(lab).partial == "trace-cmd was killed by SIGKILL"
    assert before.differences(lab.snapshot()) == []


def kill_readers(lab: Lab, n_killed: int, number: int = signal.SIGKILL) -> tuple[int, str]:
    """Record, and meanwhile signal so many of the processes of trace-cmd that read a CPU each; status and stderr."""
    process = lab.start("trace", "sh", "-c", "touch ready; while ! [ -e go ]; do sleep 0.05; done")
    lab.until((lab.work / "ready").exists)
    recorder = json.loads((lab.state / "session.json").read_text())["recorder"]["pid"]
    readers = [int(pid) for pid in Path(f"/proc/{recorder}/task/{recorder}/children").read_text().split()]
    assert len(readers) == 2
    for pid in readers[:n_killed]:
        os.kill(pid, number)
    # A signal is on its way for a while, and a reader that dies when the recording is over is not missed.
    for pid in readers[:n_killed]:
        lab.until(lambda stat=Path(f"/proc/{pid}/stat"): ") Z " in stat.read_text())
    (lab.work / "go").touch()
    _, said = process.communicate(timeout=30)
    return process.returncode, said


@pytest.mark.parametrize("n_killed", [0, 1, 2])
def test_a_killed_reader_of_a_cpu_is_told(lab: Lab, n_killed: int) -> None:
    # trace-cmd itself says nothing of it, and ends with 0.
    lab.env["FAKE_MODE"] = "readers"
    status, said = kill_readers(lab, n_killed)
    assert status == 0
    were = "was" if n_killed == 1 else "were"
    whose = f"{n_killed} of the 2 processes with which trace-cmd reads the CPUs' buffers"
    why = f"{whose} {were} killed during the recording"
    assert companion(lab).partial == (why if n_killed else "")
    assert (f"  the recording is partial: {why}" in said.splitlines()) == (n_killed > 0)
    assert ("nothing lost" in said) == (n_killed == 0)
    # What there is, is kept as it is.
    assert [line[0] for line in lab.recorder_lines()] == ["record"]
    assert (lab.work / "trace.dat").read_bytes() == lab.trace.read_bytes()


def test_readers_that_trace_cmd_has_end_are_not_missed(lab: Lab) -> None:
    # It sees by itself that the command is over, perhaps before kfgraph does.
    lab.env["FAKE_MODE"] = "readers"
    status, said = kill_readers(lab, 2, signal.SIGUSR1)
    assert (status, companion(lab).partial) == (0, "")
    assert "partial" not in said


def test_killed_readers_that_had_read_nothing_leave_nothing(lab: Lab) -> None:
    lab.env["FAKE_MODE"] = "readers hollow"
    status, said = kill_readers(lab, 2)
    assert status == 125
    failure, hint = said.splitlines()
    assert "no trace could be made of the recording: 2 of the 2 processes" in failure
    assert "record it again" in hint and "-o FILE" not in hint
    assert sorted(p.name for p in lab.work.iterdir()) == ["go", "ready"]


def test_failed_recorder_is_told(lab: Lab) -> None:
    lab.env["FAKE_MODE"] = "fails"
    done = lab.run("trace", "true")
    assert done.returncode == 0
    assert "the recording is partial: the disk is full (" in done.stderr
    assert ": trace-cmd failed with 28: No space left on device (Error creating output file)" in done.stderr


@pytest.mark.parametrize("mode", ["dies", "fails", "hollow"])
def test_partial_is_said_also_with_q_and_not_beside_nothing_lost(lab: Lab, mode: str) -> None:
    lab.env["FAKE_MODE"] = mode
    # The one that dies does so right away: the command must live to see it.
    done = lab.run("trace", "-q", "-o", "q.dat", "sh", "-c", "sleep 0.5; exit 3")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("kfgraph: q.dat: the recording is partial: ")
    done = lab.run("trace", "sh", "-c", "sleep 0.5")
    assert "nothing lost" not in done.stderr
    assert done.stderr.count("the recording is partial: ") == 1


def test_a_file_without_data_is_made_again_from_the_parts(lab: Lab) -> None:
    lab.env["FAKE_MODE"] = "hollow"
    done = lab.run("trace", "true")
    assert done.returncode == 0
    assert "the recording is partial: trace-cmd's file lacks data: " in done.stderr
    assert lab.recorder_lines()[-1][0] == "restore"
    assert (lab.work / "trace.dat").read_bytes() == lab.trace.read_bytes()
    assert "lacks data" in companion(lab).partial
    assert sorted(p.name for p in lab.work.iterdir()) == ["trace.dat", "trace.dat.kfgraph.json"]


@pytest.mark.parametrize(("entries", "read"), [(0, 0), (3, 0), (0, 3)])
def test_an_empty_file_is_right_only_where_no_cpu_saw_an_event(lab: Lab, entries: int, read: int) -> None:
    lab.trace = lab.folder / "empty.dat"
    lab.trace.write_bytes(trace_dat(Kernel(), [Cpu(Kernel(), 0)], symbols={TEXT: ("T", "_stext", "")}))
    for cpu, counts in enumerate(((0, 0), (entries, read))):
        (lab.fs.root / f"per_cpu/cpu{cpu}/stats").write_text(
            f"entries: {counts[0]}\noverrun: 0\ncommit overrun: 0\ndropped events: 0\nread events: {counts[1]}\n"
        )
    done = lab.run("trace", "-q", "true")
    if entries + read == 0:
        assert (done.returncode, companion(lab).partial) == (0, "")
        assert (lab.work / "trace.dat").read_bytes() == lab.trace.read_bytes()
        return
    assert done.returncode == 125 and not (lab.work / "trace.dat").exists()
    said = "no trace could be made of the recording: trace-cmd's file lacks data: no CPU has data in it"
    assert done.stderr.startswith(f"kfgraph: {said}\n")


@pytest.mark.parametrize("mode", ["full", "hollow full"])
def test_where_no_trace_can_be_made_the_parts_are_kept(lab: Lab, mode: str) -> None:
    lab.env["FAKE_MODE"] = mode
    before = lab.snapshot()
    done = lab.run("trace", "-q", "true")
    assert done.returncode == 125
    said, hint = done.stderr.splitlines()
    why = "the disk is full (" if mode == "full" else "trace-cmd's file lacks data: "
    assert said.startswith(f"kfgraph: no trace could be made of the recording: {why}")
    (folder,) = lab.work.iterdir()
    # The hint can be typed.
    words = shlex.split(hint.partition("more room: ")[2])
    assert words[:4] == ["trace-cmd", "restore", "-o", "trace.dat"]
    (part,) = words[4:]
    assert Path(part).read_bytes() == b"events"
    assert Path(part).is_relative_to(folder)
    assert before.differences(lab.snapshot()) == []


@pytest.mark.parametrize("saved", [True, False])
def test_what_was_recorded_when_both_were_killed_is_saved_or_kept(lab: Lab, saved: bool) -> None:
    process = lab.start("trace", "-q", "sleep", "60")
    note = {}

    def has_recorder() -> bool:
        path = lab.state / "session.json"
        note.update(json.loads(path.read_text()) if path.exists() else {})
        return bool(note.get("recorder"))

    lab.until(has_recorder)
    lab.until_recording()
    folder = Path(note["folder"])
    lab.until(lambda: (folder / "trace.dat.cpu0").exists() and (folder / "trace.dat.cpu0").stat().st_size > 0)
    os.kill(note["recorder"]["pid"], signal.SIGSTOP)  # it is not to end the recording by itself
    process.kill()
    process.wait()
    os.kill(note["recorder"]["pid"], signal.SIGKILL)
    lab.until(lambda: not Path(f"/proc/{note['recorder']['pid']}").exists())
    lab.env["FAKE_MODE"] = "" if saved else "restore full"
    done = lab.run("trace", "-q", "-o", "next.dat", "true") if saved else lab.run("doctor", "--fix")
    if saved:
        assert f"its recording, perhaps incomplete, is in {folder}/trace.dat" in done.stderr
        assert (folder / "trace.dat").read_bytes() == lab.trace.read_bytes()
    else:
        assert f"what it had recorded is in {folder}; to make a trace of it: trace-cmd restore" in done.stderr
        assert (folder / "trace.dat.cpu0").read_bytes() == b"events"


def test_what_a_killed_run_left_is_cleared_by_the_next(lab: Lab) -> None:
    before = lab.snapshot()
    process = lab.start("trace", "-q", "sleep", "60")
    lab.until_recording()
    note = {}

    def has_recorder() -> bool:
        note.update(json.loads((lab.state / "session.json").read_text()))
        return note["recorder"] is not None

    lab.until(has_recorder)
    process.kill()
    process.wait()
    # The recorder ends by itself (PR_SET_PDEATHSIG); what it does not put back stays.
    lab.until(lambda: not Path(f"/proc/{note['recorder']['pid']}").exists())
    assert "options/function-fork" in before.differences(lab.snapshot())
    done = lab.run("trace", "-o", "next.dat", "true")
    assert done.returncode == 0
    assert "put back what a killed run" in done.stderr
    assert before.differences(lab.snapshot()) == []
    assert not (lab.state / "session.json").exists()


def test_two_at_once(lab: Lab) -> None:
    first = lab.start("trace", "-q", "sh", "-c", "while ! [ -e go ]; do sleep 0.05; done")
    lab.until_recording()
    second = lab.run("trace", "-q", "-o", "second.dat", "true")
    assert second.returncode == 125
    assert f"in use by kfgraph, pid {first.pid}: sh -c" in second.stderr
    (lab.work / "go").touch()
    assert first.wait(20) == 0
    assert [p.name for p in lab.work.glob("second*")] == []


def test_recorder_is_out_of_reach_of_the_terminal(lab: Lab) -> None:
    process = lab.start("trace", "-q", "sleep", "60")
    lab.until_recording()
    lab.until(lambda: json.loads((lab.state / "session.json").read_text())["recorder"] is not None)
    recorder = json.loads((lab.state / "session.json").read_text())["recorder"]["pid"]
    assert os.getsid(recorder) == recorder
    assert os.getpgid(recorder) != os.getpgid(process.pid)
    command = int(lab.fs.read("set_ftrace_pid"))
    assert os.getpgid(command) == os.getpgid(process.pid)
    os.kill(command, signal.SIGTERM)
    assert process.wait(20) == 143


def test_another_users_kfgraph_holds_the_tracer(lab: Lab) -> None:
    # Its notes are elsewhere; the tracer is the same.
    with (lab.fs.root / "current_tracer").open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        done = lab.run("trace", "touch", "ran")
    assert done.returncode == 125
    assert done.stderr.splitlines()[0] == "kfgraph: the tracer is in use by another user's kfgraph"
    assert list(lab.work.iterdir()) == []
    assert lab.run("trace", "-q", "true").returncode == 0


def test_what_a_killed_run_left_is_not_cleared_while_another_user_records(lab: Lab) -> None:
    process = lab.start("trace", "-q", "--min-duration", "5us", "sleep", "60")
    lab.until_recording()
    process.kill()
    process.wait()
    with (lab.fs.root / "current_tracer").open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        done = lab.run("trace", "true")
        assert (done.returncode, lab.fs.read("tracing_thresh")) == (125, "5")
        assert "in use by another user's kfgraph" in done.stderr
    assert lab.run("trace", "-q", "true").returncode == 0
    assert lab.fs.read("tracing_thresh") == "0"


def test_events_that_are_gone_keep_nothing_else_from_being_put_back(lab: Lab) -> None:
    before = lab.snapshot()
    done = lab.run("trace", "-q", "--min-duration", "5us", "rm", "-r", str(lab.fs.root / "events"))
    assert (done.returncode, done.stderr) == (0, "")
    assert before.differences(lab.snapshot()) == []


def test_a_place_that_cannot_be_looked_at_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = output.OutputFile(str(tmp_path / "trace.dat"))
    target.temporary.write_bytes(b"whole")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(output, "_refuse_to_overwrite", refuse)
    with pytest.raises(CaptureError, match="cannot look at what is at") as problem:
        target.commit(Companion())
    target.discard()
    assert Path(problem.value.hint.removeprefix("the recording is in ")).read_bytes() == b"whole"


def test_without_ptrace_the_command_still_runs(lab: Lab, program: object) -> None:
    assert callable(program)
    strace = program("strace", "strace")
    # A process that is traced itself cannot let itself be traced by another.
    argv = [strace, "-f", "-qq", "-e", "trace=none", "-o", "/dev/null", sys.executable, "-c"]
    code = (
        "import os, time; from kfgraph.capture.child import *\n"
        "c = Child(Command('/bin/sh', ('sh', '-c', 'exit 5'), dict(os.environ)), signal_mask=set())\n"
        "print(c.held_in_exec); c.release()\n"
        "while (s := c.poll()) is None: time.sleep(.01)\n"
        "print(s)"
    )
    done = subprocess.run([*argv, code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "5"], done.stderr


def test_summary(lab: Lab) -> None:
    stats = lab.fs.root / "per_cpu/cpu1/stats"
    stats.write_text("entries: 50\noverrun: 100\ncommit overrun: 0\ndropped events: 0\nread events: 50\n")
    done = lab.run("trace", "-o", "my trace.dat", "false")
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith('kfgraph: openat("/nonexistent") = -ENOENT, first returned by atomic_open')
    assert lines[1].strip() == "__x64_sys_openat → do_sys_openat2 → do_file_open → path_openat → atomic_open"
    assert lines[2].startswith("kfgraph: my trace.dat: ")
    assert "  false exited with 1" in lines
    assert "  CPU 1 lost 100 events, 50% of what happened there" in lines
    assert lines[-3] == "    kfgraph why 'my trace.dat'"
    assert lines[-2].startswith("    kfgraph show 'my trace.dat'")
    assert lines[-1] == "    kfgraph top 'my trace.dat'"


def test_no_why_leaves_the_answer_out(lab: Lab) -> None:
    done = lab.run("trace", "--no-why", "-o", "t.dat", "false")
    assert done.returncode == 1 and done.stderr.startswith("kfgraph: t.dat: ") and "kfgraph why" not in done.stderr
    # A command that succeeded has nothing to explain.
    assert "first returned" not in lab.run("trace", "-o", "t.dat", "true").stderr


def test_advice_against_loss_is_a_line_to_type(lab: Lab) -> None:
    stats = lab.fs.root / "per_cpu/cpu0/stats"
    stats.write_text("entries: 0\noverrun: 900000\ncommit overrun: 0\ndropped events: 0\nread events: 100000\n")
    done = lab.run("trace", "--buffer", "4M", "--", "cat", "/dev/null")
    said = [line.removeprefix("  against it: ") for line in done.stderr.splitlines() if "against it:" in line]
    # A million records of at most 40 bytes are 38.1 MiB. But 4 MiB held a tenth of them.
    assert said[0] == "kfgraph trace --buffer 40M -- cat /dev/null"
    assert all(line.startswith("kfgraph trace --buffer 4M --") for line in said[1:])
    assert all(line.endswith(" -- cat /dev/null") for line in said)
    assert lab.run(*shlex.split(said[0])[1:3], *shlex.split(said[0])[3:]).returncode == 0
    assert lab.recorder_lines()[-1][lab.recorder_lines()[-1].index("-b") + 1] == str(40 * 1024)


def test_a_dry_run_names_the_pids_that_are_known(lab: Lab) -> None:
    done = lab.run("trace", "--dry-run", "-p", str(os.getpid()))
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout)
    assert str(os.getpid()) in words[words.index("-P") + 1].split(",")
    done = lab.run("trace", "--dry-run", "true")
    assert " -P PID " in done.stdout
    assert lab.recorder_lines() == []


def test_progress_is_for_a_terminal(lab: Lab) -> None:
    ours, theirs = os.openpty()
    try:
        process = lab.start("trace", "--progress", "sh", "-c", "sleep 1.2", stderr=theirs)
        assert process.wait(30) == 0
        said = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "recording, 0 s" in said or "recording, 1 s" in said
    assert "30 events" in said  # two CPUs with 15 each
    assert "trace.dat" in said.rpartition("\r\x1b[K")[2].splitlines()[0]


@pytest.mark.parametrize(("output", "rows"), [("no end", ["no end"]), ("an end\\n", ["an end"]), ("", [])])
def test_the_line_leaves_the_output_of_the_command_alone(lab: Lab, output: str, rows: list[str]) -> None:
    lab.env["FAKE_MODE"] = "slow"
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 40, 0, 0))
    try:
        process = lab.start("trace", "printf", output, stdout=theirs, stderr=theirs)
        assert process.wait(30) == 0
        said = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "switching the tracer on" in said and "finishing the file" in said
    screen = Screen(40)
    screen.feed(said)
    assert screen.lines[: len(rows)] == rows
    assert screen.lines[len(rows)].startswith("kfgraph: trace.dat: ")


def test_no_progress_while_the_command_has_the_terminal(lab: Lab) -> None:
    ours, theirs = os.openpty()
    try:
        assert lab.start("trace", "-q", "sh", "-c", "sleep 1.2", stderr=theirs).wait(30) == 0
        os.write(theirs, b"end")
        assert os.read(ours, 65536) == b"end"
    finally:
        os.close(ours)
        os.close(theirs)
