"""`kfgraph trace` on a real kernel when things go wrong: recorded by troubles.sh in one boot, judged here."""

from __future__ import annotations

from pathlib import Path

import pytest

from guest.recordings import companion, load, make_recordings, names, status
from kfgraph.kernel.images import KernelImage

CASES = ("interrupt", "killed", "reader", "next", "signal", "false", "large", "missing", "refused", "room", "both")
LIMIT_S = 2400

# One boot for all of them; the first test pays for it.
pytestmark = pytest.mark.timeout(LIMIT_S + 100)


@pytest.fixture(scope="module")
def share(guest_image: KernelImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recordings("troubles.sh", tmp_path_factory.mktemp("troubles"), image=guest_image, timeout_s=LIMIT_S)


@pytest.mark.parametrize("name", CASES)
def test_the_tracer_is_left_as_it_was_found(share: Path, name: str) -> None:
    assert (share / f"{name}.left").read_text() == ""


@pytest.mark.parametrize(
    ("name", "expected"), [("signal", 139), ("false", 1), ("large", 200), ("missing", 127), ("refused", 126)]
)
def test_status_is_passed_on(share: Path, name: str, expected: int) -> None:
    assert status(share, name) == expected, (share / f"{name}.err").read_text()


def test_interrupt_goes_to_the_command(share: Path) -> None:
    assert status(share, "interrupt") == 9, (share / "interrupt.err").read_text()
    assert (share / "interrupt.out").read_text() == "asked\n"
    assert names(load(share, "interrupt")).total() > 2


def test_killed_recorder_leaves_what_it_had(share: Path) -> None:
    assert status(share, "killed") == 5
    assert "the recording is partial: trace-cmd was killed by SIGKILL" in (share / "killed.err").read_text()
    assert companion(share, "killed").partial == "trace-cmd was killed by SIGKILL"
    assert names(load(share, "killed")).total() > 2


def test_a_killed_reader_of_a_cpu_is_told(share: Path) -> None:
    said = (share / "reader.err").read_text()
    assert status(share, "reader") == 6, said
    assert "the process with which trace-cmd reads the CPUs' buffers was killed during the recording" in said
    assert "the recording is partial: " in said and "nothing lost" not in said
    assert "reads the CPUs' buffers" in companion(share, "reader").partial
    assert names(load(share, "reader")).total() > 2


def test_the_second_at_once_is_told_who_holds_the_tracer(share: Path) -> None:
    assert status(share, "second") == 125
    assert "the tracer is in use by kfgraph, pid " in (share / "second.err").read_text()


def test_what_a_killed_kfgraph_left_is_cleared_by_the_next(share: Path) -> None:
    assert "tracing_thresh" in (share / "next.dirty").read_text()
    assert status(share, "next") == 0, (share / "next.err").read_text()
    assert "put back what a killed run" in (share / "next.err").read_text()


def test_a_disk_without_room_is_named_and_what_was_recorded_is_kept(share: Path) -> None:
    said, hint = (share / "room.err").read_text().splitlines()
    assert status(share, "room") == 125
    assert said.startswith("kfgraph: no trace could be made of the recording: the disk is full (/tmp/native/small): ")
    assert "No space left on device" in said
    assert hint.startswith("  hint: what was recorded is kept; in a folder with more room: trace-cmd restore -o ")
    (left,) = (share / "room.files").read_text().split()
    assert left.startswith(".kfgraph-")
    # What the hint says was typed in a folder with more room.
    assert len(load(share, "restored").calls) > 1_000


def test_what_was_recorded_before_both_were_killed_is_saved(share: Path) -> None:
    said = (share / "both.err").read_text()
    assert "put back what a killed run" in said and "its recording, perhaps incomplete, is in /tmp/native/.kf" in said
    trace = load(share, "both")
    assert len(trace.calls) > 100
    assert "vfs_open" in {trace.symbols.names[f] for f in trace.calls.func}


def test_the_advice_against_loss_works(share: Path) -> None:
    first = (share / "loss1.err").read_text()
    assert "  CPU 0 lost " in first and "nothing lost" not in first
    assert "against it: kfgraph trace " in first
    rounds = sorted(share.glob("loss?.err"))
    assert len(rounds) <= 3
    assert "nothing lost" in rounds[-1].read_text()
