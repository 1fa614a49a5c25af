"""What a look at a trace begins with where the recorded command failed: why it did."""

from __future__ import annotations

from kfgraph.model.trace import Trace


def why_it_failed(trace: Trace) -> list[str]:
    """The answer of ``kfgraph why`` in a line or two, and the line to type for the rest of it.

    Nothing where the command succeeded, or where nobody wrote down how it ended (the trace has no companion).
    """
    companion = trace.companion
    if companion is None or not (companion.exit_status or companion.modules) or not len(trace.calls):
        return []
    from kfgraph.analyze.why import summary, why

    said = summary(why(trace))
    ways = [line for line in said[1:] if "→" in line]
    return [said[0], *ways, f"kfgraph why {trace.meta.as_typed} explains"] if said else []
