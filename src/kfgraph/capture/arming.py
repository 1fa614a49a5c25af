"""The tracer made ready for a plan: nothing restricts it, settings that trace-cmd has no option for, return probes.

What it was like before is in the session's snapshot, which puts it back.
"""

from __future__ import annotations

from dataclasses import replace

from kfgraph.capture import tracefs
from kfgraph.capture.plan import CapturePlan
from kfgraph.capture.probes import install
from kfgraph.capture.tracefs import Snapshot, Tracefs
from kfgraph.errors import CaptureError


def arm(plan: CapturePlan, *, fs: Tracefs, found: Snapshot) -> CapturePlan:
    """Make the tracer ready; the plan as the kernel took it. ``found`` is how the tracer was found.

    Raises:
        CaptureError: what was set before cannot be cleared; the kernel refused a setting.
    """
    plan = _set_aside(plan, fs, found)
    _apply_settings(plan, fs)
    return _set_probes(plan, fs)


def _set_aside(plan: CapturePlan, fs: Tracefs, found: Snapshot) -> CapturePlan:
    """Clear what was set before and would restrict the recording."""
    writes = tracefs.neutral(fs, found, events=plan.events)
    for name, value in writes.items():
        try:
            fs.write(name, value)
        except OSError as problem:
            message = f"{name} is set, which restricts the recording, and cannot be cleared: {problem.strerror}"
            raise CaptureError(message) from problem
    warnings = [f"set_ftrace_filter has {entry}: that may end the recording early" for entry in tracefs.stoppers(found)]
    if writes:
        names = ", ".join(sorted(writes))
        warnings.append(f"set aside while this was recorded, for it would have restricted it: {names}")
    return replace(plan, warnings=(*plan.warnings, *warnings))


def _apply_settings(plan: CapturePlan, fs: Tracefs) -> None:
    for name, value in plan.settings.items():
        try:
            fs.write(name, value)
        except OSError as problem:
            raise CaptureError(f"the kernel refused {value} for {name}: {problem.strerror}") from problem


def _set_probes(plan: CapturePlan, fs: Tracefs) -> CapturePlan:
    wanted = plan.probes
    done, refused = install(fs, wanted.probes)
    paths, no_paths = install(fs, wanted.paths)
    notes = [*plan.notes, *refused.values(), *no_paths.values()]
    if done or paths:
        left_out = ", ".join(wanted.notrace)
        notes.append(f"not traced, for the return probes would fill the trace with them: {left_out}")
    return replace(
        plan,
        probes=replace(wanted, probes=done, paths=paths),
        probes_set=bool(done or paths),
        notes=tuple(notes),
        warnings=(*plan.warnings, *(why for function, why in refused.items() if function in wanted.asked)),
    )
