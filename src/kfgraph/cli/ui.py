"""``kfgraph ui``: the explorer."""

from __future__ import annotations

from typing import Annotated

from kfgraph.cli import notes, options
from kfgraph.cli.declared import Group
from kfgraph.cli.no_effect import without_effect

EXAMPLES = """Examples:

kfgraph ui examples/insmod-foo-fail19.dat

kfgraph ui examples/insmod-fail19.dat --root load_module

kfgraph ui - < trace.dat
"""
IDLE = options.NO_LINKS


def run(
    filters: options.AnyCalls,
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    linking: options.HowLinked = options.AS_KNOWN,
    reading: Annotated[options.Reading, Group(("reader", "buffer", "module", "btf", "quiet"))] = options.AS_DETECTED,
) -> int:
    """Explore a trace on the terminal: open and close calls, search, follow errors; ? lists the keys."""
    idle = without_effect(run, locals())
    from kfgraph.cli.explore import explore

    code = explore(trace, filters, reading, linking)
    notes.tell(idle)
    return code
