"""What may happen to kfgraph itself while a command runs: signals of all kinds, and nobody who reads."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from kfgraph.capture import signals

from .conftest import Lab, end
from .test_trace_run import companion

pytestmark = pytest.mark.timeout(100)


def ignoring(*numbers: signal.Signals) -> dict[str, object]:
    """Keywords for a process that is started to ignore signals."""
    return {"preexec_fn": lambda: [signal.signal(number, signal.SIG_IGN) for number in numbers]}


def signals_in(status: str, field: str) -> set[int]:
    """The signals in ``SigIgn`` or ``SigBlk`` of a /proc/PID/status."""
    (line,) = (line for line in status.splitlines() if line.startswith(field))
    value = int(line.split()[1], 16)
    return {number for number in range(1, 32) if value >> (number - 1) & 1}


KEYS = (signal.SIGINT, signal.SIGQUIT)


def test_a_wait_that_is_interrupted_past_its_deadline_brings_no_signal() -> None:
    # A Ctrl-Z and fg do that.
    reached, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        os.write(ready, b".")
        os._exit(signals.take({signal.SIGINT}, 0.3) is not None)
    os.read(reached, 1)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.6)
    os.kill(pid, signal.SIGCONT)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_was_held_back_is_taken_once() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    try:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
        assert signals.take({signal.SIGUSR1}) is None
        assert signals.take({signal.SIGUSR1, signal.SIGUSR2}, 5) == signals.Received(signal.SIGUSR2, from_kernel=False)
        assert signals.take({signal.SIGUSR1, signal.SIGUSR2}) is None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize("attached", [False, True])
def test_stopped_and_continued_it_goes_on(lab: Lab, attached: bool) -> None:
    other = subprocess.Popen(["sleep", "60"])
    command = ("-p", str(other.pid)) if attached else ("sh", "-c", "while ! [ -e go ]; do sleep 0.05; done; exit 6")
    process = lab.start("trace", *command)
    try:
        lab.until_recording()
        time.sleep(0.3)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)  # longer than the longest wait
        process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        assert process.poll() is None
        (lab.work / "go").touch()
        if attached:
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == (0 if attached else 6), said
        assert companion(lab).partial == ""
    finally:
        end(other)
        end(process)


def test_what_nohup_has_it_ignore_is_ignored(lab: Lab) -> None:
    script = "while ! [ -e go ]; do sleep 0.05; done; exit 4"
    process = lab.start("trace", "-q", "sh", "-c", script, **ignoring(signal.SIGHUP))
    lab.until_recording()
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    (lab.work / "go").touch()
    assert process.wait(20) == 4
    assert companion(lab).exit_status == 4


def test_in_the_background_of_a_script_the_keys_do_nothing(lab: Lab) -> None:
    """``kfgraph trace ... &`` in a script: the shell has SIGINT and SIGQUIT ignored, and so has what kfgraph runs."""
    script = "cp /proc/self/status status; touch ready; while ! [ -e go ]; do sleep 0.05; done; exit 4"
    process = lab.start("trace", "-q", "sh", "-c", script, **ignoring(*KEYS))
    try:
        lab.until((lab.work / "ready").exists)
        own = Path(f"/proc/{process.pid}/status").read_text()
        assert signals_in(own, "SigIgn") >= set(KEYS) and not signals_in(own, "SigBlk") & set(KEYS)
        # What the command got: these two, and nothing else that Python ignores for itself.
        assert signals_in((lab.work / "status").read_text(), "SigIgn") == set(KEYS)
        assert signals_in((lab.work / "status").read_text(), "SigBlk") == set()
        for number in KEYS * 2:
            process.send_signal(number)
            time.sleep(0.1)
        assert process.poll() is None
        (lab.work / "go").touch()
        assert process.wait(20) == 4
    finally:
        end(process)
    assert companion(lab).exit_status == 4 and companion(lab).partial == ""
    assert (lab.work / "trace.dat").read_bytes() == lab.trace.read_bytes()
    assert lab.fs.current_tracer == "nop"


def test_what_ignores_the_keys_is_ended_by_sigterm(lab: Lab) -> None:
    process = lab.start("trace", "-q", "sleep", "60", **ignoring(*KEYS))
    try:
        lab.until_recording()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    finally:
        end(process)
    assert companion(lab).exit_status == 128 + signal.SIGTERM


def test_a_parent_that_ignores_its_children_loses_no_status(lab: Lab) -> None:
    done = lab.run("trace", "-q", "sh", "-c", "exit 3", **ignoring(signal.SIGCHLD))
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_stopped_before_the_command_ran(lab: Lab, number: signal.Signals) -> None:
    lab.env["FAKE_MODE"] = "slow"
    before = lab.snapshot()
    process = lab.start("trace", "touch", "ran")
    lab.until(lab.log.exists)
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert list(lab.work.iterdir()) == []
    assert before.differences(lab.snapshot()) == []


def lease(lab: Lab) -> int:
    """A command whose exec hangs until the file descriptor is closed (or 45 s are over)."""
    command = lab.work / "command"
    command.write_text("#!/bin/sh\nexit 8\n")
    command.chmod(0o755)
    handle = os.open(command, os.O_RDONLY)  # open for writing, it could not be executed
    fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    return handle


def test_an_exec_that_hangs_can_be_interrupted(lab: Lab) -> None:
    old = signal.signal(signal.SIGIO, lambda *_: None)  # the lease's holder is told
    handle = lease(lab)
    process = lab.start("trace", "./command")
    try:
        lab.until_recording()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "./command was killed by SIGINT" in said
        assert (lab.work / "trace.dat").read_bytes() == lab.trace.read_bytes()
        assert lab.fs.current_tracer == "nop"
    finally:
        os.close(handle)
        signal.signal(signal.SIGIO, old)
        end(process)


def test_a_duration_ends_the_recording_of_an_exec_that_hangs(lab: Lab) -> None:
    old = signal.signal(signal.SIGIO, lambda *_: None)
    handle = lease(lab)
    process = lab.start("trace", "-q", "--duration", "0.3", "./command")
    try:
        lab.until((lab.work / "trace.dat").exists)
        assert process.poll() is None
        assert lab.run("trace", "-q", "-o", "other.dat", "true").returncode == 0  # the tracer is free
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        os.close(handle)
        handle = -1
        assert process.wait(20) == 8
    finally:
        if handle >= 0:
            os.close(handle)
        signal.signal(signal.SIGIO, old)
        end(process)


def test_two_interrupts_and_a_command_that_ends_all_the_same(lab: Lab) -> None:
    script = "trap 'sleep 0.3; exit 7' INT; touch ready; while :; do sleep 0.05; done"
    lab.env["FAKE_MODE"] = "late"
    process = lab.start("trace", "sh", "-c", script)
    lab.until((lab.work / "ready").exists)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 7, said
    assert "still runs" not in said and "sh exited with 7" in said
    assert companion(lab).exit_status == 7


def test_who_waits_for_the_command_is_killed(lab: Lab) -> None:
    done = lab.run("trace", "sh", "-c", "kill -KILL $PPID; sleep 0.2; touch ran")
    assert done.returncode == 125
    assert "the recording is partial: the process that waited for the command was killed" in done.stderr
    assert "exited with" not in done.stderr and "still runs" not in done.stderr
    assert companion(lab).exit_status is None
    lab.until((lab.work / "ran").exists)


def reader_gone() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("stream", [reader_gone, full])
@pytest.mark.parametrize("options", [(), ("-q",)])
def test_nobody_reads_what_kfgraph_says(lab: Lab, stream: object, options: tuple[str, ...]) -> None:
    assert callable(stream)
    stderr = stream()
    lab.env["FAKE_MODE"] = "dies"  # so that there is something to say with -q
    process = lab.start("trace", *options, "sh", "-c", "sleep 0.5; exit 3", stderr=stderr)
    os.close(stderr)
    assert process.wait(30) == 3
    assert (lab.work / "trace.dat").exists()


def test_nobody_reads_why_it_failed(lab: Lab) -> None:
    stderr = reader_gone()
    lab.env["FAKE_MODE"] = "refuses"
    process = lab.start("trace", "true", stderr=stderr)
    os.close(stderr)
    assert process.wait(30) == 125


def test_standard_error_is_closed(lab: Lab) -> None:
    process = lab.start("trace", "sh", "-c", "exit 3", preexec_fn=lambda: os.close(2))
    assert process.wait(30) == 3
    assert (lab.work / "trace.dat").exists()


def test_what_went_wrong_is_said_with_q_too(lab: Lab) -> None:
    stats = lab.fs.root / "per_cpu/cpu1/stats"
    stats.write_text("entries: 50\noverrun: 1234\ncommit overrun: 0\ndropped events: 0\nread events: 50\n")
    done = lab.run("trace", "-q", "rm", str(lab.fs.root / "max_graph_depth"))
    assert done.stderr.splitlines() == [
        "kfgraph: trace.dat: 1,234 events lost: kfgraph info shows where, and what helps",
        "kfgraph: trace.dat: could not be put back in the tracer: max_graph_depth",
    ]


def test_what_the_command_wrote_is_not_overwritten(lab: Lab) -> None:
    done = lab.run("trace", "-q", "-o", "out.txt", "sh", "-c", "echo precious > out.txt")
    assert done.returncode == 125
    assert (lab.work / "out.txt").read_text() == "precious\n"
    said, hint = done.stderr.splitlines()
    assert said == "kfgraph: out.txt exists and is not a trace"
    kept = hint.removeprefix("  hint: the recording is in ")
    assert Path(kept).read_bytes() == lab.trace.read_bytes()
