"""One recording from start to finish: hold the command, arm the tracer, release, wait, put all back."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import replace

from kfgraph import __version__
from kfgraph.capture import prepare, signals, tracefs
from kfgraph.capture import probes as return_probes
from kfgraph.capture import session as sessions
from kfgraph.capture.child import KEYS, Child, KeeperKilled, SignalMask
from kfgraph.capture.output import OutputFile
from kfgraph.capture.plan import CaptureOptions, CapturePlan
from kfgraph.capture.processes import living
from kfgraph.capture.recorder import (
    Recorder,
    by_hand,
    find_recorder,
    holds_data,
    parts_of,
    salvage,
)
from kfgraph.capture.recording import Progress, Recording, Tell, Watcher, unheard
from kfgraph.capture.session import Session
from kfgraph.capture.stats import CpuStats, read_stats
from kfgraph.capture.tracefs import Snapshot, Tracefs
from kfgraph.capture.verify import verify
from kfgraph.errors import CaptureError, Interrupted
from kfgraph.model.companion import Companion

_ASKING = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP}
_PATIENCE_S = 5.0  # how long a command may take to end after a SIGTERM
_ATTACH_POLL_S = 0.2
_PROGRESS_S = 0.5
_FINISH_POLL_S = 0.05
_SETTLED_S = 1.0
_LOOK_S = 2.0  # between two looks at the recorder's processes
_FOR_EVER_S = 86_400.0
_LEAST_FREE_BYTES = 64 * 1024


def record(
    options: CaptureOptions,
    *,
    fs: Tracefs,
    watcher: Watcher | None = None,
    tell: Tell = unheard,
) -> Recording:
    """Record with this kernel, and leave the tracer as it was found.

    ``tell`` takes sentences that the user needs whatever comes after: what was done about a killed run, and after a
    failure what could not be put back.

    Raises:
        CaptureError: it could not be recorded, or not so with this kernel; its subclasses: the command cannot be run.
        MachineError: trace-cmd is missing, or the kernel has no function_graph.
        Interrupted: before the command was released.
    """
    prepare.check_permission(fs)
    return carry_out(prepare.make_plan(options, fs=fs), fs=fs, watcher=watcher, tell=tell)


def carry_out(
    plan: CapturePlan,
    *,
    fs: Tracefs,
    watcher: Watcher | None = None,
    tell: Tell = unheard,
) -> Recording:
    """Record by this plan, as :func:`record`."""
    with contextlib.ExitStack() as stack:
        held_back = signals.heeded(_ASKING) | {signal.SIGCHLD}
        mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, held_back))
        stack.callback(_unblock, held_back, mask)
        return _Capture(plan, fs, watcher, tell, held_back, mask).run(stack)


def _unblock(held_back: frozenset[signal.Signals], mask: SignalMask) -> None:
    while signals.take(held_back) is not None:
        pass  # meant for the recording, which is over
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _Capture:
    def __init__(
        self,
        plan: CapturePlan,
        fs: Tracefs,
        watcher: Watcher | None,
        tell: Tell,
        held_back: frozenset[signal.Signals],
        mask: SignalMask,
    ) -> None:
        self.plan = plan
        self.options = plan.options
        self.held_back = held_back
        self.fs = fs
        self.watcher = watcher
        self.tell = tell
        self.mask = mask
        self.child: Child | None = None
        self.exit_status: int | None = None
        self.status_unknown = False
        self.interrupted_by = 0
        self.partial = ""
        self.n_interrupts = 0
        self.give_up_at = float("inf")
        self.last_progress = 0.0
        self.settled_at = float("inf")
        self.stage = "arming"

    def run(self, stack: contextlib.ExitStack) -> Recording:
        options, fs = self.options, self.fs
        program = find_recorder()
        self.output = OutputFile(options.output, force=options.force)
        stack.callback(self.output.discard)
        for sentence in sessions.restore_leftovers():
            self.tell(sentence)
        argv = options.command.argv if options.command else ("-p", ",".join(map(str, options.pids)))
        session = Session(fs, argv=argv, folder=self.output.temporary.parent)
        stack.callback(self._end_early, session)
        tracefs.check_usable(fs)
        pids = options.pids
        if options.command:
            self.child = Child(options.command, signal_mask=self.mask)
            stack.callback(self._abandon)
            pids = (self.child.pid,)
        self._set_aside(session.begin())
        self._apply_settings()
        self._set_probes()
        line = self.plan.argv(recorder=program, pids=pids, output=str(self.output.temporary))
        self.begin = time.monotonic()
        self.recorder = Recorder(line, output=self.output.temporary, signal_mask=self.mask)
        stack.callback(self.recorder.kill)
        session.note_recorder(self.recorder.pid, instances=self.plan.instances)
        self.recorder.wait_ready(fs, pids=pids, look_up=self._look_up)
        self.stage, self.begin = "recording", time.monotonic()
        if self.child:
            if self.watcher:
                self.watcher.hand_over(self._companion(line, pids))
            self.child.release()
        self._wait(options.duration_s)
        recorded_s = time.monotonic() - self.begin
        with contextlib.suppress(OSError):
            fs.write("tracing_on", "0")  # what is counted from here on is all there is
        stats = read_stats(fs)
        self._finish(program, stats)
        missed = return_probes.with_misses(fs, self.plan.probes.probes)
        self.plan = replace(self.plan, probes=replace(self.plan.probes, probes=missed))
        runs = self.child is not None and not self._ended()
        session.end()
        stack.pop_all()  # from here on nothing is to be undone but the signal mask
        stack.callback(_unblock, self.held_back, self.mask)
        companion = self._companion(line, pids)
        n_bytes = self.output.temporary.stat().st_size
        self.output.commit(companion)
        if runs and not self.interrupted_by:
            runs = not self._wait_untraced()
        return Recording(
            path=self.output.path,
            n_bytes=n_bytes,
            exit_status=self.exit_status,
            interrupted_by=self.interrupted_by,
            still_runs=self.child.pid if self.child and runs else 0,
            status_unknown=self.status_unknown,
            recorded_s=recorded_s,
            stats=stats,
            partial=self.partial,
            companion=companion,
            not_restored=tuple(session.failed),
            killed_by=self.child.killed_by if self.child else 0,
            warnings=self.plan.warnings,
            n_unprobed=self.plan.probes.n_cut,
            buffer_kb=self.plan.buffer_kb,
            most_buffer_kb=self.plan.most_buffer_kb,
        )

    def _set_aside(self, found: Snapshot) -> None:
        """Clear what was set before and would restrict the recording; the session puts it back."""
        writes = tracefs.neutral(self.fs, found, events=self.plan.events)
        for name, value in writes.items():
            try:
                self.fs.write(name, value)
            except OSError as problem:
                message = f"{name} is set, which restricts the recording, and cannot be cleared: {problem.strerror}"
                raise CaptureError(message) from problem
        warnings = [
            f"set_ftrace_filter has {entry}: that may end the recording early" for entry in tracefs.stoppers(found)
        ]
        if writes:
            names = ", ".join(sorted(writes))
            warnings.append(f"set aside while this was recorded, for it would have restricted it: {names}")
        self.plan = replace(self.plan, warnings=(*self.plan.warnings, *warnings))

    def _apply_settings(self) -> None:
        for name, value in self.plan.settings.items():
            try:
                self.fs.write(name, value)
            except OSError as problem:
                raise CaptureError(f"the kernel refused {value} for {name}: {problem.strerror}") from problem

    def _set_probes(self) -> None:
        plan, wanted = self.plan, self.plan.probes
        done, refused = return_probes.install(self.fs, wanted.probes)
        notes = [*plan.notes, *refused.values()]
        if done:
            left_out = ", ".join(wanted.notrace)
            notes.append(f"not traced, for the return probes would fill the trace with them: {left_out}")
        self.plan = replace(
            plan,
            probes=replace(wanted, probes=done),
            probes_set=bool(done),
            notes=tuple(notes),
            warnings=(*plan.warnings, *(why for function, why in refused.items() if function in wanted.asked)),
        )

    def _end_early(self, session: Session) -> None:
        session.end()
        for name in session.failed:
            self.tell(f"could not be put back in the tracer: {name}")

    def _abandon(self) -> None:
        # Only on the way out of a failure. A command that was released goes on without us.
        if self.child and self.stage == "arming":
            self.child.abandon()

    def _look_up(self) -> None:
        self._report(time.monotonic())
        got = signals.take(self.held_back - {signal.SIGCHLD})
        if got is not None:
            raise Interrupted(got.number)

    # While it records

    def _wait(self, duration_s: float | None) -> None:
        """Return when the recording is to end: the command ended, its time is over, or a signal said so."""
        until = self.begin + duration_s if duration_s is not None else float("inf")
        self.settled_at = self.begin + _SETTLED_S
        while True:
            if self.child:
                if self._ended():
                    return
            elif not any(living(self.options.pids)):
                return
            if not self.recorder.running and not self.partial:
                self._lost_recorder()
                if not self.child:
                    return
            now = time.monotonic()
            if now >= until or (now >= self.give_up_at and self.interrupted_by):
                return
            self._report(now)
            self.recorder.look_at_readers()
            if now >= self.settled_at:
                # There is nothing to see yet. But now is the time to import what verifying takes.
                verify(self.output.temporary)
                self.settled_at = float("inf")
            if self._signalled(self._next_wake(now, until)):
                return

    def _ended(self) -> bool:
        """Has the command ended, or is that not to be known any more?"""
        assert self.child
        if self.exit_status is None and not self.status_unknown:
            try:
                self.exit_status = self.child.poll()
            except KeeperKilled as problem:
                self.status_unknown = True
                self.partial = self.partial or problem.message
        return self.exit_status is not None or self.status_unknown

    def _next_wake(self, now: float, until: float) -> float:
        limits = [_LOOK_S, until - now, self.give_up_at - now, self.settled_at - now]
        if self.watcher and self.watcher.while_recording:
            limits.append(_PROGRESS_S)
        if not self.child:
            limits.append(_ATTACH_POLL_S)
        return max(0.0, min(limits))

    def _signalled(self, timeout_s: float) -> bool:
        """Wait for a signal and hand it on; True if the recording is to end now."""
        got = signals.take(self.held_back, timeout_s)
        if got is None or got.number == signal.SIGCHLD:
            return False
        number = got.number
        if not self.child:
            self.interrupted_by = 0 if number in KEYS else number
            return True
        self.n_interrupts += 1
        if self.n_interrupts > 1:
            self.interrupted_by = number
            return True
        if not got.from_kernel:
            self.child.signal(number)
        if number not in KEYS:  # of which the command may have its own idea
            self.interrupted_by = number
            self.give_up_at = time.monotonic() + _PATIENCE_S
        return False

    def _lost_recorder(self) -> None:
        self.partial = self.recorder.failure or "trace-cmd ended before the command did"
        with contextlib.suppress(OSError):
            self.fs.write("tracing_on", "0")
        self.recorder.kill()

    def _report(self, now: float) -> None:
        if self.watcher is None or self.watcher.show is None or now - self.last_progress < _PROGRESS_S:
            return
        if self.stage != "recording" or self.watcher.while_recording:
            self.last_progress = now
            self.watcher.show(Progress(self.stage, now - self.begin, self.output.size, read_stats(self.fs)))

    # After it

    def _finish(self, program: str, stats: tuple[CpuStats, ...]) -> None:
        """End the recorder; afterwards the temporary file is a trace.

        Raises:
            CaptureError: nothing could be saved.
        """
        self.stage = "finishing"
        n_interrupts = 0
        off = False

        def wait() -> None:
            nonlocal n_interrupts, off
            self._report(time.monotonic())
            off = off or self._switch_off()
            got = signals.take(self.held_back, _PROGRESS_S if off else _FINISH_POLL_S)
            n_interrupts += got is not None and got.number != signal.SIGCHLD
            if n_interrupts > 1:
                self.recorder.kill()

        if self.recorder.running:
            self.recorder.look_at_readers()
            self.recorder.stop(wait=wait)
        # It may say that all went well and leave a file without data: when the disk is full, for one.
        found = verify(self.output.temporary)
        right = not found.lacks or (found.empty and not any(cpu.n_events for cpu in stats))
        lacks = "" if right else f"trace-cmd's file lacks data: {found.lacks}"
        reason = self.partial or self.recorder.failure or self.recorder.lost_readers or lacks
        if not reason:
            return
        hint = "the command has run, and there is nothing of it to keep: record it again"
        if self.output.free_bytes() < _LEAST_FREE_BYTES or "No space left" in reason:
            reason = f"the disk is full ({self.output.path.parent}): {reason}"
            hint = "-o FILE writes somewhere else"
        self.recorder.kill()
        self.partial = reason
        if salvage(program, self.output.temporary).usable:
            return
        if holds_data(parts_of(self.output.temporary)):
            self.output.keep()
            hint = f"what was recorded is kept; in a folder with more room: {by_hand(self.output.temporary)}"
        raise CaptureError(f"no trace could be made of the recording: {reason}", hint=hint)

    def _switch_off(self) -> bool:
        """Take the tracer off the kernel's functions as soon as that costs no data; True once it is off.

        trace-cmd does so at its very end, and before it reads all the kernel's symbols, twice: the kernel does that
        far faster untraced. A new tracer empties the buffers and zeroes their counters, so not before the file
        itself is there: that comes after the last page and the counters were read. Until then the kernel refuses, too.
        """
        if not self.output.temporary.exists():
            return False
        try:
            self.fs.write("current_tracer", "nop")
        except OSError:
            return False
        return True

    def _wait_untraced(self) -> bool:
        """Until the command has ended; False if a signal says that nobody is to wait for it."""
        while not self._ended():
            if self._signalled(_FOR_EVER_S):
                return False
        return True

    def _companion(self, line: list[str], pids: tuple[int, ...]) -> Companion:
        plan, options = self.plan, self.options
        return Companion(
            kfgraph_version=__version__,
            argv=options.command.argv if options.command else (),
            trace_cmd=tuple(line),
            options=options.given,
            kernel=os.uname().release,
            pids=pids,
            follow=options.follow,
            exit_status=self.exit_status,
            partial=self.partial,
            probes=plan.probes.probes,
            modules=plan.modules,
            notes=plan.notes,
        )
