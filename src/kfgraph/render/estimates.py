"""What is said about times that are estimates: less what tracing took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfgraph.model.units import format_ns, plural

if TYPE_CHECKING:
    from kfgraph.analyze.calltree import CallTree

ESTIMATE = "≈"
"""Before each such time."""


def took(tracer_ns: int, uncertain_ns: int) -> str:
    """``tracing took 4.585 ms ± 2.849 ms``."""
    return f"tracing took {format_ns(tracer_ns)} ± {format_ns(uncertain_ns)}"


def estimate_lines(shown: CallTree) -> list[str]:
    """What the times of a tree are less by, if they are estimates."""
    taken, tree = shown.selection.tracer, shown.tree
    if taken is None:
        return []
    roots = tree.roots
    said = took(*(int(tree.at(f"total_{name}", roots).sum()) for name in ("tracer_ns", "uncertain_ns")))
    n_limited = 0
    if not shown.of_callers:
        rows = tree.row[tree.row >= 0]
        n_limited = int(taken.limited[rows if len(rows) else shown.selection.keep].sum())
    least = f"; {plural(n_limited, 'call')} took less than that: 0 is left" if n_limited else ""
    return [f"estimates ({ESTIMATE}): {said}, {taken.cost}{least}"]
