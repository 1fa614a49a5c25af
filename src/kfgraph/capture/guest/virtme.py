"""A throwaway virtual machine: one command in a distribution kernel, on this machine's own files.

virtme-ng boots an image with the host's root as its root, read-only, and memory above it for what
the guest writes. One folder is shared both ways (see :mod:`kfgraph.capture.guest.agent`). Whatever
happens inside, the host's files stay as they are and the machine is gone afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from kfgraph.capture.guest import agent
from kfgraph.capture.guest.dmesg import console_lines, find_trouble
from kfgraph.capture.guest.machine import Machine, find_machine
from kfgraph.errors import CaptureError, MachineError
from kfgraph.kernel.images import KernelImage

SHARE = Path("/run/kfgraph")
"""Where the guest sees the shared folder."""

# A guest that has not started its command by then never will.
BOOT_LIMIT_S = {"kvm": 60.0, "tcg": 180.0}
# Under a KVM that works the kernel speaks within a second.
_SILENT_KVM_S = 15.0
_POLL_S = 0.1

@dataclass(frozen=True)
class GuestResult:
    """How a guest ended.

    ``end``: "done" (``status`` is the command's: 0..255, 128+n), "timeout" (killed after its limit),
    "boot" (it never came to the command) or "died" (the kernel panicked or the machine was killed).
    ``console`` are the kernel's lines, ``trouble`` those from the first oops, panic or out-of-memory
    line on. ``boot_s`` is the time until the command started, None if it did not. ``stage`` is the last that was seen.
    """

    end: str
    status: int | None
    console: tuple[str, ...]
    trouble: tuple[str, ...]
    image: KernelImage
    machine: Machine
    boot_s: float | None
    seconds: float
    stage: str = ""


def vng_argv(machine: Machine, image: KernelImage, share: Path, *, stubs: Path) -> list[str]:
    """The command line that boots ``image`` and runs the agent on ``share``.

    udev's cold plug loads a driver for every emulated device and takes two thirds of an emulated
    boot; ``stubs`` comes first in init's PATH with an ``udevadm`` that does nothing.
    """
    path = f"{stubs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    argv = [str(machine.vng), "--run", str(image.path), "--qemu", str(machine.qemu)]
    argv += ["--user", "root", "--cwd", "/", "--cpus", str(machine.cpus), "--memory", f"{machine.memory_mib}M"]
    argv += ["--force-9p", "--verbose", f"--rwdir={SHARE}={share}"]
    # The same addresses in every boot: a second guest can name the functions that a dead one recorded.
    argv += ["--append", "nokaslr"]
    if machine.accel != "kvm":
        # Patching the kernel's functions takes an emulated CPU longer than what counts as a lockup or a stall.
        argv += ["--disable-kvm", "--append", "watchdog_thresh=60", "--append", "rcupdate.rcu_cpu_stall_timeout=120"]
    if not re.search(r"\s", str(stubs)):
        argv += ["--append", f"PATH={path}"]
    return [*argv, "--", shlex.join([sys.executable, "-I", "-S", agent.__file__, str(SHARE)])]


def boot(
    argv: Sequence[str],
    image: KernelImage,
    folder: Path,
    *,
    machine: Machine | None = None,
    files: Mapping[str, str | Path] | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    prepares: bool = False,
    timeout_s: float = 600.0,
    out: IO[bytes] | None = None,
    err: IO[bytes] | None = None,
    on_stage: Callable[[str, float], None] | None = None,
    signals: Callable[[str], Sequence[int]] | None = None,
) -> GuestResult:
    """Run ``argv`` as root inside a guest; returns when the guest is gone.

    Args:
        argv: the command and its arguments, as the guest sees the files.
        image: the kernel.
        folder: an empty folder of the host; the guest sees ``folder/share`` as :data:`SHARE` and can write
            there. ``folder/console`` keeps the kernel's messages.
        machine: default :func:`find_machine`.
        files: what lies in the shared folder at the start: name -> text, or a file that is moved there.
        cwd: the command's directory (default: this process's).
        env: the command's environment (default: this process's).
        prepares: the command writes ``stage`` itself when it is "running"; till then it is "preparing".
        timeout_s: the guest is killed after this many seconds, boot included.
        out, err: the command's output is copied there while it runs.
        on_stage: called often with "booting", "preparing", "running" or "done", and the seconds so far.
        signals: called often with the stage; returns signals to hand on to the command.

    Raises:
        MachineError: the image cannot be booted here, or QEMU or virtme-ng is missing.
        CaptureError: vng could not be started.
    """
    obstacles = image.obstacles()
    if obstacles:
        raise MachineError(f"{image.path} cannot be used as a guest: {obstacles[0][0]}", hint=obstacles[0][1])
    machine = machine or find_machine()
    begin = time.monotonic()
    job = {"argv": list(argv), "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env)}
    given = {**(files or {}), "job.json": json.dumps({**job, "prepares": prepares}), "alive": "0"}
    watch = _Watch(folder, begin, timeout_s, out, err, on_stage, signals)
    end = _run(machine, image, folder, given, watch)
    if end == "silent":
        machine = replace(machine, accel="tcg", cpus=1)
        shutil.rmtree(folder / "share")
        end = _run(machine, image, folder, given, watch)
    lines = console_lines(folder / "console")
    status = _status(folder / "share")
    return GuestResult(
        end="done" if status is not None else end,
        status=status,
        console=lines,
        trouble=find_trouble(lines),
        image=image,
        machine=machine,
        boot_s=watch.boot_s,
        seconds=time.monotonic() - begin,
        stage=watch.stage,
    )


def _run(machine: Machine, image: KernelImage, folder: Path, files: Mapping[str, str | Path], watch: _Watch) -> str:
    """Start the virtual machine and watch it to its end."""
    share = folder / "share"
    share.mkdir(parents=True)
    for name, content in files.items():
        if isinstance(content, Path):
            content.replace(share / name)
        else:
            (share / name).write_text(content)
    with contextlib.ExitStack() as stack:
        command = vng_argv(machine, image, share.resolve(), stubs=_make_stubs(folder))
        console = stack.enter_context((folder / "console").open("wb"))
        # vng runs virtme-run by name: its own folder must be in PATH.
        search = f"{machine.vng.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "PATH": search},
                start_new_session=True,
            )
        except OSError as problem:
            raise CaptureError(f"cannot start {machine.vng}: {problem.strerror}") from problem
        stack.callback(_kill, process)
        return watch.until_gone(process, machine)


def _make_stubs(folder: Path) -> Path:
    stubs = folder / "stubs"
    stubs.mkdir(exist_ok=True)
    (stubs / "udevadm").write_text("#!/bin/sh\nexit 0\n")
    (stubs / "udevadm").chmod(0o755)
    return stubs.resolve()


class _Watch:
    """The host's side of one guest: copies output, hands on signals, keeps the time limit."""

    def __init__(
        self,
        folder: Path,
        begin: float,
        timeout_s: float,
        out: IO[bytes] | None,
        err: IO[bytes] | None,
        on_stage: Callable[[str, float], None] | None,
        signals: Callable[[str], Sequence[int]] | None,
    ) -> None:
        self.boot_s: float | None = None
        self.stage = "booting"
        self._folder = folder
        self._share = folder / "share"
        self._begin = begin
        self._timeout_s = timeout_s
        self._copies = [_Copy(self._share / "stdout", out), _Copy(self._share / "stderr", err)]
        self._on_stage = on_stage
        self._signals = signals
        self._n_signals = 0

    def until_gone(self, process: subprocess.Popen[bytes], machine: Machine) -> str:
        """Wait for the guest: "silent" (KVM that runs nothing), "boot", "timeout", or "died" (the caller looks for
        a status first).
        """
        started, n_polls = time.monotonic(), 0
        self.stage = "booting"
        while process.poll() is None:
            now = time.monotonic()
            if self.stage != "done":
                self.stage = self._read_stage() or self.stage
            if self.stage != "booting" and self.boot_s is None:
                self.boot_s = now - self._begin
            if self._on_stage is not None:
                self._on_stage(self.stage, now - self._begin)
            self._work(self.stage, n_polls)
            if now - self._begin > self._timeout_s:
                return "timeout"
            if self.stage == "booting":
                if now - started > BOOT_LIMIT_S[machine.accel]:
                    return "boot"
                if machine.accel == "kvm" and now - started > _SILENT_KVM_S and not self._spoke():
                    return "silent"
            n_polls += 1
            time.sleep(_POLL_S)
        for copy in self._copies:
            copy.more()
        self.stage = self._read_stage() or self.stage  # written just before its end
        if self.stage != "booting":
            return "died"
        return "silent" if machine.accel == "kvm" and not self._spoke() else "boot"

    def _read_stage(self) -> str:
        return read_shared(self._share / "stage").decode("ascii", "replace")

    def _spoke(self) -> bool:
        return b"Linux version" in (self._folder / "console").read_bytes()

    def _work(self, stage: str, n_polls: int) -> None:
        for copy in self._copies:
            copy.more()
        if n_polls % 10 == 0:
            _write_shared(self._share / "alive", str(n_polls))
        for number in self._signals(stage) if self._signals else ():
            self._n_signals += 1
            _write_shared(self._share / "signal.new", str(number))
            (self._share / "signal.new").rename(self._share / f"signal.{self._n_signals}")


class _Copy:
    """Copies what a growing file of the shared folder gains to a stream."""

    def __init__(self, source: Path, target: IO[bytes] | None) -> None:
        self._source = source
        self._target = target
        self._position = 0

    def more(self) -> None:
        if self._target is None:
            return
        data = read_shared(self._source, offset=self._position)
        if data:
            self._position += len(data)
            self._target.write(data)
            self._target.flush()


def read_shared(path: Path, *, offset: int = 0) -> bytes:
    """What a file of the shared folder holds from ``offset`` on; nothing if there is none.

    The guest's root owns that folder: a link or a pipe that it put there is not followed.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return b""
        file.seek(offset)
        return file.read()


def _write_shared(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError), os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(text)


def _status(share: Path) -> int | None:
    text = read_shared(share / "status").decode("ascii", "replace")
    return int(text) if text.isdigit() else None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End vng and the QEMU it started (its own session): asked first, killed after two seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(2.0)
            if number == signal.SIGKILL:
                return
        except subprocess.TimeoutExpired:
            continue
