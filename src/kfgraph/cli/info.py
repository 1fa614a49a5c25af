"""``kfgraph info``: what a trace is."""

from __future__ import annotations

from typing import Annotated

from kfgraph.cli import notes, options
from kfgraph.cli.declared import Option
from kfgraph.model.spelling import json_text

EXAMPLES = """Examples:

kfgraph info examples/insmod-fail19.dat

kfgraph info examples/insmod-lossy.report.txt.xz --strict

kfgraph info examples/cat-enoent.dat --json
"""


def run(
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    json_: options.Json = False,
    verbose: Annotated[
        bool, Option(("--verbose", "-v"), "Every task and event, and which hot loops are compiled.")
    ] = False,
    reading: options.HowRead = options.AS_DETECTED,
) -> None:
    """Describe a trace: kernel, clock, tasks, calls, lost records, and how it was recorded."""
    loaded = options.open_trace(trace, reading, may_be_empty=True)
    from kfgraph.analyze.info import info
    from kfgraph.parse.compiled import compiled_loops

    result = info(loaded)
    if json_:
        print(json_text({**result.to_dict(), **({"compiled": compiled_loops()} if verbose else {})}))
    else:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.info import InfoView

        view = InfoView(result, verbose=verbose, loops=compiled_loops() if verbose else None)
        stdout_console().print(view, soft_wrap=True)
    if reading.strict:
        notes.refuse_problems(loaded)
