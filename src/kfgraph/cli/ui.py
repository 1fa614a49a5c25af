"""``kfgraph ui``: the explorer."""

from __future__ import annotations

from kfgraph.cli import notes, options
from kfgraph.cli.idle import without_effect

EXAMPLES = """Examples:

kfgraph ui examples/insmod-foo-fail19.dat

kfgraph ui examples/insmod-fail19.dat --root load_module

kfgraph ui - < trace.dat
"""
IDLE = options.IDLE


def run(
    filters: options.AnyCalls,
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    reader: options.Reader = None,
    buffer: options.BufferName = None,
    module: options.Modules = None,
    btf: options.BtfFiles = None,
    quiet: options.Quiet = False,
) -> int:
    """Explore a trace on the terminal: open and close calls, search, follow errors; ? lists the keys."""
    idle = without_effect(run, locals())
    from kfgraph.cli.explore import explore

    code = explore(trace, filters, reader=reader, buffer=buffer, module=module, btf=btf, quiet=quiet)
    notes.tell(idle)
    return code
