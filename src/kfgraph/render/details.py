"""The text of rows that are no calls: lost records, other events, kfgraph's own cost."""

from __future__ import annotations

from collections.abc import Sequence

from kfgraph.analyze.cost_rows import UnseenCost
from kfgraph.analyze.tree_rows import Detail, EventDetail, LossDetail, MoreEventsDetail
from kfgraph.model.spelling import spelt_out
from kfgraph.model.units import format_ns, plural


def detail_text(detail: Detail) -> tuple[str, str]:
    """(name, what follows it) of a row that shows ``detail``."""
    if isinstance(detail, LossDetail):
        name, mark, rest = loss_text(*detail).partition(" (")
        return name, mark + rest
    if isinstance(detail, EventDetail):
        name, mark, rest = f"· {spelt_out(f'{detail.name}: {detail.text}'.strip())}".partition(": ")
        return name, mark + rest
    if isinstance(detail, MoreEventsDetail):
        name = f"{spelt_out(detail.name)} " if detail.name else ""
        return f"· … {plural(detail.n, f'more {name}event')} (--all)", ""
    return detail.label, f" in {spelt_out(detail.function)}" if detail.function else ""


def loss_text(counts: Sequence[int], lasted_ns: Sequence[int] = (), cpus: Sequence[int] = ()) -> str:
    """The losses between two rows; ``counts`` holds -1 where the kernel gave no number.

    ``lasted_ns`` is how long each gap was, -1 where that is not known, and ``cpus`` where.
    """
    counted = [n for n in counts if n >= 0]
    where = [f"{len(counts):,} places"] if len(counts) > 1 else []
    known = [ns for ns in lasted_ns if ns >= 0]
    if known:
        where.append(f"{'≥ ' if len(known) < len(counts) else ''}{format_ns(sum(known))}")
    if seen := sorted({cpu for cpu in cpus if cpu >= 0}):
        where.append(f"CPU {', '.join(map(str, seen))}")
    places = f" ({', '.join(where)})" if where else ""
    if not counted:
        return f"!! records lost, not counted{places}"
    least = "≥ " if len(counted) < len(counts) else ""
    return f"!! {least}{plural(sum(counted), 'record')} lost{places}"


def unseen_cost_text(cost: UnseenCost) -> str:
    """kfgraph's own cost that has no row."""
    time = "?" if cost.at_most_ns < 0 else format_ns(cost.at_most_ns)
    return f"{cost.label} took ≤ {time} in {plural(cost.n_calls, 'call')} not shown; no time above holds it"
