"""``trace-cmd record`` as a process: started, ready, stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kfgraph.capture.child import PR_SET_PDEATHSIG, signal_name, with_sbin
from kfgraph.capture.processes import living
from kfgraph.capture.salvage import hold_parts
from kfgraph.capture.signals import SignalMask
from kfgraph.capture.tracefs import Tracefs
from kfgraph.errors import CaptureError, MachineError

PROGRAM = "trace-cmd"
_POLL_S = 0.01
_LONGEST_POLL_S = 0.25
_READY_TIMEOUT_S = 180.0
_FLUSH_S = 5.0


def find_recorder() -> str:
    """The path of trace-cmd.

    Raises:
        MachineError: it is not installed.
    """
    # sudo's PATH has the sbin folders; a plain user's may not.
    path = shutil.which(PROGRAM, path=with_sbin(os.environ.get("PATH", os.defpath)))
    if path is None:
        raise MachineError("trace-cmd is not installed", hint="sudo apt-get install trace-cmd")
    return path


class Recorder:
    """The running recorder. It has a session of its own, so no Ctrl-C of the terminal reaches it.

    A context manager: leaving it by an exception kills the recorder.
    """

    def __init__(self, argv: Sequence[str], *, output: Path, signal_mask: SignalMask) -> None:
        """Start it. It writes to ``output``; what it prints goes into a file beside that."""
        self._output = output
        self._log = output.with_name("log")
        libc = ctypes.CDLL(None)

        def prepare() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            # If kfgraph is killed, the recorder ends the recording by itself, as after a Ctrl-C.
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)

        try:
            with self._log.open("wb") as words:
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
        self._readers: frozenset[int] = frozenset()
        self._killed: frozenset[int] = frozenset()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.kill()

    @property
    def running(self) -> bool:
        """Has it not ended?"""
        return self._process.poll() is None

    def wait_ready(self, fs: Tracefs, *, pids: Sequence[int], look_up: Callable[[], None]) -> None:
        """Return when the kernel records these pids. ``look_up`` is called often, and may end the wait by raising.

        Raises:
            CaptureError: the recorder ended before that, or does not get there.
        """
        begin = time.monotonic()
        until = begin + _READY_TIMEOUT_S
        # With function-fork the kernel drops a task that ends from its list.
        while not _records(fs, set(map(str, alive := tuple(living(pids))))):
            if not alive:
                who = ", ".join(map(str, pids))
                raise CaptureError(f"pid {who} ended before anything was recorded")
            if not self.running:
                why = self.failure or f"it ended at once: {self.last_words()}"
                raise CaptureError(
                    f"could not start recording: {why}",
                    hint="kfgraph doctor checks this machine; --dry-run shows the line",
                )
            look_up()
            now = time.monotonic()
            if now > until:
                raise CaptureError("trace-cmd does not start recording", hint="kfgraph doctor checks this machine")
            # A look may cost as much as what it waits for: where there is one slow CPU, the recorder needs it.
            time.sleep(min(max(_POLL_S, 30 * (now - begin)), _LONGEST_POLL_S))
            begin = time.monotonic()
        # It starts them before it switches tracing on.
        self._readers = frozenset(_children(self.pid))

    def look_at_readers(self) -> None:
        """Note which of its processes that read a CPU's buffer each were killed.

        trace-cmd does not notice: it leaves out what that CPU recorded since, and ends with 0. It waits for them at
        its end only, so till then their status can be seen. That one is gone or has ended says nothing: trace-cmd
        ends them as soon as it sees that the command is over.
        """
        self._killed |= {pid for pid in self._readers if _was_killed(pid, parent=self.pid)}

    @property
    def lost_readers(self) -> str:
        """A sentence if ``look_at_readers`` saw that some were killed."""
        if not self._killed:
            return ""
        n, n_all = len(self._killed), len(self._readers)
        whose = "the process" if n_all == 1 else f"{n} of the {n_all} processes"
        were = "was" if n == 1 else "were"
        return f"{whose} with which trace-cmd reads the CPUs' buffers {were} killed during the recording"

    def stop(self, *, wait: Callable[[], None]) -> None:
        """End the recording and return when the file is finished; ``wait`` waits a while, or until it ends."""
        hold_parts(self._output)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)
        while self.running:
            wait()

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
            return f"trace-cmd was killed by {signal_name(-status)}"
        return f"trace-cmd failed with {status}: {self.last_words()}"

    def last_words(self) -> str:
        """The line of its output that says most about a failure."""
        return telling_line(self._log.read_text(errors="replace"))


def _children(pid: int) -> list[int]:
    # Without CONFIG_PROC_CHILDREN there is no such file, and nothing is known about them.
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _was_killed(pid: int, *, parent: int) -> bool:
    """Is ``pid`` a child of ``parent`` that a signal ended, and that is not waited for yet?"""
    try:
        # The comm in field 2 may hold spaces and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    # Fields 3, 4 and 52 of proc(5): state, parent, and the status as waitpid(2) has it.
    return fields[0] == b"Z" and int(fields[1]) == parent and bool(int(fields[49]) & 0x7F)


def telling_line(output: str) -> str:
    """Of what trace-cmd printed, what says most about a failure.

    After an option it does not know come two screens of usage. Its own complaint is the system's reason on one line
    and what it was about on the next.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    for sign in (r"\S+: .*(unrecognized|invalid|ambiguous|requires an argument)", r"trace-cmd: "):
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if re.match(sign, line):
                about = f" ({after.strip()})" if after.startswith("  ") else ""
                return f"{line.partition(': ')[2].strip()}{about}"
    telling = [line.strip() for line in lines if not re.match(r"\s*(plugin '|CPU\d+ data|\d+ bytes|Hit Ctrl)", line)]
    return telling[-1] if telling else "it said nothing"


def _records(fs: Tracefs, pids: set[str]) -> bool:
    # trace-cmd switches tracing_on last, and off first: it must be read last.
    return pids <= set(fs.read("set_ftrace_pid").split()) and fs.current_tracer == "function_graph" and fs.tracing_on
