"""Behind ``kfgraph trace``: from its options to a recording, and from the recording to its last lines."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kfgraph.capture.child import Command, find_command, find_user, signal_name, with_sbin
from kfgraph.capture.plan import CaptureOptions, parse_size_kb
from kfgraph.capture.prepare import make_plan
from kfgraph.capture.probes import definition
from kfgraph.capture.processes import tasks_of
from kfgraph.capture.progress import Progress, Watcher
from kfgraph.capture.recorder import PROGRAM
from kfgraph.capture.recording import Recording
from kfgraph.capture.run import record
from kfgraph.capture.tracefs import neutral, take_snapshot
from kfgraph.cli import checking, invocation
from kfgraph.cli.guest_choice import GuestChoice
from kfgraph.cli.liveline import LiveLine
from kfgraph.cli.messages import say
from kfgraph.errors import CaptureError, KfgraphError, MachineError, UsageError
from kfgraph.model.spelling import shell_word, spelt_out_lines
from kfgraph.model.units import parse_ns, plural

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace


@contextlib.contextmanager
def own_failures() -> Iterator[None]:
    """What the system refuses kfgraph itself is told from what the command ends with."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as problem:
        if invocation.current().debug:
            raise
        here = "the current directory" if isinstance(problem, FileNotFoundError) else ""
        what = (problem.filename or here, problem.strerror or str(problem))
        raise CaptureError(": ".join(filter(None, what))) from None


def capture_options(
    *,
    roots: Sequence[str] | None,
    excludes: Sequence[str] | None,
    only: Sequence[str] | None,
    events: Sequence[str] | None,
    modules: Sequence[str] | None,
    returns: Sequence[str] | None,
    no_returns: bool,
    min_duration: str | None,
    buffer: str | None,
    extra: str,
    max_depth: int,
    duration_s: float | None,
    **plain: Any,
) -> CaptureOptions:
    """What to record and how, as values.

    Raises:
        UsageError: a size, a time or a number that is none.
    """
    try:
        buffer_kb = None if buffer is None else parse_size_kb(buffer)
        min_ns = 0 if min_duration is None else parse_ns(min_duration, default_unit="us")
        words = tuple(shlex.split(extra))
    except ValueError as problem:
        raise UsageError(str(problem), hint="kfgraph trace --help") from None
    if min_duration is not None and (min_ns < 1_000 or min_ns % 1_000):
        hint = f"--min-duration {max(1, -(-min_ns // 1_000))}us"
        raise UsageError(f"--min-duration {min_duration}: the kernel's threshold is in whole microseconds", hint=hint)
    if duration_s is not None and not duration_s > 0:
        raise UsageError("--duration: more than 0 seconds", hint="kfgraph trace --help")
    if returns and no_returns:
        raise UsageError("--returns and --no-returns exclude each other", hint="kfgraph trace --help")
    if max_depth < 0:
        raise UsageError("--max-depth: 0 is no limit", hint="kfgraph trace --help")
    return CaptureOptions(
        roots=tuple(roots or ()),
        excludes=tuple(excludes or ()),
        only=tuple(only or ()),
        events=tuple(events or ()),
        modules=tuple(os.path.abspath(m) for m in modules or ()),  # noqa: PTH100 (links stay)
        returns=tuple(returns or ()),
        no_returns=no_returns,
        min_duration_us=min_ns // 1_000,
        buffer_kb=buffer_kb,
        extra=words,
        max_depth=max_depth,
        duration_s=duration_s,
        **plain,
    )


