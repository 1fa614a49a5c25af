"""Before a recording: what ``kfgraph doctor`` would say is in the way."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kfgraph.capture import doctor, prepare, tracefs
from kfgraph.errors import CaptureError, MachineError
from kfgraph.model.health import LIMITED, MISSING, Check


def machine() -> tracefs.Tracefs:
    """This machine's tracing directory.

    Raises:
        CaptureError: there is none for this user.
    """
    try:
        return tracefs.find()
    except MachineError as problem:
        hint = prepare.sudo_line(sys.argv) if problem.hint == "run as root" else problem.hint
        raise CaptureError(problem.message, hint=hint) from None


def check_machine(*, dry_run: bool) -> None:
    """Can this kernel be traced, by this user? What is only a pity goes to stderr.

    Raises:
        CaptureError: it cannot.
    """
    system = doctor.this_system()
    tell([doctor.check_lockdown(system)])
    fs = machine()
    if not dry_run:
        prepare.check_permission(fs)
        tell([doctor.check_pids(system), doctor.check_trace_cmd(system), doctor.check_names(system)])


def check_for_guest() -> None:
    """Is the recorder there, which the guest takes from this machine?

    Raises:
        CaptureError: it is not.
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
            print(f"kfgraph: {check.name}: {check.found} ({check.remedy})", file=sys.stderr)
