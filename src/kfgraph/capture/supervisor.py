"""What kfgraph does while others work: it waits for the command and the recorder, hands on signals, shows progress."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from kfgraph.capture.child import KEYS, Child, KeeperKilled
from kfgraph.capture.output import OutputFile
from kfgraph.capture.processes import living
from kfgraph.capture.progress import PROGRESS_S, Reporter
from kfgraph.capture.recorder import Recorder
from kfgraph.capture.signals import HeldSignals
from kfgraph.capture.tracefs import Tracefs
from kfgraph.capture.verify import verify
from kfgraph.errors import Interrupted

_PATIENCE_S = 5.0  # how long a command may take to end after a SIGTERM
_ATTACH_POLL_S = 0.2
_SETTLED_S = 1.0
_LOOK_S = 2.0  # between two looks at the recorder's processes
_FOR_EVER_S = 86_400.0
_NEVER_CALLED = ("kernel_restart", "orderly_poweroff")
"""Functions that every kernel can trace (kernel/reboot.c), and that run when no recording does."""


class Supervisor:
    """Of a command (``child``), or of the running processes ``pids``, and of their recorder.

    ``exit_status`` is the command's, None as long as it runs, or for ever if nobody knows how it ended
    (``status_unknown``). ``interrupted_by`` is the signal that ended the recording, 0 if none did. ``partial`` says why
    the recording is not complete; "" if it is.
    """

    def __init__(
        self,
        child: Child | None,
        recorder: Recorder,
        *,
        pids: Sequence[int],
        fs: Tracefs,
        output: OutputFile,
        signals: HeldSignals,
        reporter: Reporter,
    ) -> None:
        self.exit_status: int | None = None
        self.status_unknown = False
        self.interrupted_by = 0
        self.partial = ""
        self._child = child
        self._recorder = recorder
        self._pids = pids
        self._fs = fs
        self._output = output
        self._signals = signals
        self._reporter = reporter
        self._n_interrupts = 0
        self._give_up_at = float("inf")
        self._settled_at = float("inf")

    def look_up(self) -> None:
        """While the recorder starts.

        Raises:
            Interrupted: a signal asked to stop.
        """
        self._reporter.report()
        got = self._signals.take_request()
        if got is not None:
            raise Interrupted(got.number)

    def wait(self, duration_s: float | None) -> None:
        """Return when the recording is to end: the command ended, its time is over, or a signal said so."""
        begin = self._reporter.begin
        until = begin + duration_s if duration_s is not None else float("inf")
        self._settled_at = begin + _SETTLED_S
        while True:
            if self._child:
                if self.ended():
                    return
            elif not any(living(self._pids)):
                return
            if not self._recorder.running and not self.partial:
                self._lost_recorder()
                if not self._child:
                    return
            now = time.monotonic()
            if now >= until or (now >= self._give_up_at and self.interrupted_by):
                return
            self._reporter.report()
            self._recorder.look_at_readers()
            if now >= self._settled_at:
                # There is nothing to see yet. But now is the time to import what verifying takes.
                verify(self._output.temporary)
                self._settled_at = float("inf")
            if self._signalled(self._next_wake(now, until)):
                return

    def ended(self) -> bool:
        """Has the command ended, or is that not to be known any more?"""
        assert self._child
        if self.exit_status is None and not self.status_unknown:
            try:
                self.exit_status = self._child.poll()
            except KeeperKilled as problem:
                self.status_unknown = True
                self.partial = self.partial or problem.message
        return self.exit_status is not None or self.status_unknown

    def _next_wake(self, now: float, until: float) -> float:
        limits = [_LOOK_S, until - now, self._give_up_at - now, self._settled_at - now]
        if self._reporter.while_recording:
            limits.append(PROGRESS_S)
        if not self._child:
            limits.append(_ATTACH_POLL_S)
        return max(0.0, min(limits))

    def _signalled(self, timeout_s: float) -> bool:
        """Wait for a signal and hand it on; True if the recording is to end now."""
        got = self._signals.take(timeout_s)
        if got is None or got.is_of_child:
            return False
        number = got.number
        if not self._child:
            self.interrupted_by = 0 if number in KEYS else number
            return True
        self._n_interrupts += 1
        if self._n_interrupts > 1:
            self.interrupted_by = number
            return True
        if not got.from_kernel:
            self._child.signal(number)
        if number not in KEYS:  # of which the command may have its own idea
            self.interrupted_by = number
            self._give_up_at = time.monotonic() + _PATIENCE_S
        return False

    def _lost_recorder(self) -> None:
        self.partial = self._recorder.failure or "trace-cmd ended before the command did"
        with contextlib.suppress(OSError):
            self._fs.write("tracing_on", "0")
        self._recorder.kill()

    def end_recorder(self) -> None:
        """Have it finish its file, and wait for that. A second signal meanwhile kills it."""
        self._reporter.enter("finishing")
        if not self._recorder.running:
            return
        n_interrupts = 0

        def wait() -> None:
            nonlocal n_interrupts
            self._reporter.report()
            got = self._signals.take(PROGRESS_S)
            n_interrupts += got is not None and not got.is_of_child
            if n_interrupts > 1:
                self._recorder.kill()

        self._recorder.look_at_readers()
        self._take_off()
        self._recorder.stop(wait=wait)

    def _take_off(self) -> None:
        """Take the tracer off the kernel's functions, for all is recorded.

        trace-cmd does so at its very end, and before it reads all the kernel's symbols, twice: the kernel does that
        far faster untraced. Another tracer would do it too, but empty the buffers, and trace-cmd (3.4) writes the
        kernel's types into the file only if it still finds the graph tracer with its arguments.
        """
        for function in _NEVER_CALLED:
            with contextlib.suppress(OSError):
                # Appended: what is refused changes nothing. To a filter that names functions it adds one.
                self._fs.append("set_ftrace_filter", function)
                return

    def wait_untraced(self) -> bool:
        """Until the command has ended; False if a signal says that nobody is to wait for it."""
        while not self.ended():
            if self._signalled(_FOR_EVER_S):
                return False
        return True
