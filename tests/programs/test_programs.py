"""Programs that are run for what they print: bounded in time and bytes, and gone afterwards with their children."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from builder.tables import call, trace_of
from builder.tracedat import dat_of
from kfgraph.capture import doctor, loads
from kfgraph.capture.guest import kvm
from kfgraph.parse import rawreport
from kfgraph.programs import Bounds, Overrun, Program, bounds_for, run
from running import kfgraph

QUICK = Bounds(seconds=1.0, n_bytes=1 << 20, silent_s=0.5)


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def gone(pid_file: Path) -> bool:
    """Whether the process whose number is in the file has ended (a zombie that nobody reaps here has)."""
    pid = int(pid_file.read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_what_a_program_prints_and_how_it_ends() -> None:
    done = run(sh("printf 'out\\377'; printf err >&2; exit 3"), QUICK)
    assert (done.status, done.out, done.complaint, done.text) == (3, b"out\xff", b"err", "out\\xff")
    assert run(sh("echo a; echo b >&2; echo c"), QUICK, together=True).out == b"a\nb\nc\n"
    assert run(sh("kill -9 $$"), QUICK).status == -9
    assert run(["cat"], QUICK, stdin=b"quit\n").out == b"quit\n"
    assert run(["cat"], QUICK).out == b""
    assert run(sh("echo $X"), QUICK, env={"X": "y"}).out == b"y\n"
    assert run(sh("exec >&- 2>&-; sleep 0.2; exit 4"), QUICK).status == 4, "its end counts, not its silence"


def test_as_much_as_it_may_print_is_all_there() -> None:
    bounds = Bounds(seconds=20, n_bytes=1 << 20)
    assert len(run(sh("head -c 1048576 /dev/zero"), bounds).out) == 1 << 20
    with pytest.raises(Overrun, match="sh printed more than 1 MiB"):
        run(sh("head -c 1048577 /dev/zero"), bounds)


ENDLESS = {
    "prints for ever": ("yes", "printed more than 1 MiB"),
    "prints a gigabyte": ("head -c 1000000000 /dev/zero", "printed more than 1 MiB"),
    "sleeps for ever": ("sleep 1000", r"did not end in \d s"),
    "ignores SIGTERM": ("trap '' TERM INT HUP; while :; do sleep 0.1; done", r"did not end in \d s"),
    "trickles": ("while :; do echo x; sleep 0.05; done", r"did not end in \d s"),
    "complains for ever": ("yes >&2", "complained without an end"),
    "closes its output and stays": ("exec >&- 2>&-; sleep 1000", r"did not end in \d s"),
}


@pytest.mark.parametrize("script, why", ENDLESS.values(), ids=ENDLESS)
def test_what_does_not_end_is_ended_with_its_children(script, why, tmp_path) -> None:
    child = tmp_path / "child"
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Overrun, match=why):
        run(sh(f"sleep 1000 & echo $! > {child}; {script}"), QUICK)
    assert time.monotonic() - begin < 8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, "KiB"
    assert gone(child)


def test_a_child_that_keeps_the_pipe_is_not_waited_for(tmp_path) -> None:
    begin = time.monotonic()
    child = tmp_path / "child"
    done = run(sh(f"sleep 1000 & echo $! > {child}; echo done; exit 7"), Bounds(seconds=60, n_bytes=100))
    assert (done.status, done.out) == (7, b"done\n") and time.monotonic() - begin < 10
    assert gone(child)


def test_one_that_is_not_read_to_its_end_is_ended(tmp_path) -> None:
    child = tmp_path / "child"
    with Program(sh(f"echo $$ > {child}; yes"), Bounds(seconds=60, n_bytes=1 << 30)) as program:
        next(program.chunks())
    assert gone(child)


def test_the_time_that_we_take_is_not_its_silence() -> None:
    with Program(sh("echo a; sleep 0.3; echo b"), Bounds(seconds=60, n_bytes=100, silent_s=1.0)) as program:
        pieces = []
        for piece in program.chunks():
            pieces.append(piece)
            time.sleep(1.2)
    assert b"".join(pieces) == b"a\nb\n"


def test_bounds_grow_with_the_file(tmp_path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    small = bounds_for(path)
    assert (small.seconds, small.n_bytes, small.silent_s) == (20, 64 << 20, 10)
    os.truncate(path, 1 << 30)
    assert bounds_for(path).seconds > 15_000 and bounds_for(path).n_bytes > 400 << 30


# Where they are used.


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """``fake(name, script)``: a program of that name before all others."""
    folder = tmp_path / "fakes"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make


LINE = "insmod-1 [000] .... 1.000000001: funcgraph_entry: func=0xffffffff81000100 depth=0"
READERS = {
    "dump for ever": f'case "$1" in dump) yes "{LINE}";; esac',
    "report for ever": f'case "$1" in report) yes "{LINE}";; esac',
    "report of rubbish": 'case "$1" in report) cat /dev/zero;; esac',
    "report sleeps": 'case "$1" in report) sleep 1000;; esac',
    "dump sleeps": "trap '' TERM; sleep 1000",
    "complaints": 'case "$1" in report) yes >&2;; esac',
}


@pytest.mark.parametrize("script", READERS.values(), ids=READERS)
def test_a_trace_cmd_that_does_not_end_is_bad_input(script, fake, tmp_path, monkeypatch) -> None:
    path = tmp_path / "t.dat"
    path.write_bytes(dat_of(trace_of([call("f", 1_000)])))
    fake("trace-cmd", script)
    monkeypatch.setattr(rawreport, "bounds_for", lambda _: Bounds(seconds=20, n_bytes=8 << 20, silent_s=1))
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, out, err = kfgraph("show", "--reader", "report", str(path))
    assert (code, out) == (5, "") and time.monotonic() - begin < 20
    assert err.startswith(f"kfgraph: {path}: trace-cmd cannot read this file: trace-cmd ") and err.count("\n") == 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10, "KiB"


def test_with_its_usual_bounds_too(fake, tmp_path) -> None:
    path = tmp_path / "t.dat"
    path.write_bytes(dat_of(trace_of([call("f", 1_000)])))
    fake("trace-cmd", "yes")
    begin = time.monotonic()
    code, _, err = kfgraph("info", "--reader", "report", str(path))
    assert code == 5 and "printed more than 16 MiB" in err and time.monotonic() - begin < 20


@pytest.mark.parametrize("script", ["yes", "trap '' TERM; sleep 1000 & sleep 1000"], ids=["prints", "sleeps"])
def test_short_commands_of_capture_are_bounded(script, fake, monkeypatch) -> None:
    fake("modprobe", script)
    fake("qemu", script)
    quick = Bounds(seconds=0.5, n_bytes=1 << 20)
    monkeypatch.setattr(doctor, "_SHORT", quick)
    monkeypatch.setattr(loads, "_PATIENCE", quick)
    begin = time.monotonic()
    assert doctor._run(["modprobe"]) == ""
    assert loads.modprobe_depends(["ext4"]) == ""
    why, _ = kvm._try(Path("qemu"), "tcg", limit_s=0.5)
    assert why == "nothing ran in 0.5 s"
    assert time.monotonic() - begin < 10
