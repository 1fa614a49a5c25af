"""What a look at a trace begins with where the recorded command failed: why it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfgraph.model.trace import Trace

if TYPE_CHECKING:
    from kfgraph.analyze.why import Why


def why_it_failed(trace: Trace, answer: Why | None = None) -> list[str]:
    """The answer of ``kfgraph why`` in a line or two, and what to type to know more. ``answer`` is given where it is
    known already.

    Also where a module was loaded, and what one of its functions returned as an error went no further. Nothing where
    all succeeded, or where nobody wrote down how the command ended (the trace has no companion).
    """
    companion = trace.companion
    if companion is None or not (companion.exit_status or companion.modules) or not len(trace.calls):
        return []
    from kfgraph.analyze.why import why
    from kfgraph.analyze.whywords import summary

    answer = answer or why(trace)
    said = summary(answer)
    if not said:
        return []
    ways = said[1:] if answer.birth is None or "→" in said[-1] else []
    explains = answer.birth is not None or answer.swallowed
    more = f"kfgraph why {trace.meta.as_typed} explains" if explains else answer.next and f"to know more: {answer.next}"
    return [said[0], *ways, *filter(None, [more])]
