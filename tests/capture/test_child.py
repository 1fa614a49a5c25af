"""The command's process by itself: what holds it, and how it is told how it ended."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kfgraph.capture.child import Child, Command, KeeperKilled
from kfgraph.errors import CaptureError, CommandNotExecutable, CommandNotFound

pytestmark = pytest.mark.timeout(60)


def held(*argv: str, own_group: bool = False) -> Child:
    child = Child(Command(argv[0], argv, dict(os.environ), own_group=own_group), signal_mask=set())
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_a_keys_signal_goes_to_all_of_a_group_of_its_own(tmp_path: Path, number: int) -> None:
    # As from a terminal. SIGTERM, which no key sends, goes to the command alone.
    inner, ready, got = (tmp_path / name for name in ("inner", "ready", "got"))
    trap = "INT QUIT TERM"
    inner.write_text(f"trap 'echo > {got}; exit' {trap}; echo > {ready}; while :; do sleep 0.05; done\n")
    child = held("/bin/sh", "-c", f"trap : {trap}; sh {inner}; exit 5", own_group=True)
    assert os.getpgid(child.pid) == child.pid
    child.release()
    try:
        while not ready.exists():
            time.sleep(0.01)
        child.signal(number)
        if number == signal.SIGTERM:
            time.sleep(0.3)
            assert (child.poll(), got.exists()) == (None, False)
        else:
            while (status := child.poll()) is None:
                time.sleep(0.01)
            assert (status, got.exists()) == (5, True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


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


def test_killed_keeper_of_a_command_that_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    go_to = Child._go_to

    def and_then_it_dies(self: Child, request: int, there: Callable[[int], bool]) -> None:
        go_to(self, request, there)
        if not killed:
            os.kill(self._keeper, signal.SIGKILL)
            os.waitid(os.P_PID, self._keeper, os.WEXITED | os.WNOWAIT)
            monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(pid))
            killed.append(self._keeper)

    monkeypatch.setattr(Child, "_go_to", and_then_it_dies)
    with pytest.raises(CaptureError, match="killed before it was started"):
        Child(Command("/bin/true", ("true",), {}), signal_mask=set())
    assert 0 not in killed  # that would be this whole process group


@pytest.mark.parametrize("step", ["_hold", "_at_exec", "release"])
def test_killed_kfgraph_leaves_no_command(tmp_path: Path, step: str) -> None:
    code = (
        "import os, signal\n"
        "from kfgraph.capture.child import Child, Command\n"
        "def die(self):\n"
        "    if self.pid == self._keeper: os.waitpid(self.pid, os.WUNTRACED)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"Child.{step} = die\n"
        f"Child(Command('/bin/touch', ('touch', '{tmp_path}/ran'), {{}}), signal_mask=set()).release()\n"
    )
    reader, writer = os.pipe()
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, timeout=50, check=False)
    os.close(writer)
    assert done.returncode == -signal.SIGKILL
    assert os.read(reader, 1) == b""  # nobody is left who has the other end
    os.close(reader)
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_became_another_users_is_not_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    child = held("/bin/true")

    def refuse(pid: int, number: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", refuse)
        child.signal(signal.SIGTERM)
    assert end(child) == 0


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