def with_target(
    options: CaptureOptions,
    argv: Sequence[str] | None,
    *,
    pids: Sequence[int] | None,
    user: str | None,
    env: Sequence[str] | None,
    cwd: str,
    in_guest: bool = False,
    dry_run: bool = False,
) -> CaptureOptions:
    """The options with the command looked up, or with the processes.

    For this machine after a look at whether it can record at all.

    Raises:
        UsageError: neither or both; a variable without ``=``.
        CommandNotFound, CommandNotExecutable, CaptureError: it cannot be run so.
    """
    if bool(argv) == bool(pids):
        raise UsageError(
            "give a command to run" if not argv else "give a command or -p PID, not both",
            hint="kfgraph trace insmod foo.ko",
        )
    if not argv:
        if user is not None or env or cwd:
            raise UsageError("--user, --env and --cwd are for a command, not for -p", hint="kfgraph trace --help")
        if not in_guest:
            checking.check_machine(dry_run=dry_run)
        return replace(options, pids=tasks_of(pids or ()))
    settings = dict(_setting(text) for text in env or ())
    runs_as = find_user(user, env=os.environ) if user is not None else None
    if not in_guest:
        checking.check_machine(dry_run=dry_run)
    environment = dict(os.environ)
    if in_guest:
        # There it runs as root, for whom they are in PATH.
        environment["PATH"] = with_sbin(environment.get("PATH", os.defpath))
    if runs_as:
        environment |= {"HOME": runs_as.home, "USER": runs_as.name, "LOGNAME": runs_as.name}
    environment |= settings
    path = find_command(argv, env=environment, cwd=cwd)
    return replace(options, command=Command(path, tuple(argv), environment, cwd=cwd, user=runs_as))


def output_path(name: str) -> str:
    """The file that ``-o`` names.

    Raises:
        UsageError: it names none.
    """
    if not name:
        raise UsageError("-o: the file name is empty", hint="-o trace.dat")
    if name == "-":
        raise UsageError("-o -: a trace.dat cannot be written to a stream", hint="-o trace.dat")
    return name


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--env {text}: not NAME=VALUE", hint="--env DEBUG=1")
    return name, value


def dry_run(options: CaptureOptions, *, in_guest: GuestChoice | None) -> int:
    """Print the recorder's command line, as it would be typed; in a guest, the line that boots it."""
    if in_guest:
        from kfgraph.cli import guest_trace

        return guest_trace.dry_run(options, in_guest)
    fs = checking.machine()
    plan = make_plan(options, fs=fs)
    for probe in (*plan.probes.probes, *plan.probes.paths):
        print(f"echo {shell_word(definition(probe))} >> {fs.root}/kprobe_events")
    plan = replace(plan, probes_set=bool(plan.probes.probes or plan.probes.paths))
    for sentence in plan.warnings:
        say(sentence)
    # A command has no pid before it is started.
    pids = options.pids or ("PID",)
    aside = neutral(fs, take_snapshot(fs), events=plan.events)
    output, root = options.output, str(fs.root)
    lines = plan.shell_lines(recorder=PROGRAM, pids=pids, output=output, tracefs=root, set_aside=aside)
    print(spelt_out_lines("\n".join(lines)))
    return 0


def trace(
    options: CaptureOptions, *, progress: bool, quiet: bool, in_guest: GuestChoice | None, explain: bool = True
) -> int:
    """Record; the exit status to pass on. ``explain``: say why the command failed.

    Raises:
        CaptureError: kfgraph's own failure.
    """
    try:
        if in_guest:
            from kfgraph.cli import guest_trace

            recording = guest_trace.record(options, in_guest, quiet=quiet)
        else:
            line = LiveLine(sys.stderr, wanted=not quiet)
            try:
                watcher = _Progress(line).watcher(while_recording=progress)
                recording = record(options, fs=checking.machine(), watcher=watcher, tell=say)
            finally:
                line.take_back()
                line.clear()
    except MachineError as problem:
        raise CaptureError(problem.message, hint=problem.hint) from None
    for sentence in recording.warnings:
        say(sentence)
    if quiet:
        for sentence in _what_went_wrong(recording):
            say(f"{options.output}: {sentence}")
    else:
        # Whether somebody reads this or not: the command's status is passed on.
        with contextlib.suppress(OSError):
            _print_summary(recording, shown=options.output, explain=explain)
    return recording.status


def _what_went_wrong(recording: Recording) -> list[str]:
    """What is said with ``-q`` too."""
    said = [f"the recording is partial: {recording.partial}"] if recording.partial else []
    if n_lost := sum(cpu.n_lost for cpu in recording.stats):
        said.append(f"{plural(n_lost, 'event')} lost: kfgraph info shows where, and what helps")
    return said + _warnings(recording)


def _warnings(recording: Recording) -> list[str]:
    missed = sum(p.n_missed for p in recording.companion.probes)
    said = [f"return probes missed {plural(missed, 'call')}"] if missed else []
    return said + [f"could not be put back in the tracer: {name}" for name in recording.not_restored]


