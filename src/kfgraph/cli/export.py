"""``kfgraph export``: a trace in the formats of others."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from kfgraph.cli import notes, options, progressbar
from kfgraph.cli.declared import Option
from kfgraph.cli.no_effect import Idle, without_effect
from kfgraph.cli.outfile import writing
from kfgraph.cli.show_options import least
from kfgraph.export.exporters import export, exporter_of

EXAMPLES = """Examples:

kfgraph export examples/insmod-fail19.dat --format chrome > insmod.json

kfgraph export examples/insmod-fail19.dat --format folded --root load_module | flamegraph.pl > insmod.svg

kfgraph export examples/cat-enoent.dat --format csv --root vfs_open | head -3
"""
IDLE = (*options.IDLE, Idle("redact", ("debuginfo",)))

Format = Annotated[
    Literal[
        "folded", "chrome", "speedscope", "perfetto", "firefox", "callgrind", "pprof", "dot", "mermaid", "parquet",
        "csv", "report", "ftrace", "json",
    ] | None,
    Option(("--format", "-f"), "The format. Default: as the name of FILE ends."),
]
Output = Annotated[
    str | None,
    Option(("--output", "-o"), "Write there (.gz: compressed); -: standard output, as by default.", metavar="FILE"),
]
Min = Annotated[
    str | None,
    Option(("--min",), "dot, mermaid: leave out what took less, of all (1%) or a time. Default: 0.5%.", metavar="TIME"),
]
DebugInfo = Annotated[
    list[str] | None,
    Option(
        ("--debuginfo",),
        "json, csv, parquet: file and line of each call, from the debug info of a vmlinux or .ko; repeatable.",
        metavar="FILE",
    ),
]


def run(
    filters: options.AnyCalls,
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    format_: Format = None,
    output: Output = None,
    min_: Min = None,
    redact: options.Redact = False,
    compensate: options.Compensate = False,
    debuginfo: DebugInfo = None,
    reading: options.HowRead = options.AS_DETECTED,
) -> None:
    """Convert a trace for other tools: Perfetto, speedscope, flamegraph.pl, spreadsheets and more."""
    idle = without_effect(run, locals())
    exporter = exporter_of(format_, None if output == "-" else output)
    asked = least(min_)
    more = asked.as_arguments() if asked else {}
    loaded = options.open_trace(trace, reading, may_be_empty=True)
    with writing(output, binary=not exporter.text) as stream:
        # No bar among lines that go to a terminal.
        to_terminal = output in (None, "-") and sys.stdout.isatty()
        with progressbar.shown(f"writing {exporter.name}", quiet=reading.quiet or to_terminal):
            notices = export(
                loaded, exporter.name, stream, redact=redact, compensate=compensate, debug_info=debuginfo or (), **more,
                **filters,
            )  # fmt: skip
    notes.tell([*idle, *notices])
    if reading.strict:
        notes.refuse_problems(loaded)
