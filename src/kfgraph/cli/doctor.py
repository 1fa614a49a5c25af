"""``kfgraph doctor``: what this machine can give, and the remedy for what it cannot."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from kfgraph.cli import options
from kfgraph.errors import CaptureError, MachineError

EXAMPLES = """Examples:

kfgraph doctor

kfgraph doctor --json

sudo kfgraph doctor --fix
"""


def run(
    json_: options.Json = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Put back what a killed kfgraph trace left changed in the tracer.")
    ] = False,
) -> int:
    """Check whether tracing works here, natively and in a guest, each obstacle with its remedy.

    Exit 0 if kfgraph trace works in at least one way, 3 if in neither.
    """
    from kfgraph.capture import doctor, session
    from kfgraph.model.health import GUEST, NATIVE

    if fix:
        try:
            done = session.restore_leftovers()
        except (CaptureError, OSError) as problem:
            raise MachineError(f"cannot put the tracer back: {problem}", hint="run it as root") from problem
        for sentence in done or ["nothing was left by a killed run"]:
            print(f"kfgraph: {sentence}", file=sys.stderr)
    report = doctor.examine(compiled=hot_loops())
    if json_:
        json.dump(report.to_dict(), sys.stdout, indent=1)
        print()
    else:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.doctor import DoctorView

        stdout_console().print(DoctorView(report))
    return 0 if report.works(NATIVE) or report.works(GUEST) else MachineError.exit_code


def hot_loops() -> dict[str, bool]:
    """The reader's modules that the build compiles (they ask ``cython.compiled``) -> are they compiled?"""
    from kfgraph import parse

    room = Path(parse.__path__[0])
    found = {}
    for path in sorted(room.rglob("*.py")):
        if "= cython.compiled" in path.read_text(encoding="utf-8"):
            name = ".".join((parse.__name__, *path.relative_to(room).with_suffix("").parts))
            spec = importlib.util.find_spec(name)
            found[name] = spec is not None and not (spec.origin or "").endswith(".py")
    return found
