"""``kfgraph doctor``: what this machine can give, and the remedy for what it cannot."""

from __future__ import annotations

from typing import Annotated

from kfgraph.cli import options
from kfgraph.cli.declared import Option
from kfgraph.cli.messages import say
from kfgraph.errors import CaptureError, MachineError
from kfgraph.model.spelling import json_text

EXAMPLES = """Examples:

kfgraph doctor

kfgraph doctor --json

sudo kfgraph doctor --fix
"""


def run(
    json_: options.Json = False,
    fix: Annotated[
        bool, Option(("--fix",), "Put back what a killed kfgraph trace left changed in the tracer.")
    ] = False,
) -> int:
    """Check whether tracing works here, natively and in a guest, and print remedies.

    Exit 0 if kfgraph trace works in at least one way, 3 if in neither.
    """
    from kfgraph.capture import doctor, session
    from kfgraph.model.health import GUEST, NATIVE
    from kfgraph.parse.compiled import compiled_loops

    if fix:
        try:
            done = session.restore_leftovers()
        except (CaptureError, OSError) as problem:
            raise MachineError(f"cannot put the tracer back: {problem}", hint="run it as root") from problem
        for sentence in done or ["no killed recording left anything"]:
            say(sentence)
    report = doctor.examine(compiled=compiled_loops())
    if json_:
        print(json_text(report.to_dict(), indent=1))
    else:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.doctor import DoctorView

        stdout_console().print(DoctorView(report), soft_wrap=True)
    return 0 if report.works(NATIVE) or report.works(GUEST) else MachineError.exit_code