class _Progress:
    """What goes on, in a line of the terminal."""

    def __init__(self, line: LiveLine) -> None:
        self._line = line
        self._last = (0.0, 0)

    def watcher(self, *, while_recording: bool) -> Watcher | None:
        if not self._line.live:
            return None
        return Watcher(self._show, lambda _: self._line.hand_over(), while_recording=while_recording)

    def _show(self, progress: Progress) -> None:
        from kfgraph.render.capture import progress_line

        if progress.stage == "finishing":
            self._line.take_back()
        n_events = sum(cpu.n_events for cpu in progress.stats)
        before_s, before = self._last
        self._last = (progress.elapsed_s, n_events)
        self._line.update(
            "kfgraph: "
            + progress_line(
                stage=progress.stage,
                elapsed_s=progress.elapsed_s,
                n_bytes=progress.n_bytes,
                n_events=n_events,
                per_second=max(0, n_events - before) / max(0.001, progress.elapsed_s - before_s),
                n_lost=sum(cpu.n_lost for cpu in progress.stats),
            )
        )


def _print_summary(recording: Recording, *, shown: str, explain: bool) -> None:
    from rich.text import Text

    from kfgraph.cli.advice import again_with_children, against_loss
    from kfgraph.parse import load
    from kfgraph.render.capture import CaptureSummary, summary
    from kfgraph.render.console import stderr_console

    loaded: Trace | None = None
    warnings = _warnings(recording)
    try:
        loaded = load(str(recording.path))
        if invocation.current().debug:
            loaded.check()
    except KfgraphError as problem:
        warnings.append(f"it cannot be read back: {problem.message}")
    except Exception as bug:  # the recording and the command's status count for more than this line
        if invocation.current().debug:
            raise
        warnings.append(f"it cannot be read back: {type(bug).__name__}: {bug}")
    n_calls, n_tasks, next_root = _count(loaded) if loaded else (None, None, "")
    if loaded and (again := again_with_children(recording, loaded, arguments=invocation.current().argv)):
        warnings.append(f"no loading of a module was recorded; if a child of the command does it: {again}")
    result = CaptureSummary(
        path=f"./{shown}" if shown.startswith("-") else shown,
        n_bytes=recording.n_bytes,
        recorded_ns=round(recording.recorded_s * 1e9),
        n_calls=n_calls,
        n_tasks=n_tasks,
        ended=_how_it_ended(recording),
        lost=tuple((s.cpu, s.n_lost, s.n_events) for s in recording.stats if s.n_lost),
        advice=tuple(against_loss(recording, loaded, root=next_root, arguments=invocation.current().argv)),
        warnings=tuple(warnings),
        partial=recording.partial,
        next_root=next_root,
        n_probes=len(recording.companion.probes),
        n_unprobed=recording.n_unprobed,
        answer=_answer(recording, loaded) if explain and loaded is not None else (),
    )
    stderr_console().print(Text("\n").join(summary(result)))


def _answer(recording: Recording, loaded: Trace) -> tuple[str, ...]:
    """Why the command failed, in a line or two; nothing where it did not, or where nothing can be told."""
    from kfgraph.analyze.failed_command import why_it_failed

    try:
        return tuple(why_it_failed(loaded))
    except Exception:  # the recording and the command's status count for more than these lines
        if invocation.current().debug:
            raise
        return ()


def _how_it_ended(recording: Recording) -> str:
    name = recording.companion.argv[0] if recording.companion.argv else ""
    if recording.still_runs:
        return f"{name} (pid {recording.still_runs}) still runs"
    if not name or not recording.exit_status:
        return ""
    if recording.killed_by:
        return f"{name} was killed by {signal_name(recording.killed_by)}"
    return f"{name} exited with {recording.exit_status}"


def _count(loaded: Trace) -> tuple[int, int, str]:
    """Calls and tasks of the command as show and top count them, and a root worth a look."""
    import numpy as np

    from kfgraph.model.arrays import distinct
    from kfgraph.model.calls import Flag

    calls = loaded.calls
    shown = ~calls.has(Flag.PRE_EXEC)
    if loaded.command_lanes is not None:
        shown &= np.isin(calls.lane, list(loaded.command_lanes))
    root = "load_module" if "load_module" in loaded.symbols.names else ""
    return int(shown.sum()), len(distinct(calls.lane[shown])), root
