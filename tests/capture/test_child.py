"""The command's process by itself: what holds it, and how it is told how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kfgraph.capture.child import Child, Command, KeeperKilled
from kfgraph.errors import CaptureError, CommandNotExecutable, CommandNotFound

pytestmark = pytest.mark.timeout(60)


def held(*argv: str) -> Child:
    child = Child(Command(argv[0], argv, dict(os.environ)), signal_mask=set())
    if not child.held_in_exec:
        child.abandon()
        pytest.skip("no ptrace here: this process is traced itself, or Yama's scope is 3")
    return child


def end(child: Child) -> int:
    child.release()
    while (status := child.poll()) is None:
        time.sleep(0.01)
    return status


def memory(pid: int) -> set[str]:
    """The mappings of a process, anonymous ones too."""
    return set(Path(f"/proc/{pid}/maps").read_text().splitlines())


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@contextlib.contextmanager
def no_process_left() -> Iterator[None]:
    before = set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
    yield
    assert set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()) <= before


def test_the_held_command_shares_its_keepers_memory() -> None:
    # So the exec has none to give back: that would be thousands of calls in the recording.
    with no_process_left():
        child = held("/bin/sh", "-c", "exit 5")
        keeper = parent_of(child.pid)
        assert parent_of(keeper) == os.getpid()
        assert memory(child.pid) == memory(keeper)
        stack = Path(f"/proc/{child.pid}/status").read_text()
        assert f"TracerPid:\t{os.getpid()}\n" in stack and "State:\tt" in stack
        assert end(child) == 5
        assert child.killed_by == 0


def test_nothing_of_the_command_runs_while_it_is_held(tmp_path: Path) -> None:
    with no_process_left():
        child = held("/usr/bin/touch", str(tmp_path / "ran"))
        time.sleep(0.1)
        child.abandon()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "status", "killed_by"),
    [("kill -KILL $$", 137, signal.SIGKILL), ("kill -SEGV $$", 139, signal.SIGSEGV), ("exit 137", 137, 0)],
)
def test_a_signal_is_told_from_an_exit(script: str, status: int, killed_by: int) -> None:
    child = held("/bin/sh", "-c", script)
    assert (end(child), child.killed_by) == (status, killed_by)


@pytest.mark.parametrize(
    ("mode", "error"), [(0o644, CommandNotExecutable), (0o755, CommandNotExecutable), (None, CommandNotFound)]
)
def test_what_the_kernel_refuses_is_told(tmp_path: Path, mode: int | None, error: type[CaptureError]) -> None:
    path = tmp_path / "command"
    if mode is not None:
        path.write_bytes(b"no program\n")
        path.chmod(mode)
    with no_process_left():
        child = held(str(path))
        with pytest.raises(error):
            end(child)


def test_killed_while_it_is_held() -> None:
    with no_process_left():
        child = held("/bin/true")
        os.kill(child.pid, signal.SIGKILL)
        assert (end(child), child.killed_by) == (137, signal.SIGKILL)


def test_without_its_keeper_nobody_knows_how_it_ended(tmp_path: Path) -> None:
    with no_process_left():
        child = held("/bin/sh", "-c", f"kill -KILL $PPID; touch {tmp_path}/ran")
        with pytest.raises(KeeperKilled, match="how it ended is not known"):
            end(child)
    until = time.monotonic() + 20
    while not (tmp_path / "ran").exists():  # the command itself goes on
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_keeper_holds_nothing_open() -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    child = held("/bin/sh", "-c", "exec sleep 60")
    child.release()
    keeper = parent_of(child.pid)
    until = time.monotonic() + 20
    while len(list(Path(f"/proc/{keeper}/fd").iterdir())) != 1:
        assert time.monotonic() < until
        time.sleep(0.01)
    os.close(write)
    child.signal(signal.SIGKILL)
    assert os.read(read, 1) == b""
    os.close(read)
    while child.poll() is None:
        time.sleep(0.01)
    assert child.killed_by == signal.SIGKILL
