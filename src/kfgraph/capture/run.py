"""One recording from start to finish: hold the command, arm the tracer, release, wait, put all back."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace

from kfgraph import __version__
from kfgraph.capture import prepare
from kfgraph.capture.arming import arm
from kfgraph.capture.child import held
from kfgraph.capture.output import OutputFile
from kfgraph.capture.plan import CaptureOptions, CapturePlan
from kfgraph.capture.probes import with_misses
from kfgraph.capture.progress import Reporter, Tell, Watcher, unheard
from kfgraph.capture.recorder import Recorder, find_recorder
from kfgraph.capture.recording import Recording
from kfgraph.capture.salvage import by_hand, holds_data, parts_of, salvage
from kfgraph.capture.session import Session
from kfgraph.capture.signals import HeldSignals
from kfgraph.capture.stats import CpuStats, read_stats
from kfgraph.capture.supervisor import Supervisor
from kfgraph.capture.tracefs import Tracefs
from kfgraph.capture.verify import verify
from kfgraph.errors import CaptureError
from kfgraph.model.companion import Companion

_REQUESTS = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP}
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
    """Record by this plan, as :func:`record`.

    Each ``with`` undoes on the way out what it did: the recorder is killed if it was not ended, the command is killed
    if it was never released, the tracer is put back, the file is thrown away if it is not in its place, and the signals
    that came meanwhile are forgotten.
    """
    options = plan.options
    program = find_recorder()
    with (
        HeldSignals(_REQUESTS) as signals,
        OutputFile(options.output, force=options.force) as output,
    ):
        with (
            Session(fs, argv=_who(options), folder=output.folder, tell=tell) as session,
            held(options.command, signal_mask=signals.mask) as child,
        ):
            pids = (child.pid,) if child else options.pids
            plan = arm(plan, fs=fs, found=session.begin())
            line = plan.argv(recorder=program, pids=pids, output=str(output.temporary))
            reporter = Reporter(watcher, fs=fs, output=output)
            with Recorder(line, output=output.temporary, signal_mask=signals.mask) as recorder:
                session.note_recorder(recorder.pid, instances=plan.instances)
                supervisor = Supervisor(
                    child, recorder, pids=pids, fs=fs, output=output, signals=signals, reporter=reporter
                )
                recorder.wait_ready(fs, pids=pids, look_up=supervisor.look_up)
                reporter.enter("recording")
                if child:
                    reporter.hand_over(_companion(plan, line, pids))
                    child.release()
                supervisor.wait(options.duration_s)
                recorded_s = time.monotonic() - reporter.begin
                with contextlib.suppress(OSError):
                    fs.write("tracing_on", "0")  # what is counted from here on is all there is
                stats = read_stats(fs)
                supervisor.end_recorder()
                supervisor.partial = _complete(output, recorder, supervisor.partial, stats, program=program)
            plan = replace(plan, probes=replace(plan.probes, probes=with_misses(fs, plan.probes.probes)))
            runs = child is not None and not supervisor.ended()
        companion = replace(
            _companion(plan, line, pids), exit_status=supervisor.exit_status, partial=supervisor.partial
        )
        n_bytes = output.temporary.stat().st_size
        output.commit(companion)
        if runs and not supervisor.interrupted_by:
            runs = not supervisor.wait_untraced()
    return Recording(
        path=output.path,
        n_bytes=n_bytes,
        exit_status=supervisor.exit_status,
        interrupted_by=supervisor.interrupted_by,
        still_runs=child.pid if child and runs else 0,
        status_unknown=supervisor.status_unknown,
        recorded_s=recorded_s,
        stats=stats,
        partial=supervisor.partial,
        companion=companion,
        not_restored=tuple(session.failed),
        killed_by=child.killed_by if child else 0,
        warnings=plan.warnings,
        n_unprobed=plan.probes.n_cut,
        buffer_kb=plan.buffer_kb,
        most_buffer_kb=plan.most_buffer_kb,
    )


def _who(options: CaptureOptions) -> tuple[str, ...]:
    return options.command.argv if options.command else ("-p", ",".join(map(str, options.pids)))


def _companion(plan: CapturePlan, line: Sequence[str], pids: tuple[int, ...]) -> Companion:
    """What is known of the recording when it begins."""
    options = plan.options
    return Companion(
        kfgraph_version=__version__,
        argv=options.command.argv if options.command else (),
        trace_cmd=tuple(line),
        options=options.given,
        kernel=os.uname().release,
        pids=pids,
        follow=options.follow,
        probes=plan.probes.probes,
        modules=plan.modules,
        types=dict(plan.probes.types),
        notes=plan.notes,
    )


def _complete(
    output: OutputFile, recorder: Recorder, partial: str, stats: Sequence[CpuStats], *, program: str
) -> str:
    """See to it that the temporary file is a trace; why it is partial, "" if it is not. ``partial``: what is known.

    Raises:
        CaptureError: nothing could be saved.
    """
    # The recorder may say that all went well and leave a file without data: when the disk is full, for one.
    found = verify(output.temporary)
    right = not found.lacks or (found.empty and not any(cpu.n_events for cpu in stats))
    lacks = "" if right else f"trace-cmd's file lacks data: {found.lacks}"
    reason = partial or recorder.failure or recorder.lost_readers or lacks
    if not reason:
        return ""
    hint = "the command has run, and there is nothing of it to keep: record it again"
    if output.free_bytes() < _LEAST_FREE_BYTES or "No space left" in reason:
        reason = f"the disk is full ({output.path.parent}): {reason}"
        hint = "-o FILE writes somewhere else"
    recorder.kill()
    if salvage(program, output.temporary).usable:
        return reason
    if holds_data(parts_of(output.temporary)):
        output.keep()
        hint = f"what was recorded is kept; in a folder with more room: {by_hand(output.temporary)}"
    raise CaptureError(f"no trace could be made of the recording: {reason}", hint=hint)
