"""Before a recording: what ``kfgraph doctor`` would say is in the way."""

from __future__ import annotations

import os
from collections.abc import Sequence

from kfgraph.capture import doctor, prepare, tracefs
from kfgraph.cli import invocation
from kfgraph.cli.advice import own_words
from kfgraph.cli.messages import say
from kfgraph.errors import CaptureError, KfgraphError, MachineError
from kfgraph.model.health import LIMITED, MISSING, Check
from kfgraph.model.spelling import shell_line


def machine() -> tracefs.Tracefs:
    """This machine's tracing directory.

    Raises:
        CaptureError: there is none for this user.
    """
    try:
        return tracefs.find()
    except MachineError as problem:
        tracer = doctor.check_tracer(doctor.this_system())
        if tracer.state == MISSING:  # then nothing that helps against the rest helps
            raise CaptureError(f"{tracer.name}: {tracer.found}", hint=_in_a_guest(tracer.remedy)) from None
        raise CaptureError(problem.message, hint=_with_sudo(problem)) from None


def _with_sudo(problem: KfgraphError) -> str:
    """Its hint; where that is to be root, this run's command line with sudo."""
    return prepare.sudo_line(invocation.current().line) if problem.hint == tracefs.BE_ROOT else problem.hint


def _in_a_guest(otherwise: str) -> str:
    """This run's command line for a guest; processes that run here are not to be had there."""
    program, *arguments = invocation.current().line
    at = next((i for i, word in enumerate(arguments) if word in ("trace", "why")), None)
    if at is None or "-p" in arguments or "--pid" in arguments:
        return otherwise
    before, after = arguments[: at + 1], arguments[at + 1 :]
    return shell_line([*own_words(program, os.environ), *before, "--guest", *after])


def check_machine(*, dry_run: bool) -> None:
    """Can this kernel be traced, by this user? What is only a pity goes to stderr.

    Raises:
        CaptureError: it cannot.
    """
    system = doctor.this_system()
    tell([doctor.check_lockdown(system)])
    fs = machine()
    if not dry_run:
        try:
            prepare.check_permission(fs)
        except CaptureError as problem:
            raise CaptureError(problem.message, hint=_with_sudo(problem)) from None
        tell([doctor.check_pids(system), doctor.check_trace_cmd(system), doctor.check_names(system)])


def check_for_guest() -> None:
    """Check that this machine has the recorder, which the guest uses too.

    Raises:
        CaptureError: it has none.
    """
    tell([doctor.check_trace_cmd(doctor.this_system())])


def tell(checks: Sequence[Check]) -> None:
    """Say what is limited.

    Raises:
        CaptureError: something is missing.
    """
    for check in checks:
        if check.state == MISSING:
            raise CaptureError(f"{check.name}: {check.found}", hint=check.remedy)
        if check.state == LIMITED:
            say(f"{check.name}: {check.found} ({check.remedy})")
