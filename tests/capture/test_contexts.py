"""What a recording is carried out by undoes, on the way out, what it did."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from kfgraph.capture import session, signals
from kfgraph.capture.child import Child, Command, held
from kfgraph.capture.output import OutputFile
from kfgraph.capture.processes import living
from kfgraph.capture.recorder import Recorder
from kfgraph.capture.session import Session
from kfgraph.errors import CaptureError
from kfgraph.model.companion import Companion

from .conftest import make_tracefs


class Trouble(Exception):
    """Whatever goes wrong inside."""


def ends(pid: int) -> bool:
    """It ends within some seconds; who waits for it may be another process."""
    until = time.monotonic() + 10
    while any(living([pid])) and time.monotonic() < until:
        time.sleep(0.01)
    return not any(living([pid]))


@pytest.mark.parametrize("trouble", [True, False])
def test_a_recorder_is_killed_by_an_exception_only(tmp_path: Path, trouble: bool) -> None:
    recorder = Recorder(["sleep", "60"], output=tmp_path / "trace.dat", signal_mask=set())
    try:
        with recorder:
            if trouble:
                raise Trouble
    except Trouble:
        pass
    assert recorder.running == (not trouble)
    recorder.kill()
    assert ends(recorder.pid)


def test_a_command_that_was_not_released_is_killed(tmp_path: Path) -> None:
    command = Command("/bin/touch", ("touch", str(tmp_path / "ran")), dict(os.environ))
    with held(command, signal_mask=set()) as child:
        assert child is not None and any(living([child.pid]))
    assert ends(child.pid)
    assert not (tmp_path / "ran").exists()


def test_a_command_that_was_released_goes_on(tmp_path: Path) -> None:
    words = ("sh", "-c", f"sleep 0.3; touch {tmp_path}/ran")
    try:
        with held(Command("/bin/sh", words, dict(os.environ)), signal_mask=set()) as child:
            assert child is not None
            child.release()
            raise Trouble
    except Trouble:
        pass
    assert isinstance(child, Child)
    while (status := child.poll()) is None:
        pass
    assert (status, (tmp_path / "ran").exists()) == (0, True)


def test_without_a_command_there_is_no_child() -> None:
    with held(None, signal_mask=set()) as child:
        assert child is None


def test_a_file_that_is_not_in_place_is_removed_and_one_that_is_stays(tmp_path: Path) -> None:
    with OutputFile(str(tmp_path / "trace.dat")) as output:
        output.temporary.write_bytes(b"half")
        assert list(tmp_path.iterdir()) == [output.folder]
    assert list(tmp_path.iterdir()) == []
    with OutputFile(str(tmp_path / "trace.dat")) as output:
        output.temporary.write_bytes(b"whole")
        output.commit(Companion())
    assert (tmp_path / "trace.dat").read_bytes() == b"whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trace.dat", "trace.dat.kfgraph.json"]


def test_a_recording_that_could_not_be_put_in_place_is_not_thrown_away(tmp_path: Path) -> None:
    output = OutputFile(str(tmp_path / "trace.dat"))
    with pytest.raises(CaptureError, match="it is a directory") as problem, output:
        output.temporary.write_bytes(b"whole")
        (tmp_path / "trace.dat").mkdir()
        output.commit(Companion())
    assert problem.value.hint == f"the recording is in {output.temporary}"
    assert output.temporary.read_bytes() == b"whole"


def test_nor_where_a_bug_is_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trouble(*_: object) -> None:
        raise Trouble

    monkeypatch.setattr(Companion, "to_dict", trouble)
    output = OutputFile(str(tmp_path / "trace.dat"))
    with pytest.raises(Trouble), output:
        output.temporary.write_bytes(b"whole")
        output.commit(Companion())
    assert output.temporary.read_bytes() == b"whole"


def test_a_session_puts_back_and_says_after_a_failure_what_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "state_folder", lambda: tmp_path / "state")
    fs = make_tracefs(tmp_path / "tracing")
    said: list[str] = []
    for trouble in (False, True):
        ours = Session(fs, argv=("true",), folder=tmp_path, tell=said.append)
        try:
            with ours:
                ours.begin()
                assert (tmp_path / "state" / "session.json").exists()
                fs.write("tracing_thresh", "7")
                (fs.root / "max_graph_depth").unlink()
                if trouble:
                    raise Trouble
        except Trouble:
            pass
        assert fs.read("tracing_thresh") == "0"
        assert ours.failed == ["max_graph_depth"]
        assert said == (["could not be put back in the tracer: max_graph_depth"] if trouble else [])
        (fs.root / "max_graph_depth").write_text("0\n")


def test_a_session_that_may_not_begin_keeps_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "state_folder", lambda: tmp_path / "state")
    fs = make_tracefs(tmp_path / "tracing")
    fs.write("current_tracer", "function")
    for _ in range(2):  # a lock that was kept would be told instead
        with pytest.raises(CaptureError, match="current_tracer is function"):
            Session(fs, argv=("true",), folder=tmp_path).__enter__()
    fs.write("current_tracer", "nop")
    second = Session(fs, argv=("true",), folder=tmp_path)
    with Session(fs, argv=("true",), folder=tmp_path), pytest.raises(CaptureError, match="in use by another kfgraph"):
        second.__enter__()
    with Session(fs, argv=("true",), folder=tmp_path):
        pass


def test_held_signals_are_taken_or_forgotten_and_the_mask_is_as_before() -> None:
    requests = {signal.SIGTERM, signal.SIGHUP}

    def to_us(number: int) -> None:
        # To this thread, in which it is blocked: a test runner may have others.
        signal.pthread_kill(threading.get_ident(), number)

    delivered: list[int] = []
    handlers = {number: signal.signal(number, lambda n, _: delivered.append(n)) for number in requests}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with signals.HeldSignals(requests) as held_back:
        assert held_back.mask == before
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before | {*requests, signal.SIGCHLD}
        to_us(signal.SIGTERM)
        got = held_back.take_request()
        assert got is not None and (got.number, got.is_of_child) == (signal.SIGTERM, False)
        to_us(signal.SIGCHLD)
        assert held_back.take_request() is None
        got = held_back.take()
        assert got is not None and got.is_of_child
        for number in requests:
            to_us(number)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert delivered == []
    for number, handler in handlers.items():
        signal.signal(number, handler)
