"""``trace-cmd record`` as a process: started, ready, stopped, and saved from when it was killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kfgraph.capture.child import SignalMask
from kfgraph.capture.output import MAGIC, OutputFile
from kfgraph.capture.tracefs import Tracefs
from kfgraph.errors import CaptureError, MachineError

PROGRAM = "trace-cmd"
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.01
_READY_TIMEOUT_S = 180.0
_FLUSH_S = 5.0


def find_recorder() -> str:
    """The path of trace-cmd.

    Raises:
        MachineError: it is not installed.
    """
    # sudo's PATH has the sbin folders; a plain user's may not.
    path = shutil.which(PROGRAM, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        raise MachineError("trace-cmd is not installed", hint="sudo apt-get install trace-cmd")
    return path


class Recorder:
    """The running recorder. It has a session of its own, so no Ctrl-C of the terminal reaches it."""

    def __init__(self, argv: Sequence[str], *, log: Path, signal_mask: SignalMask) -> None:
        """Start it. What it prints goes to ``log``."""
        self.argv = tuple(argv)
        self._log = log
        libc = ctypes.CDLL(None)

        def prepare() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            # If kfgraph is killed, the recorder ends the recording by itself, as after a Ctrl-C.
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)

        try:
            with log.open("wb") as words:
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=words,
                    stderr=words,
                    start_new_session=True,
                    preexec_fn=prepare,
                )
        except OSError as problem:
            raise CaptureError(f"cannot start {argv[0]}: {problem.strerror}") from problem
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        """Has it not ended?"""
        return self._process.poll() is None

    def wait_ready(self, fs: Tracefs, *, pids: Sequence[int], interrupted: Callable[[], bool]) -> None:
        """Return when the kernel records these pids.

        Raises:
            CaptureError: the recorder ended before that, or does not get there.
            KeyboardInterrupt: ``interrupted()``.
        """
        until = time.monotonic() + _READY_TIMEOUT_S
        while not _records(fs, {str(pid) for pid in pids}):
            if not self.running:
                raise CaptureError(
                    f"trace-cmd could not start recording: {self.last_words()}", hint=shlex.join(self.argv)
                )
            if interrupted():
                raise KeyboardInterrupt
            if time.monotonic() > until:
                raise CaptureError("trace-cmd does not start recording", hint="kfgraph doctor checks this machine")
            time.sleep(_POLL_S)

    def stop(self, *, tick: Callable[[], None]) -> None:
        """End the recording and wait until the file is finished; ``tick`` is called meanwhile."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)
        while self.running:
            tick()
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """Be rid of it and of its helpers, one for each CPU; they may write down what they have before."""
        # SIGUSR1 is how trace-cmd tells them to end; the rest of its group it ends at once.
        for number, patience_s in ((signal.SIGUSR1, _FLUSH_S), (signal.SIGKILL, 1.0)):
            until = time.monotonic() + patience_s
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
                while time.monotonic() < until:
                    self._process.poll()
                    os.killpg(self.pid, 0)
                    time.sleep(_POLL_S)
        self._process.wait()

    @property
    def failure(self) -> str:
        """Why it ended otherwise than by its own end of a recording; "" if it did not."""
        status = self._process.poll()
        if status is None or status == 0:
            return ""
        if status < 0:
            return f"trace-cmd was killed by {signal.Signals(-status).name}"
        return f"trace-cmd failed: {self.last_words()}"

    def last_words(self) -> str:
        """The line of its output that says most about a failure."""
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if not re.match(r"plugin '|CPU\d+ data|\d+ bytes|Hit Ctrl", line)]
        return telling[-1] if telling else "it said nothing"


def _records(fs: Tracefs, pids: set[str]) -> bool:
    # trace-cmd switches tracing_on last, and off first: it must be read last.
    return pids <= set(fs.read("set_ftrace_pid").split()) and fs.current_tracer == "function_graph" and fs.tracing_on


def salvage(recorder: str, output: OutputFile) -> bool:
    """Make a trace of the per-CPU files of a recorder that was killed; True if there is one now.

    The kernel's event formats and symbols, which trace-cmd writes at the end, are those of this
    machine still.
    """
    if whole(output.temporary):
        return True
    # Empty ones too: trace-cmd counts the CPUs by the order of their files.
    parts = output.parts
    if not any(part.stat().st_size for part in parts):
        return False
    subprocess.run(
        [recorder, "restore", "-o", str(output.temporary), *map(str, parts)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return whole(output.temporary)


def whole(path: Path) -> bool:
    """Is there a trace file with something in it?"""
    with contextlib.suppress(OSError), path.open("rb") as handle:
        return handle.read(len(MAGIC)) == MAGIC
    return False
